//! `trimtab policy`: look at a policy, or call it once.

mod call;
mod inspect;

use anyhow::Result;

use crate::arguments::{CacheArguments, PolicyCommand};
use crate::cache;
use crate::output::Output;

pub(crate) fn run(command: PolicyCommand, cache: &CacheArguments) -> Result<Output> {
    let sandbox = cache::sandbox(cache)?;
    match command {
        PolicyCommand::Inspect { reference, json } => {
            inspect::inspect(&reference.load(&sandbox)?, json).map(Output::answer)
        }
        PolicyCommand::Call {
            reference,
            function,
            input,
        } => call::call(&reference, &reference.load(&sandbox)?, function, &input),
    }
}
