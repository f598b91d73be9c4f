//! What ScalingPolicies and PoolPolicies say of themselves.

use std::collections::BTreeMap;

use trimtab_cluster::Key;
use trimtab_cluster::crd::policy::ScalingPolicyStatus;
use trimtab_cluster::crd::pool_policy::{
    ArmStatus, ComparedStatus, EffectStatus, ExperimentStatus, PolicyUse, PoolPolicySpec,
    PoolPolicyStatus, PoolStatus, ShadowStatus,
};
use trimtab_cluster::policies::{StoredPolicy, StoredPoolPolicy, Verdict};
use trimtab_cluster::policy_status::{Kind, Said, Wanted, timestamp};
use trimtab_cluster::view::View;
use trimtab_core::decision::{Answerer, Call, PoolDecision, condition};
use trimtab_core::experiment::{ArmReport, Effect, Phase, Report};
use trimtab_core::memory::Memory;
use trimtab_core::shadow::Tally;
use trimtab_sandbox::{Entry, Policy, State};

use super::catalogue::{Loaded, Resolved};
use super::resolve::Resolver;
use super::wanted::capped;
use crate::run::config::Maxima;

/// Users of a policy that are named.
const MOST_USERS: usize = 20;

/// Figures of a status have so many digits behind the point.
const DIGITS: f64 = 1e4;

/// Who uses each ScalingPolicy: pools, and as what.
pub(super) fn used_by(view: &View, resolver: &Resolver) -> BTreeMap<Key, Vec<String>> {
    let mut users: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for (pool, holder) in &view.policies.holders {
        let stored = view.policies.pool_policies.get(holder);
        let Some(spec) = stored.and_then(|stored| stored.spec.as_ref().ok()) else {
            continue;
        };
        for (name, purpose) in uses(spec) {
            let key = view.policies.policy_key(&pool.0, &name, resolver.shared());
            let of = users.entry(key).or_default();
            of.push(format!("{}/{} ({purpose})", pool.0, pool.1));
        }
    }
    for of in users.values_mut() {
        let more = of.len().saturating_sub(MOST_USERS);
        of.truncate(MOST_USERS);
        if more > 0 {
            of.push(format!("and {more} more"));
        }
    }
    users
}

/// Names of ScalingPolicies that a PoolPolicy uses, and as what.
fn uses(spec: &PoolPolicySpec) -> Vec<(String, String)> {
    let mut uses = Vec::new();
    let mut add = |of: &[PolicyUse], purpose: String| {
        let named = of.iter().filter_map(|of| of.policy_ref.as_ref());
        uses.extend(named.map(|of| (of.name.clone(), purpose.clone())));
    };
    add(&spec.analyzers, "analyzer".to_owned());
    add(spec.optimizer.as_slice(), "optimizer".to_owned());
    for shadow in &spec.shadows {
        let purpose = format!("shadow {}", shadow.name);
        add(&shadow.analyzers, purpose.clone());
        add(shadow.optimizer.as_slice(), purpose);
    }
    if let Some(experiment) = &spec.experiment {
        add(&experiment.candidate.analyzers, "experiment".to_owned());
        add(
            experiment.candidate.optimizer.as_slice(),
            "experiment".to_owned(),
        );
    }
    uses
}

/// The status of a ScalingPolicy. Where nobody has looked yet who uses it, that stays.
pub(super) fn of_policy(
    (key, stored): (&Key, &StoredPolicy),
    loaded: Option<&Loaded>,
    used_by: Option<Vec<String>>,
    maxima: &Maxima,
    now_ms: u64,
) -> Wanted {
    let entry = loaded.and_then(|loaded| loaded.entry.as_deref());
    let current = entry.and_then(|entry| entry.current.as_ref());
    let last_good = entry.and_then(|entry| entry.last_good.as_ref());
    let descriptor = current.map(Policy::descriptor);
    let status = ScalingPolicyStatus {
        observed_generation: Some(stored.generation),
        digest: current.map(|policy| policy.digest().to_string()),
        resolved: entry.and_then(|entry| entry.resolved.clone()),
        last_good_digest: last_good.map(|policy| policy.digest().to_string()),
        name: descriptor.map(|of| of.name.clone()),
        version: descriptor.map(|of| of.version.clone()),
        roles: current.map(roles),
        used_by: used_by.unwrap_or_else(|| stored.recorded.used_by.clone()),
        conditions: Vec::new(),
    };
    let said = ready(stored, loaded, maxima);
    Wanted::new(
        (Kind::ScalingPolicy, key),
        &stored.recorded,
        &status,
        &[said],
        now_ms,
    )
}

