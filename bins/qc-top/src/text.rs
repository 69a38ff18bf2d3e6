//! Numbers as short words for narrow columns.

use std::fmt::{self, Write as _};
use std::time::Duration;

use qc_core::cli::human_duration;

/// Appends to `text`.
pub(crate) fn add(text: &mut String, what: fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

/// A time of `ms` without a part below a second: `0s`, `42s`, `8m21s`.
pub(crate) fn age(ms: u64) -> String {
    human_seconds(ms / 1000)
}

/// A duration as [`age`] shows it.
pub(crate) fn age_of(time: Duration) -> String {
    human_seconds(time.as_secs())
}

fn human_seconds(s: u64) -> String {
    if s == 0 {
        "0s".to_owned()
    } else {
        human_duration(Duration::from_secs(s))
    }
}

/// A count in at most seven characters: `9022`, `12.3M`.
pub(crate) fn count(n: u64) -> String {
    if n < 10_000_000 {
        return n.to_string();
    }
    let mut tenths = n / 100_000;
    for unit in ["M", "G", "T", "P"] {
        if tenths < 10_000 {
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1000;
    }
    format!("{}E", tenths / 10)
}

/// A rate in at most five characters: `0`, `<1`, `42`, `12.3k`.
pub(crate) fn rate(per_s: f64) -> String {
    if !per_s.is_finite() || per_s < 0.0 {
        return "-".to_owned();
    }
    match per_s {
        0.0 => "0".to_owned(),
        n if n < 0.95 => "<1".to_owned(),
        n if n < 9_999.5 => format!("{n:.0}"),
        n if n < 99_950.0 => format!("{:.1}k", n / 1e3),
        n if n < 999_500.0 => format!("{:.0}k", n / 1e3),
        n if n < 99_950_000.0 => format!("{:.1}M", n / 1e6),
        n if n < 9e9 => format!("{:.0}M", n / 1e6),
        _ => "9999M".to_owned(),
    }
}

/// What is left of a certificate, in its largest unit: `29d`, `5h`, `12m`, `EXP`.
pub(crate) fn left(seconds: i64) -> String {
    match seconds {
        ..=0 => "EXP".to_owned(),
        1..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", (seconds / 86_400).min(9999)),
    }
}

/// A clock's difference with its sign: `+0.2s`, `-2.1s`, `+3d11h`.
pub(crate) fn skew(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let size = ms.unsigned_abs();
    if size < 100_000 {
        format!("{sign}{}.{}s", size / 1000, size % 1000 / 100)
    } else {
        format!("{sign}{}", age(size))
    }
}

/// A round trip: `48ms`, `12s`.
pub(crate) fn round_trip(ms: u64) -> String {
    if ms < 10_000 {
        format!("{ms}ms")
    } else {
        age(ms)
    }
}

/// `1 node`, `2 nodes`.
pub(crate) fn plural(n: u64, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short() {
        for n in [0, 9_999_999, 10_000_000, 999_999_999, u64::MAX] {
            assert!(count(n).len() <= 7, "{}", count(n));
        }
        assert_eq!(count(12_345_678), "12.3M");
        assert_eq!(count(1_500_000_000), "1.5G");
        for (n, text) in [
            (0.0, "0"),
            (0.2, "<1"),
            (41.6, "42"),
            (9_999.0, "9999"),
            (12_345.0, "12.3k"),
            (1_842_000.0, "1.8M"),
            (f64::MAX, "9999M"),
            (-1.0, "-"),
        ] {
            assert_eq!(rate(n), text);
        }
    }

    #[test]
    fn times_stay_short() {
        for (s, text) in [
            (-5, "EXP"),
            (0, "EXP"),
            (600, "10m"),
            (18_000, "5h"),
            (2_505_600, "29d"),
        ] {
            assert_eq!(left(s), text);
        }
        for (ms, text) in [(210, "+0.2s"), (-2_100, "-2.1s"), (298_800_000, "+3d11h")] {
            assert_eq!(skew(ms), text);
        }
        assert_eq!(age(340), "0s");
        assert_eq!(round_trip(48), "48ms");
    }
}
