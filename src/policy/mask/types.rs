//! Column types as masks see them. Types are named as `format_type` prints them under an empty
//! search path: built-in ones bare, others with their schema.

/// What a type is to a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `text`, `varchar`, `char`
    Text,
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `numeric`; the digits there is room for before the point.
    Numeric {
        whole_digits: u16,
    },
    Float,
    Date,
    Timestamp,
    Timestamptz,
    Json,
    Uuid,
    /// `inet`, `cidr`
    Inet,
    Macaddr,
    Macaddr8,
    Bytea,
    /// An array of a text type.
    TextArray,
    /// Any other array.
    Array,
    /// Everything else: enums, ranges, composite types, types of extensions.
    Other,
}

impl Kind {
    /// The kind of the type of this name.
    pub(super) fn of(type_sql: &str) -> Kind {
        if let Some(element) = type_sql.strip_suffix("[]") {
            return if Kind::of(element) == Kind::Text { Kind::TextArray } else { Kind::Array };
        }
        match without_modifier(type_sql) {
            "text" | "character varying" | "character" => Kind::Text,
            "smallint" | "integer" | "bigint" => Kind::Integer,
            "numeric" => Kind::Numeric { whole_digits: whole_digits(type_sql) },
            "real" | "double precision" => Kind::Float,
            "date" => Kind::Date,
            "timestamp without time zone" => Kind::Timestamp,
            "timestamp with time zone" => Kind::Timestamptz,
            "json" | "jsonb" => Kind::Json,
            "uuid" => Kind::Uuid,
            "inet" | "cidr" => Kind::Inet,
            "macaddr" => Kind::Macaddr,
            "macaddr8" => Kind::Macaddr8,
            "bytea" => Kind::Bytea,
            _ => Kind::Other,
        }
    }
}

/// `numeric(5,2)` has room for 3 digits before the point; one with a negative scale cannot show 90.
fn whole_digits(type_sql: &str) -> u16 {
    let Some((_, modifier)) = type_sql.split_once('(') else { return u16::MAX };
    let (precision, scale) = modifier.trim_end_matches(')').split_once(',').unwrap_or((modifier, "0"));
    match (precision.trim().trim_end_matches(')').parse::<u16>(), scale.trim().parse::<u16>()) {
        (Ok(precision), Ok(scale)) => precision.saturating_sub(scale),
        _ => 0,
    }
}

/// `character varying(20)` -> `character varying`; `timestamp(3) with time zone` keeps its tail.
pub(crate) fn without_modifier(type_sql: &str) -> &str {
    // The server prints a modifier in the middle for times only, and those are named here.
    match type_sql.split_once('(') {
        None => type_sql,
        Some(("timestamp", tail)) if tail.ends_with("with time zone") => "timestamp with time zone",
        Some(("timestamp", _)) => "timestamp without time zone",
        // An array fits nothing here; it must not pass for its element.
        Some((_, tail)) if tail.ends_with("[]") => type_sql,
        Some((head, _)) => head,
    }
}

/// The type as SQL text that no search path can give another meaning: a built-in type whose name is
/// no key word gets its schema.
pub(super) fn qualified(type_sql: &str) -> String {
    const KEY_WORDS: [&str; 14] = [
        "bigint",
        "bit",
        "boolean",
        "character",
        "character varying",
        "double precision",
        "integer",
        "interval",
        "numeric",
        "real",
        "smallint",
        "time",
        "timestamp",
        "bit varying",
    ];
    let element = type_sql.trim_end_matches("[]");
    let head = element.split('(').next().unwrap_or(element);
    let is_key_word = KEY_WORDS.contains(&head)
        || ["interval ", "time ", "timestamp "].iter().any(|word| head.starts_with(word));
    if element.contains('.') || is_key_word { type_sql.to_owned() } else { format!("pg_catalog.{type_sql}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_dropped() {
        for (with, without) in [
            ("bigint", "bigint"),
            ("character varying(20)", "character varying"),
            ("numeric(10,2)", "numeric"),
            ("timestamp(3) with time zone", "timestamp with time zone"),
            ("timestamp(0) without time zone", "timestamp without time zone"),
            ("character varying(20)[]", "character varying(20)[]"),
        ] {
            assert_eq!(without_modifier(with), without);
        }
    }

    #[test]
    fn built_in_types_get_their_schema() {
        for (name, sql) in [
            ("text", "pg_catalog.text"),
            ("text[]", "pg_catalog.text[]"),
            ("\"char\"", "pg_catalog.\"char\""),
            ("character varying(20)[]", "character varying(20)[]"),
            ("timestamp(3) with time zone", "timestamp(3) with time zone"),
            ("interval day to second(3)", "interval day to second(3)"),
            ("date", "pg_catalog.date"),
            ("clinic.sex", "clinic.sex"),
        ] {
            assert_eq!(qualified(name), sql);
        }
    }

    #[test]
    fn room_before_the_point() {
        for (name, digits) in [
            ("numeric", u16::MAX),
            ("numeric(5,2)", 3),
            ("numeric(3)", 3),
            ("numeric(3,0)", 3),
            ("numeric(2,-3)", 0),
        ] {
            assert_eq!(Kind::of(name), Kind::Numeric { whole_digits: digits }, "{name}");
        }
    }
}
