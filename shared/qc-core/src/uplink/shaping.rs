//! What of the line a link may take at what time of the day: `limit`, `catchup` and `window`. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::link::Shape;
use crate::model::Lane;
use crate::safe_text::safe;

/// What waits for longer than this is backlog, and gets its share only.
const BEHIND: Duration = Duration::from_mins(1);
/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Bits a second, such as `256kbit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    const UNITS: [(&'static str, u64); 3] = [
        ("kbit", 1_000),
        ("Mbit", 1_000_000),
        ("Gbit", 1_000_000_000),
    ];

    fn bytes(self) -> u64 {
        self.0 / 8
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let text = safe(text, 40);
            format!("'{text}' is no rate such as 256kbit, 2Mbit or 1Gbit; at least 8kbit")
        };
        let unit = |(name, factor): &(&str, u64)| Some((text.strip_suffix(name)?, *factor));
        let (number, factor) = Self::UNITS.iter().find_map(unit).ok_or_else(wrong)?;
        let number: u64 = number.trim_end().parse().map_err(|_| wrong())?;
        let bits = number.checked_mul(factor).ok_or_else(wrong)?;
        (bits >= 8_000).then_some(Self(bits)).ok_or_else(wrong)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = Self::UNITS.iter().rev();
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        let (name, factor) = units.clone().find(fits).unwrap_or(&("bit", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

/// A time of the day, such as `22:00-06:00`, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayWindow {
    from: u16,
    to: u16,
}

impl DayWindow {
    fn holds(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl FromStr for DayWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let text = safe(text, 40);
            format!("'{text}' is no time of the day such as 22:00-06:00")
        };
        let minutes = |time: &str| {
            let (hours, minutes) = time.split_once(':')?;
            let two = |text: &str| {
                (text.len() == 2)
                    .then(|| text.parse::<u16>().ok())
                    .flatten()
            };
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            (hours < 24 && minutes < 60 || (hours, minutes) == (24, 0))
                .then_some(hours * 60 + minutes)
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (
            minutes(from).ok_or_else(wrong)?,
            minutes(to).ok_or_else(wrong)?,
        );
        (from != to && from < DAY)
            .then_some(Self { from, to })
            .ok_or_else(wrong)
    }
}

impl fmt::Display for DayWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

/// What a link may take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shaping {
    /// The most it takes.
    pub limit: Option<Rate>,
    /// The share of it, in percent, while what waits is old; none for all.
    pub catchup: Option<u8>,
    /// When the lanes normal and low are sent; always, if there is none.
    pub windows: Vec<DayWindow>,
}

/// The same as text, as it is asked for and shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShapingText {
    /// Such as `256kbit`.
    pub limit: Option<String>,
    /// In percent.
    pub catchup: Option<u8>,
    /// Such as `22:00-06:00`.
    pub window: Vec<String>,
}

impl Shaping {
    /// What holds at `minute` of the day, when the oldest message that waits has waited so long.
    pub fn at(&self, minute: u16, oldest: Option<Duration>) -> Shape {
        let is_behind = oldest.is_some_and(|oldest| oldest > BEHIND);
        let share = self.catchup.filter(|_| is_behind).unwrap_or(100);
        let rate = self
            .limit
            .map(|limit| limit.bytes() * u64::from(share) / 100);
        Shape {
            rate: rate.map(|rate| rate.max(1)),
            least: if self.is_open(minute) {
                Lane::Low
            } else {
                Lane::High
            },
        }
    }

    /// Whether the lanes normal and low are sent at `minute` of the day.
    pub fn is_open(&self, minute: u16) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.holds(minute))
    }

    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// As text.
    pub fn text(&self) -> ShapingText {
        ShapingText {
            limit: self.limit.map(|limit| limit.to_string()),
            catchup: self.catchup,
            window: self.windows.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ShapingText {
    /// What it says, or the key that is wrong, and why.
    pub fn parse(&self) -> Result<Shaping, (&'static str, String)> {
        let limit = self.limit.as_deref().map(str::parse).transpose();
        let windows: Result<_, String> = self.window.iter().map(|text| text.parse()).collect();
        let shaping = Shaping {
            limit: limit.map_err(|why| ("limit", why))?,
            catchup: self.catchup,
            windows: windows.map_err(|why| ("window", why))?,
        };
        if shaping.catchup.is_some() && shaping.limit.is_none() {
            let why = "a share of which limit? 'limit' is missing".to_owned();
            return Err(("catchup", why));
        }
        if shaping
            .catchup
            .is_some_and(|share| !(1..=100).contains(&share))
        {
            return Err(("catchup", "a share is 1 to 100 percent".to_owned()));
        }
        Ok(shaping)
    }
}

impl fmt::Display for Shaping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        match &text.limit {
            Some(limit) => write!(f, "limit {limit}")?,
            None => f.write_str("no limit")?,
        }
        if let Some(share) = text.catchup {
            write!(f, ", {share}% of it for what has waited over a minute")?;
        }
        if !text.window.is_empty() {
            write!(f, ", normal and low from {}", text.window.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaping(limit: &str, catchup: u8, window: &[&str]) -> Shaping {
        ShapingText {
            limit: Some(limit.to_owned()),
            catchup: Some(catchup),
            window: window.iter().map(|&text| text.to_owned()).collect(),
        }
        .parse()
        .unwrap()
    }

    #[test]
    fn rates_and_times_read_as_they_are_written() {
        for text in ["8kbit", "256kbit", "2Mbit", "1Gbit", "1500kbit"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "256",
            "256k",
            "7kbit",
            "-1Mbit",
            "1.5Mbit",
            "99999999999Gbit",
            "0kbit",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for text in ["22:00-06:00", "00:00-24:00", "08:30-17:05"] {
            assert_eq!(text.parse::<DayWindow>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "22-6",
            "22:00",
            "25:00-01:00",
            "10:60-11:00",
            "1:00-2:00",
            "10:00-10:00",
            "24:00-01:00",
        ] {
            assert!(bad.parse::<DayWindow>().is_err(), "{bad}");
        }
    }

    #[test]
    fn old_messages_get_their_share_and_new_ones_all() {
        let shaping = shaping("256kbit", 30, &[]);
        let rate = |oldest: u64| shaping.at(0, Some(Duration::from_secs(oldest))).rate;
        assert_eq!(rate(0), Some(32_000));
        assert_eq!(rate(60), Some(32_000));
        assert_eq!(rate(61), Some(9_600));
        assert_eq!(shaping.at(0, None).rate, Some(32_000));
    }

    #[test]
    fn outside_of_the_window_only_what_is_urgent_goes() {
        let shaping = shaping("1Mbit", 100, &["22:00-06:00", "12:00-12:30"]);
        let least = |hour: u16, minute: u16| shaping.at(hour * 60 + minute, None).least;
        for (hour, minute) in [(22, 0), (23, 59), (0, 0), (5, 59), (12, 15)] {
            assert_eq!(least(hour, minute), Lane::Low, "{hour}:{minute}");
        }
        for (hour, minute) in [(6, 0), (11, 59), (12, 30), (21, 59)] {
            assert_eq!(least(hour, minute), Lane::High, "{hour}:{minute}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_refused() {
        let text = ShapingText {
            catchup: Some(30),
            ..ShapingText::default()
        };
        assert_eq!(text.parse().unwrap_err().0, "catchup");
    }
}
