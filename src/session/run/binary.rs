//! Bound parameters in binary format as text: what `pg_recvarray` and `numeric_recv` read. What is not understood is
//! `None`.

use super::parameter_text;

/// What is left of a value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn i32(&mut self) -> Option<i32> {
        self.bytes(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.bytes(2)?.try_into().ok().map(i16::from_be_bytes)
    }
}

/// True for arrays of the types that are read.
pub(super) fn is_array(type_oid: u32) -> bool {
    matches!(type_oid, 1002 | 1003 | 1005 | 1007 | 1009 | 1014..=1016 | 1021 | 1022 | 1231 | 2951)
}

/// An array as an array literal of one dimension.
pub(super) fn array(value: &[u8]) -> Option<String> {
    let mut reader = Reader(value);
    let (dimensions, _nulls, element) = (reader.i32()?, reader.i32()?, reader.i32()?);
    let element = u32::from_be_bytes(element.to_be_bytes());
    if is_array(element) {
        return None;
    }
    let mut count = usize::from(dimensions > 0);
    for _ in 0..usize::try_from(dimensions).ok().filter(|n| *n <= 6)? {
        count = count.checked_mul(usize::try_from(reader.i32()?).ok()?)?;
        reader.i32()?;
    }
    let mut texts = Vec::new();
    for _ in 0..count {
        let text = match usize::try_from(reader.i32()?) {
            Ok(length) => {
                let text = parameter_text(Some(reader.bytes(length)?), true, element)?;
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Err(_) => "NULL".to_owned(),
        };
        texts.push(text);
    }
    reader.0.is_empty().then(|| format!("{{{}}}", texts.join(",")))
}

/// A number: digits of base 10,000, the first of which counts 10,000 to the power of the weight.
pub(super) fn numeric(value: &[u8]) -> Option<String> {
    /// More digits are no key or identifier.
    const MOST: i16 = 64;
    let mut reader = Reader(value);
    let (count, weight, sign, scale) = (reader.i16()?, reader.i16()?, reader.i16()?, reader.i16()?);
    if !(0..=MOST).contains(&count) || !(-MOST..=MOST).contains(&weight) || !(0..=4 * MOST).contains(&scale) {
        return None;
    }
    let digits: Vec<i16> = (0..count).map(|_| reader.i16()).collect::<Option<_>>()?;
    let negative = match sign {
        0 => "",
        0x4000 => "-",
        _ => return None,
    };
    if !reader.0.is_empty() || !digits.iter().all(|d| (0..10_000).contains(d)) {
        return None;
    }
    let digit = |power: i16| {
        let at = usize::try_from(weight - power).ok();
        at.and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let mut whole = String::new();
    for power in (0..=weight.max(0)).rev() {
        whole.push_str(&format!("{:04}", digit(power)));
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut behind = String::new();
    for power in 1..=(scale + 3) / 4 {
        behind.push_str(&format!("{:04}", digit(-power)));
    }
    behind.truncate(usize::try_from(scale).ok()?);
    let point = if behind.is_empty() { "" } else { "." };
    Some(format!("{negative}{whole}{point}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[i16]) -> Vec<u8> {
        all.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    #[test]
    fn numbers_are_read() {
        for (value, expected) in [
            (&[1, 0, 0, 0, 101][..], "101"),
            (&[1, 0, 0, 1, 101], "101.0"),
            (&[2, 0, 0x4000, 2, 1, 500], "-1.05"),
            (&[1, 1, 0, 0, 12], "120000"),
            (&[1, -1, 0, 3, 50], "0.005"),
            (&[0, 0, 0, 0], "0"),
        ] {
            assert_eq!(numeric(&words(value)).as_deref(), Some(expected));
        }
        // Not a number, too few digits, too many bytes.
        for value in [&[0, 0, -16384, 0][..], &[2, 0, 0, 0, 1], &[0, 0, 0, 0, 1]] {
            assert_eq!(numeric(&words(value)), None, "{value:?}");
        }
    }

    #[test]
    fn arrays_are_read_as_literals() {
        let longs = |head: [i32; 3], rest: &[i32]| -> Vec<u8> {
            head.iter().chain(rest).flat_map(|w| w.to_be_bytes()).collect()
        };
        assert_eq!(array(&longs([0, 0, 23], &[])).as_deref(), Some("{}"));
        assert_eq!(
            array(&longs([1, 1, 23], &[3, 1, 4, 101, -1, 4, 7])).as_deref(),
            Some("{\"101\",NULL,\"7\"}")
        );
        assert_eq!(array(&longs([2, 0, 23], &[1, 1, 2, 1, 4, 1, 4, 2])).as_deref(), Some("{\"1\",\"2\"}"));
        assert_eq!(array(&longs([1, 0, 23], &[2, 1, 4, 101])), None);
    }
}
