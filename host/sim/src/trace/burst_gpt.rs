//! BurstGPT's traces.

use std::io::Read;
use std::path::Path;

use super::columns::Table;
use super::{Draft, TraceError};
use crate::excerpt::excerpt;

const EXPECTED: &str = "`Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`, \
                        e.g. `5,ChatGPT,472,18,490,Conversation log`";

/// Seconds since the trace's start; requests of all models are taken. An answer of 0 tokens is a
/// failed request, which is skipped: what it would have cost is not in the file.
pub(super) fn parse(file: &Path, source: impl Read) -> Result<Draft, TraceError> {
    let mut table = Table::new(file, EXPECTED, source);
    let time = table.column("Timestamp")?;
    let input = table.column("Request tokens")?;
    let output = table.column("Response tokens")?;
    let mut draft = Draft::default();
    table.for_each(|row| {
        let text = row.text(time)?;
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds: &f64| seconds.is_finite());
        let seconds = seconds
            .ok_or_else(|| row.error(format!("`Timestamp` is `{}`, not seconds", excerpt(text))))?;
        let (input, output) = (row.tokens(input)?, row.tokens(output)?);
        if output == 0 {
            draft.skipped += 1;
            return Ok(());
        }
        draft
            .push(row.stamp(seconds), input, output, Vec::new())
            .map_err(|problem| row.error(problem))
    })?;
    Ok(draft)
}
