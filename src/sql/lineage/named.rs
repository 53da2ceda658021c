//! What a condition names: values that a column has to have, in more forms than those of which lineage is sure (`pins`).
//! They are for the question whom a statement asks for: an empty answer can be refused for them, and they stand in the
//! record as sought. Nothing follows from them for the rows, so a form may be read that only a person would.

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, UnaryOperator, Value};

use super::pins::Values;
use crate::policy::{KeyType, integer};
use crate::sql::PinValue;
use crate::sql::arrays::{elements, whole};

/// What stands beside a column.
#[derive(Debug, Clone)]
enum Operand {
    Written(String, Kind),
    Parameter(u16),
    /// The elements of a parameter.
    Elements(u16),
}

/// What a constant is, as far as casts make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A string that takes the type of what it stands beside.
    Unknown,
    Number,
    Text,
}

/// The columns that a conjunct names values of, as expressions: pairs of what may be a column and what it equals.
pub(super) fn equalities(expr: &Expr) -> Vec<(&Expr, Named<'_>)> {
    match expr {
        Expr::Nested(inner) | Expr::IsTrue(inner) => equalities(inner),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } | Expr::IsNotDistinctFrom(left, right) => {
            equal(left, right)
        }
        Expr::Between { expr, negated: false, low, high } => vec![(expr, Named::Both(low, high))],
        Expr::InList { expr, list, negated: false } => match row(expr) {
            Some(columns) => {
                let at = |i: usize| list.iter().filter_map(|e| row(e)?.get(i)).collect();
                columns.iter().enumerate().map(|(i, column)| (column, Named::List(at(i)))).collect()
            }
            None => vec![(expr, Named::List(list.iter().collect()))],
        },
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            vec![(left, Named::Elements(right))]
        }
        _ => Vec::new(),
    }
}

fn equal<'e>(left: &'e Expr, right: &'e Expr) -> Vec<(&'e Expr, Named<'e>)> {
    match (row(left), row(right)) {
        (Some(left), Some(right)) => left.iter().zip(right).flat_map(|(l, r)| equal(l, r)).collect(),
        _ => vec![(left, Named::List(vec![right])), (right, Named::List(vec![left]))],
    }
}

/// The members of a row.
fn row(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(members) => Some(members),
        Expr::Nested(inner) => row(inner),
        _ => None,
    }
}

/// What a column is said to equal.
#[derive(Debug)]
pub(super) enum Named<'e> {
    /// One of these.
    List(Vec<&'e Expr>),
    /// Both of these, if they are the same.
    Both(&'e Expr, &'e Expr),
    /// An element of an array.
    Elements(&'e Expr),
}

impl Named<'_> {
    /// The values, as far as they can be told. `constants` knows more of what one of them may be.
    pub(super) fn values(&self, constants: impl Fn(&Expr) -> Option<Values>) -> Values {
        match self {
            Named::List(list) => {
                let each = |e: &&Expr| match operand(e) {
                    Some(operand) => vec![operand.value()],
                    None => constants(e).unwrap_or_default(),
                };
                list.iter().flat_map(each).collect()
            }
            Named::Both(low, high) => match (operand(low), operand(high)) {
                (Some(low), Some(high)) => vec![PinValue::Both(Box::new((low.value(), high.value())))],
                _ => Vec::new(),
            },
            Named::Elements(array) => array_of(array).into_iter().map(Operand::value).collect(),
        }
    }
}

impl Operand {
    fn value(self) -> PinValue {
        match self {
            Operand::Written(text, _) => PinValue::Constant(text),
            Operand::Parameter(n) => PinValue::Parameter(n),
            Operand::Elements(n) => PinValue::Elements(n),
        }
    }

    /// The value as one of this type; `None` where it is none, or where not every digit of it would be kept.
    fn cast(self, to: &DataType) -> Option<Operand> {
        let Operand::Written(text, kind) = self else { return Some(self) };
        let (name, length) = type_name(to);
        let (text, kind) = match (name.as_str(), length) {
            ("unknown", None) if kind == Kind::Unknown => (text, kind),
            ("int" | "int2" | "int4" | "int8" | "smallint" | "integer" | "bigint", None) => {
                let number = if kind == Kind::Number { whole(&text) } else { integer(&text) };
                (number?.to_string(), Kind::Number)
            }
            ("numeric" | "decimal" | "dec", None) => (number(text, kind)?, Kind::Number),
            ("numeric" | "decimal" | "dec", Some(_)) => (unrounded(number(text, kind)?, to)?, Kind::Number),
            ("float8" | "double precision" | "float", None) => (within(text, kind, 1 << 53)?, Kind::Number),
            ("float4" | "real", None) => (within(text, kind, 1 << 24)?, Kind::Number),
            ("text" | "varchar" | "character varying" | "name", None) => (text_of(text, kind)?, Kind::Text),
            ("varchar" | "character varying", Some(n)) => {
                (text_of(text, kind)?.chars().take(n).collect(), Kind::Text)
            }
            // Blanks at its end are none of its value.
            ("bpchar", None) => (text_of(text, kind)?.trim_end_matches(' ').to_owned(), Kind::Text),
            ("char" | "character" | "bpchar" | "nchar", n) => {
                let kept: String = text_of(text, kind)?.chars().take(n.unwrap_or(1)).collect();
                (kept.trim_end_matches(' ').to_owned(), Kind::Text)
            }
            ("uuid", None) if kind != Kind::Number => (KeyType::Uuid.canonical(&text)?, Kind::Text),
            _ => return None,
        };
        Some(Operand::Written(text, kind))
    }
}

