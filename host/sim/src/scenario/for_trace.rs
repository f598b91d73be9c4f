//! The scenario that is made for a trace alone.

use std::path::{Path, PathBuf};

use super::file::{TraceEntry, WorkloadEntry};
use super::{Scenario, ScenarioError};

/// All but the workload. No inventory would do as well as a large one, but then the GPUs of a
/// plan would not be looked at.
const POOL: &str = include_str!("../../scenarios/trace.yaml");

impl Scenario {
    /// One pool of Llama-3.1-8B that serves the trace in `file`, with variants on three
    /// accelerators.
    ///
    /// # Errors
    /// None, as long as a test of this crate reads its template; a trace that cannot be read is
    /// found when the scenario is resolved.
    pub fn for_trace(file: &Path) -> Result<Self, ScenarioError> {
        let name = file
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into());
        let mut scenario = Self::parse(&name, POOL, Path::new(""))?;
        scenario.file.name = name;
        for pool in &mut scenario.file.pools {
            pool.workload = WorkloadEntry::Trace(TraceEntry::plain(PathBuf::from(file)));
        }
        Ok(scenario)
    }
}
