//! Whatever is observed and whatever policies say, the guard's promises hold.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use trimtab_contract::{Accelerator, Pool, Request, Role, Stage, Variant};
use trimtab_core::decision::{PoolDecision, Rule, VariantDecision};
use trimtab_core::memory::Memory;
use trimtab_core::policies::PoolPolicies;
use trimtab_core::snapshot::{Behavior, Mode, PoolRules, PoolSnapshot, Snapshot};
use trimtab_core::tick::tick;

use crate::fleet::{
    analysis, analyzer, bound, fault, optimizer, plan, pool, refused, snapshot, stages, variant,
};

/// How a pool's policies behave.
#[derive(Clone, Debug)]
struct Script {
    /// By variant; more than there are, so that any index has one.
    targets: Vec<u32>,
    analyzer: Answer,
    optimizer: Answer,
    /// A second analyzer, silent or refusing.
    second: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Good,
    Fault,
    Refusal,
    /// An answer that the contract does not allow.
    Nonsense,
    /// A fault of the bound version, and its stand-in answers.
    StandIn,
    /// Of an analyzer: no stages.
    Silence,
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        8 => Just(Answer::Good),
        1 => Just(Answer::Fault),
        1 => Just(Answer::Refusal),
        1 => Just(Answer::Nonsense),
        2 => Just(Answer::StandIn),
        1 => Just(Answer::Silence),
    ]
}

fn scripts() -> impl Strategy<Value = Script> {
    (
        vec(0..14_u32, 4),
        answer(),
        answer(),
        option::weighted(0.2, any::<bool>()),
    )
        .prop_map(|(targets, analyzer, optimizer, second)| Script {
            targets,
            analyzer,
            optimizer,
            second,
        })
}

prop_compose! {
    fn variants()(
        accelerator in prop_oneof![4 => Just("H100"), 2 => Just("L40S"), 1 => Just("TPU"), 1 => Just("unresolved")],
        role in prop_oneof![3 => Just(Role::Both), 1 => Just(Role::Prefill), 1 => Just(Role::Decode)],
        gpus in 0..4_u32,
        cost in prop_oneof![Just(0.0), 0.1..9.0],
        bounds in (0..4_u32, 0..12_u32),
        current in 0..9_u32,
        unready in 0..3_u32,
        desired in 0..9_u32,
    ) -> Variant {
        Variant {
            accelerator: accelerator.into(),
            gpus_per_replica: gpus,
            cost,
            role,
            min_replicas: bounds.0,
            max_replicas: bounds.1,
            ready_replicas: current.saturating_sub(unready),
            desired_replicas: desired,
            ..variant("v", current)
        }
    }
}

prop_compose! {
    fn rules()(
        mode in prop_oneof![5 => Just(Mode::Enforce), 1 => Just(Mode::Observe), 1 => Just(Mode::Paused)],
        scale_to_zero_after_seconds in option::of(Just(600.0)),
        behavior in option::weighted(0.3, Just(Behavior::default())),
    ) -> PoolRules {
        PoolRules { mode, scale_to_zero_after_seconds, behavior, ..PoolRules::default() }
    }
}

prop_compose! {
    fn pools()(
        variants in vec(variants(), 1..4),
        rules in rules(),
        idle_seconds in option::of(prop_oneof![Just(0.0), Just(900.0)]),
        queued in option::of(prop_oneof![Just(0.0), Just(3.0)]),
        request_rate in option::weighted(0.9, 0.0..9.0),
        priority in 0..4_u32,
        gap in option::weighted(0.2, (0..30_usize, 0..4_u8)),
    ) -> PoolSnapshot {
        let variants = (0..).zip(variants).map(|(n, v)| Variant { name: format!("v{n}"), ..v });
        let mut pool = pool("", variants.collect());
        pool.rules = rules;
        pool.idle_seconds = idle_seconds;
        pool.pool.workload.queued_requests = queued;
        pool.pool.workload.request_rate = request_rate;
        pool.pool.objective.priority = priority;
        if let Some((position, kind)) = gap {
            open_gap(&mut pool, position, kind);
        }
        pool
    }
}

