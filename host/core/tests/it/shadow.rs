//! Policies that are asked beside the active ones, and change nothing.

use std::cell::Cell;
use std::sync::Arc;

use trimtab_contract::{Context, Limits, Request};
use trimtab_core::binding::{Binding, decide};
use trimtab_core::decision::condition;
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Optimizer, PoolPolicies};
use trimtab_core::shadow::{Shadow, Shadowed, Tally, shadows};
use trimtab_core::snapshot::Snapshot;

use crate::fleet::*;

fn shadow(name: &str, optimizer: Arc<dyn Optimizer>) -> Shadow {
    Shadow {
        name: name.into(),
        policies: policies(&content(), &optimizer),
    }
}

fn with_shadows(shadows: Vec<Shadow>) -> Binding {
    Binding {
        shadows,
        ..policies(&content(), &plans(|_, _| 2)).into()
    }
}

fn run(seen: &Snapshot, binding: &Binding, memory: &mut Memory) -> Vec<Shadowed> {
    let bindings = vec![binding.clone(); seen.pools.len()];
    let decisions = decide(seen, &bindings, memory);
    shadows(seen, &bindings, &decisions, memory, &|| true)
}

fn tally(memory: &Memory, candidate: &str) -> Tally {
    let mut of_pool = memory.shadows("default", "a");
    of_pool
        .find(|(name, _)| *name == candidate)
        .unwrap()
        .1
        .clone()
}

fn asked(shadowed: &Shadowed) -> Vec<u32> {
    let proposal = shadowed.proposal.as_ref().unwrap();
    proposal.variants().iter().map(|of| of.desired).collect()
}

#[test]
fn a_shadow_is_shown_and_changes_nothing() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let binding = with_shadows(vec![shadow("more", plans(|_, _| 5))]);
    let bindings = [binding.clone()];
    let mut with = Memory::default();
    let decided = decide(&seen, &bindings, &mut with);
    let shadowed = shadows(&seen, &bindings, &decided, &mut with, &|| true);
    assert_eq!(asked(&shadowed[0]), [5]);
    assert!(!shadowed[0].proposal.as_ref().unwrap().variants()[0].published);
    let mut without = Memory::default();
    let alone = [Binding {
        shadows: Vec::new(),
        ..binding
    }];
    assert_eq!(decide(&seen, &alone, &mut without), decided);
    assert_eq!(
        decide(&seen, &bindings, &mut with),
        decide(&seen, &alone, &mut without)
    );
}

#[test]
fn what_it_says_is_held_to_the_guards_rules() {
    let mut bounded = variant("v", 2);
    bounded.max_replicas = 4;
    let mut observed = pool("a", vec![bounded]);
    observed.rules.mode = trimtab_core::snapshot::Mode::Paused;
    let seen = snapshot(vec![observed]);
    let binding = with_shadows(vec![shadow("more", plans(|_, _| 9))]);
    let shadowed = run(&seen, &binding, &mut Memory::default());
    assert_eq!(asked(&shadowed[0]), [4]);
}

#[test]
fn a_shadow_keeps_a_state_of_its_own() {
    let remembers = |start: u8| -> Arc<dyn Optimizer> {
        let answer = move |context: &Context, requests: &[Request], _: &Limits| {
            let ticks = context.state.first().copied().unwrap_or(start);
            let mut plan = plan(requests, &|_, _| u32::from(ticks));
            plan.state = vec![ticks + 1];
            Ok(plan)
        };
        Arc::new(Fake::new("counts", "1", answer))
    };
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let mut binding = with_shadows(vec![shadow("own", remembers(5))]);
    binding.policies = policies(&content(), &remembers(1));
    let mut memory = Memory::default();
    let asked: Vec<_> = (0..3)
        .map(|_| asked(&run(&seen, &binding, &mut memory)[0])[0])
        .collect();
    assert_eq!(asked, [5, 6, 7]);
    assert_eq!(tally(&memory, "own").variants["v"].active, 3);
}

