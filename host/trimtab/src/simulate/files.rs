//! What a simulation leaves in its directory.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use fs_err::File;
use trimtab_core::decision::PoolDecision;
use trimtab_sim::spec::Spec;

use crate::report;
use crate::summary::{Run, Summary};

/// Names of the files, so that whoever reports them cannot misspell them.
pub(crate) const SUMMARY: &str = "summary.json";
pub(crate) const DECISIONS: &str = "decisions.jsonl";
pub(crate) const REPORT: &str = "report.html";

/// Writes all three files; those of an earlier run are replaced.
pub(crate) fn write(
    directory: &Path,
    spec: &Spec,
    runs: &[Run],
    summary: &Summary<'_>,
) -> Result<()> {
    let summary_json = serde_json::to_string_pretty(summary)? + "\n";
    fs_err::write(directory.join(SUMMARY), summary_json).context("summary cannot be written")?;
    let decided = runs.first().map_or(&[][..], |run| &run.outcome.decisions);
    decisions(&directory.join(DECISIONS), decided).context("decisions cannot be written")?;
    let page = report::render(spec, runs, summary)?;
    fs_err::write(directory.join(REPORT), page).context("report cannot be written")
}

/// One decision a line. Nothing in it depends on the machine or the time of day.
fn decisions(path: &Path, decisions: &[PoolDecision]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for decision in decisions {
        serde_json::to_writer(&mut file, decision)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