fn roles(policy: &Policy) -> String {
    let roles = policy.roles();
    let of = [(roles.analyzer, "analyzer"), (roles.optimizer, "optimizer")];
    let has = of.into_iter().filter(|(has, _)| *has);
    let names: Vec<&str> = has.map(|(_, role)| role).collect();
    names.join(",")
}

fn ready(stored: &StoredPolicy, loaded: Option<&Loaded>, maxima: &Maxima) -> Said {
    let said = |holds, reason: &str, message: String| Said {
        kind: "Ready",
        holds,
        reason: reason.to_owned(),
        message,
    };
    let spec = match &stored.spec {
        Ok(spec) => spec,
        Err(why) => return said(false, "Invalid", why.clone()),
    };
    let Some((loaded, entry)) = loaded.and_then(|loaded| Some((loaded, loaded.entry.as_ref()?)))
    else {
        return said(false, "Fetching", "it is not fetched yet".to_owned());
    };
    match &entry.state {
        State::Fetching => return said(false, "Fetching", goes_on("it is being fetched", entry)),
        State::Failed { reason, message } => {
            return said(false, reason.as_str(), goes_on(message, entry));
        }
        State::Quarantined { message, .. } => {
            return said(false, "Quarantined", goes_on(message, entry));
        }
        State::Ready => {}
    }
    if let Some(why) = &loaded.unfit {
        return said(false, "SettingsInvalid", why.clone());
    }
    let capped = spec.limits.as_ref().map(|limits| capped(limits, maxima));
    let capped = capped.filter(|capped| !capped.is_empty());
    let message = capped.map_or_else(
        || "it is loaded".to_owned(),
        |capped| format!("it is loaded; limits held: {}", capped.join(", ")),
    );
    said(true, "Loaded", message)
}

/// What is wrong with the new version, and which one decides meanwhile.
fn goes_on(message: &str, entry: &Entry) -> String {
    // A guest's backtrace is for the log.
    let message = message.lines().next().unwrap_or_default();
    match &entry.current {
        Some(current) => {
            let (version, digest) = (&current.descriptor().version, current.digest());
            format!("{message}; version {version} ({digest}) goes on")
        }
        None => message.to_owned(),
    }
}

/// What is known of a PoolPolicy.
pub(in crate::run) struct Binding<'a> {
    pub(in crate::run) key: &'a Key,
    pub(in crate::run) stored: &'a StoredPoolPolicy,
    pub(in crate::run) verdict: Option<&'a Verdict>,
    /// `None` until it was looked at.
    pub(in crate::run) resolved: Option<&'a Resolved>,
    /// Decisions of the pools that it holds for.
    pub(in crate::run) decisions: Vec<&'a PoolDecision>,
    pub(in crate::run) memory: &'a Memory,
}

/// The status of a PoolPolicy.
pub(in crate::run) fn of_pool_policy(of: &Binding<'_>, now_ms: u64) -> Wanted {
    let pools = of.decisions.iter().map(|decision| of_pool(decision, of));
    let status = PoolPolicyStatus {
        observed_generation: Some(of.stored.generation),
        conditions: Vec::new(),
        pools: pools.collect(),
    };
    let said = [accepted(of), bound(of)];
    let recorded = &of.stored.recorded;
    Wanted::new((Kind::PoolPolicy, of.key), recorded, &status, &said, now_ms)
}

fn accepted(of: &Binding<'_>) -> Said {
    let (holds, reason, message) = match of.verdict {
        Some(Verdict::Holds {
            pools,
            contested_by,
        }) if contested_by.is_empty() => (
            true,
            "Accepted",
            format!("it holds for {} pools", pools.len()),
        ),
        Some(Verdict::Holds { contested_by, .. }) => {
            let others = contested_by.join(", ");
            let message = format!("it holds; {others} is for the same, younger, and ignored");
            (true, "Contested", message)
        }
        Some(Verdict::Conflict(winner)) => {
            let message =
                format!("PoolPolicy {winner} is for the same and older: keep one of them");
            (false, "Conflict", message)
        }
        Some(Verdict::Invalid(why)) => (false, "Invalid", why.clone()),
        Some(Verdict::NoPool) | None => {
            let message = "there is no pool that it is for: an InferencePool with variants";
            (false, "NoPool", message.to_owned())
        }
    };
    Said {
        kind: "Accepted",
        holds,
        reason: reason.to_owned(),
        message,
    }
}

