//! The second part of a tick: pools that share an optimizer are planned together, in one call.

use std::collections::BTreeMap;

use rayon::prelude::*;
use trimtab_contract::{Limits, Note, Plan, Request};

use crate::analyze::{Subject, context};
use crate::decision::{Analyzed, Call, Planned};
use crate::guard::shape;
use crate::ladder::{Climbed, climb};
use crate::memory::Memory;
use crate::policies::{Bound, Digest, Optimizer};
use crate::snapshot::Snapshot;

/// Notes of a plan that stand with each of its pools. They speak of the group; what concerns one
/// variant belongs into its target's reason.
const GROUP_NOTES: usize = 16;

/// What became of one pool.
pub(crate) struct PoolPlan {
    pub(crate) planned: Planned,
    /// Replicas and reason for each variant; `None` where there is no plan.
    pub(crate) targets: Option<Vec<(u32, String)>>,
}

/// Plans for all pools; one plan for each pool, in the same order. A pool that no analyzer spoke
/// of is not planned for.
pub(crate) fn optimize(
    snapshot: &Snapshot,
    subjects: &[Subject<'_>],
    analyses: &[Vec<Analyzed>],
    memory: &mut Memory,
) -> Vec<PoolPlan> {
    let limits = Limits {
        accelerators: snapshot.inventory.clone(),
        budget: snapshot.budget_per_hour,
    };
    let groups = groups(subjects, analyses);
    let known: &Memory = memory;
    let answers: Vec<_> = groups
        .par_iter()
        .map(|group| ask(snapshot, group, &limits, known))
        .collect();
    let mut plans: Vec<PoolPlan> = subjects.iter().map(|_| PoolPlan::none()).collect();
    for (group, climbed) in groups.iter().zip(answers) {
        let Climbed {
            call,
            answer: plan,
            asked,
        } = climbed;
        memory.record(&asked, snapshot.now_ms);
        hand_out(snapshot, group, call, plan, memory, &mut plans);
    }
    plans
}

impl PoolPlan {
    fn none() -> Self {
        Self {
            planned: Planned {
                call: Call::default(),
                notes: Vec::new(),
            },
            targets: None,
        }
    }
}

/// Pools that are planned together.
struct Group<'a> {
    bound: &'a Bound<dyn Optimizer>,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    /// Position among the subjects.
    index: usize,
    subject: Subject<'a>,
    analyzed: &'a [Analyzed],
}

/// Groups in the order of digest and settings, their members in the order of names.
fn groups<'a>(subjects: &[Subject<'a>], analyses: &'a [Vec<Analyzed>]) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(&Digest, &str), Group<'a>> = BTreeMap::new();
    for (index, (subject, analyzed)) in subjects.iter().zip(analyses).enumerate() {
        let spoken_of = analyzed.iter().any(|analyzed| !analyzed.stages.is_empty());
        let Some(bound) = subject.policies.map(|policies| &policies.optimizer) else {
            continue;
        };
        let Some(first) = bound.rungs.first().filter(|_| spoken_of) else {
            continue;
        };
        groups
            .entry((first.as_ref().digest(), &bound.settings))
            .or_insert_with(|| Group {
                bound,
                members: Vec::new(),
            })
            .members
            .push(Member {
                index,
                subject: *subject,
                analyzed,
            });
    }
    groups.into_values().collect()
}

fn ask(snapshot: &Snapshot, group: &Group<'_>, limits: &Limits, memory: &Memory) -> Climbed<Plan> {
    let requests: Vec<Request> = group.members.iter().map(Member::request).collect();
    let plausible: Vec<u32> = group
        .members
        .iter()
        .map(|member| member.subject.seen.rules.max_plausible_replicas)
        .collect();
    let states = memory.groups.get(&group.key()).map(|group| &group.states);
    climb(
        group.bound,
        &memory.breakers,
        snapshot.now_ms,
        |optimizer, settings| {
            let state = states
                .map(|states| states.latest(optimizer.descriptor(), optimizer.digest()))
                .unwrap_or_default();
            let plan =
                optimizer.optimize(&context(snapshot, settings, state), &requests, limits)?;
            shape::check_plan(&plan, &requests, &plausible)?;
            Ok(plan)
        },
    )
}

impl Member<'_> {
    /// Members of a group may stand in it for different reasons.
    fn absent(&self) -> Option<String> {
        let policies = self.subject.policies?;
        policies.optimizer.absent.as_deref().map(str::to_owned)
    }

    fn request(&self) -> Request {
        let stages = self
            .analyzed
            .iter()
            .flat_map(|analyzed| analyzed.stages.iter().cloned());
        Request {
            pool: self.subject.seen.pool.clone(),
            stages: stages.collect(),
        }
    }
}

impl Group<'_> {
    /// Where the group's state lies: a new version of the policy finds it there too.
    fn key(&self) -> String {
        let name = self
            .bound
            .rungs
            .first()
            .map_or("", |first| &first.as_ref().descriptor().name);
        format!("{name} {}", self.bound.settings)
    }
}

fn hand_out(
    snapshot: &Snapshot,
    group: &Group<'_>,
    call: Call,
    plan: Option<Plan>,
    memory: &mut Memory,
    plans: &mut [PoolPlan],
) {
    let (mut targets, notes) = match plan {
        Some(plan) => {
            save_state(snapshot, group, &call, plan.state, memory);
            (by_request(plan.targets, group), plan.notes)
        }
        None => (group.members.iter().map(|_| None).collect(), Vec::new()),
    };
    let notes: Vec<Note> = notes.into_iter().take(GROUP_NOTES).collect();
    for (member, targets) in group.members.iter().zip(targets.drain(..)) {
        if let Some(plan) = plans.get_mut(member.index) {
            plan.planned = Planned {
                call: Call {
                    absent: member.absent(),
                    ..call.clone()
                },
                notes: notes.clone(),
            };
            plan.targets = targets;
        }
    }
}

/// Sorts the targets of a checked plan by request and variant.
fn by_request(
    targets: Vec<trimtab_contract::Target>,
    group: &Group<'_>,
) -> Vec<Option<Vec<(u32, String)>>> {
    let mut sorted: Vec<Vec<(u32, String)>> = group
        .members
        .iter()
        .map(|member| vec![(0, String::new()); member.subject.seen.pool.variants.len()])
        .collect();
    for target in targets {
        let slot = sorted
            .get_mut(target.request as usize)
            .and_then(|variants| variants.get_mut(target.variant as usize));
        if let Some(slot) = slot {
            *slot = (target.replicas, target.reason);
        }
    }
    sorted.into_iter().map(Some).collect()
}

fn save_state(
    snapshot: &Snapshot,
    group: &Group<'_>,
    call: &Call,
    state: Vec<u8>,
    memory: &mut Memory,
) {
    let rung = call
        .answered_by
        .as_ref()
        .and_then(|answerer| group.bound.rungs.get(answerer.rung));
    if let Some(policy) = rung {
        let policy = policy.as_ref();
        let kept = memory.groups.entry(group.key()).or_default();
        kept.seen_ms = snapshot.now_ms;
        kept.states
            .save(policy.descriptor(), policy.digest(), state, snapshot.now_ms);
    }
}
