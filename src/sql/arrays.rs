//! Array values as text, as a client writes them. Not here: what their elements mean.

/// The elements of an array literal (`{1,2}`), of every dimension, those that are NULL left out; `None` for what is
/// no array to PostgreSQL (array_in). What only the server would find wrong is read all the same.
pub(crate) fn elements(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    // Bounds: `[1:2]={...}`.
    let text = match text.strip_prefix('[') {
        Some(bounds) => bounds.split_once('=')?.1.trim_start(),
        None => text,
    };
    let mut chars = text.strip_prefix('{')?.strip_suffix('}')?.chars();
    let mut found = Vec::new();
    // An element so far, how much of it is not to be trimmed, and whether there was a quote.
    let (mut element, mut firm, mut quoted) = (String::new(), 0, false);
    loop {
        match chars.next() {
            Some('"') => {
                quoted = true;
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => element.push(chars.next()?),
                        c => element.push(c),
                    }
                }
                firm = element.len();
            }
            Some('\\') => {
                element.push(chars.next()?);
                firm = element.len();
            }
            // Of another dimension.
            Some('{') => {}
            end @ (Some(',' | '}') | None) => {
                let blanks = |c: char| c.is_ascii_whitespace() || c == '\x0b';
                let kept = element.trim_end_matches(blanks).len().max(firm);
                element.truncate(kept);
                if quoted || !(element.is_empty() || element.eq_ignore_ascii_case("null")) {
                    found.push(std::mem::take(&mut element));
                }
                element.clear();
                (firm, quoted) = (0, false);
                if end.is_none() {
                    return Some(found);
                }
            }
            Some(c) if element.is_empty() && !quoted && (c.is_ascii_whitespace() || c == '\x0b') => {}
            Some(c) => element.push(c),
        }
    }
}

/// A number that is written as a decimal, with an exponent or in another base, if it is a whole one.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(integer) = crate::policy::integer(text) {
        return Some(integer);
    }
    let text: String = text.chars().filter(|c| *c != '_').collect();
    let (sign, number) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (before, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{behind}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let dropped = i32::try_from(digits.len() - digits.trim_end_matches('0').len()).ok()?;
    let zeros = exponent.checked_sub(i32::try_from(behind.len()).ok()?)?.checked_add(dropped)?;
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros < 20)?;
    format!("{sign}{significant}{}", "0".repeat(zeros)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_are_read_as_the_server_reads_them() {
        for (text, expected) in [
            ("{}", Some(&[][..])),
            ("{101}", Some(&["101"])),
            (" { 101 , 102 } ", Some(&["101", "102"])),
            ("{{1,2},{3,NULL}}", Some(&["1", "2", "3"])),
            ("[2:3]={1,2}", Some(&["1", "2"])),
            (r#"{"a,b", "c\"d" ,"NULL",null, "", e\ }"#, Some(&["a,b", "c\"d", "NULL", "", "e "])),
            ("{a b}", Some(&["a b"])),
            ("101", None),
            ("{\"a}", None),
            ("{a\\}", None),
        ] {
            let expected = expected.map(|all| all.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>());
            assert_eq!(elements(text), expected, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_told_however_they_are_written() {
        for (text, expected) in [
            ("101", Some(101)),
            ("+101.", Some(101)),
            ("1.01e2", Some(101)),
            ("1010E-1", Some(101)),
            ("-0.1e1", Some(-1)),
            ("0x65", Some(101)),
            ("1_01", Some(101)),
            ("0.0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("101.5", None),
            ("1e99", None),
            ("1e-1", None),
            ("", None),
            (".", None),
            ("NaN", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
    }
}
