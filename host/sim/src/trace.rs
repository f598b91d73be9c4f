//! Requests from files: which format a file has, and what every format gives.

mod azure;
mod burst_gpt;
mod columns;
mod compressed;
mod mooncake;
mod overlay;

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

pub use overlay::{rate_scale, repeat};

use crate::excerpt::{excerpt, number};
use crate::spec::Arrival;

/// Longest time that a trace may span, and a run may last: a leap year, in seconds.
pub const LONGEST_SECONDS: f64 = 366.0 * DAY_SECONDS;

/// Most tokens of one prompt or answer.
pub const MOST_TOKENS: u32 = 10_000_000;

const DAY_SECONDS: f64 = 86_400.0;

/// Times further from a clock's zero are none: three hundred years, in seconds. Below that a
/// double still holds microseconds.
const FURTHEST_SECONDS: f64 = 1e10;

/// A first line that is longer is cut here, in bytes: its start tells the format.
const FIRST_BYTES: u64 = 65_536;

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
        "{}: not a trace that is known here: its first line is {first_line}; expected \
         `TIMESTAMP,ContextTokens,GeneratedTokens` (Azure), \
         `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type` (BurstGPT) or an \
         object with `timestamp`, `input_length` and `output_length` (Mooncake)",
        file.display()
    )]
    UnknownFormat { file: PathBuf, first_line: String },
    #[error(
        "{}: a trace of zero length: {}; expected at least two requests at different times",
        file.display(),
        content(*requests, *skipped)
    )]
    ZeroLength {
        file: PathBuf,
        requests: usize,
        skipped: u64,
    },
    #[error("{}: the file is empty; expected a trace of at least two requests", file.display())]
    Empty { file: PathBuf },
    #[error("{}: compressed with {with}; expected plain text: unpack it first", file.display())]
    Compressed { file: PathBuf, with: &'static str },
}

/// What some editors put before the first character.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a trace without a span has in place of one.
fn content(requests: usize, skipped: u64) -> String {
    match (requests, skipped) {
        (0, 0) => "no line follows the header".to_owned(),
        (0, skipped) => {
            format!("all of its requests failed ({skipped}), and failed ones are skipped")
        }
        (1, _) => "it has one request".to_owned(),
        (many, _) => format!("it has {many} requests, all at one instant"),
    }
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
    let mut first_bytes = Vec::new();
    source
        .by_ref()
        .take(FIRST_BYTES)
        .read_until(b'\n', &mut first_bytes)
        .map_err(read_error)?;
    if let Some(with) = compressed::with(&first_bytes) {
        return Err(TraceError::Compressed {
            file: file.to_owned(),
            with,
        });
    }
    let start = String::from_utf8_lossy(&first_bytes);
    let start = start.trim_start_matches('\u{feff}').to_owned();
    let bytes = match first_bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_vec(),
        None => first_bytes,
    };
    let is_empty = bytes.is_empty();
    let whole = Cursor::new(bytes).chain(source);
    let draft = if start.trim_start().starts_with('{') {
        mooncake::parse(file, whole)?
    } else if start.contains("ContextTokens") {
        azure::parse(file, whole)?
    } else if start.contains("Request tokens") {
        burst_gpt::parse(file, whole)?
    } else if is_empty {
        return Err(TraceError::Empty {
            file: file.to_owned(),
        });
    } else {
        return Err(TraceError::UnknownFormat {
            file: file.to_owned(),
            first_line: match start.trim() {
                "" => "blank".to_owned(),
                text => format!("`{}`", excerpt(text)),
            },
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
    /// Time and line of the earliest and of the latest request.
    ends: Option<(Stamp, Stamp)>,
}

/// A time on the file's own clock, and the line that it stands in.
#[derive(Clone, Copy)]
struct Stamp {
    seconds: f64,
    line: u64,
}

impl Stamp {
    /// Why this can be no time of a request in a trace that has these ends so far.
    fn problem(self, ends: (Stamp, Stamp)) -> Option<String> {
        if self.seconds.abs() > FURTHEST_SECONDS || self.seconds.is_nan() {
            return Some(format!(
                "the time is {} s from the clock's zero; at most {FURTHEST_SECONDS:e} s (300 years) \
                 are plausible",
                number(self.seconds)
            ));
        }
        let other = [ends.0, ends.1]
            .into_iter()
            .find(|end| (self.seconds - end.seconds).abs() > LONGEST_SECONDS)?;
        Some(format!(
            "the time is {:.0} days away from that of line {}; at most 366 are possible",
            (self.seconds - other.seconds).abs() / DAY_SECONDS,
            other.line
        ))
    }
}

impl Draft {
    /// # Errors
    /// What is wrong with a request's time.
    fn push(
        &mut self,
        at: Stamp,
        input_tokens: u32,
        output_tokens: u32,
        blocks: Vec<u32>,
    ) -> Result<(), String> {
        let (first, last) = self.ends.unwrap_or((at, at));
        if let Some(problem) = at.problem((first, last)) {
            return Err(problem);
        }
        self.ends = Some((
            if at.seconds < first.seconds {
                at
            } else {
                first
            },
            if at.seconds > last.seconds { at } else { last },
        ));
        self.requests.push(Arrival {
            at_seconds: at.seconds,
            input_tokens: input_tokens.max(1),
            output_tokens: output_tokens.max(1),
            prefix_blocks: blocks.into_boxed_slice(),
        });
        Ok(())
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
                skipped: self.skipped,
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
