//! The first part of a tick: each analyzer of each pool is asked, through its ladder.

use rayon::prelude::*;
use trimtab_contract::{Context, Knowledge};

use crate::breaker::Asked;
use crate::decision::{Analyzed, Call};
use crate::guard::shape;
use crate::ladder::{Climbed, climb};
use crate::memory::Memory;
use crate::policies::{Analyzer, Bound, PoolPolicies};
use crate::snapshot::{PoolSnapshot, Snapshot};
use crate::state::States;

/// Pools asked in parallel before breakers are updated. A policy that runs into its deadline each
/// time costs one such wave and not a call for every pool of the cluster.
const WAVE: usize = 64;

/// A pool with its policies, in the order of names in which the core works.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Position in the snapshot.
    pub(crate) position: usize,
    pub(crate) seen: &'a PoolSnapshot,
    pub(crate) policies: Option<&'a PoolPolicies>,
}

/// Asks the analyzers of all pools; one answer for each pool, in the same order.
pub(crate) fn analyze(
    snapshot: &Snapshot,
    subjects: &[Subject<'_>],
    memory: &mut Memory,
) -> Vec<Vec<Analyzed>> {
    let mut analyses = Vec::with_capacity(subjects.len());
    let mut learned = Vec::new();
    for wave in subjects.chunks(WAVE) {
        let known: &Memory = memory;
        let answers: Vec<Vec<Answer>> = if let [single] = wave {
            vec![ask_all(snapshot, single, known)]
        } else {
            wave.par_iter()
                .map(|subject| ask_all(snapshot, subject, known))
                .collect()
        };
        for (subject, answers) in wave.iter().zip(answers) {
            let analyzed = remember(snapshot.now_ms, subject, answers, memory, &mut learned);
            analyses.push(analyzed);
        }
    }
    // Only now: what a pool is told must not depend on the wave in which it is asked.
    for value in learned {
        memory.knowledge.learn(value, snapshot.now_ms);
    }
    analyses
}

/// What one analyzer gave, before it is taken up.
struct Answer {
    analyzed: Analyzed,
    asked: Vec<Asked>,
    learned: Vec<Knowledge>,
    state: Vec<u8>,
}

fn ask_all(snapshot: &Snapshot, subject: &Subject<'_>, memory: &Memory) -> Vec<Answer> {
    let Some(policies) = subject.policies else {
        return Vec::new();
    };
    let pool_memory = memory.pool(subject.seen);
    let knowledge = memory.knowledge.of_model(&subject.seen.pool.model);
    let ask_one = |(position, bound): (usize, &Bound<dyn Analyzer>)| {
        let states = pool_memory.and_then(|memory| memory.analyzers.get(position));
        ask(snapshot, subject.seen, bound, (memory, states), knowledge)
    };
    policies.analyzers.iter().enumerate().map(ask_one).collect()
}

fn ask(
    snapshot: &Snapshot,
    seen: &PoolSnapshot,
    bound: &Bound<dyn Analyzer>,
    (memory, states): (&Memory, Option<&States>),
    knowledge: &[Knowledge],
) -> Answer {
    let Climbed {
        call,
        answer: analysis,
        asked,
    } = climb(
        bound,
        &memory.breakers,
        snapshot.now_ms,
        |analyzer, settings| {
            let state = states
                .map(|states| states.latest(analyzer.descriptor(), analyzer.digest()))
                .unwrap_or_default();
            let context = context(snapshot, settings, state);
            let analysis = analyzer.analyze(&context, &seen.pool, &seen.replicas, knowledge)?;
            shape::check_analysis(&analysis, &seen.pool)?;
            Ok(analysis)
        },
    );
    let call = Call {
        absent: bound.absent.as_deref().map(str::to_owned),
        ..call
    };
    let Some(analysis) = analysis else {
        let analyzed = Analyzed {
            call,
            stages: Vec::new(),
            notes: Vec::new(),
        };
        return Answer {
            analyzed,
            asked,
            learned: Vec::new(),
            state: Vec::new(),
        };
    };
    Answer {
        analyzed: Analyzed {
            call,
            stages: analysis.stages,
            notes: analysis.notes,
        },
        asked,
        learned: analysis.learned,
        state: analysis.state,
    }
}

pub(crate) fn context(snapshot: &Snapshot, settings: &str, state: Vec<u8>) -> Context {
    Context {
        now: snapshot.now_ms,
        period: snapshot.period_seconds,
        settings: settings.to_owned(),
        state,
    }
}

fn remember(
    now_ms: u64,
    subject: &Subject<'_>,
    answers: Vec<Answer>,
    memory: &mut Memory,
    learned: &mut Vec<Knowledge>,
) -> Vec<Analyzed> {
    for answer in &answers {
        memory.record(&answer.asked, now_ms);
    }
    let bounds = subject
        .policies
        .map_or(&[][..], |policies| &policies.analyzers);
    let pool_memory = memory.pool_mut(subject.seen);
    pool_memory
        .analyzers
        .resize_with(bounds.len(), States::default);
    let mut analyzed = Vec::with_capacity(answers.len());
    for ((position, bound), answer) in bounds.iter().enumerate().zip(answers) {
        let states = pool_memory.analyzers.get_mut(position);
        if let Some((states, answerer)) = states.zip(answer.analyzed.call.answered_by.as_ref()) {
            // A refusal leaves the state as it was.
            let answered = answer.analyzed.call.refusal.is_none();
            if let Some(policy) = bound.rungs.get(answerer.rung).filter(|_| answered) {
                states.save(policy.descriptor(), policy.digest(), answer.state, now_ms);
            }
        }
        learned.extend(answer.learned);
        analyzed.push(answer.analyzed);
    }
    analyzed
}
