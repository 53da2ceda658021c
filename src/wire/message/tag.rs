//! The tags of either direction as enums, so that a `match` on them names every message there is.
//! Source: PostgreSQL manual, "Message Formats"; `src/include/libpq/protocol.h`.

macro_rules! tags {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $byte:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The message with this tag byte; `None` if the protocol has none.
            pub fn of(byte: u8) -> Option<Self> {
                match byte { $($byte => Some($name::$variant),)* _ => None }
            }

            /// The tag byte.
            pub fn byte(self) -> u8 {
                match self { $($name::$variant => $byte,)* }
            }
        }
    };
}

tags! {
    /// What a client may send once logged in, and `Password` before.
    ClientTag {
        /// Bind.
        Bind = b'B',
        /// Close of a statement or portal.
        Close = b'C',
        /// CopyData.
        CopyData = b'd',
        /// CopyDone.
        CopyDone = b'c',
        /// CopyFail.
        CopyFail = b'f',
        /// Describe of a statement or portal.
        Describe = b'D',
        /// Execute.
        Execute = b'E',
        /// Flush.
        Flush = b'H',
        /// FunctionCall, the old fast path.
        FunctionCall = b'F',
        /// Parse.
        Parse = b'P',
        /// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share a tag.
        Password = b'p',
        /// Query, the simple protocol.
        Query = b'Q',
        /// Sync.
        Sync = b'S',
        /// Terminate.
        Terminate = b'X',
    }
}

tags! {
    /// What a server may send.
    ServerTag {
        /// Authentication, every kind.
        Authentication = b'R',
        /// BackendKeyData.
        BackendKeyData = b'K',
        /// BindComplete.
        BindComplete = b'2',
        /// CloseComplete.
        CloseComplete = b'3',
        /// CommandComplete.
        CommandComplete = b'C',
        /// CopyData.
        CopyData = b'd',
        /// CopyDone.
        CopyDone = b'c',
        /// CopyInResponse.
        CopyInResponse = b'G',
        /// CopyOutResponse.
        CopyOutResponse = b'H',
        /// CopyBothResponse.
        CopyBothResponse = b'W',
        /// DataRow.
        DataRow = b'D',
        /// EmptyQueryResponse.
        EmptyQueryResponse = b'I',
        /// ErrorResponse.
        ErrorResponse = b'E',
        /// FunctionCallResponse.
        FunctionCallResponse = b'V',
        /// NegotiateProtocolVersion.
        NegotiateProtocolVersion = b'v',
        /// NoData.
        NoData = b'n',
        /// NoticeResponse.
        NoticeResponse = b'N',
        /// NotificationResponse.
        NotificationResponse = b'A',
        /// ParameterDescription.
        ParameterDescription = b't',
        /// ParameterStatus.
        ParameterStatus = b'S',
        /// ParseComplete.
        ParseComplete = b'1',
        /// PortalSuspended.
        PortalSuspended = b's',
        /// ReadyForQuery.
        ReadyForQuery = b'Z',
        /// RowDescription.
        RowDescription = b'T',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_tags_agree() {
        let client = (0..=255u8).filter_map(|b| ClientTag::of(b).map(|t| assert_eq!(t.byte(), b))).count();
        let server = (0..=255u8).filter_map(|b| ServerTag::of(b).map(|t| assert_eq!(t.byte(), b))).count();
        assert_eq!((client, server), (14, 24));
    }
}
