//! ErrorResponse and NoticeResponse: built, taken apart, redacted.
//!
//! A report from the server is kept whole, unknown fields included, so that it can be handed on.
//! Not here: when something is an error, and when a report has to be redacted.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::MessageError;
use super::body::{Body, put_message};

/// The severity of a report. The texts are PostgreSQL's, untranslated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The connection ends.
    Fatal,
    /// The statement failed.
    Error,
    /// A warning.
    Warning,
    /// A notice.
    Notice,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Fatal => "FATAL",
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        }
    }
}

/// The fields of an ErrorResponse or NoticeResponse, in order.
/// Source: PostgreSQL manual, "Error and Notice Message Fields".
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    fields: Vec<(u8, Bytes)>,
}

/// The order in which PostgreSQL sends fields (elog.c, `send_message_to_frontend`).
const ORDER: &[u8] = b"SVCMDHPpqWstcdnFLR";

impl Report {
    /// A report with severity, SQLSTATE and message; more fields with the methods below.
    pub fn new(severity: Severity, code: &str, message: impl Into<String>) -> Self {
        let severity = Bytes::from_static(severity.as_str().as_bytes());
        Report {
            fields: vec![
                (b'S', severity.clone()),
                (b'V', severity),
                (b'C', Bytes::copy_from_slice(code.as_bytes())),
                (b'M', message.into().into()),
            ],
        }
    }

