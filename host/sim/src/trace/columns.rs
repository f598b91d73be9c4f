//! CSV files by column name, with errors that name file, line and column.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{MOST_TOKENS, Stamp, TraceError};
use crate::excerpt::excerpt;

/// A CSV file with a header line.
pub(super) struct Table<R> {
    file: PathBuf,
    expected: &'static str,
    reader: csv::Reader<R>,
}

/// One line of a [`Table`].
pub(super) struct Row<'a> {
    file: &'a Path,
    expected: &'static str,
    line: u64,
    record: &'a csv::StringRecord,
}

impl<R: Read> Table<R> {
    /// `expected` says what a line must look like.
    pub(super) fn new(file: &Path, expected: &'static str, source: R) -> Self {
        let reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(source);
        Self {
            file: file.to_owned(),
            expected,
            reader,
        }
    }

    /// Where a column stands.
    pub(super) fn column(&mut self, name: &'static str) -> Result<Column, TraceError> {
        let (file, expected) = (self.file.clone(), self.expected);
        let line = |problem| TraceError::Line {
            file,
            line: 1,
            problem,
            expected,
        };
        let headers = match self.reader.headers() {
            Ok(headers) => headers,
            Err(source) => return Err(line(reason(&source))),
        };
        let found = headers.iter().position(|header| header == name);
        let index = found.ok_or_else(|| line(format!("no column `{name}` in the header")))?;
        Ok(Column { name, index })
    }

    /// Calls `each` with every line after the header that is not empty.
    pub(super) fn for_each(
        mut self,
        mut each: impl FnMut(&Row<'_>) -> Result<(), TraceError>,
    ) -> Result<(), TraceError> {
        let mut record = csv::StringRecord::new();
        loop {
            let more = self
                .reader
                .read_record(&mut record)
                .map_err(|source| TraceError::Line {
                    file: self.file.clone(),
                    line: source.position().map_or(0, csv::Position::line),
                    problem: reason(&source),
                    expected: self.expected,
                })?;
            if !more {
                return Ok(());
            }
            each(&Row {
                file: &self.file,
                expected: self.expected,
                line: record.position().map_or(0, csv::Position::line),
                record: &record,
            })?;
        }
    }
}

fn reason(error: &csv::Error) -> String {
    if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
        "not UTF-8 text".to_owned()
    } else {
        error.to_string()
    }
}

/// A column that the header has.
#[derive(Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    index: usize,
}

impl<'a> Row<'a> {
    pub(super) fn text(&self, column: Column) -> Result<&'a str, TraceError> {
        self.record
            .get(column.index)
            .ok_or_else(|| self.error(format!("the line ends before column `{}`", column.name)))
    }

    /// A whole number of tokens.
    pub(super) fn tokens(&self, column: Column) -> Result<u32, TraceError> {
        let text = self.text(column)?;
        let tokens = text.parse().ok().filter(|tokens| *tokens <= MOST_TOKENS);
        tokens.ok_or_else(|| {
            self.error(format!(
                "`{}` is `{}`, not a whole number of tokens up to {MOST_TOKENS}",
                column.name,
                excerpt(text)
            ))
        })
    }

    pub(super) fn stamp(&self, seconds: f64) -> Stamp {
        Stamp {
            seconds,
            line: self.line,
        }
    }

    pub(super) fn error(&self, problem: String) -> TraceError {
        TraceError::Line {
            file: self.file.to_owned(),
            line: self.line,
            problem,
            expected: self.expected,
        }
    }
}
