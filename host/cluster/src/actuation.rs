//! Whether what is asked for comes to be; and where it does not, why, and what to do.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use trimtab_core::decision::{PoolDecision, VariantDecision};

use crate::index::claim::Claimant;
use crate::view::{PoolView, ScalerView, VariantView};

/// Longer than HPA and KEDA take to look, and a pod to be made.
const LONG_MS: u64 = 120_000;
/// Longer than HPA's window before it goes down.
const LONG_DOWN_MS: u64 = 600_000;

/// Why a variant does not have what is asked for: closed, since each is a label.
pub mod reason {
    /// Nothing that scales it reads what is asked for.
    pub const NOBODY_READS: &str = "NobodyReads";
    /// Whoever scales it allows no more.
    pub const AT_MAXIMUM: &str = "AtMaximum";
    /// The HPA takes the difference for none.
    pub const WITHIN_TOLERANCE: &str = "WithinTolerance";
    /// Somebody told whoever scales it to leave it alone.
    pub const PAUSED: &str = "Paused";
    /// Whoever scales it says that it cannot.
    pub const SCALER_FAILS: &str = "ScalerFails";
    /// KEDA does not know of our metric.
    pub const SCALER_DEAF: &str = "ScalerDeaf";
    /// It is to be scaled directly, and somebody else scales it.
    pub const ACTUATION_CONFLICT: &str = trimtab_core::decision::condition::ACTUATION_CONFLICT;
    /// Nothing happens for long.
    pub const LAGGING: &str = "Lagging";
    /// Its pods may not be made.
    pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
    pub const PODS_NOT_MADE: &str = "PodsNotMade";
    /// No node has a place for its pods.
    pub const PENDING: &str = "Pending";
}

/// What stands between the count that is asked for and the one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One of [`reason`]'s.
    pub reason: &'static str,
    pub message: String,
}

/// Remembers since when variants do not have what is asked for.
#[derive(Debug, Default)]
pub struct Follower {
    apart: BTreeMap<Claimant, Apart>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Apart {
    since_ms: u64,
    is_more: bool,
    /// What was set when it was last looked at.
    set: u32,
}

impl Follower {
    /// Looks at the variants of all pools in a cycle; `direct` tells whether we scale a pool. For each
    /// pool, one entry for each variant.
    pub fn follow<'a>(
        &mut self,
        pools: impl Iterator<Item = (&'a PoolView, &'a PoolDecision, bool)>,
        now_ms: u64,
    ) -> Vec<Vec<Option<Finding>>> {
        let before = std::mem::take(&mut self.apart);
        let mut findings = Vec::new();
        for (view, decision, direct) in pools {
            let variants = view.variants.iter().zip(&decision.variants);
            let of_pool = variants.map(|(of, decided)| {
                let apart = apart(of, decided, before.get(&of.claimant), now_ms);
                if let Some(apart) = apart {
                    self.apart.insert(of.claimant.clone(), apart);
                }
                let for_ms = apart.map(|apart| now_ms.saturating_sub(apart.since_ms));
                finding(of, decided, direct, for_ms)
            });
            findings.push(of_pool.collect());
        }
        findings
    }
}

fn apart(
    of: &VariantView,
    decided: &VariantDecision,
    before: Option<&Apart>,
    now_ms: u64,
) -> Option<Apart> {
    let differs = of.spec_replicas != decided.desired || decided.current != decided.desired;
    if !decided.published || !differs {
        return None;
    }
    let set = of.spec_replicas;
    let is_more = decided.desired > set.min(decided.current);
    let kept = before.filter(|before| {
        // A step on the way is no standstill.
        let moved = match is_more {
            true => set > before.set,
            false => set < before.set,
        };
        before.is_more == is_more && !moved
    });
    Some(Apart {
        since_ms: kept.map_or(now_ms, |kept| kept.since_ms),
        is_more,
        set,
    })
}

