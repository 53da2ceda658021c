//! Which column types serve as keys and compare with each other. Types are named as
//! `format_type` prints them, without a modifier.

use crate::policy::KeyType;

/// Text types.
pub(super) fn is_text(base: &str) -> bool {
    matches!(base, "text" | "character varying" | "character")
}

/// Whether a column of this type can hold patient keys of `key`.
pub(super) fn fits_key(key: KeyType, base: &str) -> bool {
    match key {
        KeyType::Int4 => base == "integer",
        KeyType::Int8 => base == "bigint",
        KeyType::Text => matches!(base, "text" | "character varying"),
        KeyType::Uuid => base == "uuid",
    }
}

/// Types with one name here compare with `pg_catalog.=`.
pub(crate) fn family(base: &str) -> &str {
    match base {
        "smallint" | "integer" | "bigint" => "integer",
        "text" | "character varying" | "name" => "text",
        other => other,
    }
}
