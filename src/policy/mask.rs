//! Column masks: what each shows, which types it fits, and its SQL text. The rewriter places the
//! text, the checker compares against it. Not for where a mask applies.
//!
//! A mask is **total**: no value of the column's type makes it raise, whatever the session's
//! settings are (an error would tell the value). It keeps the column's type and type modifier; a
//! column of a domain gets the domain's base type, as in RowDescription, since the domain's
//! constraints could refuse the masked value.

mod types;
mod zip3;

pub(crate) use types::without_modifier;
pub use zip3::{ZIP3_SMALL_2000, ZIP3_SMALL_2010, zip3_small};

use std::collections::BTreeSet;
use std::sync::Arc;

use super::RESERVED_PREFIX;
use crate::catalog::{Column, QualifiedName, quote_ident, quote_literal};
use types::Kind;

/// How a column is masked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mask {
    /// SQL NULL.
    Null,
    /// A fixed value in place of every value, of NULL, too: `text` for texts and JSON, an empty or
    /// zero value for identifiers, addresses, bytes and arrays.
    Redact {
        /// What is shown instead, `***` unless configured.
        text: String,
    },
    /// As [`Mask::Redact`], but NULL stays NULL: for free text, where "there is none" is no secret.
    Withhold {
        /// What is shown instead, `[withheld]` unless configured.
        text: String,
    },
    /// Only the last `keep_last` characters, `*` for each one before; texts only.
    Partial {
        /// Characters kept at the end.
        keep_last: u16,
    },
    /// The first three digits of a US ZIP code; `000` for an area of 20,000 people or fewer, and for
    /// what is no ZIP code (45 CFR 164.514(b)(2)(i)(B)); texts only.
    Zip3 {
        /// The three-digit areas of 20,000 people or fewer.
        small: Arc<BTreeSet<String>>,
    },
    /// The first day of the year, for `timestamptz` in UTC; dates and timestamps only.
    Year,
    /// Of an age in years: at most 90. Of a date of birth: 1 January of the year, but not before the
    /// year of birth of somebody who turns 90 this year (45 CFR 164.514(b)(2)(i)(C)).
    Age90,
    /// A year of birth as a number, but not before that of somebody who turns 90 this year.
    BirthYear,
    /// A random replacement that a table of the database keeps; NULL for a value without one.
    Surrogate {
        /// The table. Clients cannot read it.
        table: QualifiedName,
        /// Its column with the values; unique.
        value: String,
        /// Its column with what is shown instead.
        surrogate: String,
    },
}

/// The default text of [`Mask::Redact`].
pub const REDACTED: &str = "***";
/// The default text of [`Mask::Withhold`].
pub const WITHHELD: &str = "[withheld]";

impl Mask {
    /// The word in the configuration, and what is said with it, in a stable order.
    pub fn words(&self) -> (&'static str, Vec<String>) {
        match self {
            Mask::Null => ("null", Vec::new()),
            Mask::Redact { text } => ("redact", vec![text.clone()]),
            Mask::Withhold { text } => ("withhold", vec![text.clone()]),
            Mask::Partial { keep_last } => ("partial", vec![keep_last.to_string()]),
            Mask::Zip3 { small } => ("zip3", small.iter().cloned().collect()),
            Mask::Year => ("year", Vec::new()),
            Mask::Age90 => ("age90", Vec::new()),
            Mask::BirthYear => ("birth_year", Vec::new()),
            Mask::Surrogate { table, value, surrogate } => {
                ("surrogate", vec![table.to_sql(), value.clone(), surrogate.clone()])
            }
        }
    }

    /// Why the mask does not fit a column of this type (as `format_type` prints it, a domain's base
    /// type in place of the domain), or `None`.
    pub fn misfit(&self, type_sql: &str) -> Option<String> {
        let kind = Kind::of(type_sql);
        let (needs, fits) = match self {
            Mask::Null => return None,
            Mask::Redact { .. } | Mask::Withhold { .. } => {
                ("a text, JSON, uuid, network address, bytea or array type", fixed("", type_sql).is_some())
            }
            Mask::Partial { .. } | Mask::Zip3 { .. } => ("a text type", kind == Kind::Text),
            Mask::Year => {
                ("a date or timestamp", matches!(kind, Kind::Date | Kind::Timestamp | Kind::Timestamptz))
            }
            Mask::Age90 => (
                "a number of years that can be 90, or a date of birth",
                matches!(
                    kind,
                    Kind::Integer
                        | Kind::Float
                        | Kind::Numeric { whole_digits: 2.. }
                        | Kind::Date
                        | Kind::Timestamp
                        | Kind::Timestamptz
                ),
            ),
            Mask::BirthYear => ("an integer type", kind == Kind::Integer),
            Mask::Surrogate { .. } => (
                "a text, integer, numeric or uuid type",
                matches!(kind, Kind::Text | Kind::Integer | Kind::Numeric { .. } | Kind::Uuid),
            ),
        };
        let base = without_modifier(type_sql);
        let base = if matches!(kind, Kind::Numeric { .. }) { type_sql } else { base };
        (!fits)
            .then(|| format!("mask \"{}\" needs {needs}, but the column is of type {base}", self.words().0))
    }
}

