//! Whether a constant is the same value whenever it is read.

use super::class::Class;

impl Class {
    /// True when a constant is the same value whenever it is read as one of the class; `xml`: among the open ones
    /// may be `xml`.
    pub(super) fn holds(self, value: &str, xml: bool) -> bool {
        match self {
            Class::Fixed => true,
            Class::Array => !has_word(value, &["null"]),
            Class::Day => of_words(value) || is_iso(value, false),
            Class::Moment => of_words(value) || is_iso(value, true),
            // A minus before the first number is of all the others where IntervalStyle says so.
            Class::Span => !value.contains('-'),
            Class::Open => of_words(value) && !value.contains('<') && !xml,
        }
    }
}

/// True for a text that is no number, date or time of day, nor a word for one that moves: whatever it is read as, it is
/// the same, or an error each time.
fn of_words(value: &str) -> bool {
    let null = value.contains('{') && has_word(value, &["null"]);
    !null
        && !value.bytes().any(|b| b.is_ascii_digit())
        && !has_word(value, &["now", "today", "tomorrow", "yesterday"])
}

fn has_word(value: &str, words: &[&str]) -> bool {
    value
        .split(|c: char| !c.is_ascii_alphabetic())
        .any(|w| words.iter().any(|word| w.eq_ignore_ascii_case(word)))
}

/// `2024-02-03`, `2024-02-03 04:05:06.7`, `2024-02-03T04:05+01:00`, with ` BC` or not: read alike under every DateStyle;
/// as a `timestamptz` only with its offset.
fn is_iso(value: &str, zoned: bool) -> bool {
    let value = value.strip_suffix(" BC").unwrap_or(value);
    let (date, time) = match value.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (value, None),
    };
    let digits = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let all_two = |text: &str, least: usize, most: usize| {
        let parts: Vec<&str> = text.split(':').collect();
        (least..=most).contains(&parts.len()) && parts.iter().all(|p| digits(p, 2, 2))
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    if !(digits(year, 4, 6) && digits(month, 2, 2) && digits(day, 2, 2)) {
        return false;
    }
    let Some(time) = time else { return !zoned };
    let (clock, offset) = match time.find(['+', '-']) {
        Some(at) => (time.get(..at).unwrap_or_default(), time.get(at + 1..)),
        None => (time, None),
    };
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clock, None),
    };
    all_two(whole, if fraction.is_some() { 3 } else { 2 }, 3)
        && fraction.is_none_or(|f| digits(f, 1, 9))
        && offset.map_or(!zoned, |o| all_two(o, 1, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_in_iso_form() {
        for (value, day, moment) in [
            ("2024-02-03", true, false),
            ("0044-03-15 BC", true, false),
            ("2024-02-03 04:05", true, false),
            ("2024-02-03T04:05:06.789", true, false),
            ("2024-02-03 04:05:06+00", true, true),
            ("2024-02-03T04:05-03:30", true, true),
            ("24-02-03", false, false),
            ("2024-2-3", false, false),
            ("20240203", false, false),
            ("02-03-2024", false, false),
            ("2024-02-03 04", false, false),
            ("2024-02-03 04:05 CET", false, false),
            ("2024-02-03 04:05Z", false, false),
            ("2024-02-03+02", false, false),
            ("2024-02-03 ", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_iso(value, false), is_iso(value, true)), (day, moment), "{value}");
        }
    }
}