    /// [`Report::new`] with severity ERROR.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Report::new(Severity::Error, code, message)
    }

    /// [`Report::new`] with severity FATAL.
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Report::new(Severity::Fatal, code, message)
    }

    /// From the body of an ErrorResponse or NoticeResponse.
    ///
    /// # Errors
    /// [`MessageError`] for a body that is not one.
    pub fn decode(bytes: &Bytes) -> Result<Self, MessageError> {
        let mut body = Body::new(bytes);
        let mut fields = Vec::new();
        loop {
            match body.u8()? {
                0 => break,
                kind => fields.push((kind, bytes.slice_ref(body.cstr()?))),
            }
        }
        body.end()?;
        Ok(Report { fields })
    }

    /// Sets the detail.
    pub fn detail(self, text: impl Into<String>) -> Self {
        self.with(b'D', text)
    }

    /// Sets the hint.
    pub fn hint(self, text: impl Into<String>) -> Self {
        self.with(b'H', text)
    }

    /// Sets the constraint name, where a stable code of the proxy stands too.
    pub fn constraint(self, name: impl Into<String>) -> Self {
        self.with(b'n', name)
    }

    /// Sets the position in the client's text, characters from 1.
    pub fn position(self, characters: u32) -> Self {
        self.with(b'P', characters.to_string())
    }

    /// Sets any field by its type byte (`s` schema, `t` table, `c` column, `d` type, `W` context ...).
    pub fn with(mut self, kind: u8, text: impl Into<String>) -> Self {
        let text = Bytes::from(text.into());
        match self.fields.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, value)) => *value = text,
            // A zero ends the list of fields; it cannot be the type of one.
            None if kind != 0 => {
                let rank = |kind: u8| ORDER.iter().position(|k| *k == kind).unwrap_or(ORDER.len());
                let behind = self.fields.iter().position(|(k, _)| rank(*k) > rank(kind));
                self.fields.insert(behind.unwrap_or(self.fields.len()), (kind, text));
            }
            None => {}
        }
        self
    }

    /// Leaves out a field.
    pub fn without(mut self, kind: u8) -> Self {
        self.fields.retain(|(k, _)| *k != kind);
        self
    }

    /// A field by its type byte, as sent.
    pub fn field(&self, kind: u8) -> Option<Cow<'_, str>> {
        self.fields.iter().find(|(k, _)| *k == kind).map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// The SQLSTATE; empty if the report has none.
    pub fn code(&self) -> Cow<'_, str> {
        self.field(b'C').unwrap_or_default()
    }

    /// The primary message; empty if the report has none.
    pub fn message(&self) -> Cow<'_, str> {
        self.field(b'M').unwrap_or_default()
    }

    /// Whether the connection ends with this report.
    pub fn is_fatal(&self) -> bool {
        // `V` is the severity that is never translated (PostgreSQL 9.6 and later).
        matches!(self.field(b'V').or_else(|| self.field(b'S')).as_deref(), Some("FATAL" | "PANIC"))
    }

    /// Severity and SQLSTATE of this report with another message, and nothing else that could carry a
    /// value or a name: no detail, hint, context, position, object name or source location.
    pub fn redacted(&self, message: &str) -> Self {
        let keep = |kind: u8| matches!(kind, b'S' | b'V' | b'C');
        let mut fields: Vec<_> = self.fields.iter().filter(|(kind, _)| keep(*kind)).cloned().collect();
        fields.push((b'M', Bytes::copy_from_slice(message.as_bytes())));
        Report { fields }
    }

    /// As an ErrorResponse.
    pub fn error_response(&self) -> Bytes {
        self.encode(b'E')
    }

    /// As a NoticeResponse.
    pub fn notice_response(&self) -> Bytes {
        self.encode(b'N')
    }

    fn encode(&self, tag: u8) -> Bytes {
        let mut out = BytesMut::new();
        let fill = |out: &mut BytesMut| {
            for (kind, value) in &self.fields {
                out.put_u8(*kind);
                // A NUL would let the rest be read as another field; an error is never lost over one.
                out.put_slice(value.split(|&b| b == 0).next().unwrap_or(&[]));
                out.put_u8(0);
            }
            out.put_u8(0);
            Ok(())
        };
        // A report over a gigabyte cannot be sent; an empty one still is an error to the client.
        if put_message(&mut out, tag, fill).is_err() {
            out.put_slice(&[tag, 0, 0, 0, 5, 0]);
        }
        out.freeze()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message(), self.code())
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |(kind, value): &(u8, Bytes)| (char::from(*kind), String::from_utf8_lossy(value).into_owned());
        f.debug_map().entries(self.fields.iter().map(text)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_goes_round() {
        let report = Report::error("42501", "no")
            .detail("d")
            .hint("h")
            .constraint("GLS-201")
            .position(7)
            .with(b'z', "of tomorrow");
        let raw = report.error_response();
        assert_eq!(raw[0], b'E');
        assert_eq!(Report::decode(&raw.slice(5..)), Ok(report.clone()));
        assert_eq!((&*report.code(), &*report.message()), ("42501", "no"));
        assert_eq!(report.field(b'n').as_deref(), Some("GLS-201"));
        assert!(!report.is_fatal() && Report::fatal("57P01", "bye").is_fatal());
        assert_eq!(report.notice_response()[0], b'N');
    }

    #[test]
    fn a_nul_cannot_smuggle_a_field() {
        let raw = Report::error("42501", "no\0DFailing row contains (1)").error_response();
        let back = Report::decode(&raw.slice(5..)).unwrap();
        assert_eq!((back.message().as_ref(), back.field(b'D')), ("no", None));
    }

    proptest! {
        // Property: nothing of the original but severity and SQLSTATE survives redaction.
        #[test]
        fn redaction_keeps_no_value(kinds in proptest::collection::vec(1u8..128, 0..20)) {
            let mut report = Report::error("23505", "Key (mrn)=(SECRET) already exists");
            for kind in kinds.into_iter().filter(|k| !b"SVC".contains(k)) {
                report = report.with(kind, "SECRET");
            }
            let redacted = report.redacted("value withheld");
            let raw = redacted.error_response();
            prop_assert!(!raw.windows(6).any(|w| w == b"SECRET"));
            prop_assert_eq!(redacted.code(), "23505");
            prop_assert_eq!(redacted.message(), "value withheld");
        }

        #[test]
        fn garbage(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = Report::decode(&Bytes::from(bytes));
        }
    }
}
