//! Numbers as a person reads them, in the terminal and in the report alike.

/// What stands where nothing was measured.
pub(crate) const MISSING: &str = "–";

/// A span of seconds with three significant digits: `38.2 ms`, `1.24 s`.
pub(crate) fn seconds(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value < 1.0 => format!("{} ms", significant(value * 1000.0)),
        Some(value) => format!("{} s", significant(value)),
    }
}

/// A share as a percentage, rounded down: 98.996 % must not read as an objective of 99 % met.
pub(crate) fn share(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        // The nudge keeps 0.9 from becoming 89.99 by the way that it is stored.
        Some(value) => format!("{:.2} %", (value * 10_000.0 + 1e-6).floor() / 100.0),
    }
}

/// A percentile as it is spoken of: 0.99 is `99`, 0.999 is `99.9`; to two digits after the point.
pub(crate) fn percentile(value: f64) -> String {
    let percent = (value * 10_000.0).round() / 100.0;
    format!("{percent}")
}

/// A sum of money, without its currency.
pub(crate) fn cost(value: f64) -> String {
    if value.abs() < 1000.0 {
        format!("{value:.2}")
    } else {
        grouped(&format!("{value:.0}"))
    }
}

/// A count with its thousands apart: `387,320`.
pub(crate) fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// A quantity of any size with three significant digits.
pub(crate) fn quantity(value: f64) -> String {
    if value.abs() >= 1000.0 {
        grouped(&format!("{value:.0}"))
    } else {
        significant(value)
    }
}

/// A difference with three significant digits and its sign: `+1.2`, `−0.5`, `0`.
pub(crate) fn signed(value: f64) -> String {
    let size = quantity(value.abs());
    if size == "0" {
        size
    } else if value < 0.0 {
        format!("−{size}")
    } else {
        format!("+{size}")
    }
}

/// An instant from the start of a run: `12:30` in minutes and seconds, `3:05:00` with hours.
pub(crate) fn clock(seconds: f64) -> String {
    // A run is shorter than a century, so the cast loses nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "see above"
    )]
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

/// A span in words: `45 min`, `2 h`, `1 h 30 min`.
pub(crate) fn span(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as in `clock`"
    )]
    let minutes = (seconds.max(0.0) / 60.0).round() as u64;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", significant(seconds)),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Three significant digits, without an exponent and without trailing zeros after a point.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned(); // Also of a negative zero.
    }
    if !value.is_finite() {
        return format!("{value}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the exponent of a double fits"
    )]
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from((2 - magnitude).clamp(0, 9)).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_change_unit_below_one() {
        assert_eq!(seconds(Some(0.0382)), "38.2 ms");
        assert_eq!(seconds(Some(1.2345)), "1.23 s");
        assert_eq!(seconds(Some(120.0)), "120 s");
        assert_eq!(seconds(None), "–");
    }

    #[test]
    fn nothing_has_no_sign() {
        assert_eq!(quantity(-0.0), "0");
        assert_eq!(seconds(Some(-0.0)), "0 ms");
    }

    #[test]
    fn differences_have_signs_and_nothing_has_none() {
        assert_eq!(signed(1.2), "+1.2");
        assert_eq!(signed(-0.5), "−0.5");
        assert_eq!(signed(-0.0), "0");
    }

    #[test]
    fn a_share_is_never_rounded_up() {
        assert_eq!(share(Some(0.989_99)), "98.99 %");
        assert_eq!(share(Some(0.9)), "90.00 %");
        assert_eq!(share(Some(1.0)), "100.00 %");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(387_320), "387,320");
        assert_eq!(count(999), "999");
        assert_eq!(cost(1_234_567.4), "1,234,567");
        assert_eq!(cost(12.345), "12.35");
        assert_eq!(cost(-1234.0), "-1,234");
    }

    #[test]
    fn instants_and_spans_read_as_time() {
        assert_eq!(clock(750.0), "12:30");
        assert_eq!(clock(11_100.0), "3:05:00");
        assert_eq!(span(7200.0), "2 h");
        assert_eq!(span(5400.0), "1 h 30 min");
        assert_eq!(span(12.0), "12 s");
    }

    #[test]
    fn percentiles_keep_their_nines() {
        assert_eq!(percentile(0.99), "99");
        assert_eq!(percentile(0.999), "99.9");
    }
}