#[test]
fn it_is_counted_how_often_and_by_how_much_they_differ() {
    let mut dear = variant("v", 2);
    dear.cost = 3.0;
    let seen = snapshot(vec![pool("a", vec![dear])]);
    let mut memory = Memory::default();
    let binding = with_shadows(vec![
        shadow("more", plans(|_, _| 5)),
        shadow("same", plans(|_, _| 2)),
    ]);
    for _ in 0..4 {
        let _ = run(&seen, &binding, &mut memory);
    }
    let more = tally(&memory, "more");
    assert_eq!(
        (more.ticks, more.disagreements, more.since_ms),
        (4, 4, NOW_MS)
    );
    assert_eq!(more.disagreement_rate(), Some(1.0));
    assert_eq!(more.variants["v"].sum_of_differences, 12);
    assert_eq!(more.mean_costs(), Some((6.0, 15.0)));
    assert_eq!(tally(&memory, "same").disagreement_rate(), Some(0.0));
    assert_eq!(Tally::default().disagreement_rate(), None);
}

#[test]
fn what_there_is_no_time_for_is_skipped_counted_and_first_next_time() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let round = rayon::current_num_threads();
    let names: Vec<String> = (0..3 * round).map(|n| format!("s{n:03}")).collect();
    let shadows_of = names.iter();
    let binding = with_shadows(
        shadows_of
            .map(|name| shadow(name, plans(|_, _| 3)))
            .collect(),
    );
    let bindings = [binding];
    let mut memory = Memory::default();
    let once = |memory: &mut Memory| -> Vec<String> {
        let decisions = decide(&seen, &bindings, memory);
        let asked = Cell::new(false);
        let told = shadows(&seen, &bindings, &decisions, memory, &|| {
            !asked.replace(true)
        });
        assert_eq!(told.len(), names.len());
        let ran = told.into_iter().filter(|of| of.proposal.is_some());
        ran.map(|of| of.candidate).collect()
    };
    let rounds: Vec<Vec<String>> = (0..3).map(|_| once(&mut memory)).collect();
    assert!(rounds.iter().all(|ran| ran.len() == round), "{rounds:?}");
    let mut all = rounds.concat();
    all.sort();
    assert_eq!(all, names);
    let last = tally(&memory, names.last().unwrap());
    assert_eq!((last.ticks, last.skipped), (1, 2));
}

#[test]
fn a_shadow_that_faults_harms_nobody() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let broken = optimizer("broken", "1", |_| Err(fault()));
    let binding = with_shadows(vec![
        shadow("broken", broken),
        shadow("more", plans(|_, _| 5)),
    ]);
    let mut memory = Memory::default();
    for _ in 0..5 {
        let decisions = decide(&seen, std::slice::from_ref(&binding), &mut memory);
        assert!(!has(&decisions[0], condition::POLICY_FAULT));
        let told = shadows(
            &seen,
            std::slice::from_ref(&binding),
            &decisions,
            &mut memory,
            &|| true,
        );
        assert_eq!((asked(&told[0]), asked(&told[1])), (vec![2], vec![5]));
    }
    assert_eq!(
        (
            tally(&memory, "broken").faulted,
            tally(&memory, "more").faulted
        ),
        (5, 0)
    );
    assert!(
        memory.failed().is_empty(),
        "the active policies' record is their own"
    );
}

#[test]
fn a_shadow_that_is_bound_no_more_is_forgotten() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let mut memory = Memory::default();
    let _ = run(
        &seen,
        &with_shadows(vec![shadow("more", plans(|_, _| 5))]),
        &mut memory,
    );
    assert_eq!(memory.shadows("default", "a").count(), 1);
    let _ = run(&seen, &with_shadows(Vec::new()), &mut memory);
    assert_eq!(memory.shadows("default", "a").count(), 0);
}

#[test]
fn how_they_compared_outlives_a_restart() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let mut memory = Memory::default();
    let binding = with_shadows(vec![shadow("more", plans(|_, _| 5))]);
    let _ = run(&seen, &binding, &mut memory);
    let kept = serde_json::to_string(&memory).unwrap();
    let mut memory: Memory = serde_json::from_str(&kept).unwrap();
    let _ = run(&seen, &binding, &mut memory);
    assert_eq!(tally(&memory, "more").ticks, 2);
}

#[test]
fn a_pool_without_shadows_has_none() {
    let seen = snapshot(vec![pool("a", vec![variant("v", 2)])]);
    let plain: PoolPolicies = policies(&content(), &plans(|_, _| 2));
    assert!(run(&seen, &plain.into(), &mut Memory::default()).is_empty());
}
