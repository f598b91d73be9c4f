//! What a scrape reads beside the counts of replicas.

use trimtab_contract::{Accelerator, Refusal};
use trimtab_core::decision::{Analyzed, Answerer, Condition, RungFault};
use trimtab_core::fleet::MetricsState;
use trimtab_core::policies::{Fault, FaultKind};

use super::*;

#[test]
fn a_value_that_is_not_a_number_is_never_shown() {
    let registry = registry();
    let mut told = cycle(vec![pool("p", vec![variant("a", 1, 1, 1)])]);
    told.pools = vec![PoolMetrics {
        namespace: "prod".to_owned(),
        pool: "p".to_owned(),
        state: MetricsState::Found,
        age_seconds: Some(f64::NAN),
    }];
    let stages = [StageSeconds {
        stage: Stage::Decide,
        seconds: f64::INFINITY,
    }];
    told.queries = vec![Query {
        kind: "kv-usage",
        seconds: f64::NAN,
        error: Some("timeout"),
    }];
    registry.update(&told);
    registry.ended(Outcome::Done, &stages);
    let text = registry.render().unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        let number: f64 = value.parse().unwrap();
        assert!(number.is_finite(), "{line}");
    }
    assert!(series(&registry, "trimtab_metrics_age_seconds").is_empty());
}

#[test]
fn every_family_has_help_and_stands_there_once() {
    let registry = registry();
    registry.update(&cycle(vec![pool("p", vec![variant("a", 1, 1, 2)])]));
    let text = registry.render().unwrap();
    let mut families: Vec<&str> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(help) = line.strip_prefix("# HELP ") else {
            continue;
        };
        let (name, words) = help.split_once(' ').unwrap();
        assert!(words.len() > 10, "{line}");
        let kind = lines.peek().unwrap();
        assert!(kind.starts_with(&format!("# TYPE {name} ")), "{kind}");
        assert!(!families.contains(&name), "{name} stands there twice");
        families.push(name);
    }
    assert!(
        families.contains(&"wva_replica_scaling_total"),
        "{families:?}"
    );
    assert!(families.iter().all(|name| !name.contains("_total_total")));
    let ours = |name: &&&str| name.starts_with("wva_") || name.starts_with("trimtab_");
    assert_eq!(families.iter().filter(ours).count(), families.len());
}

#[test]
fn a_condition_stands_until_the_next_cycle_has_acted_and_is_zero_until_its_pool_is_gone() {
    let registry = registry();
    let mut short = pool("p", vec![variant("a", 1, 1, 1)]);
    short.conditions = vec![Condition {
        reason: "GpusShort".to_owned(),
        message: "two are missing".to_owned(),
    }];
    let line = r#"trimtab_pool_condition{namespace="prod",pool="p",reason="GpusShort"}"#;
    registry.conditions(&[short]);
    assert_eq!(value(&registry, line), Some(1.0));
    let well = pool("p", Vec::new());
    registry.update(&cycle(vec![well.clone()]));
    assert_eq!(value(&registry, line), Some(1.0), "not yet acted");
    registry.conditions(&[well]);
    assert_eq!(value(&registry, line), Some(0.0));
    registry.conditions(&[pool("q", Vec::new())]);
    assert_eq!(value(&registry, line), None);
}

