//! `trimtab doctor`: looks at a cluster from outside, and says what keeps it from being scaled.

mod checks;
mod facts;
mod gather;
mod render;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use trimtab_cluster::rights::Who;
use trimtab_publish::metrics::Live;

use self::checks::Level;
use self::gather::Asking;
use crate::output::Output;
use crate::run::wiring::Clients;
use crate::run::{self, RunArguments};

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Service account of the operator, whose rights are asked about [default: whoever runs this]
    #[arg(long = "as", value_name = "NAMESPACE/NAME", value_parser = account)]
    account: Option<(String, String)>,
    /// How long the cluster may take to be known, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    patience: u64,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("expected NAMESPACE/NAME of a service account".to_owned()),
    }
}

/// # Errors
/// The configuration cannot be, or there is no cluster.
pub(crate) fn run(arguments: &DoctorArguments) -> Result<Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("threads cannot be had")?;
    let checks = runtime.block_on(check(arguments));
    runtime.shutdown_background();
    let checks = checks?;
    let text = match arguments.output {
        Format::Text => render::text(&checks),
        Format::Json => render::json(&checks)?,
    };
    let output = Output::answer(text);
    let failed = checks.iter().any(|check| check.level == Level::Failed);
    Ok(if failed { output.failed() } else { output })
}

async fn check(arguments: &DoctorArguments) -> Result<Vec<checks::Check>> {
    let mut clients = Clients::connect(&Live::default()).await?;
    let who = match &arguments.account {
        None => Who::Oneself,
        Some((namespace, name)) => {
            clients.namespace.clone_from(namespace);
            Who::ServiceAccount {
                namespace: namespace.clone(),
                name: name.clone(),
            }
        }
    };
    let (config, inherited) = run::configuration(&arguments.run, &clients).await?;
    let asking = Asking {
        namespace: config.own_namespace(&clients.namespace),
        clients: &clients,
        config: &config,
        inherited: &inherited,
        who: &who,
        patience: Duration::from_secs(arguments.patience),
    };
    Ok(checks::all(&asking.facts().await))
}
