//! `trimtab scenario`: what there is to start one's own scenario from.

use anyhow::{Context as _, Result};
use trimtab_sim::scenario::{self, Scenario};

use crate::arguments::ScenarioCommand;
use crate::output::Output;

pub(crate) fn run(command: &ScenarioCommand) -> Result<Output> {
    Ok(Output::answer(match command {
        ScenarioCommand::Print { name } => Scenario::text(name)
            .with_context(|| {
                let known: Vec<&str> = Scenario::names().collect();
                format!(
                    "no scenario `{name}` is built in; there are {}",
                    known.join(", ")
                )
            })?
            .to_owned(),
        ScenarioCommand::Schema => serde_json::to_string_pretty(&scenario::schema())? + "\n",
    }))
}
