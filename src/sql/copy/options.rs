//! The options of a COPY that decide how its data is read. An option that is not known here, or that
//! would make the data ambiguous, is refused: what passes must be what the reader of the data assumes.
//! Source: manual, "COPY" (14 to 18), and `ProcessCopyOptions` in `src/backend/commands/copy.c`.

use crate::policy::{KeyType, Refusal};
use crate::sql::cannot_guard;
use crate::sql::tree::Node;

/// How the rows of a COPY are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    /// `FORMAT text`.
    Text {
        /// Between fields.
        delimiter: u8,
        /// Stands for NULL, before escapes are read.
        null: Vec<u8>,
        /// The first line holds the columns' names.
        header: bool,
    },
    /// `FORMAT csv`.
    Csv {
        /// Between fields.
        delimiter: u8,
        /// Around a field.
        quote: u8,
        /// Before a quote inside one.
        escape: u8,
        /// Stands for NULL when it is not quoted.
        null: Vec<u8>,
        /// The first line holds the columns' names.
        header: bool,
    },
    /// `FORMAT binary`.
    Binary,
}

impl CopyFormat {
    /// In the text format a value equal to the NULL text reads as NULL. That must never be a witness.
    pub(super) fn witnesses_can_be_told(&self, has_marker: bool, key: KeyType) -> Result<(), Refusal> {
        let CopyFormat::Text { null, .. } = self else { return Ok(()) };
        let could_be_key = match std::str::from_utf8(null) {
            Ok("\\N" | "") => false,
            Ok(text) => key.canonical(text).is_some(),
            Err(_) => true,
        };
        if could_be_key || null.first() == Some(&b'{') || (has_marker && null == b"t") {
            return Err(cannot_guard(
                "a NULL text that could be a value",
                "use FORMAT csv, or another NULL text",
            ));
        }
        Ok(())
    }
}

/// Which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Options {
    /// TO.
    Out,
    /// FROM.
    In,
}

/// The options as far as they matter.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) format: CopyFormat,
    /// FORCE_NULL.
    null: Columns,
    /// FORCE_NOT_NULL.
    not_null: Columns,
}

/// The columns that an option is for.
#[derive(Debug, Default)]
enum Columns {
    #[default]
    None,
    All,
    These(Vec<String>),
}

impl Columns {
    fn has(&self, column: &str) -> bool {
        match self {
            Columns::None => false,
            Columns::All => true,
            Columns::These(names) => names.iter().any(|n| n == column),
        }
    }
}

/// What else than an unquoted NULL text is NULL in a column of csv.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forced {
    /// FORCE_NULL: the NULL text in quotes, too.
    pub null: bool,
    /// FORCE_NOT_NULL: the NULL text without quotes is a value.
    pub not_null: bool,
}

impl Forced {
    /// The value that the server reads, of the one that it would read without these options (`NextCopyFrom`).
    pub fn value(self, format: &CopyFormat, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let CopyFormat::Csv { null, .. } = format else { return value };
        match value {
            None if self.not_null => Some(null.clone()),
            Some(value) if self.null && value == *null => None,
            other => other,
        }
    }
}

impl Read {
    /// What is NULL in this column.
    pub(super) fn forced(&self, column: &str) -> Forced {
        Forced { null: self.null.has(column), not_null: self.not_null.has(column) }
    }
}

fn refuse<T>(name: &str, instead: &str) -> Result<T, Refusal> {
    Err(cannot_guard(format_args!("option {name} of COPY, as it is given"), instead))
}

