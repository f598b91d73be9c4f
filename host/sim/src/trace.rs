//! Requests from files: which format a file has, and what every format gives.

mod azure;
mod burst_gpt;
mod columns;
mod mooncake;
mod overlay;

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

pub use overlay::{rate_scale, repeat};

use crate::spec::Arrival;

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// In order of arrival; the first arrives at 0, or inside the first bin of a quantised file.
    pub requests: Vec<Arrival>,
    /// After which the trace may begin again: from the first to the last request, and the mean
    /// gap between two on top, so that a repeated trace keeps its rate at the seam.
    pub duration_seconds: f64,
    /// Lines that are no served request, e.g. a failed one.
    pub skipped: u64,
}

/// Why a trace is refused.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("trace {} cannot be read", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}:{line}: {problem}; expected {expected}", file.display())]
    Line {
        file: PathBuf,
        line: u64,
        problem: String,
        expected: &'static str,
    },
    #[error(
        "{}: not a trace that is known here: its first line is `{first_line}`; expected \
         `TIMESTAMP,ContextTokens,GeneratedTokens` (Azure), \
         `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type` (BurstGPT) or an \
         object with `timestamp`, `input_length` and `output_length` (Mooncake)",
        file.display()
    )]
    UnknownFormat { file: PathBuf, first_line: String },
    #[error(
        "{}: a trace of zero length: it has {requests} requests{}; at least two at different \
         times are wanted",
        file.display(),
        if *requests > 1 { ", all at one instant" } else { "" }
    )]
    ZeroLength { file: PathBuf, requests: usize },
}

/// Reads a trace in any of the known formats, which is told by its first line.
///
/// A request with a prompt or an answer of 0 tokens counts as one with 1: an engine computes at
/// least one token to answer at all. BurstGPT's answers of 0 tokens are failures by its
/// definition, and are skipped.
///
/// # Errors
/// [`TraceError`] where the file cannot be read, is of no known format, has a bad line, or has
/// no span of time.
pub fn read(file: &Path) -> Result<Trace, TraceError> {
    let opened = fs_err::File::open(file).map_err(|source| TraceError::Read {
        file: file.to_owned(),
        source,
    })?;
    parse(file, BufReader::new(opened))
}

/// [`read`], from any source; `file` is what errors call it.
///
/// # Errors
/// As [`read`].
pub fn parse(file: &Path, mut source: impl BufRead) -> Result<Trace, TraceError> {
    let read_error = |source| TraceError::Read {
        file: file.to_owned(),
        source,
    };
    let mut first_line = Vec::new();
    source
        .read_until(b'\n', &mut first_line)
        .map_err(read_error)?;
    let start = String::from_utf8_lossy(&first_line)
        .trim_start_matches('\u{feff}')
        .to_owned();
    let whole = Cursor::new(start.clone().into_bytes()).chain(source);
    let draft = if start.trim_start().starts_with('{') {
        mooncake::parse(file, whole)?
    } else if start.contains("ContextTokens") {
        azure::parse(file, whole)?
    } else if start.contains("Request tokens") {
        burst_gpt::parse(file, whole)?
    } else if start.trim().is_empty() {
        return Err(TraceError::ZeroLength {
            file: file.to_owned(),
            requests: 0,
        });
    } else {
        let first_line = start.trim_end().chars().take(80).collect();
        return Err(TraceError::UnknownFormat {
            file: file.to_owned(),
            first_line,
        });
    };
    draft.finish(file)
}

/// What a reader collects: requests at times on the file's own clock, in the file's order.
#[derive(Default)]
struct Draft {
    requests: Vec<Arrival>,
    skipped: u64,
    /// Of quantised files: the first and the end of the last bin.
    span: Option<(f64, f64)>,
}

impl Draft {
    fn push(&mut self, at_seconds: f64, input_tokens: u32, output_tokens: u32, blocks: Vec<u32>) {
        self.requests.push(Arrival {
            at_seconds,
            input_tokens: input_tokens.max(1),
            output_tokens: output_tokens.max(1),
            prefix_blocks: blocks.into_boxed_slice(),
        });
    }

    /// Sorts, and moves the clock so that the trace starts at 0.
    fn finish(mut self, file: &Path) -> Result<Trace, TraceError> {
        self.requests
            .sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
        let count = self.requests.len();
        let ends = self.requests.first().zip(self.requests.last());
        let (start, end) = ends
            .map(|(first, last)| {
                let span = last.at_seconds - first.at_seconds;
                let gap = span / count.saturating_sub(1).max(1) as f64;
                self.span
                    .unwrap_or((first.at_seconds, last.at_seconds + gap))
            })
            .filter(|(start, end)| end > start)
            .ok_or_else(|| TraceError::ZeroLength {
                file: file.to_owned(),
                requests: count,
            })?;
        for request in &mut self.requests {
            request.at_seconds -= start;
        }
        Ok(Trace {
            requests: self.requests,
            duration_seconds: end - start,
            skipped: self.skipped,
        })
    }
}

#[cfg(test)]
mod tests;
