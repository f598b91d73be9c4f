//! Azure's LLM inference traces of 2023 and 2024.

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::columns::Table;
use super::{Draft, TraceError};
use crate::excerpt::excerpt;

const EXPECTED: &str = "`TIMESTAMP,ContextTokens,GeneratedTokens`, \
                        e.g. `2023-11-16 18:17:03.9799600,4808,10`";

/// Wall clock with up to nine digits of a second. The file of 2023 has no zone, that of 2024
/// says `+00:00`.
pub(super) fn parse(file: &Path, source: impl Read) -> Result<Draft, TraceError> {
    let mut table = Table::new(file, EXPECTED, source);
    let time = table.column("TIMESTAMP")?;
    let input = table.column("ContextTokens")?;
    let output = table.column("GeneratedTokens")?;
    let mut draft = Draft::default();
    table.for_each(|row| {
        let text = row.text(time)?;
        let instant = instant(text).ok_or_else(|| {
            row.error(format!(
                "`TIMESTAMP` is `{}`, not a date and time",
                excerpt(text)
            ))
        })?;
        let (input, output) = (row.tokens(input)?, row.tokens(output)?);
        draft
            .push(row.stamp(instant), input, output, Vec::new())
            .map_err(|problem| row.error(problem))
    })?;
    Ok(draft)
}

/// Seconds since the Unix epoch. A double holds them to a quarter of a microsecond.
fn instant(text: &str) -> Option<f64> {
    let zoned = text.parse::<Timestamp>().ok();
    let timestamp = match zoned {
        Some(timestamp) => timestamp,
        None => TimeZone::UTC
            .to_timestamp(text.parse::<DateTime>().ok()?)
            .ok()?,
    };
    Some(timestamp.as_second() as f64 + f64::from(timestamp.subsec_nanosecond()) * 1e-9)
}
