//! A cluster in which all is well, and one thing wrong with it at a time.

use trimtab_cluster::delegation::Owner;
use trimtab_cluster::lease::Held;
use trimtab_cluster::rights::RIGHTS;
use trimtab_cluster::view::{Misreading, ScalerView};
use trimtab_cluster::{Claimant, Way};

use super::*;
use crate::doctor::facts::{Asked, External, Leader, Said, VariantFacts};

const NOW: u64 = 1_000_000;

fn hpa() -> ScalerView {
    ScalerView {
        claimant: Claimant {
            way: Way::HorizontalPodAutoscaler,
            namespace: "a".to_owned(),
            name: "chat".to_owned(),
        },
        reads_us: true,
        max_replicas: Some(8),
        tolerance: (0.1, 0.1),
        sets_tolerance: false,
        complaint: None,
        deaf_to: None,
        misreads: Vec::new(),
        paused: false,
    }
}

fn well() -> Facts {
    let rights = RIGHTS.iter().map(|right| Asked {
        right: *right,
        namespace: None,
        lacks: Ok(Vec::new()),
    });
    Facts {
        now_ms: NOW,
        whom: "service account t/trimtab".to_owned(),
        exists: Ok(true),
        definition: Ok(Some(Installed::Ours)),
        kinds: vec![("LeaderWorkerSet", Ok(false))],
        rights: rights.collect(),
        leader: Some(Leader {
            lease: "t/trimtab".to_owned(),
            held: Ok(Some(Held {
                holder: Some("pod-1".to_owned()),
                renewed_ms: Some(NOW - 2_000),
                duration_ms: 15_000,
            })),
            labelled: Ok(vec!["pod-1".to_owned()]),
        }),
        external: External {
            service: "t/trimtab-external-metrics".to_owned(),
            owner: Ok(Owner::Ours {
                ca_bundle: String::new(),
                unverified: false,
            }),
            unavailable: Ok(None),
        },
        prometheus: Ok(()),
        missing: Vec::new(),
        pools: vec![PoolFacts {
            name: "a/chat".to_owned(),
            enforced: true,
            direct: false,
            serving: 1,
            metrics: Some(MetricsState::Found),
            told: Some(Ok(Some("3".to_owned()))),
            variants: vec![VariantFacts {
                name: "h100".to_owned(),
                target: "Deployment a/chat".to_owned(),
                max_replicas: 8,
                scalers: vec![hpa()],
                said: Vec::new(),
                warnings: Vec::new(),
            }],
        }],
        refused: Vec::new(),
    }
}

/// What is not well once one thing was changed: level and what it is about, and what to do.
#[track_caller]
fn wrong(change: impl FnOnce(&mut Facts)) -> (Level, String, String) {
    let mut facts = well();
    change(&mut facts);
    let checks = all(&facts);
    let mut bad = checks.iter().filter(|check| check.level > Level::Ok);
    let check = bad.next().expect("something is wrong");
    assert_eq!(bad.next(), None, "one thing");
    (
        check.level,
        format!("{}: {}", check.what, check.found),
        check.todo.clone().unwrap(),
    )
}

#[track_caller]
fn says(told: &(Level, String, String), level: Level, found: &str, todo: &str) {
    assert_eq!(told.0, level, "{told:?}");
    assert!(told.1.contains(found), "{told:?}");
    assert!(told.2.contains(todo), "{told:?}");
}

fn scaler(facts: &mut Facts) -> &mut ScalerView {
    &mut facts.pools[0].variants[0].scalers[0]
}

#[test]
fn where_all_is_well_nothing_is_to_be_done() {
    let checks = all(&well());
    assert_eq!(todo(&checks), Vec::<String>::new());
    assert!(checks.iter().all(|check| check.level == Level::Ok));
}

#[test]
fn a_right_that_lacks_is_named_with_what_is_lost() {
    let lack = |resource: &'static str| {
        wrong(|facts| {
            let mut rights = facts.rights.iter_mut();
            let asked = rights.find(|of| of.right.resource == resource).unwrap();
            asked.lacks = Ok(vec!["watch"]);
        })
    };
    let pods = lack("pods");
    says(
        &pods,
        Level::Failed,
        "lacks `watch` in all namespaces",
        "nothing is decided",
    );
    says(
        &lack("nodes"),
        Level::Warning,
        "nodes",
        "GPUs are not known",
    );
    says(
        &lack("events"),
        Level::Warning,
        "right to events.events.k8s.io",
        "log",
    );
}