/// What is wrong, the first cause first. `for_ms` is how long it has been apart; `None` where it is
/// not.
fn finding(
    of: &VariantView,
    decided: &VariantDecision,
    direct: bool,
    for_ms: Option<u64>,
) -> Option<Finding> {
    let told = |reason, message| Some(Finding { reason, message });
    if direct && !of.scalers.is_empty() {
        return told(reason::ACTUATION_CONFLICT, conflict(of));
    }
    if let Some((scaler, metric)) = deaf(of) {
        let message = format!(
            "{scaler}: KEDA does not know of its metric `{metric}`, since we did not answer when it \
             asked: change the ScaledObject, or restart KEDA's operator, and it asks again"
        );
        return told(reason::SCALER_DEAF, message);
    }
    let for_ms = for_ms?;
    let (set, wanted) = (of.spec_replicas, decided.desired);
    if set != wanted {
        let unread = unread(of, decided).filter(|_| !direct);
        if let Some((reason, message)) = unread {
            return told(reason, message);
        }
        let long = if wanted > set { LONG_MS } else { LONG_DOWN_MS };
        return (for_ms > long).then(|| Finding {
            reason: reason::LAGGING,
            message: format!(
                "{} of {wanted} replicas are set, and nothing happens for {} s",
                set,
                for_ms / 1000
            ),
        });
    }
    if decided.current >= wanted && of.unschedulable == 0 || for_ms <= LONG_MS {
        return None;
    }
    if let Some(why) = &of.not_made {
        let quota = why.contains("exceeded quota");
        let reason = if quota {
            reason::QUOTA_EXCEEDED
        } else {
            reason::PODS_NOT_MADE
        };
        return told(reason, format!("pods of {} are not made: {why}", of.target));
    }
    let unschedulable = of.unschedulable;
    if unschedulable > 0 {
        let message = format!("no node has a place for {unschedulable} of {wanted} replicas");
        return told(reason::PENDING, message);
    }
    let message = format!(
        "{} has {} of {wanted} replicas for {} s: its events say why (a quota, or a controller that \
         does not run)",
        of.target,
        decided.current,
        for_ms / 1000
    );
    told(reason::PODS_NOT_MADE, message)
}

/// Two that set one count would undo each other's.
fn conflict(of: &VariantView) -> String {
    let scalers = of.scalers.iter().map(|scaler| scaler.claimant.to_string());
    let scalers: Vec<String> = scalers.collect();
    format!(
        "{} scales {} too: it is not scaled directly; delete the one, or set `actuation` to metrics",
        scalers.join(" and "),
        of.target
    )
}

fn deaf(of: &VariantView) -> Option<(&Claimant, &String)> {
    let mut scalers = of.scalers.iter();
    scalers.find_map(|scaler| Some((&scaler.claimant, scaler.deaf_to.as_ref()?)))
}

/// Why whoever scales the target leaves it at another count.
fn unread(of: &VariantView, decided: &VariantDecision) -> Option<(&'static str, String)> {
    let reading: Vec<&ScalerView> = of.scalers.iter().filter(|of| of.reads_us).collect();
    let target = &of.target;
    let Some(scaler) = reading.first() else {
        let who = match of.scalers.first() {
            None => format!("no HPA and no ScaledObject scales {target}"),
            Some(other) => format!(
                "{} scales {target}, and by nothing that we ask for",
                other.claimant
            ),
        };
        let message = format!(
            "{who}: give it wva_desired_replicas of this variant, or set `actuation` to direct"
        );
        return Some((reason::NOBODY_READS, message));
    };
    let name = &scaler.claimant;
    if scaler.paused {
        let message = format!("{name}: somebody paused it, by an annotation");
        return Some((reason::PAUSED, message));
    }
    if let Some(complaint) = &scaler.complaint {
        return Some((reason::SCALER_FAILS, format!("{name}: {complaint}")));
    }
    let wanted = decided.desired;
    if scaler
        .max_replicas
        .is_some_and(|max| wanted > max && of.spec_replicas >= max)
    {
        let max = scaler.max_replicas.unwrap_or_default();
        let message = format!("{name} allows at most {max} of {wanted} replicas");
        return Some((reason::AT_MAXIMUM, message));
    }
    is_swallowed(decided, scaler).then(|| {
        let percent = if wanted > decided.current {
            scaler.tolerance.0
        } else {
            scaler.tolerance.1
        } * 100.0;
        let message = format!(
            "{name} leaves {} replicas alone where {wanted} are wanted, within its tolerance of \
             {percent} %: set tolerance to 0 in the scaleUp and scaleDown of its behavior \
             (Kubernetes 1.35, or the gate HPAConfigurableTolerance), or `actuation` to direct",
            decided.current
        );
        (reason::WITHIN_TOLERANCE, message)
    })
}

/// As the HPA has it for an AverageValue of one: the wanted count over the one there is.
fn is_swallowed(decided: &VariantDecision, scaler: &ScalerView) -> bool {
    if decided.current == 0 || decided.desired == decided.current {
        return false;
    }
    let ratio = f64::from(decided.desired) / f64::from(decided.current);
    (1.0 - scaler.tolerance.1..=1.0 + scaler.tolerance.0).contains(&ratio)
}