/// Reads the options of a CopyStmt.
pub(super) fn read(root: &Node, direction: Options) -> Result<Read, Refusal> {
    let mut format = None;
    let mut delimiter = None;
    let mut quote = None;
    let mut escape = None;
    let mut null = None;
    let mut header = None;
    let (mut forced_null, mut forced_not_null) = (Columns::None, Columns::None);
    let mut seen: Vec<&str> = Vec::new();
    for option in root.nodes("options") {
        let name = option.str("defname");
        if seen.contains(&name) {
            let mut refusal = cannot_guard("conflicting or redundant options", "");
            refusal.sqlstate = "42601";
            return Err(refusal);
        }
        seen.push(name);
        let incoming = direction == Options::In;
        match name {
            "format" => format = Some(text(option, name)?),
            "delimiter" => delimiter = Some(byte(option, name)?),
            "quote" => quote = Some(byte(option, name)?),
            "escape" => escape = Some(byte(option, name)?),
            "null" => null = Some(text(option, name)?.into_bytes()),
            "header" => header = Some(header_of(option, incoming)?),
            "force_quote" if !incoming => {}
            "force_null" if incoming => forced_null = columns(option, name)?,
            "force_not_null" if incoming => forced_not_null = columns(option, name)?,
            "freeze" | "on_error" | "log_verbosity" | "reject_limit" if incoming => {}
            "encoding" => {
                let plain: String = text(option, name)?.chars().filter(char::is_ascii_alphanumeric).collect();
                if !["utf8", "unicode"].contains(&plain.to_ascii_lowercase().as_str()) {
                    return refuse(name, "use UTF8");
                }
            }
            other => return refuse(other, "leave it out"),
        }
    }
    let header = header.unwrap_or(false);
    let format = match format.as_deref() {
        None | Some("text") if quote.is_none() && escape.is_none() => {
            let null = null.unwrap_or_else(|| b"\\N".to_vec());
            // A backslash at its end would hide the delimiter behind it.
            if null != b"\\N" && null.contains(&b'\\') {
                return refuse("null", "use a text without a backslash");
            }
            CopyFormat::Text { delimiter: delimiter.unwrap_or(b'\t'), null, header }
        }
        Some("csv") => {
            let quote = quote.unwrap_or(b'"');
            CopyFormat::Csv {
                delimiter: delimiter.unwrap_or(b','),
                quote,
                escape: escape.unwrap_or(quote),
                null: null.unwrap_or_default(),
                header,
            }
        }
        Some("binary") if !header && delimiter.is_none() && null.is_none() && quote.is_none() => {
            CopyFormat::Binary
        }
        _ => return refuse("format", "use text, csv or binary"),
    };
    plain(&format)?;
    Ok(Read { format, null: forced_null, not_null: forced_not_null })
}

/// What PostgreSQL demands of the signs; where it says no, so do we, so that they are told apart here.
fn plain(format: &CopyFormat) -> Result<(), Refusal> {
    let (delimiter, null, quote) = match format {
        CopyFormat::Binary => return Ok(()),
        CopyFormat::Text { delimiter, null, .. } => {
            if b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter) {
                return refuse("delimiter", "use another sign");
            }
            (*delimiter, null, None)
        }
        CopyFormat::Csv { delimiter, quote, escape, null, .. } => {
            if delimiter == quote || delimiter == escape {
                return refuse("quote", "use different signs");
            }
            (*delimiter, null, Some(*quote))
        }
    };
    let bad = |b: &u8| *b == delimiter || *b == b'\n' || *b == b'\r' || Some(*b) == quote;
    if null.iter().any(bad) { refuse("null", "use another text") } else { Ok(()) }
}

fn text(option: &Node, name: &str) -> Result<String, Refusal> {
    match option.node("arg") {
        Some(arg) if arg.kind == "String" => Ok(arg.str("sval").to_owned()),
        _ => refuse(name, "give it as a text"),
    }
}

/// One sign: a tab, or anything printable of ASCII.
fn byte(option: &Node, name: &str) -> Result<u8, Refusal> {
    match text(option, name)?.as_bytes() {
        [one] if *one == b'\t' || (b' '..=b'~').contains(one) => Ok(*one),
        _ => refuse(name, "use a single sign of ASCII"),
    }
}

/// `defGetCopyHeaderChoice`.
fn header_of(option: &Node, incoming: bool) -> Result<bool, Refusal> {
    let Some(arg) = option.node("arg") else { return Ok(true) };
    let word = match arg.kind {
        "Boolean" => return Ok(arg.flag("boolval")),
        "Integer" => arg.int("ival").to_string(),
        "String" => arg.str("sval").to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        "match" if incoming => Ok(true),
        _ => refuse("header", "use true or false"),
    }
}