#[test]
fn who_does_not_exist_lacks_no_rights_but_an_installation() {
    let told = wrong(|facts| {
        facts.exists = Ok(false);
        facts.rights[0].lacks = Ok(vec!["list"]);
    });
    says(
        &told,
        Level::Failed,
        "no service account t/trimtab",
        "install",
    );
}

#[test]
fn what_the_operator_says_is_told() {
    let said = |reason: &str| {
        wrong(|facts| {
            facts.pools[0].variants[0].said = vec![Said {
                kind: "MetricsAvailable".to_owned(),
                reason: reason.to_owned(),
                message: "connection refused".to_owned(),
            }];
        })
    };
    let away = said("PrometheusError");
    says(
        &away,
        Level::Failed,
        "connection refused",
        "reach Prometheus",
    );
    let missing = said("MetricsMissing");
    says(&missing, Level::Warning, "MetricsMissing", "describe va");
}

#[test]
fn what_cannot_be_asked_is_told_and_fails() {
    let why = "leases is forbidden (403): grant `get` of leases";
    let told = wrong(|facts| {
        facts.leader.as_mut().unwrap().held = Err(why.to_owned());
    });
    says(&told, Level::Failed, why, "");
    let told = wrong(|facts| facts.rights[0].lacks = Err("timeout".to_owned()));
    says(&told, Level::Failed, "not known: timeout", "");
}

#[test]
fn a_lease_that_is_old_or_not_there_means_that_nobody_leads() {
    let held = |change: fn(&mut Option<Held>)| {
        wrong(|facts| change(facts.leader.as_mut().unwrap().held.as_mut().unwrap()))
    };
    says(
        &held(|held| *held = None),
        Level::Failed,
        "no Lease",
        "start the operator",
    );
    let old = held(|held| held.as_mut().unwrap().renewed_ms = Some(NOW - 60_000));
    says(&old, Level::Failed, "renewed it 60 s ago", "log");
    let labelled = |pods: &[&str]| {
        let pods = pods.iter().map(ToString::to_string).collect();
        wrong(|facts| facts.leader.as_mut().unwrap().labelled = Ok(pods))
    };
    says(&labelled(&[]), Level::Warning, "no pod", "POD_NAME");
    says(
        &labelled(&["a", "b"]),
        Level::Failed,
        "several",
        "trimtab.dev/leader",
    );
}

#[test]
fn measurements_that_are_missing_are_told_by_pool() {
    let measured = |metrics: MetricsState| wrong(|facts| facts.pools[0].metrics = Some(metrics));
    let missing = MetricsState::Missing("vllm:num_requests_running".to_owned());
    says(
        &measured(missing),
        Level::Failed,
        "vllm:num_requests_running",
        "scrape",
    );
    let stale = MetricsState::Stale { age_seconds: 90.0 };
    says(&measured(stale), Level::Warning, "90 s old", "scrape");
    let mut facts = well();
    facts.pools[0].serving = 0;
    facts.pools[0].metrics = Some(MetricsState::Missing(String::new()));
    assert!(todo(&all(&facts)).is_empty());
    let told = wrong(|facts| facts.prometheus = Err("connection refused".to_owned()));
    says(
        &told,
        Level::Failed,
        "connection refused",
        "--prometheus-url",
    );
}

#[test]
fn external_metrics_are_wanted_only_where_hpas_read_them() {
    let owner = |owner: Owner| {
        wrong(|facts| {
            facts.external.owner = Ok(owner);
            facts.pools[0].told = None;
        })
    };
    says(
        &owner(Owner::Nobody),
        Level::Failed,
        "nobody serves",
        "listen.externalMetrics",
    );
    let other = Owner::Other("keda/metrics".to_owned());
    says(
        &owner(other),
        Level::Warning,
        "keda/metrics",
        "external-push",
    );
    let away =
        wrong(|facts| facts.external.unavailable = Ok(Some("MissingEndpoints: x".to_owned())));
    says(
        &away,
        Level::Failed,
        "MissingEndpoints",
        "t/trimtab-external-metrics",
    );
    let told = wrong(|facts| facts.pools[0].told = Some(Err("stale (503)".to_owned())));
    says(&told, Level::Failed, "stale (503)", "hold");
    let mut facts = well();
    facts.external.owner = Ok(Owner::Nobody);
    scaler(&mut facts).claimant.way = Way::ScaledObject;
    assert!(todo(&all(&facts)).is_empty());
}