/// The type that the masked form of a column has: its own, or the base type of its domain.
pub fn masked_type(column: &Column) -> &str {
    column.domain_base.as_deref().unwrap_or(&column.type_sql)
}

/// Of which rows a mask is: the tables of surrogates of both have aliases of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskOf {
    /// Every row.
    Rows,
    /// Rows of patients outside the assignment.
    Outside,
}

/// The column under `alias` as it is, of the type that its masked form has.
pub(super) fn clear_expression(column: &Column, alias: &str) -> String {
    let c = format!("{}.{}", quote_ident(alias), quote_ident(&column.name));
    match &column.domain_base {
        None => c,
        Some(base) => format!("{c}::{}", types::qualified(base)),
    }
}

/// The masked form of one column under `alias`. A mask that does not fit the column (its type was
/// changed since the configuration was checked) shows NULL.
pub fn mask_expression(column: &Column, alias: &str, mask: &Mask, of: MaskOf) -> String {
    let declared = masked_type(column);
    let t = types::qualified(declared);
    let c = format!("{}.{}", quote_ident(alias), quote_ident(&column.name));
    let null = || format!("NULL::{t}");
    if mask.misfit(declared).is_some() {
        return null();
    }
    match mask {
        Mask::Null => null(),
        Mask::Redact { text } => fixed(text, declared).unwrap_or_else(null),
        Mask::Withhold { text } => {
            let shown = fixed(text, declared).unwrap_or_else(null);
            format!("CASE WHEN {c} IS NULL THEN NULL::{t} ELSE {shown} END")
        }
        Mask::Partial { keep_last } => format!(
            // Not concat(): it would turn NULL into an empty text.
            "(pg_catalog.repeat('*', pg_catalog.length({c}) OPERATOR(pg_catalog.-) {keep_last}) \
             OPERATOR(pg_catalog.||) CASE WHEN pg_catalog.length({c}) OPERATOR(pg_catalog.>) {keep_last} \
             THEN pg_catalog.right({c}, {keep_last}) \
             ELSE pg_catalog.repeat('*', pg_catalog.length({c})) END)::{t}"
        ),
        Mask::Zip3 { small } => zip3(&c, &t, small),
        Mask::Year => year(&c, &t, Kind::of(declared)),
        Mask::Age90 => match Kind::of(declared) {
            Kind::Integer | Kind::Float | Kind::Numeric { .. } => {
                format!("(CASE WHEN {c} OPERATOR(pg_catalog.>) 89 THEN 90 ELSE {c} END)::{t}")
            }
            kind => {
                let first = oldest_year(kind);
                format!(
                    "CASE WHEN {c} OPERATOR(pg_catalog.<) {first} AND pg_catalog.isfinite({c}) \
                     THEN {first}::{t} ELSE {} END",
                    year(&c, &t, kind)
                )
            }
        },
        Mask::BirthYear => {
            let first = format!(
                "(pg_catalog.date_part('year', {THIS_YEAR})::pg_catalog.int4 OPERATOR(pg_catalog.-) 90)"
            );
            format!("(CASE WHEN {c} OPERATOR(pg_catalog.<) {first} THEN {first} ELSE {c} END)::{t}")
        }
        Mask::Surrogate { surrogate, .. } => {
            format!("{}.{}::{t}", quote_ident(&surrogate_alias(column, of)), quote_ident(surrogate))
        }
    }
}

/// The join that a mask needs beside the table it masks, under [`surrogate_alias`]; on a unique key,
/// so that no row is doubled and the planner drops it where the column is not read.
pub fn mask_join(column: &Column, alias: &str, mask: &Mask, of: MaskOf) -> Option<String> {
    let Mask::Surrogate { table, value, .. } = mask else { return None };
    if mask.misfit(masked_type(column)).is_some() {
        return None;
    }
    let joined = quote_ident(&surrogate_alias(column, of));
    Some(format!(
        " LEFT JOIN {} AS {joined} ON {joined}.{} OPERATOR(pg_catalog.=) {}.{}",
        table.to_sql(),
        quote_ident(value),
        quote_ident(alias),
        quote_ident(&column.name),
    ))
}

