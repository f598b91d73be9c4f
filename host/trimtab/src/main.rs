//! The command: arguments, wiring, tables.

mod arguments;
mod binding;
mod cache;
mod figures;
#[cfg(test)]
mod fixture;
mod output;
mod policy;
mod progress;
mod reference;
mod report;
#[allow(
    dead_code,
    unused_imports,
    reason = "the command that reads it is not wired up yet"
)]
mod run;
mod scenario;
mod settings;
mod simulate;
mod summary;
mod table;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command};
use output::Output;

fn main() -> ExitCode {
    log();
    let result = run(Arguments::parse()).and_then(|output| Ok(output.print()?));
    result.unwrap_or_else(|error| {
        output::complain(&error);
        ExitCode::FAILURE
    })
}

fn run(arguments: Arguments) -> anyhow::Result<Output> {
    match arguments.command {
        Command::Simulate(simulate) => simulate::run(&simulate, &arguments.cache),
        Command::Scenario(scenario) => scenario::run(&scenario),
        Command::Policy(policy) => policy::run(policy, &arguments.cache),
    }
}

/// To standard error, what `RUST_LOG` asks for; without it only warnings.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
