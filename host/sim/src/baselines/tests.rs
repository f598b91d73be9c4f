//! The baselines on small traces: what each attains, and at what cost.

use std::path::Path;

use super::attempt::Trial;
use super::plan::Plan;
use super::*;
use crate::outcome::{Outcome, PoolSeries};
use crate::scenario::{Overrides, Scenario};

/// Ten minutes at 15 requests a second, and in the middle two more at 60.
const STEP: &str = "
name: step
duration-seconds: 600
inventory: {H100: 8, L40S: 8}
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05}
    workload:
      generate:
        arrivals: [poisson: {rate: 15}, step: {rate: 45, at-seconds: 240, for-seconds: 120}]
        input-tokens: {mean: 1000, cv: 0.5}
        output-tokens: {mean: 100, cv: 0.5}
    variants:
      - {name: h100, accelerator: H100, startup: {mean-seconds: 60}}
      - {name: l40s, accelerator: L40S, startup: {mean-seconds: 60}}
";

fn spec(yaml: &str) -> Spec {
    let scenario = Scenario::parse("test", yaml, Path::new("")).unwrap();
    scenario.resolve(&Overrides::default()).unwrap()
}

fn outcome(baseline: Baseline, spec: &Spec) -> Outcome {
    Baselines::new(spec).run(baseline, &mut |_| ())
}

/// Asked for in each tick, of all variants.
fn asked(pool: &PoolSeries) -> Vec<u32> {
    let ticks = 0..pool.samples.len();
    ticks
        .map(|tick| {
            pool.variants
                .iter()
                .map(|variant| variant.asked[tick])
                .sum()
        })
        .collect()
}

#[test]
fn the_constant_fleet_cannot_lose_a_replica() {
    let spec = spec(STEP);
    let found = outcome(Baseline::Static, &spec);
    assert!(found.attainment.unwrap() >= 0.99);
    assert_eq!(found.replica_changes, 0);
    let counts: Vec<u32> = found.pools[0].variants.iter().map(|v| v.asked[0]).collect();
    assert!(counts.iter().sum::<u32>() > 1, "{counts:?}");
    for variant in 0..counts.len() {
        let mut fewer = counts.clone();
        if fewer[variant] > 0 {
            fewer[variant] -= 1;
            assert!(
                Trial::new(&spec, 0).run(Plan::constant(fewer)).attainment < 0.99,
                "{counts:?}"
            );
        }
    }
}

#[test]
fn foresight_is_there_when_the_step_comes_and_costs_less() {
    let spec = spec(STEP);
    let oracle = outcome(Baseline::Oracle, &spec);
    assert!(
        oracle.attainment.unwrap() >= 0.99,
        "{:?}",
        oracle.attainment
    );
    let constant = outcome(Baseline::Static, &spec);
    assert!(
        oracle.cost < 0.8 * constant.cost,
        "{} {}",
        oracle.cost,
        constant.cost
    );
    let asked = asked(&oracle.pools[0]);
    let at = |seconds: usize| asked[seconds / 15];
    assert!(at(225) > at(60), "{asked:?}");
    assert!(at(420) < at(240), "{asked:?}");
}

#[test]
fn an_hpa_follows_on_the_cheapest_variant_alone() {
    let spec = spec(STEP);
    let hpa = outcome(Baseline::Hpa, &spec);
    let [h100, l40s] = &hpa.pools[0].variants[..] else {
        panic!("two variants")
    };
    assert!(l40s.asked.iter().all(|count| *count == 0));
    assert!(
        h100.asked.iter().max() > h100.asked.first(),
        "{:?}",
        h100.asked
    );
    assert_eq!(hpa.requests.arrived, hpa.requests.served);
}

#[test]
fn baselines_give_the_same_twice() {
    let spec = spec(STEP);
    for baseline in [Baseline::Static, Baseline::Hpa, Baseline::Oracle] {
        let (one, other) = (outcome(baseline, &spec), outcome(baseline, &spec));
        assert_eq!(one.cost, other.cost);
        assert_eq!(one.attainment, other.attainment);
        assert_eq!(asked(&one.pools[0]), asked(&other.pools[0]));
    }
}

#[test]
fn progress_rises_to_the_end() {
    for baseline in [Baseline::Static, Baseline::Hpa, Baseline::Oracle] {
        let mut shares = Vec::new();
        Baselines::new(&spec(STEP)).run(baseline, &mut |share| shares.push(share));
        assert!(shares.is_sorted(), "{shares:?}");
        assert_eq!(shares.last(), Some(&1.0));
    }
}

#[test]
fn an_objective_out_of_reach_is_told_and_ends_in_what_comes_closest() {
    let spec = spec(&STEP.replace("ttft-seconds: 1,", "ttft-seconds: 0.05,"));
    for baseline in [Baseline::Static, Baseline::Oracle] {
        let found = outcome(baseline, &spec);
        let attained = found.attainment.unwrap();
        assert!((0.1..0.99).contains(&attained), "{attained}");
        assert!(asked(&found.pools[0]).iter().all(|count| *count <= 16));
        let expected = OutOfReach {
            pool: "chat".to_owned(),
            wanted: 0.99,
            attained,
        };
        assert_eq!(found.out_of_reach, [expected]);
    }
    assert_eq!(outcome(Baseline::Hpa, &spec).out_of_reach, []);
}

