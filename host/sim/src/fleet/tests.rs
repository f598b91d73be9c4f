//! Replicas' lives: start, drain, death, GPUs and cost.

use std::collections::BTreeMap;

use super::*;
use crate::engine::{Job, Part};
use crate::spec::Arrival;
use crate::testing::{arrival, pool, spec, variant};

/// Two variants of one pool, the second with two GPUs a replica, and so many GPUs of each kind.
fn two_variants(initial: u32, h100: u32, l40s: u32) -> Spec {
    let second = VariantSpec {
        name: "l40s".to_owned(),
        accelerator: "L40S".to_owned(),
        gpus_per_replica: 2,
        cost_per_hour: 3.0,
        ..variant(0)
    };
    let mut spec = spec(
        3600.0,
        vec![pool(vec![variant(initial), second], Vec::new())],
    );
    spec.inventory = Some(vec![("H100".to_owned(), h100), ("L40S".to_owned(), l40s)]);
    spec
}

fn stages(fleet: &Fleet<'_>, variant: usize) -> Vec<Stage> {
    let existing = &fleet.variant(0, variant).unwrap().existing;
    existing.iter().map(|id| fleet.stage(*id)).collect()
}

fn free(fleet: &Fleet<'_>) -> Vec<u32> {
    fleet
        .accelerators()
        .unwrap()
        .iter()
        .map(|accelerator| accelerator.available)
        .collect()
}

/// The replica whose start ends next, and when.
fn next_start(events: &mut Events) -> Option<(f64, usize)> {
    std::iter::from_fn(|| events.take()).find_map(|(at, event)| {
        let Event::Started { replica } = event else {
            return None;
        };
        Some((at, replica))
    })
}

fn give_request(fleet: &mut Fleet<'_>, id: usize) {
    static ARRIVAL: std::sync::LazyLock<Arrival> =
        std::sync::LazyLock::new(|| arrival(0.0, 10, 10));
    let job = Job {
        request: 0,
        arrival: &ARRIVAL,
        part: Part::Whole,
    };
    fleet.replicas[id].engine.enqueue(0.0, job);
}

#[test]
fn a_start_takes_its_time_and_then_serves() {
    let spec = two_variants(0, 4, 4);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(10.0, 0, 0, 1);
    fleet.schedule(10.0, &mut events);
    assert_eq!(stages(&fleet, 0), [Stage::Starting]);
    assert_eq!(free(&fleet), [3, 4]);
    let (at, id) = next_start(&mut events).unwrap();
    assert!((at - 130.0).abs() < 1e-9, "{at}");
    assert!(fleet.started(at, id, &mut events));
    assert_eq!(stages(&fleet, 0), [Stage::Serving]);
    let observed = fleet.variant(0, 0).unwrap().starts.mean_observed().unwrap();
    assert!((observed - 120.0).abs() < 1e-9);
}

#[test]
fn replicas_without_gpus_wait_and_cost_nothing() {
    let spec = two_variants(0, 1, 3);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 2);
    fleet.scale(0.0, 0, 1, 2);
    fleet.schedule(0.0, &mut events);
    assert_eq!(stages(&fleet, 0), [Stage::Starting, Stage::Unscheduled]);
    assert_eq!(stages(&fleet, 1), [Stage::Starting, Stage::Unscheduled]);
    assert_eq!(free(&fleet), [0, 1]);
    let (cost, gpu_hours) = fleet.bill(1800.0);
    assert!((cost - (4.0 + 3.0) / 2.0).abs() < 1e-9, "{cost}");
    assert_eq!(
        gpu_hours,
        BTreeMap::from([("H100".to_owned(), 0.5), ("L40S".to_owned(), 1.0)])
    );
}

#[test]
fn freed_gpus_go_to_whoever_waits() {
    let spec = two_variants(1, 1, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 2);
    fleet.schedule(0.0, &mut events);
    assert_eq!(stages(&fleet, 0), [Stage::Serving, Stage::Unscheduled]);
    fleet.die(60.0, 0, 0);
    fleet.schedule(60.0, &mut events);
    assert_eq!(stages(&fleet, 0), [Stage::Starting, Stage::Unscheduled]);
}

