//! `trimtab shadow`: how candidates that are tried in shadow compare with what decides.

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use serde::Serialize;
use trimtab_cluster::crd::pool_policy::{PoolPolicy, ShadowStatus};
use trimtab_cluster::refusal::explained;
use trimtab_publish::metrics::Live;

use crate::figures::{self, MISSING};
use crate::output::Output;
use crate::run::wiring::Clients;

const STYLE: TableStyle = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
const RIGHTS: &str = "`get` and `list` of poolpolicies";

/// Show how candidates in shadow compare with the policies that decide
///
/// Reads the statuses of PoolPolicies, where the operator writes it down every twenty cycles.
#[derive(Args, Debug)]
pub(crate) struct ShadowArguments {
    /// PoolPolicy to show [default: all of the namespace]
    name: Option<String>,
    /// Namespace to look in [default: the kubeconfig's]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Look in all namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "name"])]
    all_namespaces: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// A candidate of a pool.
#[derive(Serialize)]
struct Compared {
    namespace: String,
    pool: String,
    #[serde(flatten)]
    shadow: ShadowStatus,
}

/// # Errors
/// There is no cluster, or it does not say.
pub(crate) fn run(arguments: &ShadowArguments) -> Result<Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("threads cannot be had")?;
    let policies = runtime.block_on(read(arguments))?;
    let compared: Vec<Compared> = policies.into_iter().flat_map(compared).collect();
    Ok(Output::answer(match arguments.output {
        Format::Json => serde_json::to_string_pretty(&compared)? + "\n",
        Format::Text if compared.is_empty() => {
            "no candidate was asked in shadow yet; name some in spec.shadows of a PoolPolicy\n"
                .to_owned()
        }
        Format::Text => render(&compared),
    }))
}

async fn read(arguments: &ShadowArguments) -> Result<Vec<PoolPolicy>> {
    let clients = Clients::connect(&Live::default()).await?;
    let namespace = arguments.namespace.clone().unwrap_or(clients.namespace);
    let api: Api<PoolPolicy> = if arguments.all_namespaces {
        Api::all(clients.asking)
    } else {
        Api::namespaced(clients.asking, &namespace)
    };
    let found = match &arguments.name {
        Some(name) => api.get(name).await.map(|found| vec![found]),
        None => {
            let listed = api.list(&ListParams::default()).await;
            listed.map(|list| list.items)
        }
    };
    match found {
        Ok(found) => Ok(found),
        Err(error) => bail!("PoolPolicies cannot be read: {}", explained(&error, RIGHTS)),
    }
}

fn compared(policy: PoolPolicy) -> Vec<Compared> {
    let namespace = policy.namespace().unwrap_or_default();
    let pools = policy.status.unwrap_or_default().pools.into_iter();
    let shadows = pools.flat_map(|pool| {
        let name = pool.name;
        let of_pool = pool.shadows.into_iter();
        of_pool.map(move |shadow| (name.clone(), shadow))
    });
    shadows
        .map(|(pool, shadow)| Compared {
            namespace: namespace.clone(),
            pool,
            shadow,
        })
        .collect()
}

/// A row for each candidate, and beneath it one for each variant.
fn render(compared: &[Compared]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header([
        "pool",
        "candidate",
        "ticks",
        "skipped",
        "faulted",
        "differs",
        "active",
        "candidate",
        "mean difference",
    ]);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for of in compared {
        table.add_row(row(of));
        for variant in &of.shadow.variants {
            table.add_row([
                String::new(),
                format!("  {}", variant.variant),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                variant.active.to_string(),
                variant.candidate.to_string(),
                signed(variant.mean_difference),
            ]);
        }
    }
    format!(
        "{table}\n Of a candidate: cost per hour, as a mean over ticks. Of a variant: replicas.\n"
    )
}

fn row(of: &Compared) -> [String; 9] {
    let shadow = &of.shadow;
    let costs = (shadow.active_cost_per_hour, shadow.candidate_cost_per_hour);
    let cost = |cost: Option<f64>| cost.map_or_else(|| MISSING.to_owned(), figures::cost);
    let difference = costs.0.zip(costs.1);
    [
        format!("{}/{}", of.namespace, of.pool),
        shadow.name.clone(),
        figures::count(shadow.ticks),
        figures::count(shadow.skipped),
        figures::count(shadow.faulted),
        figures::share(shadow.disagreement_rate),
        cost(costs.0),
        cost(costs.1),
        signed(difference.map(|(active, candidate)| candidate - active)),
    ]
}

fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| format!("{value:+.2}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(shadows: serde_json::Value) -> PoolPolicy {
        serde_json::from_value(json!({
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "PoolPolicy",
            "metadata": {"namespace": "models", "name": "chat"},
            "spec": {},
            "status": {"pools": [{"name": "chat", "shadows": shadows}]},
        }))
        .unwrap()
    }

    #[test]
    fn each_candidate_has_a_row_and_each_of_its_variants_one_below() {
        let shadows = json!([{
            "name": "thrifty",
            "ticks": 40,
            "skipped": 2,
            "faulted": 0,
            "disagreementRate": 0.25,
            "activeCostPerHour": 20.0,
            "candidateCostPerHour": 17.5,
            "variants": [{"variant": "h100", "active": 4, "candidate": 3, "meanDifference": -0.5}],
        }]);
        let text = render(&compared(policy(shadows)));
        let row = text.lines().find(|line| line.contains("thrifty")).unwrap();
        for word in ["models/chat", "40", "25", "20", "17.5", "-2.50"] {
            assert!(row.contains(word), "no {word}: {row}");
        }
        let row = text.lines().find(|line| line.contains("h100")).unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words, ["h100", "4", "3", "-0.50"]);
    }

    #[test]
    fn one_that_was_never_asked_has_no_figures() {
        let shadows = json!([{"name": "new", "ticks": 0, "skipped": 3, "faulted": 0}]);
        let text = render(&compared(policy(shadows)));
        let row = text.lines().find(|line| line.contains("new")).unwrap();
        assert_eq!(row.matches(MISSING).count(), 4, "{row}");
    }
}
