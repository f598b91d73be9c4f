//! Scenario files: what is taken, and what a refusal says.

use super::file::{Baseline, Initial};
use super::*;
use crate::spec::{FaultSpec, Spec};

/// A small scenario that is right.
const SMALL: &str = "\
name: small
duration-seconds: 120
inventory: {H100: 8, A100: 4}
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05}
    workload:
      generate:
        arrivals: [poisson: {rate: 30}]
        input-tokens: {mean: 1000}
        output-tokens: {mean: 200}
    variants:
      - name: h100
        accelerator: H100
      - {name: a100, accelerator: A100, min-replicas: 1, max-replicas: 4}
";

fn resolved(yaml: &str) -> Result<Spec, String> {
    let chain = |error: ScenarioError| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let scenario = Scenario::parse("s.yaml", yaml, Path::new("some/where")).map_err(chain)?;
    scenario.resolve(&Overrides::default()).map_err(chain)
}

/// The small scenario with one piece of text replaced is refused with this message.
#[track_caller]
fn refused(from: &str, to: &str, message: &str) {
    let yaml = SMALL.replacen(from, to, 1);
    assert_ne!(yaml, SMALL, "`{from}` is not in the scenario");
    assert_eq!(resolved(&yaml).unwrap_err(), message);
}

#[test]
fn built_in_scenarios_resolve() {
    for name in Scenario::names() {
        let scenario = Scenario::open(name).unwrap();
        if name == "day" {
            continue; // More than a million requests: another test shortens it.
        }
        let spec = scenario.resolve(&Overrides::default()).unwrap();
        assert_eq!(spec.name, name);
        assert!(spec.pools.iter().all(|pool| pool.arrivals.len() > 1000));
    }
}

#[test]
fn the_built_in_scenario_is_as_documented() {
    let spec = Scenario::built_in()
        .unwrap()
        .resolve(&Overrides::default())
        .unwrap();
    let variants: Vec<_> = spec.pools.iter().flat_map(|pool| &pool.variants).collect();
    let mut accelerators: Vec<_> = variants
        .iter()
        .map(|variant| &variant.accelerator)
        .collect();
    accelerators.sort_unstable();
    accelerators.dedup();
    assert_eq!((spec.pools.len(), accelerators.len()), (2, 3));
    assert_eq!(spec.duration_seconds, 7200.0);
    assert!(spec.pools.iter().all(|pool| {
        let initial: u32 = pool
            .variants
            .iter()
            .map(|variant| variant.initial_replicas)
            .sum();
        (1..10).contains(&initial)
    }));
}

#[test]
fn a_day_has_four_times_its_trough_at_noon() {
    let mut scenario = Scenario::open("day").unwrap();
    scenario.file.duration_seconds = Some(86_400.0);
    let thinned = Overrides {
        rate_scale: Some(0.1),
        ..Overrides::default()
    };
    let spec = scenario.resolve(&thinned).unwrap();
    let hours = |from: f64, until: f64| {
        let span = from * 3600.0..until * 3600.0;
        spec.pools[0]
            .arrivals
            .iter()
            .filter(|a| span.contains(&a.at_seconds))
            .count() as f64
    };
    let ratio = hours(11.0, 13.0) / (hours(0.0, 1.0) + hours(23.0, 24.0));
    assert!((3.7..4.1).contains(&ratio), "{ratio}");
}

#[test]
fn the_schema_knows_the_shipped_scenarios() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, text) in NAMED {
        let scenario: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(&scenario)
            .map(|error| error.to_string())
            .collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
    let unknown: serde_json::Value =
        serde_saphyr::from_str(&SMALL.replace("min-replicas", "min")).unwrap();
    assert!(!validator.is_valid(&unknown));
}