/// Spoils the measurements of one replica.
fn open_gap(pool: &mut PoolSnapshot, position: usize, kind: u8) {
    let Some(position) = position.checked_rem(pool.replicas.len()) else {
        return;
    };
    match kind {
        0 => drop(pool.replicas.remove(position)),
        1 => pool.replicas[position].metrics_age = 300.0,
        2 => pool.replicas[position].kv_usage = None,
        _ => pool.replicas[position].waiting = Some(f64::INFINITY),
    }
}

fn accelerators() -> impl Strategy<Value = Option<Vec<Accelerator>>> {
    let one = |name: &'static str| {
        (0..30_u32, 0..30_u32, option::weighted(0.2, 0..9_u32)).prop_map(
            move |(available, held, quota)| Accelerator {
                name: name.into(),
                total: available + held,
                available,
                quota,
            },
        )
    };
    option::weighted(
        0.8,
        (one("H100"), one("L40S")).prop_map(|(a, b)| vec![a, b]),
    )
}

prop_compose! {
    fn fleets()(
        pools in vec((pools(), scripts()), 1..6),
        inventory in accelerators(),
        budget in option::of(0.0..120.0),
        optimizers in 1..3_usize,
    ) -> (Snapshot, Vec<Script>, usize) {
        let (mut pools, scripts): (Vec<_>, Vec<_>) = pools.into_iter().unzip();
        for (n, pool) in pools.iter_mut().enumerate() {
            pool.pool.name = format!("pool-{n}");
        }
        let seen = Snapshot { inventory, budget_per_hour: budget, ..snapshot(pools) };
        (seen, scripts, optimizers)
    }
}

/// Stages that depend on the pool alone: some with slack, some without, some below their floor.
fn shaped(pool: &Pool) -> Vec<Stage> {
    let mut stages = stages(pool);
    for (position, stage) in stages.iter_mut().enumerate() {
        for (capacity, unit) in stage.capacities.iter_mut().zip([1.0, 0.4, 2.5]) {
            capacity.per_replica = unit * f64::from(1 + capacity.variant % 2);
        }
        // A variant of which the analyzer knows nothing.
        stage.capacities.truncate(2);
        stage.demand = 2.0 * pool.workload.request_rate.unwrap_or(0.0);
        stage.floor = stage.demand * (1.0 + position as f64 / 4.0);
        stage.ceiling = stage.floor * 1.3;
    }
    stages
}

/// The scripted policies of all pools; those of one optimizer share the first one's script.
fn policies(snapshot: &Snapshot, scripts: &[Script], optimizers: usize) -> Vec<PoolPolicies> {
    let by_name: BTreeMap<String, Script> = snapshot
        .pools
        .iter()
        .map(|pool| pool.pool.name.clone())
        .zip(scripts.to_vec())
        .collect();
    (0..snapshot.pools.len())
        .map(|position| {
            let group = position % optimizers;
            one_pool(
                &scripts[position],
                scripts[group].optimizer,
                group,
                &by_name,
            )
        })
        .collect()
}

