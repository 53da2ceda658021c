//! Functions that may run on rows which the filter has not seen yet, with what they take.
//!
//! Each is total for the argument types named: it returns for every value, and does not raise.
//! Taken from what PostgreSQL marks LEAKPROOF and from reading the source of the rest.

/// A family of safe calls by argument types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SafeCall {
    /// This many texts to a text.
    Text(usize),
    /// One or two texts to a text.
    Trim,
    /// Any number of texts to a text, as long as all of them together.
    Concat,
    /// A constant separator and any number of texts: a separator that is computed could be nested into a length beyond
    /// every limit.
    ConcatWith,
    /// Two texts and a constant count from 1 on.
    SplitPart,
    /// A text, a constant length that memory always suffices for and, maybe, a text to fill with.
    Pad,
    /// One number that has no smallest value: an integer's cannot be turned around.
    Absolute,
    /// An array and, maybe, a constant dimension. The elements are not looked at.
    ArraySize,
    /// This many texts to an integer.
    TextToInt(usize),
    /// Two texts to a boolean.
    TextToBool,
    /// A text and a constant count of at least 0.
    TextAndCount,
    /// A text, a constant start and, maybe, a constant length of at least 0.
    Substring,
    /// One number.
    Round,
    /// No argument; the result's type.
    Now(&'static str),
    /// A constant unit and a date or timestamp.
    Truncate,
    /// A constant field and a date or timestamp.
    Extract,
    /// One jsonb.
    Jsonb,
    /// One date or timestamp.
    Finite,
}

/// How a built-in function may be called below the filter, if at all.
pub(crate) fn safe_call(name: &str) -> Option<SafeCall> {
    use SafeCall as S;
    Some(match name {
        "lower" | "upper" | "initcap" | "reverse" | "md5" => S::Text(1),
        "btrim" | "ltrim" | "rtrim" => S::Trim,
        "concat" => S::Concat,
        "concat_ws" => S::ConcatWith,
        "split_part" => S::SplitPart,
        "lpad" | "rpad" => S::Pad,
        "abs" => S::Absolute,
        "array_length" | "cardinality" => S::ArraySize,
        // Not replace or quote_*: nested, they make a short value too long for memory.
        "translate" => S::Text(3),
        "length" | "char_length" | "character_length" | "octet_length" | "bit_length" => S::TextToInt(1),
        "strpos" | "position" => S::TextToInt(2),
        "starts_with" => S::TextToBool,
        "left" | "right" => S::TextAndCount,
        "substring" | "substr" => S::Substring,
        "ceil" | "ceiling" | "floor" | "round" | "trunc" | "sign" => S::Round,
        "now" | "transaction_timestamp" | "statement_timestamp" => S::Now("timestamptz"),
        "date_trunc" => S::Truncate,
        "date_part" | "extract" => S::Extract,
        "jsonb_typeof" => S::Jsonb,
        "isfinite" => S::Finite,
        _ => return None,
    })
}

/// Functions of `pg_catalog` that the planner calls with values of statistics when they are a condition, as it does with
/// operators: those with a support function that answers `SupportRequestSelectivity` (`pg_proc.prosupport`, 14 to 18).
const ESTIMATED: [&str; 15] = [
    "bpcharicregexeq",
    "bpchariclike",
    "bpcharlike",
    "bpcharregexeq",
    "bytealike",
    "like",
    "nameicregexeq",
    "nameiclike",
    "namelike",
    "nameregexeq",
    "starts_with",
    "texticregexeq",
    "texticlike",
    "textlike",
    "textregexeq",
];

/// True for a function that the planner tries on statistics.
pub(crate) fn is_estimated(name: &str) -> bool {
    ESTIMATED.contains(&name)
}