#[test]
fn catalogue_and_defaults_fill_in_what_is_left_out() {
    let spec = resolved(SMALL).unwrap();
    let h100 = &spec.pools[0].variants[0];
    assert_eq!((h100.cost_per_hour, h100.gpus_per_replica), (4.5, 1));
    assert_eq!(h100.engine.max_batched_tokens, 8192);
    assert_eq!(h100.startup.mean_seconds, 120.0);
    assert!((6e-3..7e-3).contains(&h100.iteration.base_seconds));
    assert_eq!(
        spec.inventory,
        Some(vec![("A100".to_owned(), 4), ("H100".to_owned(), 8)])
    );
    assert_eq!(spec.pools[0].objective.percentile, 0.99);
    assert_eq!(spec.timing.tick_seconds, 15.0);
}

#[test]
fn auto_starts_with_what_fits_the_first_minute() {
    let initial = |yaml: &str| -> Vec<u32> {
        let spec = resolved(yaml).unwrap();
        spec.pools[0]
            .variants
            .iter()
            .map(|variant| variant.initial_replicas)
            .collect()
    };
    // The A100 has to be there; what it does not carry is left to the cheaper H100.
    assert_eq!(initial(SMALL), [2, 1]);
    assert_eq!(initial(&SMALL.replace("{rate: 30}", "{rate: 0}")), [0, 1]);
    assert_eq!(initial(&SMALL.replace("H100: 8", "H100: 1")), [1, 3]);
    let fixed = SMALL.replace("max-replicas: 4}", "max-replicas: 4, initial-replicas: 4}");
    assert_eq!(initial(&fixed), [1, 4]);
}

#[test]
fn everything_can_be_overridden() {
    let yaml = SMALL
        .replace(
            "inventory:",
            "\
accelerators:
  H100: {price-per-hour: 2}
  Mine: {tflops: 100, bandwidth-tbps: 1, memory-gib: 80, price-per-hour: 1}
models:
  Llama-3.1-8B: {weight-bits: 8}
inventory:",
        )
        .replace(
            "accelerator: H100",
            "\
accelerator: H100
        startup: {mean-seconds: 5}
        constants: {base-seconds: 0.5, kv-capacity-tokens: 1000}",
        )
        .replace("accelerator: A100", "accelerator: Mine");
    let spec = resolved(&yaml).unwrap();
    let [h100, mine] = &spec.pools[0].variants[..] else {
        panic!("two variants")
    };
    assert_eq!((h100.cost_per_hour, mine.cost_per_hour), (2.0, 1.0));
    assert_eq!(
        (h100.iteration.base_seconds, h100.kv_capacity_tokens),
        (0.5, 1000)
    );
    assert_eq!((h100.startup.mean_seconds, h100.startup.spread), (5.0, 0.2));
    let base = 8.03e9 / (1e12 * 0.65) + 32.0 * 20e-6;
    assert!((mine.iteration.base_seconds - base).abs() < 1e-9);
}

#[test]
fn faults_refer_to_pools_and_variants_by_name() {
    let faults = "\
faults:
  - replica-dies: {at-seconds: 5, pool: chat, variant: a100}
  - start-fails: {at-seconds: 6, pool: chat, variant: h100}
  - metrics-vanish: {from-seconds: 7, until-seconds: 8, pool: chat}
";
    let spec = resolved(&format!("{SMALL}{faults}")).unwrap();
    assert_eq!(
        spec.faults,
        [
            FaultSpec::ReplicaDies {
                at_seconds: 5.0,
                pool: 0,
                variant: 1
            },
            FaultSpec::StartFails {
                at_seconds: 6.0,
                pool: 0,
                variant: 0
            },
            FaultSpec::MetricsVanish {
                from_seconds: 7.0,
                until_seconds: 8.0,
                pool: 0
            },
        ]
    );
    refused(
        "pools:",
        "faults: [replica-dies: {at-seconds: 5, pool: chat, variant: h10}]\npools:",
        "s.yaml: faults[0].replica-dies.variant: `h10` is not known; did you mean `h100`? known: \
         h100, a100",
    );
    refused(
        "pools:",
        "faults: [metrics-vanish: {from-seconds: 5, until-seconds: 4, pool: chat}]\npools:",
        "s.yaml: faults[0].metrics-vanish.until-seconds: is 4; expected at least `from-seconds`, \
         which is 5",
    );
}

