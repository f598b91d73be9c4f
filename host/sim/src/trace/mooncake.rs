//! Mooncake's traces: JSON lines, with the prefix blocks of each prompt.

use std::io::{self, BufRead};
use std::path::Path;

use serde::Deserialize;

use super::{Draft, MOST_TOKENS, Stamp, TraceError};
use crate::excerpt::message;

const EXPECTED: &str = "e.g. `{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \
                        \"hash_ids\": [0, 1]}`, the timestamp in milliseconds";

/// Timestamps of the published files are multiples of this, give or take [`JITTER_SECONDS`].
const BIN_SECONDS: f64 = 3.0;

/// Some are 1 to 3 ms off.
const JITTER_SECONDS: f64 = 0.005;

#[derive(Deserialize)]
struct Line {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u32>,
}

/// Where every timestamp is a multiple of 3 s, requests are spread evenly inside each bin of 3 s,
/// in the file's order; otherwise timestamps are taken as they are.
pub(super) fn parse(file: &Path, source: impl BufRead) -> Result<Draft, TraceError> {
    let mut draft = Draft::default();
    for (number, text) in (1..).zip(source.lines()) {
        let bad = |problem| TraceError::Line {
            file: file.to_owned(),
            line: number,
            problem,
            expected: EXPECTED,
        };
        let text = text.map_err(|source| {
            if source.kind() == io::ErrorKind::InvalidData {
                return bad("not UTF-8 text".to_owned());
            }
            TraceError::Read {
                file: file.to_owned(),
                source,
            }
        })?;
        if text.trim().is_empty() {
            continue;
        }
        let line = request(&text).map_err(bad)?;
        let at = Stamp {
            seconds: line.timestamp / 1000.0,
            line: number,
        };
        draft
            .push(at, line.input_length, line.output_length, line.hash_ids)
            .map_err(bad)?;
    }
    spread(&mut draft);
    Ok(draft)
}

fn request(text: &str) -> Result<Line, String> {
    // Serde would read a list as the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err("the line is not an object".to_owned());
    }
    let line: Line = serde_json::from_str(text).map_err(|error| {
        // Every line is a document of its own: "at line 1" would contradict the file's line.
        let text = error.to_string();
        message(&text.replace(" at line 1 column ", " at column "))
    })?;
    for (key, tokens) in [
        ("input_length", line.input_length),
        ("output_length", line.output_length),
    ] {
        if tokens > MOST_TOKENS {
            return Err(format!(
                "`{key}` is {tokens}, not a number of tokens up to {MOST_TOKENS}"
            ));
        }
    }
    Ok(line)
}

/// Out of the bins.
fn spread(draft: &mut Draft) {
    let bin = |at: f64| (at / BIN_SECONDS).round();
    let quantised = draft
        .requests
        .iter()
        .all(|r| (r.at_seconds - bin(r.at_seconds) * BIN_SECONDS).abs() <= JITTER_SECONDS);
    if !quantised {
        return;
    }
    let width = BIN_SECONDS;
    draft
        .requests
        .sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
    let ends = draft.requests.first().zip(draft.requests.last());
    draft.span = ends.map(|(first, last)| {
        (
            bin(first.at_seconds) * width,
            (bin(last.at_seconds) + 1.0) * width,
        )
    });
    for same in draft
        .requests
        .chunk_by_mut(|a, b| bin(a.at_seconds) == bin(b.at_seconds))
    {
        let step = width / same.len() as f64;
        for (position, request) in same.iter_mut().enumerate() {
            request.at_seconds = bin(request.at_seconds) * width + step * (position as f64 + 0.5);
        }
    }
}
