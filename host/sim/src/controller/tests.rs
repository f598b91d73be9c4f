//! The engine with bindings: swaps, shadows and experiments, on native policies.

use std::sync::Arc;

use trimtab_contract::{
    Analysis, Capacity, Context, Descriptor, Knowledge, Level, Limits, Note, Plan, Pool, Replica,
    Request, Role, Stage, Target,
};
use trimtab_core::binding::Trial;
use trimtab_core::experiment::{Arm, Experiment, Phase};
use trimtab_core::policies::{
    Analyzer, Bound, CallError, Digest, Fault, FaultKind, Optimizer, PoolPolicies,
};
use trimtab_core::shadow::Shadow;

use super::*;
use crate::outcome::Outcome;
use crate::run::run;
use crate::spec::Spec;
use crate::testing::{poisson, simple};

/// An analyzer that counts its calls in its state, and an optimizer that asks for one count.
struct Native {
    descriptor: Descriptor,
    digest: Digest,
    replicas: u32,
    faults: bool,
}

fn native(name: &str, format: &str, digest: &str, replicas: u32) -> Native {
    Native {
        descriptor: Descriptor {
            name: name.to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            settings_schema: String::new(),
            state_format: format.to_owned(),
        },
        digest: Digest(format!("sha256:{digest}")),
        replicas,
        faults: false,
    }
}

impl Analyzer for Native {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn analyze(
        &self,
        context: &Context,
        _: &Pool,
        _: &[Replica],
        _: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        if self.faults {
            return Err(CallError::Fault(Fault {
                kind: FaultKind::Trap,
                message: "unreachable".to_owned(),
            }));
        }
        let calls = context.state.first().copied().unwrap_or(0) + 1;
        let capacity = Capacity {
            variant: 0,
            per_replica: 1.0,
            load: 0.0,
            predicted_ttft: None,
            predicted_itl: None,
        };
        Ok(Analysis {
            stages: vec![Stage {
                role: Role::Both,
                unit: "replicas".to_owned(),
                demand: 1.0,
                forecast: None,
                floor: 1.0,
                ceiling: 1.0,
                capacities: vec![capacity],
            }],
            learned: Vec::new(),
            notes: vec![Note {
                level: Level::Info,
                variant: None,
                text: format!("call {calls}"),
            }],
            state: vec![calls],
        })
    }
}

impl Optimizer for Native {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn optimize(&self, _: &Context, requests: &[Request], _: &Limits) -> Result<Plan, CallError> {
        let targets = (0..).zip(requests).map(|(request, _)| Target {
            request,
            variant: 0,
            replicas: self.replicas,
            reason: "so many".to_owned(),
        });
        Ok(Plan {
            targets: targets.collect(),
            notes: Vec::new(),
            state: Vec::new(),
        })
    }
}

fn analyzer(rungs: Vec<Native>) -> Bound<dyn Analyzer> {
    let rungs = rungs.into_iter().map(|of| Arc::new(of) as _).collect();
    Bound::new(rungs, "{}")
}

fn policies(analyzers: Vec<Native>, replicas: u32) -> PoolPolicies {
    let digest = format!("gives-{replicas}");
    let optimizer: Arc<dyn Optimizer> = Arc::new(native("gives", "1", &digest, replicas));
    PoolPolicies {
        analyzers: vec![analyzer(analyzers)],
        optimizer: Bound::new(vec![optimizer], "{}"),
    }
}

/// Counts in format 1, and asks for so many replicas.
fn asking(replicas: u32) -> PoolPolicies {
    policies(vec![native("counts", "1", "one", 0)], replicas)
}

/// Forty ticks with a request a second.
fn quiet() -> Spec {
    simple(600.0, 2, poisson(3, 1.0, 600.0, 200, 50))
}

fn with(binding: impl Into<Binding>, swaps: Vec<Swap>) -> Outcome {
    let mut engine = Engine::new(vec![binding]).with_swaps(swaps);
    run(&quiet(), &mut engine, &mut |_| {})
}

fn swap(at_seconds: f64, analyzers: Vec<Native>) -> Swap {
    Swap {
        at_seconds,
        pool: 0,
        binding: policies(analyzers, 2).into(),
    }
}

/// Digest and note of the analyzer in the tick at this second.
fn said(outcome: &Outcome, second: u64) -> (String, String) {
    let at = START_MS + second * 1000;
    let mut decisions = outcome.decisions.iter();
    let decision = decisions.find(|of| of.now_ms == at).unwrap();
    let analyzed = &decision.analyses[0];
    let answered = analyzed.call.answered_by.as_ref().unwrap();
    (answered.digest.0.clone(), analyzed.notes[0].text.clone())
}

fn pair(digest: &str, note: &str) -> (String, String) {
    (digest.to_owned(), note.to_owned())
}

#[test]
fn the_first_tick_at_or_after_a_swap_names_the_new_digest_and_keeps_the_state() {
    let outcome = with(
        asking(2),
        vec![
            swap(150.0, vec![native("counts", "1", "two", 0)]),
            swap(301.0, vec![native("counts", "2", "three", 0)]),
        ],
    );
    assert_eq!(said(&outcome, 135), pair("sha256:one", "call 9"));
    assert_eq!(said(&outcome, 150), pair("sha256:two", "call 10"));
    assert_eq!(said(&outcome, 300), pair("sha256:two", "call 20"));
    // Of another format, it begins with nothing.
    assert_eq!(said(&outcome, 315), pair("sha256:three", "call 1"));
    let swaps: Vec<_> = outcome
        .tried
        .swaps
        .iter()
        .map(|of| {
            let digest = |of: &Deciding| of.analyzers[0].digest.0.clone();
            (of.at_seconds, digest(&of.before), digest(&of.after))
        })
        .collect();
    let (one, two, three) = ("sha256:one", "sha256:two", "sha256:three");
    let expected = [(150.0, one, two), (315.0, two, three)];
    assert_eq!(
        swaps,
        expected.map(|(at, from, to)| (at, from.to_owned(), to.to_owned()))
    );
}