#[test]
fn a_tolerance_that_swallows_a_step_is_told_from_ten_replicas_on() {
    let told = wrong(|facts| {
        scaler(facts).max_replicas = Some(11);
        facts.pools[0].variants[0].max_replicas = 20;
    });
    says(
        &told,
        Level::Warning,
        "from 10 replicas on",
        "spec.behavior.scaleUp.tolerance",
    );
    let fine = |max: u32, tolerance: f64| {
        let mut facts = well();
        facts.pools[0].variants[0].max_replicas = 100;
        scaler(&mut facts).max_replicas = Some(max);
        scaler(&mut facts).tolerance = (tolerance, tolerance);
        todo(&all(&facts)).is_empty()
    };
    assert!(fine(9, 0.1) && !fine(10, 0.1) && fine(100, 0.0));
}

#[test]
fn scalers_that_are_deaf_or_fail_or_read_nothing_as_zero_are_told() {
    let deaf = wrong(|facts| {
        scaler(facts).claimant.way = Way::ScaledObject;
        scaler(facts).deaf_to = Some("s0-wva_desired_replicas".to_owned());
    });
    says(
        &deaf,
        Level::Failed,
        "s0-wva_desired_replicas",
        "restart KEDA",
    );
    let why = "FailedGetExternalMetric: no metrics returned";
    let fails = wrong(|facts| scaler(facts).complaint = Some(why.to_owned()));
    says(&fails, Level::Failed, why, "");
    let paused = wrong(|facts| scaler(facts).paused = true);
    says(&paused, Level::Warning, "paused it", "paused-replicas");
    let zero = wrong(|facts| scaler(facts).misreads = vec![Misreading::MissingIsZero]);
    says(&zero, Level::Failed, "as 0", "ignoreNullValues");
    let ratio = wrong(|facts| scaler(facts).misreads = vec![Misreading::AnotherTarget]);
    says(&ratio, Level::Failed, "another target", "AverageValue");
}

#[test]
fn exactly_one_acts_on_a_count() {
    let alone = wrong(|facts| {
        facts.pools[0].variants[0].scalers.clear();
    });
    says(
        &alone,
        Level::Failed,
        "no HPA and no ScaledObject",
        "direct",
    );
    let deafened = wrong(|facts| scaler(facts).reads_us = false);
    says(
        &deafened,
        Level::Failed,
        "by nothing that we ask for",
        "external-push",
    );
    let both = wrong(|facts| facts.pools[0].direct = true);
    says(
        &both,
        Level::Warning,
        "HorizontalPodAutoscaler a/chat scales",
        "delete",
    );
    let mut facts = well();
    facts.pools[0].variants[0].scalers.clear();
    facts.pools[0].enforced = false;
    assert!(todo(&all(&facts)).is_empty());
}

#[test]
fn claims_that_came_to_nothing_are_told_with_the_reason() {
    let refused = ("VariantAutoscaling a/x".to_owned(), "no model".to_owned());
    let told = wrong(|facts| facts.refused.push(refused));
    says(&told, Level::Failed, "VariantAutoscaling a/x: no model", "");
    let warned = wrong(|facts| {
        facts.pools[0].variants[0]
            .warnings
            .push("no GPU is asked for".to_owned());
    });
    says(&warned, Level::Warning, "no GPU", "");
    let unseen = wrong(|facts| facts.missing.push("Pod: forbidden".to_owned()));
    says(&unseen, Level::Failed, "Pod: forbidden", "list and watch");
}

#[test]
fn what_failed_comes_before_what_is_only_warned_of() {
    let mut facts = well();
    facts.definition = Ok(None);
    scaler(&mut facts).complaint = Some("it fails".to_owned());
    facts.prometheus = Err("refused".to_owned());
    let list = todo(&all(&facts));
    let begins: Vec<&str> = list
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let expected = [
        "Prometheus",
        "HorizontalPodAutoscaler a/chat",
        "VariantAutoscaling",
    ];
    assert_eq!(begins, expected);
}
