//! `trimtab scenario`: what there is to start one's own scenario from.

use anyhow::Result;
use trimtab_sim::scenario;

use crate::arguments::ScenarioCommand;
use crate::output::Output;

pub(crate) fn run(command: &ScenarioCommand) -> Result<Output> {
    Ok(Output::answer(match command {
        ScenarioCommand::Print => scenario::BUILT_IN.to_owned(),
        ScenarioCommand::Schema => serde_json::to_string_pretty(&scenario::schema())? + "\n",
    }))
}