#[test]
fn what_was_before_stands_in_where_the_new_version_faults() {
    let broken = Native {
        faults: true,
        ..native("counts", "1", "broken", 0)
    };
    let rungs = vec![broken, native("counts", "1", "one", 0)];
    let outcome = with(asking(2), vec![swap(150.0, rungs)]);
    assert_eq!(said(&outcome, 150), pair("sha256:one", "call 10"));
    assert!(outcome.policy_faults > 0);
}

#[test]
fn shadows_change_nothing_and_are_asked_each_tick() {
    let shadow = |name: &str, replicas| Shadow {
        name: name.to_owned(),
        policies: asking(replicas),
    };
    let binding = Binding {
        shadows: vec![shadow("more", 4), shadow("alike", 2)],
        ..asking(2).into()
    };
    let (alone, beside) = (with(asking(2), vec![]), with(binding, vec![]));
    assert_eq!(alone.decisions, beside.decisions);
    assert_eq!(alone.cost, beside.cost);
    assert!(alone.tried.asked.is_empty() && alone.tried.shadows.is_empty());
    let asked: Vec<_> = beside.tried.asked[..4]
        .iter()
        .map(|of| {
            let wanted = of.shadowed.proposal.as_ref().unwrap().variants()[0].desired;
            (of.at_seconds, of.shadowed.candidate.as_str(), wanted)
        })
        .collect();
    let expected = [
        (15.0, "alike", 2),
        (15.0, "more", 4),
        (30.0, "alike", 2),
        (30.0, "more", 4),
    ];
    assert_eq!(asked, expected);
    assert_eq!(beside.tried.asked.len() as u64, 2 * beside.ticks);
    let rates: Vec<_> = beside
        .tried
        .shadows
        .iter()
        .map(|of| (of.candidate.as_str(), of.tally.disagreement_rate()))
        .collect();
    assert_eq!(rates, [("alike", Some(0.0)), ("more", Some(1.0))]);
}

fn trial(candidate: u32) -> Binding {
    let rules = Experiment {
        slot_seconds: 60.0,
        washout_seconds: 15.0,
        max_slots: 8,
        ..Experiment::default()
    };
    Binding {
        trial: Some(Trial {
            rules,
            candidate: Some(asking(candidate)),
        }),
        ..asking(2).into()
    }
}

#[test]
fn both_arms_of_an_experiment_take_turns_and_the_last_report_is_the_result() {
    let outcome = with(trial(2), vec![]);
    let arms: Vec<_> = outcome.decisions.iter().map(|of| of.arm).collect();
    let count = |arm| arms.iter().filter(|of| **of == arm).count();
    // Eight slots of four ticks.
    assert_eq!(count(Some(Arm::Control)), 16);
    assert_eq!(count(Some(Arm::Candidate)), 16);
    let series = &outcome.tried.experiments[0];
    assert_eq!((series.pool, series.ticks.len()), (0, arms.len()));
    for ((_, report), arm) in series.ticks.iter().zip(&arms) {
        let running = match report.phase {
            Phase::Running { arm, .. } => Some(arm),
            Phase::Waiting | Phase::Done | Phase::Stopped { .. } => None,
        };
        assert_eq!(running, *arm);
    }
    let (_, last) = series.ticks.last().unwrap();
    assert_eq!(last.phase, Phase::Done);
    assert_eq!((last.control.slots, last.candidate.slots), (4, 4));
    // The same policies in both arms: nothing to find.
    assert_eq!(last.cost.estimate, Some(0.0));
}

#[test]
fn an_experiment_begins_anew_where_a_swap_changes_its_arms() {
    let trial = |identity: &str, candidate| {
        let mut binding = trial(candidate);
        if let Some(trial) = &mut binding.trial {
            trial.rules.identity = identity.to_owned();
        }
        binding
    };
    let swap = Swap {
        at_seconds: 240.0,
        pool: 0,
        binding: trial("other", 4),
    };
    let outcome = with(trial("one", 3), vec![swap]);
    let series = &outcome.tried.experiments[0];
    let slot = |second: f64| {
        let mut ticks = series.ticks.iter();
        let (_, report) = ticks.find(|(at, _)| *at == second).unwrap();
        match report.phase {
            Phase::Running { slot, .. } => Some(slot),
            Phase::Waiting | Phase::Done | Phase::Stopped { .. } => None,
        }
    };
    assert_eq!(
        (slot(225.0), slot(240.0), slot(300.0)),
        (Some(3), Some(0), Some(1))
    );
    let optimizer = series.candidate.optimizer.as_ref().unwrap();
    assert_eq!(optimizer.digest.0, "sha256:gives-4");
}

#[test]
fn the_same_run_tries_the_same() {
    let tried = || format!("{:?}", with(trial(3), vec![]).tried);
    assert_eq!(tried(), tried());
    assert!(tried().contains("Candidate"));
}