fn one_pool(
    script: &Script,
    answer: Answer,
    group: usize,
    by_name: &BTreeMap<String, Script>,
) -> PoolPolicies {
    let analyze = |answer: Answer| {
        analyzer(&format!("analyzer-{answer:?}"), "1", move |pool| {
            let mut stages = shaped(pool);
            match answer {
                Answer::Good => {}
                Answer::Silence => stages.clear(),
                Answer::Nonsense => stages[0].demand = f64::NAN,
                Answer::Refusal => return Err(refused()),
                Answer::Fault | Answer::StandIn => return Err(fault()),
            }
            Ok(analysis(stages))
        })
    };
    let optimize = |answer: Answer| {
        let by_name = by_name.clone();
        optimizer(
            &format!("optimizer-{group}-{answer:?}"),
            "1",
            move |requests: &[Request]| {
                let target = |pool: &Pool, variant: usize| by_name[&pool.name].targets[variant];
                let mut plan = plan(requests, &target);
                match answer {
                    Answer::Good | Answer::Silence => {}
                    Answer::Nonsense => drop(plan.targets.pop()),
                    Answer::Refusal => return Err(refused()),
                    Answer::Fault | Answer::StandIn => return Err(fault()),
                }
                Ok(plan)
            },
        )
    };
    let mut analyzers = vec![bound(vec![analyze(script.analyzer)])];
    let mut optimizer = bound(vec![optimize(answer)]);
    if script.analyzer == Answer::StandIn {
        analyzers[0].rungs.push(analyze(Answer::Good));
    }
    if answer == Answer::StandIn {
        optimizer.rungs.push(optimize(Answer::Good));
    }
    if let Some(refuses) = script.second {
        let second = if refuses {
            Answer::Refusal
        } else {
            Answer::Silence
        };
        analyzers.push(bound(vec![analyze(second)]));
    }
    PoolPolicies {
        analyzers,
        optimizer,
    }
}

/// One variant with its pool and what was decided.
struct View<'a> {
    seen: &'a PoolSnapshot,
    decided: &'a PoolDecision,
    variant: &'a Variant,
    decision: &'a VariantDecision,
}

fn all<'a>(
    snapshot: &'a Snapshot,
    decisions: &'a [PoolDecision],
) -> impl Iterator<Item = View<'a>> {
    snapshot
        .pools
        .iter()
        .zip(decisions)
        .flat_map(|(seen, decided)| {
            let variants = seen.pool.variants.iter().zip(&decided.variants);
            variants.map(move |(variant, decision)| View {
                seen,
                decided,
                variant,
                decision,
            })
        })
}

fn upper(variant: &Variant) -> u32 {
    variant.max_replicas.max(variant.min_replicas)
}

impl View<'_> {
    /// The least that must run: the minimum, or the last replica of a role.
    fn floor(&self) -> u32 {
        let raised = self
            .decision
            .steps
            .iter()
            .any(|step| step.rule == Rule::LastReplica);
        self.variant
            .min_replicas
            .max(u32::from(raised || self.is_first_of_role()))
    }

    /// Whether nothing of the role was asked for before, nor may it be at zero, and this is the
    /// cheapest that the plan wants: then one replica of it must run, whatever else is granted.
    fn is_first_of_role(&self) -> bool {
        let (idle, queued) = (
            self.seen.idle_seconds,
            self.seen.pool.workload.queued_requests,
        );
        let asleep = self
            .seen
            .pool
            .variants
            .iter()
            .all(|v| v.desired_replicas == 0);
        let zero_is_allowed = self.seen.rules.scale_to_zero_after_seconds.is_some()
            && (idle != Some(0.0) && queued != Some(3.0))
            && (asleep || idle.is_some() && queued.is_some());
        let of_role = || {
            let variants = self.seen.pool.variants.iter().zip(&self.decided.variants);
            variants.filter(|(v, _)| v.role == self.variant.role && upper(v) > 0)
        };
        let none_yet = of_role().all(|(v, _)| v.desired_replicas == 0 && v.min_replicas == 0);
        let first = of_role()
            .filter(|(_, decision)| decision.proposed.is_some_and(|wanted| wanted > 0))
            .min_by(|(a, _), (b, _)| {
                let rank = |variant: &Variant| variant.ready_replicas == 0;
                rank(a).cmp(&rank(b)).then(a.cost.total_cmp(&b.cost))
            });
        let is_first = first.is_some_and(|(first, _)| first.name == self.variant.name);
        !zero_is_allowed && none_yet && is_first
    }
}

fn check_bounds(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    for View {
        seen,
        variant,
        decision,
        ..
    } in all(snapshot, decisions)
    {
        if seen.rules.mode == Mode::Paused {
            assert_eq!(decision.desired, variant.desired_replicas);
        } else {
            assert!(decision.desired >= variant.min_replicas, "{decision:#?}");
            assert!(decision.desired <= upper(variant), "{decision:#?}");
        }
    }
}

