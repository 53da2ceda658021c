//! The extended query messages of a client: Parse, Bind, Describe, Close, Execute.
//! Not here: which statement or portal a name stands for (the session knows).

use bytes::{BufMut, Bytes};

use super::body::{Body, MessageError, message, put_count, put_text, put_value};

/// Parse: prepare a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parse {
    /// The statement's name; empty is the unnamed one.
    pub name: String,
    /// Its text.
    pub query: String,
    /// Types of the first parameters, as OIDs; 0 is unspecified.
    pub parameter_types: Vec<u32>,
}

impl Parse {
    /// From a message's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut body = Body::new(body);
        let (name, query) = (body.text()?.to_owned(), body.text()?.to_owned());
        let count = body.u16()?;
        let parameter_types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
        body.end()?;
        Ok(Parse { name, query, parameter_types })
    }

    /// The message.
    ///
    /// # Errors
    /// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's counts.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        message(b'P', |out| {
            put_text(out, &self.name)?;
            put_text(out, &self.query)?;
            put_count(out, self.parameter_types.len())?;
            self.parameter_types.iter().for_each(|oid| out.put_u32(*oid));
            Ok(())
        })
    }
}

/// Bind: make a portal of a statement and its parameters. Values share the message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The portal's name; empty is the unnamed one.
    pub portal: String,
    /// The statement's name.
    pub statement: String,
    /// Format codes: none (all text), one for all, or one a parameter. 0 is text, 1 is binary.
    pub parameter_formats: Vec<i16>,
    /// The values; `None` is NULL.
    pub parameters: Vec<Option<Bytes>>,
    /// Format codes of the result: none, one for all, or one a column.
    pub result_formats: Vec<i16>,
}

impl Bind {
    /// From a message's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(bytes: &Bytes) -> Result<Self, MessageError> {
        let mut body = Body::new(bytes);
        let (portal, statement) = (body.text()?.to_owned(), body.text()?.to_owned());
        let parameter_formats = formats(&mut body)?;
        let count = body.u16()?;
        let parameters = (0..count)
            .map(|_| Ok(body.value()?.map(|value| bytes.slice_ref(value))))
            .collect::<Result<_, MessageError>>()?;
        let result_formats = formats(&mut body)?;
        body.end()?;
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
    }

    /// The message.
    ///
    /// # Errors
    /// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's counts.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        message(b'B', |out| {
            put_text(out, &self.portal)?;
            put_text(out, &self.statement)?;
            put_count(out, self.parameter_formats.len())?;
            self.parameter_formats.iter().for_each(|f| out.put_i16(*f));
            put_count(out, self.parameters.len())?;
            for value in &self.parameters {
                put_value(out, value.as_deref())?;
            }
            put_count(out, self.result_formats.len())?;
            self.result_formats.iter().for_each(|f| out.put_i16(*f));
            Ok(())
        })
    }
}

fn formats(body: &mut Body<'_>) -> Result<Vec<i16>, MessageError> {
    let count = body.u16()?;
    (0..count).map(|_| body.i16()).collect()
}

/// What a Describe or Close names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A prepared statement (`S`).
    Statement,
    /// A portal (`P`).
    Portal,
}

/// The body of a Describe or Close.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A statement or a portal.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
}

impl Target {
    /// From the body of a Describe or Close.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut body = Body::new(body);
        let kind = match body.u8()? {
            b'S' => TargetKind::Statement,
            b'P' => TargetKind::Portal,
            other => return Err(MessageError::Unknown(u32::from(other))),
        };
        let name = body.text()?.to_owned();
        body.end()?;
        Ok(Target { kind, name })
    }

    /// As a Describe.
    ///
    /// # Errors
    /// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
    pub fn describe(&self) -> Result<Bytes, MessageError> {
        self.encode(b'D')
    }

    /// As a Close.
    ///
    /// # Errors
    /// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
    pub fn close(&self) -> Result<Bytes, MessageError> {
        self.encode(b'C')
    }

    fn encode(&self, tag: u8) -> Result<Bytes, MessageError> {
        message(tag, |out| {
            out.put_u8(match self.kind {
                TargetKind::Statement => b'S',
                TargetKind::Portal => b'P',
            });
            put_text(out, &self.name)?;
            Ok(())
        })
    }
}

/// Execute: run a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    /// The portal's name.
    pub portal: String,
    /// At most this many rows, then PortalSuspended; 0 or less is all.
    pub max_rows: i32,
}

impl Execute {
    /// From a message's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut body = Body::new(body);
        let (portal, max_rows) = (body.text()?.to_owned(), body.i32()?);
        body.end()?;
        Ok(Execute { portal, max_rows })
    }

    /// The message.
    ///
    /// # Errors
    /// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's limit.
    pub fn encode(&self) -> Result<Bytes, MessageError> {
        message(b'E', |out| {
            put_text(out, &self.portal)?;
            out.put_i32(self.max_rows);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Property: what is encoded parses back, and no prefix of it does.
        #[test]
        fn bind_round_trip(
            portal in "[a-z]{0,5}", statement in "[a-zé]{0,5}",
            parameter_formats in proptest::collection::vec(0i16..2, 0..4),
            values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..5),
            result_formats in proptest::collection::vec(0i16..2, 0..4),
        ) {
            let parameters = values.into_iter().map(|v| v.map(Bytes::from)).collect();
            let bind = Bind { portal, statement, parameter_formats, parameters, result_formats };
            let body = bind.encode().unwrap().slice(5..);
            prop_assert_eq!(Bind::decode(&body), Ok(bind));
            for end in 0..body.len() {
                prop_assert!(Bind::decode(&body.slice(..end)).is_err());
            }
        }

        #[test]
        fn parse_round_trip(name in "[a-z]{0,5}", query in "[ -~é]{0,30}", parameter_types in proptest::collection::vec(any::<u32>(), 0..5)) {
            let message = Parse { name, query, parameter_types };
            let body = message.encode().unwrap().slice(5..);
            prop_assert_eq!(Parse::decode(&body), Ok(message));
            for end in 0..body.len() {
                prop_assert!(Parse::decode(&body[..end]).is_err());
            }
        }

        // Property: garbage is an error or a value, never a panic.
        #[test]
        fn garbage(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Parse::decode(&bytes), Target::decode(&bytes), Execute::decode(&bytes));
            let _ = Bind::decode(&Bytes::from(bytes));
        }
    }

    #[test]
    fn a_full_house_of_parameters() {
        let bind = Bind {
            portal: String::new(),
            statement: "s".into(),
            parameter_formats: vec![1],
            parameters: vec![Some(Bytes::from_static(b"x")); 65_535],
            result_formats: vec![],
        };
        assert_eq!(Bind::decode(&bind.encode().unwrap().slice(5..)), Ok(bind.clone()));
        let over = Bind { parameters: vec![None; 65_536], ..bind };
        assert_eq!(over.encode(), Err(MessageError::TooMany));
    }

    #[test]
    fn targets_and_execute() {
        let target = Target { kind: TargetKind::Portal, name: "p".into() };
        assert_eq!(&target.describe().unwrap()[..], b"D\0\0\0\x07Pp\0");
        assert_eq!(Target::decode(&target.close().unwrap()[5..]), Ok(target));
        assert_eq!(Target::decode(b"Xp\0"), Err(MessageError::Unknown(0x58)));
        let execute = Execute { portal: "p".into(), max_rows: 10 };
        assert_eq!(Execute::decode(&execute.encode().unwrap()[5..]), Ok(execute));
    }
}