#[test]
fn policies_are_found_from_the_scenario_file() {
    let scenario = Scenario::parse("s.yaml", SMALL, Path::new("some/where")).unwrap();
    assert_eq!(scenario.analyzer().reference, "builtin:queueing-analyzer");
    assert_eq!(scenario.optimizer().settings, "{}");
    let named = SMALL.replace(
        "pools:",
        "policies: {optimizer: {policy: mine.wasm, settings: {keep: 2}}}\npools:",
    );
    let scenario = Scenario::parse("s.yaml", &named, Path::new("some/where")).unwrap();
    assert_eq!(
        scenario.optimizer(),
        PolicyChoice {
            reference: "some/where/mine.wasm".to_owned(),
            settings: "{\"keep\":2}".to_owned(),
            place: "s.yaml: policies.optimizer".to_owned(),
        }
    );
}

#[test]
fn unknown_keys_are_refused_with_their_path() {
    let error = resolved(&SMALL.replace("min-replicas", "min")).unwrap_err();
    assert!(
        error.starts_with("s.yaml: pools[0].variants[1].min: unknown field `min`, expected one of"),
        "{error}"
    );
    assert!(
        error.contains("min-replicas") && error.contains("line 16"),
        "{error}"
    );
    let error =
        resolved(&SMALL.replace("poisson: {rate: 30}", "poisson: {rates: 30}")).unwrap_err();
    assert!(
        error.contains("arrivals[0].poisson.rates: unknown field `rates`"),
        "{error}"
    );
    let error = resolved(&SMALL.replace("poisson", "poison")).unwrap_err();
    assert!(
        error.contains("unknown variant `poison`, expected one of poisson, bursts"),
        "{error}"
    );
    assert!(
        error.contains("pools[0].workload.generate.arrivals[0]"),
        "{error}"
    );
}