/// Its name in small letters, without the schema of what is built in, and its length.
fn type_name(data_type: &DataType) -> (String, Option<usize>) {
    let name = data_type.to_string().to_ascii_lowercase().replace('"', "");
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    match name.split_once('(') {
        Some((name, rest)) => {
            let length = rest.split([',', ')']).next().and_then(|n| n.trim().parse().ok());
            (name.trim().to_owned(), length)
        }
        None => (name.to_owned(), None),
    }
}

fn text_of(text: String, kind: Kind) -> Option<String> {
    match kind {
        Kind::Number => text.parse::<i64>().ok().map(|n| n.to_string()),
        Kind::Unknown | Kind::Text => Some(text),
    }
}

/// A whole number without its point and exponent, any other as it is.
fn number(text: String, kind: Kind) -> Option<String> {
    match whole(&text) {
        Some(whole) => Some(whole.to_string()),
        None => (kind == Kind::Number || text.trim().parse::<f64>().is_ok()).then_some(text),
    }
}

/// A number of which `numeric(p, s)` keeps every digit.
fn unrounded(text: String, to: &DataType) -> Option<String> {
    let name = to.to_string();
    let scale = match name.split_once('(')?.1.trim_end_matches(')').split_once(',') {
        Some((_, scale)) => scale.trim().parse::<i64>().ok()?,
        None => 0,
    };
    let digits = text.split_once('.').map_or("", |(_, digits)| digits.trim_end_matches('0'));
    let kept = scale >= 0 && i64::try_from(digits.len()).is_ok_and(|n| n <= scale);
    (kept && !text.contains(['e', 'E'])).then_some(text)
}

/// A number of which a float of these many whole numbers keeps every digit.
fn within(text: String, kind: Kind, most: i64) -> Option<String> {
    let text = number(text, kind)?;
    let kept = text.parse::<i64>().is_ok_and(|n| (-most..=most).contains(&n));
    (kept || text.contains(['.', 'e', 'E'])).then_some(text)
}

/// The constant or parameter that `expr` is, whatever it is written as.
fn operand(expr: &Expr) -> Option<Operand> {
    match expr {
        Expr::Nested(inner) => operand(inner),
        Expr::Collate { expr, .. } => operand(expr),
        Expr::Value(v) => written(&v.value),
        Expr::TypedString(typed) => written(&typed.value.value)?.cast(&typed.data_type),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            operand(expr)?.cast(data_type)
        }
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => match operand(expr)? {
            Operand::Written(_, Kind::Unknown | Kind::Text) => None,
            operand => Some(operand),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Written(text, Kind::Number) => {
                let text = text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned);
                Some(Operand::Written(text, Kind::Number))
            }
            _ => None,
        },
        _ => None,
    }
}

fn written(value: &Value) -> Option<Operand> {
    Some(match value {
        Value::Number(text, false) => Operand::Written(number(text.clone(), Kind::Number)?, Kind::Number),
        Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::UnicodeStringLiteral(text) => Operand::Written(text.clone(), Kind::Unknown),
        Value::DollarQuotedString(quoted) => Operand::Written(quoted.value.clone(), Kind::Unknown),
        // PostgreSQL's grammar makes a `bpchar` of it.
        Value::NationalStringLiteral(text) => {
            Operand::Written(text.trim_end_matches(' ').to_owned(), Kind::Text)
        }
        Value::Placeholder(name) => Operand::Parameter(name.strip_prefix('$')?.parse().ok()?),
        _ => return None,
    })
}

