//! What was asked for outlives counts that lag behind, restarts, and parts that are lost.

use trimtab_core::decision::condition;
use trimtab_core::memory::{Memory, Recorded};
use trimtab_core::snapshot::Snapshot;
use trimtab_core::tick::tick;

use crate::fleet::{
    analyzer, content, desired, has, plans, policies, pool, refused, snapshot, variant,
};

/// One pool whose variant is found set to `set`.
fn found(set: u32) -> Snapshot {
    snapshot(vec![pool("a", vec![variant("v", set)])])
}

/// Settles, decides, and tells what is desired and whether somebody else changed the count.
fn decided(
    memory: &mut Memory,
    set: u32,
    recorded: Option<u32>,
    wanted: Option<u32>,
) -> (u32, bool) {
    let recorded = recorded.map(|replicas| Recorded { replicas, at_ms: 0 });
    decided_after(memory, set, recorded, wanted)
}

fn decided_after(
    memory: &mut Memory,
    set: u32,
    recorded: Option<Recorded>,
    wanted: Option<u32>,
) -> (u32, bool) {
    let mut seen = found(set);
    memory.settle(&mut seen, |_, _| recorded);
    let nothing = analyzer("silent", "1", |_| Err(refused()));
    let analyzer = if wanted.is_some() { content() } else { nothing };
    let policies = [policies(&analyzer, &plans(move |_, _| wanted.unwrap_or(0)))];
    let decisions = tick(&seen, &policies, memory);
    let drifted = has(&decisions[0], condition::DRIFT);
    (desired(&decisions)[0][0], drifted)
}

#[test]
fn a_count_that_lags_behind_what_was_asked_for_lowers_nothing() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 2, None, Some(8)), (8, false));
    // The autoscaler is on its way, and then nothing is known any more.
    for set in [2, 4, 6] {
        assert_eq!(decided(&mut memory, set, None, None), (8, false));
    }
}

#[test]
fn a_count_that_is_never_acted_on_stays_asked_for() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 9, None, Some(10)), (10, false));
    for _ in 0..3 {
        // Nobody reads what is asked for, or the autoscaler takes it for near enough.
        assert_eq!(decided(&mut memory, 9, None, None), (10, false));
    }
}

#[test]
fn a_count_that_somebody_else_set_is_started_from() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 2, None, Some(4)), (4, false));
    assert_eq!(decided(&mut memory, 4, None, None), (4, false));
    assert_eq!(decided(&mut memory, 6, None, None), (6, true));
    assert_eq!(
        decided(&mut memory, 6, None, None),
        (6, false),
        "reported once"
    );
}

#[test]
fn an_order_that_was_followed_late_is_no_drift() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 5, None, Some(3)), (3, false));
    // 6 is asked for while the autoscaler still acts on 3.
    assert_eq!(decided(&mut memory, 5, None, Some(6)), (6, false));
    assert_eq!(decided(&mut memory, 3, None, None), (6, false));
}

#[test]
fn a_memory_that_is_lost_starts_from_what_the_object_says() {
    assert_eq!(
        decided(&mut Memory::default(), 1, Some(3), None),
        (3, false)
    );
    assert_eq!(decided(&mut Memory::default(), 1, None, None), (1, false));
    assert_eq!(
        decided(&mut Memory::default(), 8, Some(3), None),
        (8, false),
        "somebody may have set more long after that was recorded"
    );
    let mut memory = Memory::default();
    decided(&mut memory, 1, None, Some(5));
    assert_eq!(
        decided(&mut memory, 1, Some(3), None),
        (5, false),
        "memory knows better"
    );
}

#[test]
fn what_was_asked_for_after_the_memory_was_kept_is_gone_on_with() {
    let mut memory = Memory::default();
    decided(&mut memory, 1, None, Some(2));
    let kept = serde_json::to_string(&memory).unwrap();
    let loaded = || serde_json::from_str::<Memory>(&kept).unwrap();
    let at = found(1).now_ms;
    let record = |at_ms| Some(Recorded { replicas: 3, at_ms });
    let first = |at_ms| decided_after(&mut loaded(), 1, record(at_ms), None).0;
    assert_eq!([first(at), first(at + 1)], [2, 3]);
    // Later the memory knows better, whatever anybody writes.
    let mut memory = loaded();
    decided_after(&mut memory, 1, record(at), None);
    assert_eq!(decided_after(&mut memory, 1, record(at + 1), None).0, 2);
}