#[test]
fn planned_fleets_keep_within_the_budget() {
    let budget = 11.0;
    let spec = spec(&format!("budget-per-hour: {budget}{STEP}"));
    for baseline in [Baseline::Static, Baseline::Oracle] {
        let found = outcome(baseline, &spec);
        let prices: Vec<f64> = spec.pools[0]
            .variants
            .iter()
            .map(|variant| variant.cost_per_hour)
            .collect();
        let variants = &found.pools[0].variants;
        let spent = (0..found.pools[0].samples.len()).map(|tick| {
            let of_variant = variants.iter().zip(&prices);
            of_variant
                .map(|(variant, price)| f64::from(variant.asked[tick]) * price)
                .sum::<f64>()
        });
        let most = spent.fold(0.0, f64::max);
        assert!(most > 0.5 * budget && most <= budget, "{baseline:?} {most}");
        assert!(!found.out_of_reach.is_empty(), "{baseline:?}");
    }
}

#[test]
fn what_is_met_is_not_told_to_be_out_of_reach() {
    for baseline in [Baseline::Static, Baseline::Oracle] {
        assert_eq!(outcome(baseline, &spec(STEP)).out_of_reach, []);
    }
}

#[test]
fn foresight_is_never_dearer_than_a_constant_fleet_that_attains_as_much() {
    let two_pools = |gpus: &str| {
        let scenario = STEP.replace("{H100: 8, L40S: 8}", gpus);
        let (head, pool) = scenario.split_once("  - name: chat").unwrap();
        format!("{head}  - name: chat{pool}  - name: code{pool}")
    };
    let scenarios = [
        STEP.to_owned(),
        // Out of reach, nearly, and by far.
        STEP.replace("ttft-seconds: 1,", "ttft-seconds: 0.09,"),
        STEP.replace("ttft-seconds: 1,", "ttft-seconds: 0.05,"),
        // No wave to follow.
        STEP.replace("rate: 45", "rate: 0"),
        two_pools("{H100: 8, L40S: 8}"),
        two_pools("{H100: 3, L40S: 2}"),
    ];
    for scenario in scenarios {
        let spec = spec(&scenario);
        let baselines = Baselines::new(&spec);
        let constant = baselines.run(Baseline::Static, &mut |_| ());
        let oracle = baselines.run(Baseline::Oracle, &mut |_| ());
        assert!(
            oracle.cost <= constant.cost || oracle.attainment > constant.attainment,
            "{} for {:?}, {} for {:?}: {scenario}",
            oracle.cost,
            oracle.attainment,
            constant.cost,
            constant.attainment
        );
    }
}

#[test]
fn nothing_is_asked_for_where_nothing_arrives() {
    let quiet = STEP
        .replace("rate: 15", "rate: 0")
        .replace("rate: 45", "rate: 0");
    for baseline in [Baseline::Static, Baseline::Oracle] {
        assert_eq!(outcome(baseline, &spec(&quiet)).cost, 0.0);
    }
}

#[test]
fn stages_that_are_apart_are_planned_apart() {
    let apart = STEP
        .replace("accelerator: H100,", "accelerator: H100, role: prefill,")
        .replace("accelerator: L40S,", "accelerator: H100, role: decode,");
    let spec = spec(&apart);
    for baseline in [Baseline::Static, Baseline::Oracle, Baseline::Hpa] {
        let found = outcome(baseline, &spec);
        let [prefill, decode] = &found.pools[0].variants[..] else {
            panic!("two variants")
        };
        let both = prefill
            .asked
            .iter()
            .zip(&decode.asked)
            .all(|(p, d)| *p > 0 && *d > 0);
        assert!(both, "{baseline:?}");
        // An HPA knows no objective; the other two are searched for until they meet it.
        let attainment = found.attainment.unwrap();
        assert!(
            baseline == Baseline::Hpa || attainment > 0.9,
            "{baseline:?} {attainment}"
        );
    }
}

#[test]
fn each_of_two_pools_gets_a_plan_of_its_own() {
    let (head, pool) = STEP.split_once("  - name: chat").unwrap();
    let light = pool
        .replace("rate: 15", "rate: 2")
        .replace("rate: 45", "rate: 0");
    let spec = spec(&format!("{head}  - name: chat{pool}  - name: light{light}"));
    let found = outcome(Baseline::Oracle, &spec);
    let highest: Vec<u32> = found
        .pools
        .iter()
        .map(|pool| asked(pool).into_iter().max().unwrap())
        .collect();
    assert!(highest[0] > highest[1] && highest[1] > 0, "{highest:?}");
}