/// The elements of the array that `expr` is.
fn array_of(expr: &Expr) -> Vec<Operand> {
    match expr {
        Expr::Nested(inner) => array_of(inner),
        Expr::Collate { expr, .. } => array_of(expr),
        Expr::Array(array) => {
            let each = |e: &Expr| match e {
                Expr::Array(_) => array_of(e),
                e => operand(e).into_iter().collect(),
            };
            array.elem.iter().flat_map(each).collect()
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            let DataType::Array(element) = data_type else { return Vec::new() };
            use sqlparser::ast::ArrayElemTypeDef::{
                AngleBracket, None as Any, Parenthesis, Qualified, SquareBracket,
            };
            let element = match element {
                SquareBracket(element, _)
                | Qualified(element, _)
                | AngleBracket(element)
                | Parenthesis(element) => element,
                Any => return Vec::new(),
            };
            array_of(expr).into_iter().filter_map(|e| e.cast(element)).collect()
        }
        Expr::Value(v) => match written(&v.value) {
            Some(Operand::Parameter(n)) => vec![Operand::Elements(n)],
            Some(Operand::Written(text, Kind::Unknown)) => {
                let all = elements(&text).unwrap_or_default();
                all.into_iter().map(|e| Operand::Written(e, Kind::Unknown)).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The column behind what compares as it does: another collation, a cast that keeps every value, its text.
pub(super) fn column_in(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => column_in(inner),
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, format: None } => {
            let (name, length) = type_name(data_type);
            let wide = matches!(
                name.as_str(),
                "int"
                    | "int4"
                    | "int8"
                    | "integer"
                    | "bigint"
                    | "numeric"
                    | "text"
                    | "varchar"
                    | "character varying"
                    | "uuid"
            );
            if wide && length.is_none() { column_in(inner) } else { expr }
        }
        _ => expr,
    }
}

/// What stands for keys of this type, in their canonical form; what cannot be one is left out.
pub(super) fn keys(values: &[PinValue], key_type: KeyType) -> Values {
    let canonical = |value: &PinValue| match value {
        PinValue::Constant(text) => {
            let whole = || whole(text).filter(|_| matches!(key_type, KeyType::Int4 | KeyType::Int8));
            let key = key_type.canonical(text);
            key.or_else(|| key_type.canonical(&whole()?.to_string())).map(PinValue::Constant)
        }
        other => Some(other.clone()),
    };
    values.iter().filter_map(canonical).collect()
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;
    use crate::sql::lineage::constant;

    fn expr(text: &str) -> Expr {
        let mut parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text).expect("tokens");
        parser.parse_expr().expect("an expression")
    }

    #[test]
    fn constants_are_read_as_the_values_that_they_are() {
        for (text, value) in [
            ("'P101'::varchar(30)", Some("P101")),
            ("'P101'::varchar(2)", Some("P1")),
            ("'P101  '::char(8)", Some("P101")),
            ("'P101'::char", Some("P")),
            ("varchar 'P101'", Some("P101")),
            ("'P101'::pg_catalog.text", Some("P101")),
            ("'0101'::int8::text", Some("101")),
            ("101::text", Some("101")),
            (
                "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid::text",
                Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            ),
            ("- 101", Some("-101")),
            ("+ '101'", None),
            ("1.01e2::numeric(8,2)", Some("101")),
            ("101.5", Some("101.5")),
            ("101.5::int8", None),
            ("101::numeric(6)", Some("101")),
            ("101.50::numeric(6, 1)", Some("101.50")),
            ("101.5::numeric(6)", None),
            ("101.55::numeric(6,1)", None),
            ("105::numeric(3,-1)", None),
            ("'x'::int8", None),
            ("16777217::real", None),
            ("9007199254740993::float8", None),
            ("'2020-01-01'::date", None),
            ("100 + 1", None),
        ] {
            let read = operand(&expr(text)).map(Operand::value);
            assert_eq!(read, value.map(|v| PinValue::Constant(v.to_owned())), "{text}");
        }
    }

    /// Lineage rests on these: only where the text is the value's own.
    #[test]
    fn pins_are_values_in_their_own_text() {
        let pin = |text: &str| constant(&expr(text));
        for text in
            ["'A0EEBC99'::uuid::text", "'0101'::int8::text", "('07'::int4)::int8", "007::text", "7.0::text"]
        {
            assert_eq!(pin(text), None, "{text}");
        }
        for (text, value) in [("7::text", "7"), ("'P7'::varchar", "P7"), ("('07')::int8", "07"), ("-7", "-7")]
        {
            assert_eq!(pin(text), Some(PinValue::Constant(value.to_owned())), "{text}");
        }
    }

    #[test]
    fn keys_are_canonical_and_what_is_none_is_left_out() {
        let texts =
            |all: &[&str]| -> Values { all.iter().map(|t| PinValue::Constant((*t).to_owned())).collect() };
        assert_eq!(keys(&texts(&["0101", "101.0", "101.5", "x"]), KeyType::Int8), texts(&["101", "101"]));
        assert_eq!(keys(&texts(&["101.0", "x"]), KeyType::Text), texts(&["101.0", "x"]));
    }
}