fn bound(of: &Binding<'_>) -> Said {
    let said = |holds, reason: &str, message: String| Said {
        kind: "Bound",
        holds,
        reason: reason.to_owned(),
        message,
    };
    if let Some(Verdict::Invalid(why)) = of.verdict {
        return said(false, "Invalid", why.clone());
    }
    if !matches!(of.verdict, Some(Verdict::Holds { .. })) {
        let message = "it holds for no pool: see Accepted";
        return said(false, "NotAccepted", message.to_owned());
    }
    let Some(resolved) = of.resolved else {
        return said(
            false,
            "Fetching",
            "its policies are being looked at".to_owned(),
        );
    };
    if let Some(problem) = resolved.problems.first() {
        return said(false, problem.reason, problem.message.clone());
    }
    if let Some(message) = resolved.rolled_back.first() {
        return said(false, "RolledBack", message.clone());
    }
    let conditions = of.decisions.iter().flat_map(|of| &of.conditions);
    let mut faults = conditions.filter(|of| of.reason == condition::POLICY_FAULT);
    if let Some(fault) = faults.next() {
        let message = fault.message.lines().next().unwrap_or_default();
        return said(false, condition::POLICY_FAULT, message.to_owned());
    }
    let shadows = resolved.shadows.iter();
    let experiment = resolved.experiment.iter().map(|(_, candidate)| candidate);
    let lacking = shadows.chain(experiment).find_map(|of| {
        let lacks = of.lacks.as_ref()?;
        Some(format!("{}: {}", of.name, lacks.message))
    });
    if let Some(message) = lacking {
        return said(true, "CandidateMissing", message);
    }
    said(
        true,
        "Bound",
        "the policies that it names decide".to_owned(),
    )
}

fn of_pool(decision: &PoolDecision, of: &Binding<'_>) -> PoolStatus {
    let (namespace, pool) = (&decision.namespace, &decision.pool);
    let analyzers = decision.analyses.iter();
    let shadows = of.memory.shadows(namespace, pool);
    PoolStatus {
        name: pool.clone(),
        analyzers: analyzers
            .filter_map(|analyzed| answered(&analyzed.call))
            .collect(),
        optimizer: answered(&decision.plan.call),
        shadows: shadows.map(|(name, tally)| shadow(name, tally)).collect(),
        experiment: of.memory.experiment(namespace, pool).map(experiment),
    }
}

fn answered(call: &Call) -> Option<String> {
    let Answerer {
        name,
        version,
        digest,
        ..
    } = call.answered_by.as_ref()?;
    Some(format!("{name} {version} {digest}"))
}

fn shadow(name: &str, tally: &Tally) -> ShadowStatus {
    let costs = tally.mean_costs();
    let variants = tally.variants.iter().map(|(variant, of)| ComparedStatus {
        variant: variant.clone(),
        active: of.active,
        candidate: of.candidate,
        mean_difference: (tally.ticks > 0)
            .then(|| figure(of.sum_of_differences as f64 / tally.ticks as f64)),
    });
    ShadowStatus {
        name: name.to_owned(),
        since: (tally.ticks > 0).then(|| timestamp(tally.since_ms)),
        ticks: tally.ticks,
        skipped: tally.skipped,
        faulted: tally.faulted,
        disagreement_rate: tally.disagreement_rate().map(figure),
        active_cost_per_hour: costs.map(|(active, _)| figure(active)),
        candidate_cost_per_hour: costs.map(|(_, candidate)| figure(candidate)),
        variants: variants.collect(),
    }
}

fn experiment(report: Report) -> ExperimentStatus {
    let (phase, message) = match &report.phase {
        Phase::Waiting => (
            "Waiting",
            "it has not begun, or its candidate is not there".to_owned(),
        ),
        Phase::Running {
            slot,
            arm,
            washing_out,
        } => {
            let washing = if *washing_out { ", washing out" } else { "" };
            ("Running", format!("slot {slot}: {arm}{washing}"))
        }
        Phase::Done => ("Done", "all slots were run, or its time is over".to_owned()),
        Phase::Stopped { arm, why } => ("Stopped", format!("{arm}: {why}")),
    };
    ExperimentStatus {
        phase: phase.to_owned(),
        message: Some(message),
        pairs: u64::from(report.cost.pairs),
        control: arm(report.control),
        candidate: arm(report.candidate),
        cost: effect(report.cost),
        attainment: effect(report.attainment),
    }
}

fn arm(report: ArmReport) -> ArmStatus {
    ArmStatus {
        slots: u64::from(report.slots),
        cost_per_hour: report.cost_per_hour.map(figure),
        attainment: report.attainment.map(figure),
    }
}

fn effect(effect: Effect) -> Option<EffectStatus> {
    let [low, high] = effect.interval?;
    Some(EffectStatus {
        effect: figure(effect.estimate?),
        standard_error: figure(effect.standard_error?),
        low: figure(low),
        high: figure(high),
    })
}

fn figure(value: f64) -> f64 {
    (value * DIGITS).round() / DIGITS
}
