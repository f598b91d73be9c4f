//! Policies that a scenario names for single pools, on trial, and from an instant on.

use super::*;

/// The small scenario with this beside its pool's other keys.
fn with(keys: &str) -> String {
    SMALL.replacen("    workload:", &format!("    {keys}\n    workload:"), 1)
}

/// The small scenario with this at its end.
fn ending(keys: &str) -> String {
    format!("{SMALL}{keys}\n")
}

fn chosen(yaml: &str) -> (Vec<PoolChoices>, Vec<SwapChoice>) {
    let scenario = Scenario::parse("s.yaml", yaml, Path::new("some/where")).unwrap();
    let spec = scenario.resolve(&Overrides::default()).unwrap();
    (
        scenario.pools(&spec).unwrap(),
        scenario.swaps(&spec).unwrap(),
    )
}

#[track_caller]
fn says(yaml: &str, message: &str) {
    assert_eq!(resolved(yaml).unwrap_err(), message);
}

#[test]
fn a_pool_that_names_nobody_has_the_scenarios_own() {
    let (pools, swaps) = chosen(SMALL);
    assert_eq!(pools, [PoolChoices::default()]);
    assert_eq!(swaps, []);
}

#[test]
fn a_pools_own_policies_are_found_from_the_scenario_file() {
    let (pools, _) = chosen(&with(
        "policies: {analyzers: [{policy: builtin:a}, {policy: ./mine.wasm, settings: {keep: 2}}]}",
    ));
    let own = &pools[0].own;
    let analyzers = own.analyzers.as_ref().unwrap();
    assert_eq!(own.optimizer, None);
    assert_eq!(analyzers[0].reference, "builtin:a");
    assert_eq!(
        analyzers[1],
        PolicyChoice {
            reference: "some/where/./mine.wasm".to_owned(),
            settings: "{\"keep\":2}".to_owned(),
            place: "s.yaml: pools[0].policies.analyzers[1]".to_owned(),
        }
    );
}

#[test]
fn shadows_have_names_of_their_own_and_something_to_try() {
    let shadows = "shadows: [{name: a, optimizer: {policy: x}}, {name: b, optimizer: {policy: z}}]";
    let (pools, _) = chosen(&with(shadows));
    let places: Vec<_> = pools[0]
        .shadows
        .iter()
        .map(|(name, choices)| {
            (
                name.as_str(),
                choices.optimizer.as_ref().unwrap().place.as_str(),
            )
        })
        .collect();
    let expected = [
        ("a", "s.yaml: pools[0].shadows[0].optimizer"),
        ("b", "s.yaml: pools[0].shadows[1].optimizer"),
    ];
    assert_eq!(places, expected);
    says(
        &with(&shadows.replace("name: b", "name: a")),
        "s.yaml: pools[0].shadows[1].name: `a` is the name of pools[0].shadows[0] too; expected a \
         name of its own",
    );
    says(
        &with("shadows: [{name: a}]"),
        "s.yaml: pools[0].shadows[0]: names no policy; expected `analyzers`, an `optimizer`, or both",
    );
    says(
        &with("shadows: [{name: a, analyzers: []}]"),
        "s.yaml: pools[0].shadows[0].analyzers: is empty; expected at least one analyzer",
    );
    says(
        &with("shadows: [{name: a, analyzers: [{policy: ''}]}]"),
        "s.yaml: pools[0].shadows[0].analyzers[0].policy: is empty; expected a name",
    );
}

#[test]
fn an_experiment_has_the_operators_defaults_and_a_seed_of_its_own() {
    let candidate = "candidate: {optimizer: {policy: x}}";
    let (pools, _) = chosen(&with(&format!("experiment: {{{candidate}}}")));
    let (rules, _) = pools[0].experiment.as_ref().unwrap();
    assert_eq!((rules.slot_seconds, rules.washout_seconds), (1800.0, 600.0));
    assert_eq!((rules.max_slots, rules.seed), (96, 1));
    let given = "slot-seconds: 60, washout-seconds: 20, seed: 7, max-slots: 8, \
                 stop-if: {attainment-below: 0.8, cost-above-ratio: 1.5}";
    let (pools, _) = chosen(&with(&format!("experiment: {{{candidate}, {given}}}")));
    let (rules, choices) = pools[0].experiment.as_ref().unwrap();
    assert_eq!((rules.slot_seconds, rules.washout_seconds), (60.0, 20.0));
    assert_eq!((rules.max_slots, rules.seed), (8, 7));
    assert_eq!(rules.stop_if.attainment_below, Some(0.8));
    assert_eq!(rules.stop_if.cost_above_ratio, Some(1.5));
    let place = &choices.optimizer.as_ref().unwrap().place;
    assert_eq!(place, "s.yaml: pools[0].experiment.candidate.optimizer");
}

#[test]
fn experiments_that_cannot_be_are_refused() {
    let experiment = |rest: &str| {
        with(&format!(
            "experiment: {{candidate: {{optimizer: {{policy: x}}}}, {rest}}}"
        ))
    };
    says(
        &experiment("slot-seconds: 600, washout-seconds: 600"),
        "s.yaml: pools[0].experiment.washout-seconds: is 600; expected less than `slot-seconds`, \
         which is 600",
    );
    says(
        &experiment("max-slots: 1"),
        "s.yaml: pools[0].experiment.max-slots: is 1; expected a whole number from 2 to 10000",
    );
    says(
        &experiment("stop-if: {attainment-below: 80}"),
        "s.yaml: pools[0].experiment.stop-if.attainment-below: is 80; expected a number from 0 to 1",
    );
    says(
        &with("experiment: {candidate: {}}"),
        "s.yaml: pools[0].experiment.candidate: names no policy; expected `analyzers`, an \
         `optimizer`, or both",
    );
}

#[test]
fn swaps_come_in_order_of_time_and_within_the_run() {
    let (_, swaps) = chosen(&ending(
        "swaps:\n- {at-seconds: 90, pool: chat, optimizer: {policy: x}}\n\
         - {at-seconds: 30, pool: chat, optimizer: {policy: z}}",
    ));
    let places: Vec<_> = swaps
        .iter()
        .map(|swap| {
            (
                swap.at_seconds,
                swap.policies.optimizer.as_ref().unwrap().place.as_str(),
            )
        })
        .collect();
    let expected = [
        (30.0, "s.yaml: swaps[1].optimizer"),
        (90.0, "s.yaml: swaps[0].optimizer"),
    ];
    assert_eq!(places, expected);
    says(
        &ending("swaps: [{at-seconds: 121, pool: chat, optimizer: {policy: x}}]"),
        "s.yaml: swaps[0].at-seconds: is 121; expected at most 120, when the run's last tick is",
    );
    says(
        &ending("swaps: [{at-seconds: 30, pool: chad, optimizer: {policy: x}}]"),
        "s.yaml: swaps[0].pool: `chad` is not known; did you mean `chat`? known: chat",
    );
    says(
        &ending("swaps: [{at-seconds: 30, pool: chat}]"),
        "s.yaml: swaps[0]: names no policy; expected `analyzers`, an `optimizer`, or both",
    );
}
