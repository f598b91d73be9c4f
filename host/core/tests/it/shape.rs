//! Answers that the contract does not allow: each is a fault, and the pool is held.

use trimtab_contract::{
    Analysis, Capacity, Knowledge, KnowledgeSource, Level, Note, Plan, Pool, Role, Target,
};
use trimtab_core::memory::Memory;
use trimtab_core::policies::FaultKind;
use trimtab_core::tick::tick;

use crate::fleet::*;

/// Two variants of role `both` and one of `decode`.
fn seen() -> trimtab_core::snapshot::Snapshot {
    let mut decode = variant("d", 3);
    decode.role = Role::Decode;
    snapshot(vec![pool(
        "a",
        vec![variant("v", 3), variant("w", 3), decode],
    )])
}

/// The fault's message for an analysis that is spoiled by `spoil`.
#[track_caller]
fn analysis_fault(spoil: impl Fn(&mut Analysis, &Pool) + Send + Sync + 'static) -> String {
    let spoiled = analyzer("spoiled", "1", move |pool| {
        let mut answer = analysis(stages(pool));
        spoil(&mut answer, pool);
        Ok(answer)
    });
    let policies = [policies(&spoiled, &plans(|_, _| 1))];
    let decisions = tick(&seen(), &policies, &mut Memory::default());
    assert_eq!(desired(&decisions), [[3, 3, 3]]);
    let fault = decisions[0].analyses[0].call.faults[0]
        .fault
        .clone()
        .unwrap();
    assert_eq!(fault.kind, FaultKind::InvalidAnswer);
    fault.message
}

/// The fault's message for a plan that is spoiled by `spoil`.
#[track_caller]
fn plan_fault(spoil: impl Fn(&mut Plan) + Send + Sync + 'static) -> String {
    let spoiled = optimizer("spoiled", "1", move |requests| {
        let mut plan = plan(requests, &|_, _| 1);
        spoil(&mut plan);
        Ok(plan)
    });
    let decisions = tick(
        &seen(),
        &[policies(&content(), &spoiled)],
        &mut Memory::default(),
    );
    assert_eq!(desired(&decisions), [[3, 3, 3]]);
    let fault = decisions[0].plan.call.faults[0].fault.clone().unwrap();
    assert_eq!(fault.kind, FaultKind::InvalidAnswer);
    fault.message
}

#[test]
fn numbers_of_a_stage_must_be_amounts() {
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5] {
        let faults = [
            analysis_fault(move |answer, _| answer.stages[0].demand = nonsense),
            analysis_fault(move |answer, _| answer.stages[1].forecast = Some(nonsense)),
            analysis_fault(move |answer, _| answer.stages[0].floor = nonsense),
            analysis_fault(move |answer, _| answer.stages[0].ceiling = nonsense),
            analysis_fault(move |answer, _| answer.stages[0].capacities[1].per_replica = nonsense),
            analysis_fault(move |answer, _| answer.stages[0].capacities[0].load = nonsense),
            analysis_fault(move |answer, _| {
                answer.stages[0].capacities[0].predicted_ttft = Some(nonsense);
            }),
            analysis_fault(move |answer, _| {
                answer.stages[0].capacities[0].predicted_itl = Some(nonsense);
            }),
        ];
        for message in faults {
            assert!(message.contains("is no amount"), "{message}");
        }
    }
}

#[test]
fn a_stage_must_be_of_its_pool() {
    let message = analysis_fault(|answer, _| answer.stages[0].capacities[1].variant = 9);
    assert_eq!(message, "stage `both`: variant 9 does not exist");
    let message = analysis_fault(|answer, _| answer.stages[0].capacities[1].variant = 2);
    assert_eq!(message, "stage `both`: variant 2 has role `decode`");
    let message = analysis_fault(|answer, _| answer.stages[0].capacities[1].variant = 0);
    assert_eq!(message, "stage `both`: two capacities of variant 0");
    let message = analysis_fault(|answer, _| answer.stages[1] = answer.stages[0].clone());
    assert_eq!(message, "two stages for role `both`");
    let message = analysis_fault(|answer, _| answer.stages[0].floor = 1.0);
    assert_eq!(message, "stage `both`: floor 1 is above ceiling 0");
}