#[test]
fn measurements_that_are_missing_are_told_from_those_that_are_stale() {
    let registry = registry();
    let mut told = cycle(vec![pool("p", vec![variant("a", 1, 1, 1)])]);
    told.pools = vec![PoolMetrics {
        namespace: "prod".to_owned(),
        pool: "p".to_owned(),
        state: MetricsState::Stale { age_seconds: 90.0 },
        age_seconds: Some(90.0),
    }];
    registry.update(&told);
    let state = |state: &str| {
        let of = format!(r#"trimtab_pool_metrics{{namespace="prod",pool="p",state="{state}"}}"#);
        value(&registry, &of)
    };
    let status = |status: &str| {
        let labels = format!(r#"{{variant_name="a",namespace="prod",status="{status}"}}"#);
        value(&registry, &format!("wva_metrics_freshness_status{labels}"))
    };
    assert_eq!((state("stale"), state("found")), (Some(1.0), Some(0.0)));
    assert_eq!((status("stale"), status("fresh")), (Some(1.0), Some(0.0)));
    let age = r#"trimtab_metrics_age_seconds{namespace="prod",pool="p"}"#;
    assert_eq!(value(&registry, age), Some(90.0));
    told.pools[0].state = MetricsState::Missing("vllm:kv_cache_usage_perc".to_owned());
    told.pools[0].age_seconds = None;
    registry.update(&told);
    assert_eq!(
        (state("missing"), status("unavailable")),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(value(&registry, age), None);
}

#[test]
fn an_inventory_that_is_unknown_is_not_one_without_gpus() {
    let registry = registry();
    registry.update(&cycle(Vec::new()));
    assert_eq!(value(&registry, "wva_gpu_discovery_up"), Some(0.0));
    assert!(series(&registry, "wva_available_gpus").is_empty());
    let mut known = cycle(Vec::new());
    known.inventory = Some(vec![Accelerator {
        name: "H100".to_owned(),
        total: 8,
        available: 0,
        quota: None,
    }]);
    registry.update(&known);
    assert_eq!(value(&registry, "wva_gpu_discovery_up"), Some(1.0));
    let free = r#"wva_available_gpus{accelerator_type="H100"}"#;
    assert_eq!(value(&registry, free), Some(0.0));
    assert_eq!(
        value(&registry, r#"trimtab_gpus{accelerator="H100"}"#),
        Some(8.0)
    );
}

#[test]
fn calls_and_faults_are_counted_by_policy_even_if_it_only_faults() {
    let digest = Digest(format!("sha256:{}", "ab".repeat(32)));
    let mut decision = pool("p", vec![variant("a", 1, 1, 1)]);
    decision.analyses = vec![Analyzed {
        call: Call {
            answered_by: Some(Answerer {
                name: "built-in".to_owned(),
                version: "1".to_owned(),
                digest: Digest("sha256:0123456789abcdef".to_owned()),
                rung: 1,
            }),
            refusal: Some(Refusal::InsufficientData("no replica".to_owned())),
            faults: vec![RungFault {
                digest: digest.clone(),
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
    decision.plan.call.faults = vec![RungFault {
        digest: digest.clone(),
        fault: None,
    }];
    let mut told = cycle(vec![decision]);
    told.policies = vec![PolicyName {
        digest,
        name: "mine".to_owned(),
    }];
    let registry = registry();
    registry.update(&told);
    let mut faults = series(&registry, "trimtab_policy_faults_total");
    faults.sort();
    let of = |role: &str, kind: &str| {
        format!(
            "trimtab_policy_faults_total{{role=\"{role}\",policy=\"mine\",\
             digest=\"abababababab\",kind=\"{kind}\"}} 1"
        )
    };
    assert_eq!(
        faults,
        [of("analyzer", "trap"), of("optimizer", "breaker-open")]
    );
    assert_eq!(
        series(&registry, "trimtab_policy_calls_total"),
        [
            "trimtab_policy_calls_total{role=\"analyzer\",policy=\"built-in\",\
             digest=\"0123456789ab\",outcome=\"refused-insufficient-data\"} 1"
        ]
    );
}

#[test]
fn stages_and_queries_add_up() {
    let registry = registry();
    let mut told = cycle(Vec::new());
    let stages = [
        StageSeconds {
            stage: Stage::Measure,
            seconds: 0.2,
        },
        StageSeconds {
            stage: Stage::Decide,
            seconds: 0.1,
        },
    ];
    told.queries = vec![Query {
        kind: "kv-usage",
        seconds: 0.05,
        error: Some("timeout"),
    }];
    for _ in 0..2 {
        registry.update(&told);
        registry.ended(Outcome::Done, &stages);
    }
    let read = |line: &str| value(&registry, line);
    let sum = read(r#"trimtab_tick_stage_duration_seconds_sum{stage="measure"}"#);
    assert_eq!(sum, Some(0.4));
    let whole = read(r#"wva_optimization_duration_seconds_count{status="success"}"#);
    assert_eq!(whole, Some(2.0));
    let queries = read(r#"trimtab_prometheus_query_duration_seconds_count{query="kv-usage"}"#);
    assert_eq!(queries, Some(2.0));
    let errors =
        read(r#"trimtab_prometheus_query_errors_total{query="kv-usage",reason="timeout"}"#);
    assert_eq!(errors, Some(2.0));
}

#[test]
fn requests_to_the_api_server_show_as_they_happen() {
    let live = Live::default();
    // Before there is a registry, as when the configuration is read.
    live.api_request("list", "configmaps", Some(200), 0.25);
    let registry = Registry::new(&BUILD, &live, leading(), None);
    live.api_request("patch", "variantautoscalings/status", Some(409), 0.5);
    live.api_request("patch", "variantautoscalings/status", Some(409), 0.5);
    live.api_request("watch", "pods", None, 5.0);
    let read = |labels: &str| value(&registry, &format!("trimtab_api_requests_total{labels}"));
    let of = [
        (r#"{verb="list",resource="configmaps",code="200"}"#, 1.0),
        (
            r#"{verb="patch",resource="variantautoscalings/status",code="409"}"#,
            2.0,
        ),
        (r#"{verb="watch",resource="pods",code="<error>"}"#, 1.0),
    ];
    for (labels, count) in of {
        assert_eq!(read(labels), Some(count), "{labels}");
    }
    let seconds = r#"trimtab_api_request_duration_seconds_sum{verb="patch",resource="variantautoscalings/status"}"#;
    assert_eq!(value(&registry, seconds), Some(1.0));
}

#[test]
fn fuel_adds_up_by_policy_and_its_version() {
    let live = Live::default();
    let registry = Registry::new(&BUILD, &live, leading(), None);
    let digests = ["a", "b"].map(|letter| Digest(format!("sha256:{}", letter.repeat(64))));
    live.policy_call(PolicyRole::Analyzer, ("mine", &digests[0]), 700, 0.002);
    live.policy_call(PolicyRole::Analyzer, ("mine", &digests[0]), 300, 0.002);
    live.policy_call(PolicyRole::Analyzer, ("mine", &digests[1]), 50, 0.002);
    let fuel = |digest: &str| {
        let of = format!(r#"{{role="analyzer",policy="mine",digest="{digest}"}}"#);
        value(&registry, &format!("trimtab_policy_fuel_total{of}"))
    };
    assert_eq!(fuel("aaaaaaaaaaaa"), Some(1000.0));
    assert_eq!(fuel("bbbbbbbbbbbb"), Some(50.0));
    let calls = r#"trimtab_policy_call_duration_seconds_count{role="analyzer",policy="mine"}"#;
    assert_eq!(value(&registry, calls), Some(3.0));
}