#[test]
fn parts_put_together_in_any_order_are_the_memory() {
    let mut memory = Memory::default();
    let names = ["a", "b", "c", "d", "e"];
    let pools = names.map(|name| pool(name, vec![variant("v", 3)]));
    let seen = snapshot(pools.to_vec());
    let policies = vec![policies(&content(), &plans(|_, _| 4)); names.len()];
    let _ = tick(&seen, &policies, &mut memory);
    for count in [0, 1, 3, 64] {
        let mut parts = memory.split(count);
        assert_eq!(parts.len(), count.max(1) + 1);
        assert_eq!(parts, memory.split(count), "always the same parts");
        parts.reverse();
        let mut whole = Memory::default();
        parts.into_iter().for_each(|part| whole.absorb(part));
        assert_eq!(whole, memory);
    }
}

#[test]
fn parts_of_two_saves_lose_no_pool_and_the_later_one_counts() {
    let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    let saved = |now_ms: u64, wanted: u32| {
        let mut memory = Memory::default();
        let pools = names.iter().map(|name| pool(name, vec![variant("v", 3)]));
        let mut seen = snapshot(pools.collect());
        seen.now_ms += now_ms;
        let policies = vec![policies(&content(), &plans(move |_, _| wanted)); names.len()];
        let _ = tick(&seen, &policies, &mut memory);
        memory
    };
    let (before, after) = (saved(0, 4), saved(1, 5));
    let all = names.iter().map(|name| (name.as_str(), &[("v", 3)][..]));
    let all: Vec<_> = all.collect();
    for (few, many) in [(1, 2), (2, 4), (4, 16)] {
        // Whoever wants more parts writes the last ones first, and may die after any of them.
        let (old, new) = (before.split(few), after.split(many));
        for written in 0..=new.len() {
            let kept_from = new.len() - written;
            let mut parts: Vec<Memory> = old.iter().take(kept_from).cloned().collect();
            parts.extend(new.iter().skip(kept_from).cloned());
            for parts in [parts.clone(), parts.into_iter().rev().collect()] {
                let mut whole = Memory::default();
                parts.into_iter().for_each(|part| whole.absorb(part));
                let held = held(&mut whole, &all);
                let known = |counts: &Vec<u32>| matches!(counts[..], [4 | 5]);
                assert!(
                    held.iter().all(known),
                    "{few} to {many}, {written}: {held:?}"
                );
            }
        }
        let mut whole = Memory::default();
        let both = old.into_iter().rev().chain(new).chain(before.split(few));
        both.for_each(|part| whole.absorb(part));
        let held = held(&mut whole, &all);
        assert!(held.iter().all(|counts| counts[..] == [5]), "{held:?}");
    }
}

/// What is desired in pools of these names, each with these variants found set to a count, while
/// nothing is known.
fn held(memory: &mut Memory, pools: &[(&str, &[(&str, u32)])]) -> Vec<Vec<u32>> {
    let of = |(name, variants): &(&str, &[(&str, u32)])| {
        let variants = variants.iter().map(|(name, set)| variant(name, *set));
        pool(name, variants.collect())
    };
    let mut seen = snapshot(pools.iter().map(of).collect());
    memory.settle(&mut seen, |_, _| None);
    let policies: Vec<_> = pools
        .iter()
        .map(|_| {
            let silent = analyzer("silent", "1", |_| Err(refused()));
            policies(&silent, &plans(|_, _| 0))
        })
        .collect();
    desired(&tick(&seen, &policies, memory))
}

#[test]
fn variants_keep_what_was_asked_for_when_their_pool_changes_its_name() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 4, None, Some(6)), (6, false));
    assert_eq!(held(&mut memory, &[("b", &[("v", 4)])]), [[6]]);
    assert_eq!(held(&mut memory, &[("a", &[("v", 5)])]), [[6]]);
}

#[test]
fn a_variant_that_comes_to_another_pool_keeps_what_was_asked_for() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 4, None, Some(6)), (6, false));
    let all = held(&mut memory, &[("a", &[("w", 2)]), ("b", &[("v", 4)])]);
    assert_eq!(all, [[2], [6]]);
}

#[test]
fn namesakes_in_two_pools_are_two() {
    let mut memory = Memory::default();
    assert_eq!(decided(&mut memory, 4, None, Some(6)), (6, false));
    let all = held(&mut memory, &[("a", &[("v", 4)]), ("b", &[("v", 4)])]);
    assert_eq!(all, [[6], [4]]);
}