#[test]
fn sizes_of_an_analysis_are_bounded() {
    let message = analysis_fault(|answer, _| answer.stages[0].unit = "x".repeat(5000));
    assert!(message.contains("5000 bytes"), "{message}");
    let note = Note {
        level: Level::Info,
        variant: None,
        text: String::new(),
    };
    let message = analysis_fault({
        let note = note.clone();
        move |answer, _| answer.notes = vec![note.clone(); 2000]
    });
    assert!(message.contains("2000 notes"), "{message}");
    let message = analysis_fault(move |answer, _| {
        answer.notes = vec![Note {
            variant: Some(3),
            ..note.clone()
        }];
    });
    assert!(message.contains("variant 3"), "{message}");
    let message = analysis_fault(|answer, _| {
        let capacity: Capacity = answer.stages[0].capacities[0].clone();
        answer.stages[0].capacities = vec![capacity; 3];
    });
    assert!(message.contains("two capacities"), "{message}");
}

#[test]
fn a_pool_teaches_only_of_what_it_runs() {
    let teach = |change: fn(&mut Knowledge)| {
        analysis_fault(move |answer, pool| {
            let mut learned = Knowledge {
                model: pool.model.clone(),
                accelerator: "H100".into(),
                gpus_per_replica: 1,
                engine: None,
                quantity: "q".into(),
                value: 1.0,
                source: KnowledgeSource::Live,
                learned_at: NOW_MS,
            };
            change(&mut learned);
            answer.learned.push(learned);
        })
    };
    assert!(teach(|learned| learned.value = f64::NAN).contains("is no number"));
    assert!(teach(|learned| learned.model = "other".into()).contains("is not the pool's"));
    assert!(teach(|learned| learned.accelerator = "TPU".into()).contains("no variant runs"));
    assert!(teach(|learned| learned.gpus_per_replica = 2).contains("no variant runs"));
}

#[test]
fn a_plan_has_exactly_one_target_for_each_variant() {
    let message = plan_fault(|plan| drop(plan.targets.pop()));
    assert_eq!(message, "no target for request 0, variant 2");
    let message = plan_fault(|plan| plan.targets[1] = plan.targets[0].clone());
    assert_eq!(message, "two targets for request 0, variant 0");
    let message = plan_fault(|plan| plan.targets[1].variant = 3);
    assert_eq!(message, "request 0, variant 3 does not exist");
    let message = plan_fault(|plan| plan.targets[1].request = u32::MAX);
    assert_eq!(message, "request 4294967295, variant 1 does not exist");
}

#[test]
fn a_plan_must_be_plausible() {
    let message = plan_fault(|plan| plan.targets[2].replicas = 100_001);
    assert_eq!(message, "100001 replicas are not plausible (most: 100000)");
    let message = plan_fault(|plan| plan.targets[2].reason = "x".repeat(5000));
    assert!(message.contains("5000 bytes"), "{message}");
}

#[test]
fn one_bad_target_spoils_the_plan_of_the_whole_group() {
    let spoiled = optimizer("spoiled", "1", |requests| {
        let mut plan = plan(requests, &|_, _| 5);
        let extra = Target {
            request: 7,
            ..plan.targets[0].clone()
        };
        plan.targets.push(extra);
        Ok(plan)
    });
    let seen = snapshot(
        ["a", "b"]
            .map(|name| pool(name, vec![variant("v", 2)]))
            .to_vec(),
    );
    let policies = vec![policies(&content(), &spoiled); 2];
    assert_eq!(
        desired(&tick(&seen, &policies, &mut Memory::default())),
        [[2], [2]]
    );
}
