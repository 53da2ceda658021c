//! Durations and sizes as people write them: `"30s"`, `"60min"`, `"64MiB"`. Whole numbers with a
//! unit, nothing else; a bare number is refused, because nobody remembers which unit it means.

use std::time::Duration;

const DURATIONS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 7 * 86_400_000)];

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A duration, or `None`. Units: ms, s, min, h, d, w.
pub(super) fn duration(text: &str) -> Option<Duration> {
    scaled(text, &DURATIONS).map(Duration::from_millis)
}

/// A number of bytes, or `None`. Units: B, KiB, MiB, GiB (powers of 1024), kB, MB, GB (of 1000).
pub(super) fn size(text: &str) -> Option<u64> {
    scaled(text, &SIZES)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let scale = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("60 min"), Some(Duration::from_secs(3_600)));
        assert_eq!(duration("12h"), Some(Duration::from_secs(43_200)));
        assert_eq!(duration("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("5GB"), Some(5_000_000_000));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "30", "s", "-1s", "1.5h", "1S", "1m", "999999999999999999999s", "18446744073709551615w"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
        for bad in ["64", "64mib", "64 M", "MiB", "99999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
