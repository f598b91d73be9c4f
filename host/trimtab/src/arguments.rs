//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::doctor::DoctorArguments;
use crate::migrate::MigrateArguments;
use crate::reference::Reference;
use crate::run::RunArguments;
use crate::shadow::ShadowArguments;

/// Autoscaling for LLM serving, decided by policies that run as WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "trimtab", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) cache: CacheArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArguments),
    /// Look at a cluster, and say what keeps it from being scaled
    ///
    /// Asks with the kubeconfig of whoever runs it, and changes nothing. Give it the configuration of
    /// the operator. Exits with 0 where nothing failed, else with 1.
    Doctor(DoctorArguments),
    Migrate(MigrateArguments),
    Shadow(ShadowArguments),
    Simulate(SimulateArguments),
    /// Print the definitions of custom resources, for `kubectl apply -f -`
    Crds,
    /// Print the JSON Schema of the operator's configuration file
    ConfigSchema,
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// Where compiled policies are kept.
#[derive(Args, Debug)]
#[command(next_help_heading = "Compiled policies")]
pub(crate) struct CacheArguments {
    /// Directory for compiled policies, which only this user may write to
    /// [default: `trimtab` in $XDG_CACHE_HOME or ~/.cache]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "TRIMTAB_CACHE",
        hide_env_values = true
    )]
    pub(crate) cache: Option<PathBuf>,
    /// Compile policies anew, and keep nothing
    #[arg(long, global = true, conflicts_with = "cache")]
    pub(crate) no_cache: bool,
}

/// Run the engine over a simulated fleet, and show what it did
///
/// Writes summary.json, decisions.jsonl and report.html, and shadows.jsonl where the scenario has
/// shadows. The same command with the same seed gives the same decisions, byte for byte.
#[derive(Args, Debug)]
pub(crate) struct SimulateArguments {
    /// Scenario: a file, or the name of a built-in one [default: the built-in one, or with --trace
    /// one pool that is made to fit the trace]
    pub(crate) scenario: Option<String>,
    /// Requests to serve instead of the scenario's: Azure LLM inference or BurstGPT CSV, or Mooncake JSONL
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Copies of each trace to lay over one another, a fraction thins it; generated rates are
    /// multiplied
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) rate_scale: Option<f64>,
    /// Times to play each trace, one after the other
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) repeat: Option<u32>,
    /// Most that a copy is shifted against the others, in seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) spread: Option<f64>,
    /// Analyzer of every pool for which the scenario names none: `builtin:NAME`, or the path of a
    /// component
    #[arg(long, value_name = "REF")]
    pub(crate) analyzer: Option<Reference>,
    /// Optimizer of every pool for which the scenario names none: `builtin:NAME`, or the path of a
    /// component
    #[arg(long, value_name = "REF")]
    pub(crate) optimizer: Option<Reference>,
    /// Baselines to run beside it, on the same arrivals [default: those that the scenario names]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) compare: Vec<Baseline>,
    /// Seed of everything random
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Directory for what is written; files of an earlier run there are replaced
    #[arg(long, value_name = "DIR", default_value = "simulation")]
    pub(crate) out: PathBuf,
    /// Print the summary as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a run can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Baseline {
    /// The cheapest constant fleet that meets the objective
    Static,
    /// HPA v2 on waiting and running requests
    Hpa,
    /// Perfect foresight
    Oracle,
    /// Nothing, whatever the scenario names
    None,
}

/// Show the scenarios that are built in, to start one's own from
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Print a built-in scenario as YAML
    Print {
        /// `built-in`, which runs without arguments, `day`, or `trial`, which tries policies
        #[arg(default_value = "built-in")]
        name: String,
    },
    /// Print the JSON Schema of scenario files
    Schema,
}

/// Look at a policy, or call it once
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show what a component says of itself and what it can do
    Inspect {
        /// `builtin:NAME`, or the path of a component
        #[arg(value_name = "REF")]
        reference: Reference,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Call a policy once and print its answer as JSON
    ///
    /// Exits with 0 for an answer, 3 where the policy refuses, 1 for a fault or any other error.
    /// Where the host would not take the answer, a warning says why.
    Call {
        /// `builtin:NAME`, or the path of a component
        #[arg(value_name = "REF")]
        reference: Reference,
        function: Function,
        /// The function's parameters as an object in JSON, with the names of the contract:
        /// {"context", "pool", "replicas", "knowledge"} or {"context", "requests", "limits"};
        /// `-` reads standard input
        input: PathBuf,
    },
}

/// A function of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Function {
    Analyze,
    Optimize,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn baselines_are_named_in_one_list() {
        let line = ["trimtab", "simulate", "--compare", "static,oracle"];
        let Command::Simulate(simulate) = Arguments::try_parse_from(line).unwrap().command else {
            panic!("not a simulation");
        };
        assert_eq!(simulate.compare, [Baseline::Static, Baseline::Oracle]);
    }
}
