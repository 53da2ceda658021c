//! Values of arguments: bind parameters in text or binary form, array literals. Not for SQL text
//! (`shape` reads that) and not for what a value means.

use crate::catalog::Oid;
use crate::policy::Refusal;

use super::unacceptable;

/// One bind parameter as it stands in the Bind message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamValue<'a> {
    /// Its type, as [`super::Shape::param_types`] said.
    pub type_oid: Oid,
    /// True for format code 1.
    pub binary: bool,
    /// The bytes; `None` is NULL. Text is UTF-8: the caller converts other client encodings.
    pub bytes: Option<&'a [u8]>,
}

/// Where the values of `$1`, `$2` ... come from.
pub trait ParamValues {
    /// The value of `$number` (1-based), or `None` when the client sent none.
    fn param(&self, number: u16) -> Option<ParamValue<'_>>;
}

/// No parameters: the simple query protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoParams;

impl ParamValues for NoParams {
    fn param(&self, _: u16) -> Option<ParamValue<'_>> {
        None
    }
}

/// An argument's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<String>),
}

/// The types that are read, with their arrays (`pg_type.dat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) names: &'static [&'static str],
    pub(super) oid: Oid,
    pub(super) array: Oid,
    read: Read,
}

/// How the binary form is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Text,
    Int,
    Uuid,
    Interval,
    /// `numeric`: only its text form.
    No,
}

const fn of(names: &'static [&'static str], oid: Oid, array: Oid, read: Read) -> Type {
    Type { names, oid, array, read }
}

const TYPES: [Type; 10] = [
    of(&["text"], 25, 1009, Read::Text),
    of(&["varchar"], 1043, 1015, Read::Text),
    of(&["bpchar"], 1042, 1014, Read::Text),
    of(&["name"], 19, 1003, Read::Text),
    of(&["int2"], 21, 1005, Read::Int),
    of(&["int4", "int"], 23, 1007, Read::Int),
    of(&["int8"], 20, 1016, Read::Int),
    of(&["uuid"], 2950, 2951, Read::Uuid),
    of(&["interval"], 1186, 1187, Read::Interval),
    of(&["numeric"], 1700, 1231, Read::No),
];

/// `unknown`: what a driver declares that leaves the type to the server.
const UNKNOWN: Oid = 705;

impl Type {
    /// The type that SQL calls `name` (without `pg_catalog`).
    pub(super) fn by_name(name: &str) -> Option<Type> {
        TYPES.into_iter().find(|t| t.names.contains(&name))
    }

    /// The type with this OID, and whether it is its array.
    pub(super) fn by_oid(oid: Oid) -> Option<(Type, bool)> {
        let oid = if oid == UNKNOWN { super::answer::TEXT } else { oid };
        TYPES.into_iter().find_map(|t| match oid {
            o if o == t.oid => Some((t, false)),
            o if o == t.array => Some((t, true)),
            _ => None,
        })
    }
}

/// The bytes cannot be read as their type: SQLSTATE 22P03 (`invalid_binary_representation`).
fn malformed(number: u16) -> Refusal {
    let mut refusal = unacceptable(format!("the value of parameter ${number} cannot be read"))
        .with_hint("Send it as text, or write it as a constant.");
    refusal.sqlstate = "22P03";
    refusal
}

/// The value of `$number`.
pub(super) fn read_param(number: u16, params: &dyn ParamValues) -> Result<Value, Refusal> {
    let Some(param) = params.param(number) else {
        let mut refusal = unacceptable(format!("there is no parameter ${number}"));
        refusal.sqlstate = "42P02";
        return Err(refusal);
    };
    let Some(bytes) = param.bytes else { return Ok(Value::Null) };
    if !param.binary {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed(number))?;
        return match Type::by_oid(param.type_oid) {
            Some((_, true)) => array_literal(text).map(Value::List),
            Some((_, false)) | None => Ok(Value::Text(text.to_owned())),
        };
    }
    let value = match Type::by_oid(param.type_oid) {
        Some((t, false)) => scalar(t.read, bytes).map(Value::Text),
        Some((t, true)) => binary_array(t, bytes).map(Value::List),
        None => None,
    };
    value.ok_or_else(|| malformed(number))
}

/// The text of a binary value (`typsend` of each type).
fn scalar(read: Read, bytes: &[u8]) -> Option<String> {
    match read {
        Read::Text => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Read::Int => match *bytes {
            [a, b] => Some(i16::from_be_bytes([a, b]).to_string()),
            [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).to_string()),
            [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h]).to_string()),
            _ => None,
        },
        Read::Uuid => (bytes.len() == 16).then(|| bytes.iter().map(|b| format!("{b:02x}")).collect()),
        Read::Interval => interval(bytes),
        Read::No => None,
    }
}

/// Microseconds (int8), days (int4), months (int4): `interval_send`. Months have no length.
fn interval(bytes: &[u8]) -> Option<String> {
    let (micros, rest) = bytes.split_first_chunk::<8>()?;
    let (days, rest) = rest.split_first_chunk::<4>()?;
    let (months, rest) = rest.split_first_chunk::<4>()?;
    if !rest.is_empty() || i32::from_be_bytes(*months) != 0 {
        return None;
    }
    let days = i64::from(i32::from_be_bytes(*days)).checked_mul(86_400)?;
    let seconds = days.checked_add(i64::from_be_bytes(*micros) / 1_000_000)?;
    Some(format!("{seconds} seconds"))
}