fn check_steps(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    for View { decision, .. } in all(snapshot, decisions) {
        let mut count = decision.proposed.unwrap_or(decision.previous);
        for step in &decision.steps {
            assert_eq!(step.before, count, "{decision:#?}");
            count = step.after;
        }
        assert_eq!(count, decision.desired, "{decision:#?}");
    }
}

/// GPUs that more than exists now will need: what grew, and what was settled before.
fn check_gpus(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    let Some(inventory) = &snapshot.inventory else {
        return;
    };
    for accelerator in ["H100", "L40S", "TPU"] {
        let entry = inventory.iter().find(|entry| entry.name == accelerator);
        let free = entry.map_or(0, |e| e.available.min(e.quota.unwrap_or(u32::MAX)));
        let (mut reserved, mut grown) = (0, 0);
        for view in all(snapshot, decisions).filter(|v| v.variant.accelerator == accelerator) {
            let View {
                seen,
                variant,
                decision,
                ..
            } = view;
            let previous = variant.desired_replicas;
            let settled = previous.max(view.floor());
            let enforced = seen.rules.mode == Mode::Enforce;
            let held = if enforced { settled } else { previous };
            reserved += held.saturating_sub(variant.current_replicas) * variant.gpus_per_replica;
            let exists = variant.current_replicas.max(settled);
            grown += decision.desired.saturating_sub(exists) * variant.gpus_per_replica;
        }
        let left = free.saturating_sub(reserved);
        assert!(
            grown <= left,
            "{accelerator}: {grown} of {free}, {reserved} reserved"
        );
    }
}

fn check_budget(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    let Some(budget) = snapshot.budget_per_hour else {
        return;
    };
    let (mut settled_cost, mut cost) = (0.0, 0.0);
    for view in all(snapshot, decisions) {
        let View {
            seen,
            variant,
            decision,
            ..
        } = view;
        let settled = variant.desired_replicas.max(view.floor());
        let enforced = seen.rules.mode == Mode::Enforce;
        let base = if enforced {
            settled
        } else {
            variant.desired_replicas
        };
        settled_cost += f64::from(base) * variant.cost;
        cost += f64::from(base + decision.desired.saturating_sub(settled)) * variant.cost;
    }
    assert!(
        cost <= budget.max(settled_cost) + 1e-6,
        "{cost} of {budget}, {settled_cost} settled"
    );
}

/// What must be known for a variant to shrink, written apart from the guard's own words.
fn may_shrink(seen: &PoolSnapshot, index: usize, decision: &PoolDecision) -> bool {
    let measured = |variant: usize| {
        let complete = seen.replicas.iter().filter(|replica| {
            replica.variant as usize == variant
                && replica.metrics_age <= 75.0
                && replica.kv_usage.is_some()
                && replica.waiting.is_some_and(f64::is_finite)
        });
        complete.count() >= seen.pool.variants[variant].ready_replicas as usize
    };
    let calls = decision.analyses.iter().map(|analyzed| &analyzed.call);
    let first_hand = calls
        .chain([&decision.plan.call])
        .all(|call| call.refusal.is_none() && call.faults.is_empty() && call.answered_by.is_some());
    let judged = decision
        .analyses
        .iter()
        .flat_map(|analyzed| &analyzed.stages)
        .any(|stage| {
            stage
                .capacities
                .iter()
                .any(|capacity| capacity.variant as usize == index)
        });
    let known = seen.pool.workload.request_rate.is_some();
    known && first_hand && judged && (0..seen.pool.variants.len()).all(measured)
}

fn check_evidence(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    for (seen, decision) in snapshot.pools.iter().zip(decisions) {
        for (index, variant) in seen.pool.variants.iter().enumerate() {
            let least = variant.desired_replicas.min(upper(variant));
            if decision.variants[index].desired < least {
                assert!(
                    may_shrink(seen, index, decision),
                    "{index} of {decision:#?}"
                );
            }
        }
    }
}

