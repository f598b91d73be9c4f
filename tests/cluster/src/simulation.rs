//! What `trimtab simulate` decides for a scenario.

use anyhow::Context as _;
use trimtab_core::decision::PoolDecision;

use crate::operator::run_to_end;
use crate::scratch::Scratch;

/// Runs the scenario and gives its decisions, in their order.
///
/// # Errors
/// Where the scenario is refused.
pub async fn decisions(scenario: &str) -> anyhow::Result<Vec<PoolDecision>> {
    let scratch = Scratch::new("simulation")?;
    let file = scratch.path().join("scenario.yaml");
    fs_err::write(&file, scenario)?;
    let out = scratch.path().join("out");
    let arguments = [
        "simulate".as_ref(),
        file.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ];
    run_to_end(&arguments).await?;
    let decisions = fs_err::read_to_string(out.join("decisions.jsonl"))?;
    let decisions = decisions.lines().map(serde_json::from_str);
    decisions.collect::<Result<_, _>>().context("a decision")
}
