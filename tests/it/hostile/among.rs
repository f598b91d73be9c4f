//! A hostile guest among pools that are well: bound to one of ten it harms no other and takes no
//! replica from its own; asked in shadow it harms nothing at all.

use std::sync::{Arc, LazyLock};

use trimtab_core::binding::{Binding, decide};
use trimtab_core::decision::PoolDecision;
use trimtab_core::memory::Memory;
use trimtab_core::policies::{Analyzer, Bound, Optimizer, PoolPolicies};
use trimtab_core::shadow::{Shadow, shadows};
use trimtab_core::snapshot::Snapshot;
use trimtab_sandbox::{Limits, Policy, Scaled, builtin};
use trimtab_tests::fleet;

use super::given::{SANDBOX, behaviour, with_limits};

const POOLS: u32 = 10;
const REPLICAS: u32 = 3;
/// Two ticks more than it takes to open the breaker.
const TICKS: u32 = 5;

/// All that the guest does, with an amount that is too much.
const BEHAVIOURS: [(&str, usize); 14] = [
    ("behave", 1),
    ("work", 1 << 40),
    ("endless-loop", 1),
    ("memory-bomb", 1),
    ("careful-greed", 1 << 31),
    ("deep-recursion", 1),
    ("panic", 1),
    ("huge-list", 50),
    ("huge-string", 10 << 20),
    ("large-state", 10 << 20),
    ("not-a-number", 1),
    ("wrong-indices", 1),
    ("twice", 1),
    ("refuse", 1),
];

/// The last, of which only a part is a fault.
const HUGE_REFUSAL: (&str, usize) = ("huge-refusal", 10 << 20);

static SHIPPED: LazyLock<(Policy, Policy)> = LazyLock::new(|| {
    let load = |name| SANDBOX.load(builtin(name).unwrap()).unwrap();
    (load("queueing-analyzer"), load("cost-optimizer"))
});

/// Limits under which nothing takes long.
fn hostile() -> Policy {
    with_limits(Limits {
        fuel: Scaled::new(20_000_000, 0, 0),
        ..Limits::default()
    })
}

fn shipped() -> (Arc<dyn Analyzer>, Arc<dyn Optimizer>) {
    let (analyzer, optimizer) = &*SHIPPED;
    (analyzer.analyzer().unwrap(), optimizer.optimizer().unwrap())
}

fn well() -> PoolPolicies {
    let (analyzer, optimizer) = shipped();
    PoolPolicies {
        analyzers: vec![Bound::new(vec![analyzer], "{}")],
        optimizer: Bound::new(vec![optimizer], "{}"),
    }
}

/// With the guest as both, and the shipped policies behind it.
fn ill(settings: &str) -> PoolPolicies {
    let (analyzer, optimizer) = shipped();
    let guest = hostile();
    PoolPolicies {
        analyzers: vec![Bound::new(
            vec![guest.analyzer().unwrap(), analyzer],
            settings,
        )],
        optimizer: Bound::new(vec![guest.optimizer().unwrap(), optimizer], settings),
    }
}

/// Decisions of several ticks, in which each pool has what the one before asked for.
fn run(bindings: &[Binding]) -> Vec<Vec<PoolDecision>> {
    let mut memory = Memory::default();
    let mut decisions: Vec<Vec<PoolDecision>> = Vec::new();
    for tick in 0..TICKS {
        let mut seen = fleet::snapshot(POOLS, 2, REPLICAS, tick);
        if let Some(before) = decisions.last() {
            carry_over(&mut seen, before);
        }
        let decided = decide(&seen, bindings, &mut memory);
        let _ = shadows(&seen, bindings, &decided, &mut memory, &|| true);
        decisions.push(decided);
    }
    decisions
}

fn carry_over(seen: &mut Snapshot, before: &[PoolDecision]) {
    for (pool, decision) in seen.pools.iter_mut().zip(before) {
        for (variant, decided) in pool.pool.variants.iter_mut().zip(&decision.variants) {
            variant.desired_replicas = decided.desired;
        }
    }
}

fn all() -> impl Iterator<Item = (&'static str, usize)> {
    BEHAVIOURS.into_iter().chain([HUGE_REFUSAL])
}

#[test]
fn bound_to_one_pool_of_ten_it_harms_no_other_and_takes_no_replica_from_its_own() {
    let undisturbed = run(&vec![well().into(); POOLS as usize]);
    for (name, amount) in all() {
        let mut bindings: Vec<Binding> = vec![well().into(); POOLS as usize];
        bindings[4] = ill(&behaviour(name, amount)).into();
        let decisions = run(&bindings);
        for (decided, well) in decisions.iter().zip(&undisturbed) {
            for (pool, (decided, well)) in decided.iter().zip(well).enumerate() {
                if pool == 4 {
                    for variant in &decided.variants {
                        assert!(variant.desired >= REPLICAS, "{name}: {decided:#?}");
                    }
                } else {
                    assert_eq!(decided.variants, well.variants, "{name} harms pool {pool}");
                    assert_eq!(decided.conditions, well.conditions, "{name}");
                }
            }
        }
    }
}

#[test]
fn asked_in_shadow_it_harms_nothing_at_all() {
    let undisturbed = run(&vec![well().into(); POOLS as usize]);
    for (name, amount) in all() {
        let mut bindings: Vec<Binding> = vec![well().into(); POOLS as usize];
        bindings[4].shadows = vec![Shadow {
            name: name.to_owned(),
            policies: ill(&behaviour(name, amount)),
        }];
        assert_eq!(run(&bindings), undisturbed, "{name}");
    }
}