/// One dimension, no NULLs: `array_send`.
fn binary_array(of: Type, bytes: &[u8]) -> Option<Vec<String>> {
    let int = |bytes: &mut &[u8]| -> Option<i32> {
        let (head, tail) = bytes.split_first_chunk::<4>()?;
        *bytes = tail;
        Some(i32::from_be_bytes(*head))
    };
    let mut rest = bytes;
    let (dimensions, _has_null, element) = (int(&mut rest)?, int(&mut rest)?, int(&mut rest)?);
    if u32::try_from(element).ok()? != of.oid {
        return None;
    }
    if dimensions == 0 {
        return rest.is_empty().then(Vec::new);
    }
    let (count, _lower_bound) = (int(&mut rest)?, int(&mut rest)?);
    if dimensions != 1 {
        return None;
    }
    let mut values = Vec::new();
    for _ in 0..usize::try_from(count).ok()? {
        // A NULL element has length -1, which is refused here.
        let length = usize::try_from(int(&mut rest)?).ok()?;
        let (value, tail) = rest.split_at_checked(length)?;
        values.push(scalar(of.read, value)?);
        rest = tail;
    }
    rest.is_empty().then_some(values)
}

/// `{a,"b c"}`: the text form of an array (manual, section 8.15.6), one dimension, no NULLs.
pub(super) fn array_literal(text: &str) -> Result<Vec<String>, Refusal> {
    parse_array(text).ok_or_else(|| {
        unacceptable("the list cannot be read")
            .with_hint("Write it like ARRAY['884213','884214'] or '{884213,884214}'.")
    })
}

fn parse_array(text: &str) -> Option<Vec<String>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut values = Vec::new();
    let mut rest = inner.trim();
    if rest.is_empty() {
        return Some(values);
    }
    loop {
        let (value, after) = array_element(rest)?;
        values.push(value);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return after.is_empty().then_some(values),
        }
    }
}

/// One element and what follows it.
fn array_element(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('"');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    let mut end = text.len();
    let mut closed = !quoted;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '"' if quoted => {
                (end, closed) = (at + 1, true);
                break;
            }
            ',' if !quoted => {
                end = at;
                break;
            }
            '"' | '{' | '}' if !quoted => return None,
            c => value.push(c),
        }
    }
    if !closed {
        return None;
    }
    if !quoted {
        value.truncate(value.trim_end().len());
        if value.is_empty() || value.eq_ignore_ascii_case("null") {
            return None;
        }
    }
    Some((value, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct One<'a>(ParamValue<'a>);
    impl ParamValues for One<'_> {
        fn param(&self, number: u16) -> Option<ParamValue<'_>> {
            (number == 1).then_some(self.0)
        }
    }

    fn read(type_oid: Oid, binary: bool, bytes: &[u8]) -> Option<Value> {
        read_param(1, &One(ParamValue { type_oid, binary, bytes: Some(bytes) })).ok()
    }

    #[test]
    fn arrays_are_read_as_postgresql_reads_them() {
        let list = |v: &[&str]| Some(v.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        for (text, expected) in [
            ("{}", list(&[])),
            (" { } ", list(&[])),
            ("{1,2}", list(&["1", "2"])),
            ("{ a b , c }", list(&["a b", "c"])),
            (r#"{"a,b","q\"\\"}"#, list(&["a,b", "q\"\\"])),
            (r#"{"null",""}"#, list(&["null", ""])),
            ("{1,NULL}", None),
            ("{1,}", None),
            ("{,}", None),
            ("{{1},{2}}", None),
            ("1,2", None),
            ("{\"a}", None),
            ("{\"a\"b}", None),
            ("{a\\}", None),
        ] {
            assert_eq!(parse_array(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_values_are_read() {
        let text = |s: &str| Some(Value::Text(s.to_owned()));
        assert_eq!(read(23, true, &7i32.to_be_bytes()), text("7"));
        assert_eq!(read(20, true, &(-1i64).to_be_bytes()), text("-1"));
        assert_eq!(read(25, true, b"abc"), text("abc"));
        assert_eq!(read(25, true, b"\xff"), None);
        assert_eq!(read(2950, true, &[0xab; 16]), text(&"ab".repeat(16)));
        let mut interval = 90_000_000i64.to_be_bytes().to_vec();
        interval.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(read(1186, true, &interval), text("86490 seconds"));
        interval[15] = 1;
        assert_eq!(read(1186, true, &interval), None, "a month has no length");
        let mut array = Vec::new();
        for n in [1i32, 0, 20, 2, 1, 8] {
            array.extend(n.to_be_bytes());
        }
        array.extend(5i64.to_be_bytes());
        array.extend(8i32.to_be_bytes());
        array.extend(6i64.to_be_bytes());
        assert_eq!(read(1016, true, &array), Some(Value::List(vec!["5".into(), "6".into()])));
        assert_eq!(read(1007, true, &array), None, "int8 elements in an int4[]");
        assert_eq!(read(1009, false, b"{5,6}"), Some(Value::List(vec!["5".into(), "6".into()])));
        assert_eq!(read(9999, true, b"x"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            oid in prop::sample::select(vec![25u32, 1009, 23, 1007, 20, 1016, 2950, 2951, 1186, 1187, 1700, 705, 0]),
            binary: bool,
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = read(oid, binary, &bytes);
        }

        #[test]
        fn no_array_text_panics(text in r#"[{},"\\ aNnUuLlé]{0,24}"#) {
            let _ = parse_array(&text);
        }

        #[test]
        fn quoted_elements_come_back(values in prop::collection::vec(".{0,6}", 0..4)) {
            let quoted: Vec<String> =
                values.iter().map(|v| format!("\"{}\"", v.replace('\\', "\\\\").replace('"', "\\\""))).collect();
            prop_assert_eq!(parse_array(&format!("{{{}}}", quoted.join(","))), Some(values));
        }
    }
}
