//! What a simulation leaves in its directory.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use fs_err::File;
use serde::Serialize;
use trimtab_sim::spec::Spec;
use trimtab_sim::tried::Asked;

use crate::report;
use crate::summary::{Run, Summary};

/// Names of the files, so that whoever reports them cannot misspell them.
pub(crate) const SUMMARY: &str = "summary.json";
pub(crate) const DECISIONS: &str = "decisions.jsonl";
pub(crate) const SHADOWS: &str = "shadows.jsonl";
pub(crate) const REPORT: &str = "report.html";

/// Writes all files, and what shadows would have asked for where there are any; those of an earlier
/// run are replaced.
pub(crate) fn write(
    directory: &Path,
    spec: &Spec,
    runs: &[Run],
    summary: &Summary<'_>,
) -> Result<()> {
    let summary_json = serde_json::to_string_pretty(summary)? + "\n";
    fs_err::write(directory.join(SUMMARY), summary_json).context("summary cannot be written")?;
    let first = runs.first();
    let decided = first.map_or(&[][..], |run| &run.outcome.decisions);
    lines(&directory.join(DECISIONS), decided).context("decisions cannot be written")?;
    let asked = first.map_or(&[][..], |run| &run.outcome.tried.asked);
    shadows(&directory.join(SHADOWS), asked).context("shadows cannot be written")?;
    let page = report::render(spec, runs, summary)?;
    fs_err::write(directory.join(REPORT), page).context("report cannot be written")
}

/// What is there of an earlier run would be taken for this one's.
fn shadows(path: &Path, asked: &[Asked]) -> Result<()> {
    if !asked.is_empty() {
        return lines(path, asked.iter().map(|asked| &asked.shadowed));
    }
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Each on a line of its own. Nothing in it depends on the machine or the time of day.
fn lines(path: &Path, values: impl IntoIterator<Item = impl Serialize>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for value in values {
        serde_json::to_writer(&mut file, &value)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
