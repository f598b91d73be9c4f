//! `trimtab migrate`: the objects that replace what scales model servers now. Reads; changes nothing.

mod bounds;
mod hpa;
mod known;
mod names;
mod object;
mod plan;
mod render;
mod rules;
mod scaled_object;
mod scaler;
mod settings;
mod signal;
mod sources;
#[cfg(test)]
mod tests;
mod variant;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::plan::{Plan, Wishes};
use crate::output::Output;

/// Print the objects that replace WVA's settings, HPAs and ScaledObjects, for `kubectl apply -f -`
///
/// Reads a cluster, or files, and changes neither. What has no equal is told at the top and on
/// standard error.
#[derive(Args, Debug)]
pub(crate) struct MigrateArguments {
    /// YAML of objects to read instead of a cluster, as `kubectl get -o yaml` prints it, with the
    /// workloads that are scaled; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Namespaces to read [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    namespace: Vec<String>,
    /// Namespace of WVA, whose ConfigMaps hold everywhere [default: the one of its
    /// `wva-variantautoscaling-config`, or of the first of its ConfigMaps without a label]
    #[arg(long, value_name = "NAME")]
    wva_namespace: Option<String>,
    /// Where KEDA finds the operator
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "trimtab-external-scaler.trimtab-system.svc:50051"
    )]
    scaler_address: String,
    /// The objects as YAML, with the table on standard error; or the table alone
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Table,
}

/// # Errors
/// A file cannot be read or has no objects, or there is no cluster.
pub(crate) fn run(arguments: &MigrateArguments) -> Result<Output> {
    let found = if arguments.files.is_empty() {
        sources::cluster(&arguments.namespace)?
    } else {
        sources::files(&arguments.files, &arguments.namespace)?
    };
    let wishes = Wishes {
        wva_namespace: arguments.wva_namespace.clone(),
        scaler_address: arguments.scaler_address.clone(),
    };
    let plan = Plan::of(&found, &wishes)?;
    Ok(match arguments.output {
        Format::Table => Output::answer(render::table(&plan)),
        Format::Yaml => Output::answer(render::yaml(&plan)?).beside(render::table(&plan)),
    })
}