#[test]
fn values_of_the_wrong_kind_are_refused_with_their_path() {
    let error = resolved(&SMALL.replace("max-replicas: 4", "max-replicas: many")).unwrap_err();
    assert!(
        error.starts_with("s.yaml: pools[0].variants[1].max-replicas: "),
        "{error}"
    );
    assert!(error.contains("line 16"), "{error}");
    let error = resolved("name: [").unwrap_err();
    assert!(error.starts_with("s.yaml: "), "{error}");
    let error = resolved("name: x\n").unwrap_err();
    assert!(error.contains("missing field `pools`"), "{error}");
    let error = resolved(&SMALL.replace("max-replicas: 4", "initial-replicas: some")).unwrap_err();
    assert!(
        error.contains("variants[1].initial-replicas: expected a number of replicas, or `auto`"),
        "{error}"
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest() {
    refused(
        "accelerator: H100",
        "accelerator: h100-pcie",
        "s.yaml: pools[0].variants[0].accelerator: `h100-pcie` is not known; did you mean \
         `H100-PCIe`? known: A100, A100-40, A10G, B200, Gaudi3, H100, H100-PCIe, H200, L4, L40S, \
         MI300X",
    );
    refused(
        "model: Llama-3.1-8B",
        "model: Falcon",
        "s.yaml: pools[0].model: `Falcon` is not known; known: Llama-3.1-70B, Llama-3.1-70B-FP8, \
         Llama-3.1-8B, Llama-3.1-8B-FP8, Llama-3.3-70B, Llama-3.3-70B-FP8, Mistral-7B, Qwen3-32B, \
         Qwen3-32B-FP8, gpt-oss-120b",
    );
    let error = resolved(&SMALL.replace("{H100: 8,", "{H1000: 8,")).unwrap_err();
    assert!(error.starts_with("s.yaml: inventory: `H1000` is not known; did you mean `H100`?"));
}

#[test]
fn impossible_values_are_refused_with_what_would_be_right() {
    let variant = "min-replicas: 1, max-replicas: 4";
    refused(
        variant,
        "min-replicas: 5, max-replicas: 4",
        "s.yaml: pools[0].variants[1].max-replicas: is 4; expected at least `min-replicas`, which is 5",
    );
    refused(
        variant,
        "initial-replicas: 9, max-replicas: 4",
        "s.yaml: pools[0].variants[1].initial-replicas: is 9; expected `auto`, or from \
         `min-replicas` 0 to `max-replicas` 4",
    );
    refused(
        variant,
        "cost-per-hour: -3",
        "s.yaml: pools[0].variants[1].cost-per-hour: is -3; expected a number from 0 to 1000000",
    );
    refused(
        "pools:",
        "accelerators: {H100: {price-per-hour: -1}}\npools:",
        "s.yaml: accelerators.H100.price-per-hour: is -1; expected a number from 0 to 1000000",
    );
    refused(
        "pools:",
        "accelerators: {Mine: {price-per-hour: 1}}\npools:",
        "s.yaml: accelerators.Mine.tflops: missing; only what the catalogue has may leave fields out",
    );
    refused(
        "duration-seconds: 120",
        "duration-seconds: 0",
        "s.yaml: duration-seconds: is 0; expected a number from 1 to 31622400",
    );
    refused(
        "duration-seconds: 120\n",
        "",
        "s.yaml: pools[0].workload.generate: has no end; expected `duration-seconds` in the scenario",
    );
    refused(
        "itl-seconds: 0.05}",
        "itl-seconds: 0.05, percentile: 99}",
        "s.yaml: pools[0].objective.percentile: is 99; expected a number from 0.01 to 0.99999",
    );
    refused(
        "rate: 30",
        "rate: .nan",
        "s.yaml: pools[0].workload.generate.arrivals[0].poisson.rate: is NaN; expected a number from 0 to 1000000",
    );
    refused(
        "rate: 30",
        "rate: 1e6",
        "s.yaml: pools[0].workload.generate: would be 120000000 requests; expected at most \
         50000000: a lower rate, or less time",
    );
    refused(
        "name: a100",
        "name: h100",
        "s.yaml: pools[0].variants[1].name: `h100` is the name of pools[0].variants[0] too; \
         expected a name of its own",
    );
}

#[test]
fn models_that_do_not_fit_are_refused() {
    let error = resolved(&SMALL.replace("Llama-3.1-8B", "Llama-3.1-70B")).unwrap_err();
    assert!(
        error.starts_with(
            "s.yaml: pools[0].variants[0]: the model does not fit `H100`: the weights of 141.2 GB"
        ),
        "{error}"
    );
}

#[test]
fn stages_without_their_other_half_are_refused() {
    let alone = SMALL.replace(
        "accelerator: H100",
        "accelerator: H100\n        role: prefill",
    );
    let both = resolved(&alone).unwrap();
    assert_eq!(
        both.pools[0].variants.len(),
        2,
        "the other variant does whole requests"
    );
    let error = resolved(&alone.replace("min-replicas: 1", "role: prefill")).unwrap_err();
    assert_eq!(
        error,
        "s.yaml: pools[0].variants: no variant does the decode part of requests; expected one with \
         `role: decode`"
    );
}

#[test]
fn a_refused_trace_names_field_and_file() {
    let with_trace = |file: &str| {
        let (head, tail) = SMALL.split_once("      generate:").unwrap();
        let variants = tail.split_once("    variants:").unwrap().1;
        format!("{head}      trace: {{file: {file}}}\n    variants:{variants}")
    };
    assert_eq!(
        resolved(&with_trace("no.csv")).unwrap_err(),
        "s.yaml: pools[0].workload.trace: the trace is refused: trace some/where/no.csv cannot be read"
    );
    let empty = tempfile::NamedTempFile::new().unwrap();
    let error = resolved(&with_trace(&empty.path().display().to_string())).unwrap_err();
    assert!(
        error.contains("workload.trace: the trace is refused: "),
        "{error}"
    );
    assert!(error.contains("the file is empty"), "{error}");
}

/// Ten requests a second for a minute.
fn trace() -> tempfile::NamedTempFile {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(
        file,
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
    )
    .unwrap();
    for number in 0..600 {
        writeln!(
            file,
            "{},m,1000,200,1200,Conversation log",
            f64::from(number) * 0.1
        )
        .unwrap();
    }
    writeln!(file, "60,m,1000,0,1000,Conversation log").unwrap();
    file
}

#[test]
fn a_trace_alone_makes_a_scenario() {
    let file = trace();
    let scenario = Scenario::for_trace(file.path()).unwrap();
    let mut notes = Vec::new();
    let overrides = Overrides {
        rate_scale: Some(4.0),
        repeat: Some(3),
        seed: Some(4),
        ..Overrides::default()
    };
    let spec = scenario
        .resolve_noting(&overrides, &mut |note| notes.push(note))
        .unwrap();
    let pool = &spec.pools[0];
    assert_eq!((pool.arrivals.len(), spec.seed), (7200, 4));
    assert!(
        (spec.duration_seconds - 180.0).abs() < 1e-6,
        "{}",
        spec.duration_seconds
    );
    let cards: Vec<_> = pool
        .variants
        .iter()
        .map(|variant| variant.accelerator.as_str())
        .collect();
    assert_eq!(cards, ["H100", "A100", "L40S"]);
    assert_eq!(
        (pool.objective.ttft, pool.objective.itl),
        (Some(1.0), Some(0.05))
    );
    // 40 requests a second, of which an H100 carries 20.5, and a fifth of head-room.
    let initial: Vec<u32> = pool
        .variants
        .iter()
        .map(|variant| variant.initial_replicas)
        .collect();
    assert_eq!(initial, [3, 0, 0]);
    assert_eq!(
        notes,
        ["pool `llama-3-1-8b`: 1 failed requests of the trace are skipped"]
    );
}

#[test]
fn a_trace_replaces_the_workload_of_the_only_pool() {
    let file = trace();
    let overrides = Overrides {
        trace: Some(file.path().to_owned()),
        ..Overrides::default()
    };
    let scenario = Scenario::parse("s.yaml", SMALL, Path::new("")).unwrap();
    assert_eq!(
        scenario.resolve(&overrides).unwrap().pools[0]
            .arrivals
            .len(),
        600
    );
    let error = Scenario::built_in()
        .unwrap()
        .resolve(&overrides)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("built-in: pools: one trace cannot stand for the workloads"));
}

#[test]
fn the_same_seed_gives_the_same_requests() {
    let scenario = Scenario::parse("s.yaml", SMALL, Path::new("")).unwrap();
    let with = |seed| {
        let overrides = Overrides {
            seed: Some(seed),
            ..Overrides::default()
        };
        scenario
            .resolve(&overrides)
            .unwrap()
            .pools
            .remove(0)
            .arrivals
    };
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
}

#[test]
fn scenarios_that_do_not_exist_name_those_that_do() {
    let error = Scenario::open("night").unwrap_err().to_string();
    assert_eq!(
        error,
        "scenario `night` is neither a file nor built in; built in are: built-in, day, trial"
    );
}

#[test]
fn the_shipped_scenario_compares_with_all_baselines() {
    let scenario = Scenario::built_in().unwrap();
    assert_eq!(
        scenario.file.compare,
        [Baseline::Static, Baseline::Hpa, Baseline::Oracle]
    );
    let initial = scenario.file.pools[0].variants[0].initial_replicas;
    assert_eq!(initial, Initial::Word(file::Auto::Auto));
}

mod plausible;
mod policies;
mod schema;
mod yaml;
