//! Types by what the value of a constant depends on, of type names and built-in functions. Not here: expressions.

/// Types by what the value of a constant depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Any type.
    Open,
    /// On the constant alone: numbers, texts, JSON ...
    Fixed,
    /// On DateStyle and the clock: `date`, `timestamp`.
    Day,
    /// On TimeZone, too: `timestamptz`.
    Moment,
    /// On IntervalStyle.
    Span,
    /// An array of a fixed type: on `array_nulls`.
    Array,
}

/// The class of the type of this name, as `format_type` or the grammar spells it.
pub(super) fn class(name: &str) -> Class {
    if let Some(element) = name.strip_suffix(']') {
        let element = element.trim_end_matches(|c: char| c == '[' || c == ']' || c.is_ascii_digit());
        return if class(element) == Class::Fixed { Class::Array } else { Class::Open };
    }
    let base = name.split('(').next().unwrap_or(name).trim();
    let zoned = name.ends_with("with time zone");
    match base {
        "int2" | "smallint" | "int4" | "integer" | "int" | "int8" | "bigint" | "numeric" | "decimal"
        | "float4" | "float8" | "real" | "double precision" | "text" | "varchar" | "character varying"
        | "bpchar" | "character" | "char" | "\"char\"" | "name" | "bool" | "boolean" | "uuid" | "bytea"
        | "inet" | "cidr" | "macaddr" | "macaddr8" | "json" | "jsonb" | "jsonpath" | "oid" | "bit"
        | "varbit" | "bit varying" => Class::Fixed,
        "timestamptz" | "timestamp with time zone" => Class::Moment,
        "timestamp" if zoned => Class::Moment,
        "date" | "timestamp" | "timestamp without time zone" => Class::Day,
        _ if base == "interval" || base.starts_with("interval ") => Class::Span,
        _ => Class::Open,
    }
}

/// Functions that take nothing but texts and what is fixed, whichever of their forms is meant.
const OF_TEXTS: &str = "btrim char_length character_length concat concat_ws decode encode format initcap \
     json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text \
     jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first left \
     length like_escape lower lpad ltrim md5 overlay position regexp_match regexp_matches \
     regexp_replace regexp_split_to_array regexp_split_to_table repeat replace right rpad \
     rtrim similar_escape similar_to_escape split_part starts_with string_agg strpos substr \
     substring to_date to_number to_timestamp translate upper";

/// Functions whose result is of a fixed type, whatever they are given.
const FIXED_RESULT: &str = "btrim char_length character_length concat concat_ws count date_part dense_rank extract \
     initcap left length lpad ltrim md5 rank repeat replace right row_number rpad rtrim \
     split_part starts_with string_agg strpos substr substring to_char to_number translate";

fn listed(names: &str, name: &str) -> bool {
    names.split(' ').any(|n| n == name)
}

/// True for a function whose result is of a fixed type.
pub(super) fn gives_fixed(function: &str) -> bool {
    listed(FIXED_RESULT, function)
}

/// What a constant argument of a built-in function becomes.
pub(super) fn argument(function: &str, number: usize) -> Class {
    match (function, number) {
        ("date_trunc" | "date_part" | "extract" | "timezone", 0) | ("to_char", 1) => Class::Fixed,
        _ if listed(OF_TEXTS, function) => Class::Fixed,
        _ => Class::Open,
    }
}
