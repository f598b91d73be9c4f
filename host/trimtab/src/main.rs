//! The command: arguments, wiring, tables.

mod arguments;
mod binding;
mod cache;
mod crds;
mod doctor;
mod figures;
#[cfg(test)]
mod fixture;
mod migrate;
mod output;
mod policy;
mod progress;
mod reference;
mod report;
mod run;
mod scenario;
mod settings;
mod shadow;
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
    let arguments = Arguments::parse();
    // What goes wrong is what the doctor prints.
    let is_doctor = matches!(arguments.command, Command::Doctor(_));
    // The operator's log is as its configuration says.
    if !matches!(arguments.command, Command::Run(_)) {
        log(if is_doctor { "off" } else { "warn" });
    }
    let result = run(arguments).and_then(|output| Ok(output.print()?));
    result.unwrap_or_else(|error| {
        output::complain(&error);
        ExitCode::FAILURE
    })
}

fn run(arguments: Arguments) -> anyhow::Result<Output> {
    match arguments.command {
        Command::Run(run) => run::run(&run, &arguments.cache),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Migrate(migrate) => migrate::run(&migrate),
        Command::Shadow(shadow) => shadow::run(&shadow),
        Command::Crds => crds::print(),
        Command::ConfigSchema => run::schema(),
        Command::Simulate(simulate) => simulate::run(&simulate, &arguments.cache),
        Command::Scenario(scenario) => scenario::run(&scenario),
        Command::Policy(policy) => policy::run(policy, &arguments.cache),
    }
}

/// To standard error, what `RUST_LOG` asks for, or else this.
fn log(otherwise: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(otherwise));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
