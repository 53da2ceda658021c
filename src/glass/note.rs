//! Whether a note says something, and how long a time the user asks for. Pure functions of text;
//! who may ask for what is decided elsewhere.

use std::time::Duration;

use crate::policy::Refusal;

use super::unacceptable;

/// Longest note kept, in characters.
const MAX_NOTE_CHARS: usize = 2000;

/// The note with its white space made plain, or why it is not one: too short, too long, control
/// characters, or the same thing over and over ("xxxxxxxxxx", "test test", "abcabcabcab").
pub(super) fn check_note(text: &str, min_chars: u32) -> Result<String, Refusal> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let note = words.join(" ");
    if note.chars().any(char::is_control) {
        return Err(unacceptable("the note has control characters in it").with_hint("Write plain text."));
    }
    let length = note.chars().count();
    if length > MAX_NOTE_CHARS {
        return Err(unacceptable(format!("the note is longer than {MAX_NOTE_CHARS} characters")));
    }
    if length < min_chars as usize {
        return Err(unacceptable(format!("the note is too short: write at least {min_chars} characters"))
            .with_hint("Say what happened and why you need this record now; the reviewer reads it."));
    }
    if min_chars > 0 && says_nothing(&words) {
        return Err(unacceptable("the note repeats itself or says nothing")
            .with_hint("Say what happened and why you need this record now; the reviewer reads it."));
    }
    Ok(note)
}

fn says_nothing(words: &[&str]) -> bool {
    let letters: Vec<char> = words
        .iter()
        .flat_map(|w| w.chars())
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .collect();
    let mut distinct = letters.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 4 {
        return true;
    }
    // A text with a period of at most half its length is a repetition, a cut-off last one included.
    (1..=letters.len() / 2).any(|p| letters.iter().zip(letters.iter().skip(p)).all(|(a, b)| a == b))
}

/// A length of time as PostgreSQL's `interval` input and people write it: `30 min`, `1h 30m`,
/// `2 hours`, `01:30`, `01:30:00`, `90 minutes`. Fractions, months and bare numbers are refused.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Refusal> {
    duration(text.trim()).ok_or_else(|| {
        unacceptable("the time is not one that can be read").with_hint("Write it like '30 min' or '2 hours'.")
    })
}

fn duration(text: &str) -> Option<Duration> {
    if text.contains(':') {
        return clock(text);
    }
    let mut rest = text;
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at_checked(letters)?;
        let scale = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = after.trim_start();
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// `HH:MM` or `HH:MM:SS`.
fn clock(text: &str) -> Option<Duration> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |s: &str, max: u64| {
        let plain = (1..=3).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        s.parse::<u64>().ok().filter(|n| plain && *n <= max)
    };
    let (h, m, s) = match parts.as_slice() {
        [h, m] => (*h, *m, "0"),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    let seconds = number(h, 999)? * 3600 + number(m, 59)? * 60 + number(s, 59)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_that_say_nothing_are_refused() {
        for bad in [
            "x",
            "",
            "          ",
            "xxxxxxxxxx",
            "test test",
            "test test test test",
            "Test tEST TEST",
            "abcabcabcab",
            "asdf asdf asdf",
            "emergency emergency",
            "hmm hmmm hm hmhm",
            "..........",
            "- - - - - - - - -",
            "\u{a0}\u{2003}\t\n          ",
            "1212121212",
            "emergency\u{0}\u{7} in resus",
        ] {
            assert!(check_note(bad, 10).is_err(), "{bad:?}");
        }
        assert!(check_note(&"unlike ".repeat(400), 10).is_err());
    }

    #[test]
    fn notes_that_say_something_pass() {
        for good in [
            "unconscious, unknown anticoagulant, resus 2",
            "Lungenödem, Station 3",
            "意識不明の患者、既往歴が必要です",
        ] {
            assert_eq!(check_note(good, 10).unwrap(), good);
        }
        assert_eq!(check_note("  chest pain,\n resus 2 ", 10).unwrap(), "chest pain, resus 2");
        assert!(check_note("", 0).is_ok());
    }

    #[test]
    fn times_are_read_or_refused() {
        for (text, seconds) in [
            ("30 min", 1800),
            ("30min", 1800),
            ("1h 30m", 5400),
            ("2 hours", 7200),
            ("1 hour 5 minutes 3 sec", 3903),
            ("01:30", 5400),
            ("00:45:10", 2710),
            ("12H", 43_200),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in [
            "",
            "30",
            "min",
            "-5 min",
            "1.5 h",
            "0 min",
            "1 month",
            "18446744073709551615 h",
            "1:99",
            "::",
            "+1:00",
            "99999999999999999999 s",
            "5 min é",
            "1 : 2",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
