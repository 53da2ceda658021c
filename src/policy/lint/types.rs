//! Which column types serve as keys, compare with each other, and take a mask. Types are named as
//! `format_type` prints them, without a modifier.

use crate::policy::{KeyType, Mask};

/// `character varying(20)` -> `character varying`; `timestamp(3) with time zone` keeps its tail.
pub(super) fn without_modifier(type_sql: &str) -> &str {
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

/// Text types: those that `redact` and `partial` keep.
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
pub(super) fn family(base: &str) -> &str {
    match base {
        "smallint" | "integer" | "bigint" => "integer",
        "text" | "character varying" | "name" => "text",
        other => other,
    }
}

/// Why a mask does not fit a column of this type, or `None`.
pub(super) fn mask_misfit(mask: &Mask, base: &str) -> Option<String> {
    let (word, needs, fits) = match mask {
        Mask::Null => return None,
        Mask::Redact { .. } => ("redact", "a text type", is_text(base)),
        Mask::Partial { .. } => ("partial", "a text type", is_text(base)),
        Mask::Year => ("year", "a date or timestamp", {
            matches!(base, "date" | "timestamp without time zone" | "timestamp with time zone")
        }),
    };
    (!fits).then(|| format!("mask \"{word}\" needs {needs}, but the column is of type {base}"))
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
    fn masks_fit_the_types_they_keep() {
        let redact = Mask::Redact { text: "x".into() };
        let partial = Mask::Partial { keep_last: 1 };
        for base in ["text", "character varying", "character"] {
            assert!(mask_misfit(&redact, base).is_none() && mask_misfit(&partial, base).is_none());
            assert!(mask_misfit(&Mask::Year, base).is_some());
        }
        for base in ["bigint", "jsonb", "text[]", "character varying(20)[]", "bytea", "clinic.sex"] {
            assert!(mask_misfit(&redact, base).is_some() && mask_misfit(&partial, base).is_some());
            assert!(mask_misfit(&Mask::Year, base).is_some());
            assert!(mask_misfit(&Mask::Null, base).is_none());
        }
        assert!(mask_misfit(&Mask::Year, "date").is_none());
    }
}
