//! Durations as Kubernetes' users write them: `90s`, `10m`, `1h30m`, or plain seconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest that is taken for meant: ten years.
const LONGEST: f64 = 315_360_000.0;

/// Units of Go's durations with their seconds. Longer names stand before those that begin alike.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// A duration of zero or more.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Seconds(f64);

/// Text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoDuration;

impl Seconds {
    pub(crate) const fn new(seconds: u32) -> Self {
        Self(seconds as f64)
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }

    /// # Errors
    /// It is no length of time, or a longer one than anybody means.
    pub(crate) fn of(seconds: f64) -> Result<Self, NoDuration> {
        Self::checked(seconds)
    }

    fn checked(seconds: f64) -> Result<Self, NoDuration> {
        if (0.0..=LONGEST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(NoDuration)
        }
    }
}

impl FromStr for Seconds {
    type Err = NoDuration;

    fn from_str(text: &str) -> Result<Self, NoDuration> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Self::checked(seconds);
        }
        let mut rest = text;
        let mut sum = 0.0;
        while !rest.is_empty() {
            let digits = rest
                .find(|of: char| !of.is_ascii_digit() && of != '.')
                .ok_or(NoDuration)?;
            let (number, after) = rest.split_at(digits);
            let number: f64 = number.parse().map_err(|_| NoDuration)?;
            let mut units = UNITS.iter();
            let (left, unit) = units
                .find_map(|(name, unit)| Some((after.strip_prefix(name)?, unit)))
                .ok_or(NoDuration)?;
            sum += number * unit;
            rest = left;
        }
        if text.is_empty() {
            return Err(NoDuration);
        }
        Self::checked(sum)
    }
}

impl fmt::Display for NoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected seconds, or a duration such as 90s, 10m or 1h30m")
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds, or a duration such as 90s, 10m or 1h30m")
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Seconds, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Seconds, E> {
        Seconds::checked(seconds).map_err(|_| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Seconds, E> {
        text.parse()
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Seconds, or a duration such as 90s, 10m or 1h30m.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": LONGEST},
                {"type": "string", "pattern": "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)$|^(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        text.parse::<Seconds>().ok().map(Seconds::seconds)
    }

    #[test]
    fn durations_of_go_and_plain_seconds_are_read() {
        for (text, wanted) in [
            ("90s", 90.0),
            ("10m", 600.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("500ms", 0.5),
            ("2m0.5s", 120.5),
            ("15", 15.0),
            ("0.25", 0.25),
            (" 30s ", 30.0),
            ("0", 0.0),
            ("0s", 0.0),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "", " ", "s", "ten", "10x", "10 m", "-5s", "-5", "1h30", "NaN", "inf", "1e300", "1d",
            "..s",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["90s", "0.125", "1h"] {
            let read: Seconds = text.parse().unwrap();
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Seconds>(&written).unwrap(), read);
        }
    }
}