fn columns(option: &Node, name: &str) -> Result<Columns, Refusal> {
    match option.node("arg") {
        Some(arg) if arg.kind == "AStar" => Ok(Columns::All),
        Some(arg) if arg.kind == "List" && arg.list("items").len() == arg.names("items").len() => {
            Ok(Columns::These(arg.names("items").into_iter().map(str::to_owned).collect()))
        }
        _ => refuse(name, "give it a list of columns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(sql: &str) -> Result<CopyFormat, String> {
        let parsed = crate::sql::parse::parse_ours(sql).unwrap();
        let root = &parsed.statements[0].root;
        let direction = if root.flag("is_from") { Options::In } else { Options::Out };
        read(root, direction).map(|r| r.format).map_err(|r| r.message)
    }

    #[test]
    fn old_and_new_spellings_mean_the_same() {
        let csv = |header| CopyFormat::Csv {
            delimiter: b';',
            quote: b'"',
            escape: b'"',
            null: b"-".to_vec(),
            header,
        };
        for (sql, header) in [
            ("COPY t TO STDOUT (FORMAT csv, DELIMITER ';', NULL '-', HEADER)", true),
            ("COPY t TO STDOUT WITH CSV HEADER DELIMITER AS ';' NULL AS '-'", true),
            ("COPY t TO STDOUT (FORMAT 'csv', DELIMITER ';', NULL '-', HEADER off, ENCODING 'utf-8')", false),
            ("COPY t FROM STDIN (FORMAT csv, DELIMITER ';', NULL '-', HEADER match)", true),
            ("COPY t TO STDOUT (FORMAT csv, DELIMITER ';', NULL '-', FORCE_QUOTE (a, b))", false),
        ] {
            assert_eq!(format(sql), Ok(csv(header)), "{sql}");
        }
        assert_eq!(format("COPY t TO STDOUT BINARY"), Ok(CopyFormat::Binary));
        let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
        assert_eq!(format("COPY t TO STDOUT"), Ok(text.clone()));
        assert_eq!(format("COPY t TO STDOUT WITH DELIMITER E'\\t'"), Ok(text));
    }

    #[test]
    fn what_is_not_known_or_ambiguous_is_refused() {
        for sql in [
            "COPY t TO STDOUT (FORMAT parquet)",
            "COPY t TO STDOUT (FORMAT 'CSV')",
            "COPY t TO STDOUT (ENCODING 'latin1')",
            "COPY t TO STDOUT (NULL '\\')",
            "COPY t TO STDOUT (NULL 'a\\')",
            "COPY t TO STDOUT (NULL E'\\t')",
            "COPY t TO STDOUT (DELIMITER 'n')",
            "COPY t TO STDOUT (DELIMITER E'\\n')",
            "COPY t TO STDOUT (DELIMITER 'ä')",
            "COPY t TO STDOUT (QUOTE '''')",
            "COPY t TO STDOUT (FORMAT csv, QUOTE ',')",
            "COPY t TO STDOUT (FORMAT csv, NULL '\"')",
            "COPY t TO STDOUT (FORMAT csv, QUOTE E'\\n')",
            "COPY t TO STDOUT (FORMAT csv, FORMAT text)",
            "COPY t TO STDOUT (OF_TOMORROW)",
            "COPY t TO STDOUT (HEADER match)",
            "COPY t TO STDOUT (FREEZE)",
            "COPY t FROM STDIN (DEFAULT 'x')",
        ] {
            assert!(format(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn a_null_text_that_could_be_a_witness() {
        let told =
            |sql: &str, marker| format(sql).unwrap().witnesses_can_be_told(marker, KeyType::Int8).is_ok();
        assert!(told("COPY t TO STDOUT", true) && told("COPY t TO STDOUT (NULL '')", true));
        assert!(told("COPY t TO STDOUT (NULL 'n/a')", true) && told("COPY t TO STDOUT (NULL 't')", false));
        assert!(
            !told("COPY t TO STDOUT (NULL '880001')", false) && !told("COPY t TO STDOUT (NULL '{}')", false)
        );
        assert!(!told("COPY t TO STDOUT (NULL 't')", true));
        assert!(told("COPY t TO STDOUT (NULL '7', FORMAT csv)", true), "csv quotes a value like it");
    }

    #[test]
    fn forced_columns() {
        let read_in = |sql: &str| {
            let parsed = crate::sql::parse::parse_ours(sql).unwrap();
            read(&parsed.statements[0].root, Options::In).unwrap()
        };
        let both = |read: &Read, column: &str| {
            let Forced { null, not_null } = read.forced(column);
            (null, not_null)
        };
        let some = read_in("COPY t FROM STDIN (FORMAT csv, FORCE_NULL (a, d), FORCE_NOT_NULL (b, d))");
        let seen = ["a", "b", "c", "d"].map(|c| both(&some, c));
        assert_eq!(seen, [(true, false), (false, true), (false, false), (true, true)]);
        assert_eq!(both(&read_in("COPY t FROM STDIN (FORMAT csv, FORCE_NULL *)"), "c"), (true, false));
        assert_eq!(both(&read_in("COPY t FROM STDIN CSV FORCE NOT NULL a"), "a"), (false, true));
        assert!(format("COPY t FROM STDIN (FORMAT csv, FORCE_NULL 'a')").is_err());
    }
}