/// The alias of the table that keeps the surrogates of `column`.
fn surrogate_alias(column: &Column, of: MaskOf) -> String {
    let letter = match of {
        MaskOf::Rows => 'u',
        MaskOf::Outside => 'v',
    };
    format!("{RESERVED_PREFIX}{letter}{}", column.attnum)
}

/// The value that stands for every other of this type; `None` where none would be understood.
fn fixed(text: &str, type_sql: &str) -> Option<String> {
    let t = types::qualified(type_sql);
    let shown = match Kind::of(type_sql) {
        Kind::Text => text.to_owned(),
        Kind::Json => serde_json::Value::from(text).to_string(),
        Kind::TextArray => return Some(format!("ARRAY[{}]::{t}", quote_literal(text))),
        Kind::Array => "{}".to_owned(),
        Kind::Bytea => String::new(),
        Kind::Uuid => "00000000-0000-0000-0000-000000000000".to_owned(),
        Kind::Inet => "0.0.0.0".to_owned(),
        Kind::Macaddr => "00:00:00:00:00:00".to_owned(),
        Kind::Macaddr8 => "00:00:00:00:00:00:00:00".to_owned(),
        Kind::Integer
        | Kind::Float
        | Kind::Numeric { .. }
        | Kind::Date
        | Kind::Timestamp
        | Kind::Timestamptz
        | Kind::Other => return None,
    };
    Some(format!("{}::{t}", quote_literal(&shown)))
}

/// `12345`, `12345-6789`, `123456789` and `123` are ZIP codes.
fn zip3(c: &str, t: &str, small: &BTreeSet<String>) -> String {
    let trimmed = format!("pg_catalog.btrim({c}::pg_catalog.text)");
    let digits = format!("pg_catalog.left({trimmed}, 3)");
    // By code points, not by the column's collation: one may hold other digits for equal.
    let form = format!("pg_catalog.translate({trimmed}, '012345678', '999999999') COLLATE pg_catalog.\"C\"");
    let list: Vec<String> = small.iter().map(|prefix| quote_literal(prefix)).collect();
    format!(
        "CASE WHEN {c} IS NULL THEN NULL::{t} \
         WHEN {form} OPERATOR(pg_catalog.=) ANY \
         (ARRAY['99999', '99999-9999', '999999999', '999']::pg_catalog.text[]) \
         AND ({digits} COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.<>) ALL \
         (ARRAY[{}]::pg_catalog.text[])) \
         THEN {digits}::{t} ELSE '000'::{t} END",
        list.join(", ")
    )
}

/// The present time in UTC: a session can move its own time zone by a week.
const THIS_YEAR: &str = "pg_catalog.timezone(pg_catalog.make_interval(), pg_catalog.statement_timestamp())";

/// 1 January of the year in which those were born who turn 90 this year, of the type of `kind`.
/// Everybody who is older than 89 was born in that year or before.
fn oldest_year(kind: Kind) -> String {
    let first = format!(
        "(pg_catalog.date_trunc('year', {THIS_YEAR}) OPERATOR(pg_catalog.-) pg_catalog.make_interval(90))"
    );
    match kind {
        Kind::Timestamptz => format!("pg_catalog.timezone(pg_catalog.make_interval(), {first})"),
        Kind::Date => format!("{first}::pg_catalog.date"),
        _ => first,
    }
}

/// 1 January of the year; infinity stays. The first and, of a date, the last years of the calendar
/// cannot be cut to a timestamp: NULL.
fn year(c: &str, t: &str, kind: Kind) -> String {
    let infinite = format!("WHEN NOT pg_catalog.isfinite({c}) THEN {c}::{t}");
    match kind {
        Kind::Date => format!(
            "CASE {infinite} WHEN {c} OPERATOR(pg_catalog.<) '4713-01-01 BC'::pg_catalog.date \
             OR {c} OPERATOR(pg_catalog.>) '294276-12-31'::pg_catalog.date THEN NULL::{t} \
             ELSE pg_catalog.date_trunc('year', {c}::pg_catalog.timestamp)::{t} END"
        ),
        Kind::Timestamptz => format!(
            "CASE {infinite} WHEN {c} OPERATOR(pg_catalog.<) \
             '4713-01-01 00:00:00+00 BC'::pg_catalog.timestamptz THEN NULL::{t} \
             ELSE pg_catalog.timezone(pg_catalog.make_interval(), pg_catalog.date_trunc('year', \
             pg_catalog.timezone(pg_catalog.make_interval(), {c})))::{t} END"
        ),
        _ => format!(
            "CASE {infinite} WHEN {c} OPERATOR(pg_catalog.<) \
             '4713-01-01 00:00:00 BC'::pg_catalog.timestamp THEN NULL::{t} \
             ELSE pg_catalog.date_trunc('year', {c})::{t} END"
        ),
    }
}
