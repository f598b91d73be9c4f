//! The table of all families, as the documentation shows it: made from what is scraped.

use trimtab_contract::Accelerator;
use trimtab_core::decision::{Analyzed, Answerer, Condition, RungFault};
use trimtab_core::fleet::MetricsState;
use trimtab_core::policies::{Fault, FaultKind};

use super::trials::{report, shadowed};
use super::*;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

#[test]
fn the_readme_has_the_table_of_metrics_as_it_is() {
    let table = markdown(&everything().render().unwrap());
    let page = std::fs::read_to_string(README).unwrap();
    let start = page.find("| metric |").unwrap();
    let length = page[start..].find("\n\n").unwrap() + 1;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let updated = [&page[..start], &table, &page[start + length..]].concat();
        std::fs::write(README, updated).unwrap();
        return;
    }
    assert!(
        page[start..start + length] == table,
        "the table in host/publish/README.md is stale; run this test with UPDATE_GOLDEN=1"
    );
}

/// A row for each family, in the order of names.
fn markdown(scraped: &str) -> String {
    let families = scraped.split("# HELP ").skip(1);
    let mut rows: Vec<(&str, String)> = families.map(row).collect();
    rows.sort();
    let rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
    let head = "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n";
    head.to_owned() + &rows.concat()
}

/// A family's name, and its row.
fn row(family: &str) -> (&str, String) {
    let mut lines = family.lines();
    let (name, help) = lines.next().unwrap().split_once(' ').unwrap();
    let kind = lines.next().unwrap().rsplit(' ').next().unwrap();
    let series: Vec<&str> = lines.filter(|line| line.starts_with(name)).collect();
    assert!(!series.is_empty(), "nothing here shows {name}");
    let mut labels = Vec::new();
    for label in series.iter().flat_map(|line| labels_of(line)) {
        if label != "le" && !labels.contains(&label) {
            labels.push(label);
        }
    }
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let help = help.trim_end_matches('.');
    let labels = labels.join(", ");
    (name, format!("| `{name}` | {kind} | {labels} | {help} |\n"))
}

fn labels_of(line: &str) -> Vec<&str> {
    let Some((_, rest)) = line.split_once('{') else {
        return Vec::new();
    };
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap().0).collect()
}

/// A registry in which every family has a series.
fn everything() -> Registry {
    let live = Live::default();
    let digest = Digest("sha256:00".to_owned());
    live.policy_call(PolicyRole::Analyzer, ("mine", &digest), 1, 0.1);
    live.api_request("get", "leases", Some(200), 0.1);
    let registry = Registry::new(&BUILD, &live, leading(), Some("blue"));
    let told = Published {
        pools: vec![PoolMetrics {
            namespace: "prod".to_owned(),
            pool: "p".to_owned(),
            state: MetricsState::Found,
            age_seconds: Some(1.0),
        }],
        inventory: Some(vec![Accelerator {
            name: "H100".to_owned(),
            total: 8,
            available: 8,
            quota: None,
        }]),
        queries: vec![Query {
            kind: "load",
            seconds: 0.1,
            error: Some("timeout"),
        }],
        ..cycle(vec![busy(digest)])
    };
    registry.update(&told);
    registry.conditions(&told.decisions);
    registry.shadows(&[shadowed("mine", Some(3))], &told.decisions, 0.1);
    registry.trials(&told.decisions, |_| Some(report()));
    registry.external_metrics(Some("prod/trimtab-external-metrics"), true);
    registry.error("status", "write");
    let decide = StageSeconds {
        stage: Stage::Decide,
        seconds: 0.1,
    };
    registry.ended(Outcome::Done, &[decide]);
    registry
}

/// A decision of which everything can be told.
fn busy(digest: Digest) -> PoolDecision {
    let mut kept = variant("a", 1, 1, 2);
    kept.steps = vec![GuardStep {
        rule: Rule::Bounds,
        before: 3,
        after: 2,
        why: "its maximum".to_owned(),
    }];
    let mut decision = pool("p", vec![kept]);
    decision.conditions = vec![Condition {
        reason: "GpusShort".to_owned(),
        message: "two are missing".to_owned(),
    }];
    decision.analyses = vec![Analyzed {
        call: Call {
            answered_by: Some(Answerer {
                name: "built-in".to_owned(),
                version: "1".to_owned(),
                digest: digest.clone(),
                rung: 1,
            }),
            refusal: None,
            faults: vec![RungFault {
                digest,
                fault: Some(Fault {
                    kind: FaultKind::Trap,
                    message: "unreachable".to_owned(),
                }),
            }],
            absent: None,
        },
        stages: Vec::new(),
        notes: Vec::new(),
    }];
    decision
}