fn check_ceilings(snapshot: &Snapshot, decisions: &[PoolDecision]) {
    for (seen, decision) in snapshot.pools.iter().zip(decisions) {
        for stage in decision
            .analyses
            .iter()
            .flat_map(|analyzed| &analyzed.stages)
        {
            for only_ready in [false, true] {
                let supply = |count: &dyn Fn(usize) -> u32| -> f64 {
                    let of = |variant: usize| {
                        let most = if only_ready {
                            seen.pool.variants[variant].ready_replicas
                        } else {
                            u32::MAX
                        };
                        f64::from(count(variant).min(most))
                    };
                    stage
                        .capacities
                        .iter()
                        .map(|c| c.per_replica * of(c.variant as usize))
                        .sum()
                };
                let before = supply(&|index| {
                    let variant = &seen.pool.variants[index];
                    variant.desired_replicas.min(upper(variant))
                });
                let after = supply(&|index| decision.variants[index].desired);
                assert!(
                    after >= before.min(stage.ceiling) - 1e-6,
                    "{stage:?} {decision:#?}"
                );
            }
        }
    }
}

/// What is decided must be what is serving: another tick with the counts followed.
fn follow(snapshot: &mut Snapshot, decisions: &[PoolDecision]) {
    snapshot.now_ms += 15_000;
    for (pool, decision) in snapshot.pools.iter_mut().zip(decisions) {
        for (variant, decided) in pool.pool.variants.iter_mut().zip(&decision.variants) {
            variant.desired_replicas = decided.desired;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_guard_keeps_its_promises((mut seen, scripts, optimizers) in fleets()) {
        let policies = policies(&seen, &scripts, optimizers);
        let mut memory = Memory::default();
        for _ in 0..4 {
            let decisions = tick(&seen, &policies, &mut memory);
            prop_assert_eq!(decisions.len(), seen.pools.len());
            check_steps(&seen, &decisions);
            check_bounds(&seen, &decisions);
            check_gpus(&seen, &decisions);
            check_budget(&seen, &decisions);
            check_evidence(&seen, &decisions);
            check_ceilings(&seen, &decisions);
            follow(&mut seen, &decisions);
        }
    }

    #[test]
    fn the_order_of_pools_changes_nothing((mut seen, scripts, optimizers) in fleets(), turn in 0..6_usize) {
        let policies = policies(&seen, &scripts, optimizers);
        let (mut memory, mut turned_memory) = (Memory::default(), Memory::default());
        for _ in 0..3 {
            let decisions = tick(&seen, &policies, &mut memory);
            let (mut turned, mut turned_policies) = (seen.clone(), policies.clone());
            turned.pools.rotate_left(turn % seen.pools.len());
            turned_policies.rotate_left(turn % seen.pools.len());
            let mut turned_back = tick(&turned, &turned_policies, &mut turned_memory);
            turned_back.rotate_right(turn % seen.pools.len());
            prop_assert_eq!(&decisions, &turned_back);
            prop_assert_eq!(&memory, &turned_memory);
            follow(&mut seen, &decisions);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes((mut seen, scripts, optimizers) in fleets()) {
        let policies = policies(&seen, &scripts, optimizers);
        let (mut memory, mut restored) = (Memory::default(), Memory::default());
        for _ in 0..3 {
            let decisions = serde_json::to_vec(&tick(&seen, &policies, &mut memory)).unwrap();
            let again = serde_json::to_vec(&tick(&seen, &policies, &mut restored)).unwrap();
            prop_assert_eq!(&decisions, &again);
            let checkpoint = serde_json::to_vec(&memory).unwrap();
            restored = serde_json::from_slice(&checkpoint).unwrap();
            prop_assert_eq!(&restored, &memory);
            follow(&mut seen, &serde_json::from_slice::<Vec<PoolDecision>>(&decisions).unwrap());
        }
    }
}