#[test]
fn an_accelerator_that_is_not_in_the_inventory_has_no_gpus() {
    let mut spec = two_variants(0, 4, 4);
    spec.inventory = Some(Vec::new());
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 1);
    fleet.schedule(0.0, &mut events);
    assert_eq!(stages(&fleet, 0), [Stage::Unscheduled]);
}

#[test]
fn those_furthest_from_serving_go_first_and_the_youngest() {
    let spec = two_variants(2, 3, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 5);
    fleet.schedule(0.0, &mut events);
    let serving = [Stage::Serving, Stage::Serving];
    assert_eq!(
        stages(&fleet, 0)[2..],
        [Stage::Starting, Stage::Unscheduled, Stage::Unscheduled]
    );
    fleet.scale(1.0, 0, 0, 3);
    assert_eq!(stages(&fleet, 0)[2..], [Stage::Starting]);
    fleet.scale(1.0, 0, 0, 2);
    assert_eq!(stages(&fleet, 0), serving);
    fleet.scale(1.0, 0, 0, 1);
    assert_eq!(fleet.variant(0, 0).unwrap().existing, [0]);
    assert_eq!(fleet.stage(1), Stage::Gone);
}

#[test]
fn a_cancelled_start_never_serves() {
    let spec = two_variants(0, 3, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 1);
    fleet.schedule(0.0, &mut events);
    fleet.scale(60.0, 0, 0, 0);
    assert_eq!(free(&fleet), [3, 0]);
    let (at, id) = next_start(&mut events).unwrap();
    assert!(!fleet.started(at, id, &mut events));
    assert!((fleet.bill(3600.0).0 - 4.0 / 60.0).abs() < 1e-9);
}

#[test]
fn a_draining_replica_keeps_its_gpus_until_it_is_empty() {
    let spec = two_variants(1, 1, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    give_request(&mut fleet, 0);
    fleet.scale(0.0, 0, 0, 0);
    assert_eq!(fleet.stage(0), Stage::Draining);
    assert_eq!((free(&fleet), stages(&fleet, 0)), (vec![0, 0], vec![]));
    assert!(!fleet.end_if_drained(0.0, 0));
    let mut outputs = Vec::new();
    while !fleet.replicas[0].engine.is_empty() {
        fleet.replicas[0].engine.step(&mut outputs);
    }
    assert!(fleet.end_if_drained(9.0, 0));
    assert_eq!(free(&fleet), [1, 0]);
    assert!((fleet.bill(3600.0).0 - 4.0 * 9.0 / 3600.0).abs() < 1e-9);
}

#[test]
fn a_failed_start_is_paid_for_and_replaced() {
    let spec = two_variants(0, 1, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.fail_next_start(0, 0);
    fleet.scale(0.0, 0, 0, 1);
    fleet.schedule(0.0, &mut events);
    let (at, first) = next_start(&mut events).unwrap();
    assert!(!fleet.started(at, first, &mut events));
    assert_eq!(
        (fleet.stage(first), stages(&fleet, 0)),
        (Stage::Gone, vec![Stage::Starting])
    );
    let (at, second) = next_start(&mut events).unwrap();
    assert!(fleet.started(at, second, &mut events));
    assert!((fleet.bill(at).0 - 4.0 * 240.0 / 3600.0).abs() < 1e-9);
}

#[test]
fn names_are_never_used_twice() {
    let spec = two_variants(1, 2, 0);
    let mut events = Events::default();
    let mut fleet = Fleet::new(&spec, &mut events);
    fleet.scale(0.0, 0, 0, 0);
    fleet.scale(0.0, 0, 0, 1);
    let names: Vec<&str> = fleet
        .replicas
        .iter()
        .map(|replica| replica.name.as_str())
        .collect();
    assert_eq!(names, ["h100-0", "h100-1"]);
}
