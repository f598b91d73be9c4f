//! Events on the objects that ask for scaling: when a count changes, and when something begins to
//! be wrong. Nothing is said twice while it goes on.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use trimtab_contract::Capacity;
use trimtab_core::decision::{PoolDecision, VariantDecision};

use crate::index::claim::Claimant;
use crate::lease::micro;
use crate::refusal::explained;
use crate::view::{PoolView, Refused, Why};

/// Longest note, and longest name of a process, that the API takes, in bytes.
const NOTE_BYTES: usize = 1024;
const INSTANCE_BYTES: usize = 128;
/// Events of one round: a fault of everything is told of by some.
const MOST_AT_ONCE: usize = 50;
/// Events that wait for an API server which does not answer.
const MOST_WAITING: usize = 4 * MOST_AT_ONCE;

/// What whoever tells must be granted.
const RIGHTS: &str = "`create` of events.events.k8s.io";

/// A supply may fall short of its floor by as much as sums are inexact.
const ROUNDING: f64 = 1.0 - 1e-6;

/// Something to be told on an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub claimant: Claimant,
    pub uid: String,
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

/// Decides what is news. What goes on is remembered, so that it is told once.
#[derive(Debug, Default)]
pub struct News {
    /// When each was last so, in milliseconds since the Unix epoch; by claimant, its uid, reason and
    /// note.
    going_on: BTreeMap<(Claimant, String, String, String), u64>,
    /// Counts before and after, as they were last told.
    counts: BTreeMap<Claimant, (u32, u32)>,
}

/// What is over for less than this and then comes back went on, in milliseconds.
const OVER_AFTER_MS: u64 = 600_000;

/// What is wrong with an object itself; an object may have several such.
const INVALID: &str = "InvalidConfiguration";

impl News {
    /// Whether another count than before is asked for. Where it is given to nobody, the same is asked
    /// for again and again, and is no news.
    #[must_use]
    pub fn is_change(&self, of: &Claimant, decided: &VariantDecision) -> bool {
        let counts = (decided.previous, decided.desired);
        counts.0 != counts.1 && self.counts.get(of) != Some(&counts)
    }

    /// What changed in the tick of the instant `now_ms`, in milliseconds since the Unix epoch. Pools
    /// and decisions stand side by side.
    pub fn of_tick<'a>(
        &mut self,
        pools: impl Iterator<Item = (&'a PoolView, &'a PoolDecision)>,
        refused: &[Refused],
        now_ms: u64,
    ) -> Vec<Told> {
        let mut scaled = Vec::new();
        let mut counts = BTreeMap::new();
        // What nothing is decided for is told first, and of other faults the rest next time.
        let mut wrong: Vec<Told> = refused.iter().map(of_refused).collect();
        for (view, decision) in pools {
            for (of, decided) in view.variants.iter().zip(&decision.variants) {
                let told = |warning, reason: &str, note: String| Told {
                    claimant: of.claimant.clone(),
                    uid: of.uid.clone(),
                    warning,
                    reason: reason.to_owned(),
                    note,
                };
                if self.is_change(&of.claimant, decided) {
                    let (reason, note) = change(decided);
                    scaled.push(told(false, reason, note));
                }
                counts.insert(of.claimant.clone(), (decided.previous, decided.desired));
                let unschedulable = of.unschedulable;
                if unschedulable > 0 {
                    let note = format!("no node has a place for {unschedulable} replicas");
                    wrong.push(told(true, "Unschedulable", note));
                }
                let warnings = of.warnings.iter();
                wrong.extend(warnings.map(|warning| told(true, INVALID, warning.clone())));
            }
            // What holds for the pool is told on its first variant.
            if let Some(of) = view.variants.first() {
                let told = |reason: &str, message: &str| Told {
                    claimant: of.claimant.clone(),
                    uid: of.uid.clone(),
                    warning: true,
                    reason: reason.to_owned(),
                    note: format!("pool {}: {message}", decision.pool),
                };
                wrong.extend(unmet(decision).map(|message| told("FloorUnmet", &message)));
                let conditions = decision.conditions.iter();
                wrong.extend(conditions.map(|of| told(&of.reason, &of.message)));
            }
        }
        self.counts = counts;
        scaled.truncate(MOST_AT_ONCE);
        self.going_on
            .retain(|_, last_ms| now_ms.saturating_sub(*last_ms) < OVER_AFTER_MS);
        for told in wrong {
            // Other notes carry figures that change all the time.
            let note = Some(&told.note).filter(|_| told.reason == INVALID);
            let note = note.cloned().unwrap_or_default();
            // One that was made anew has a page of its own.
            let of = (told.claimant.clone(), told.uid.clone());
            let key = (of.0, of.1, told.reason.clone(), note);
            if let Some(last_ms) = self.going_on.get_mut(&key) {
                *last_ms = now_ms;
            } else if scaled.len() < MOST_AT_ONCE {
                self.going_on.insert(key, now_ms);
                scaled.push(told);
            }
        }
        scaled
    }
}

fn of_refused(refused: &Refused) -> Told {
    let reason = match refused.why {
        Why::TargetNotFound => "TargetNotFound",
        Why::Conflict => "TargetConflict",
        Why::Invalid => INVALID,
    };
    Told {
        claimant: refused.claimant.clone(),
        uid: refused.uid.clone(),
        warning: true,
        reason: reason.to_owned(),
        note: refused.message.clone(),
    }
}

/// What to say where less is asked for than what must not be missing: for want of GPUs, of budget, or
/// because of bounds, as the plan or the guard says.
fn unmet(decision: &PoolDecision) -> Option<String> {
    let stages = decision
        .analyses
        .iter()
        .flat_map(|analyzed| &analyzed.stages);
    let mut short = stages.filter_map(|stage| {
        let of = |capacity: &Capacity| {
            let variant = decision.variants.get(capacity.variant as usize)?;
            Some((variant, f64::from(variant.desired) * capacity.per_replica))
        };
        let variants: Vec<_> = stage.capacities.iter().filter_map(of).collect();
        let supply: f64 = variants.iter().map(|(_, supply)| supply).sum();
        let (variant, _) = variants.first()?;
        (supply < stage.floor * ROUNDING).then(|| {
            let why = variant.why();
            let (floor, unit) = (stage.floor, &stage.unit);
            format!("{floor:.1} {unit} are needed, {supply:.1} are asked for: {why}")
        })
    });
    short.next()
}

fn change(decided: &VariantDecision) -> (&'static str, String) {
    let (before, now) = (decided.previous, decided.desired);
    let reason = if now < before {
        "ScaledDown"
    } else {
        "ScaledUp"
    };
    let why = decided.why();
    let mode = if decided.published {
        ""
    } else {
        " (not published)"
    };
    (reason, format!("desired {before} to {now}{mode}: {why}"))
}

/// Writes events. Each is an object of its own: a note that says something new is not to be counted
/// as one more of the last.
pub struct Speaker {
    client: Client,
    /// This process's name.
    instance: String,
    /// What was not told yet, the oldest first, with the milliseconds since the Unix epoch.
    untold: VecDeque<(u64, Told)>,
}

impl Speaker {
    /// `instance` is this process's name.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        Self {
            client,
            instance: instance.to_owned(),
            untold: VecDeque::new(),
        }
    }

    /// Takes up what is to be told, of the instant `now_ms`. Where too much waits, the oldest goes.
    pub fn hear(&mut self, news: Vec<Told>, now_ms: u64) {
        let news = news.into_iter().map(|told| (now_ms, told));
        self.untold.extend(news);
        let surplus = self.untold.len().saturating_sub(MOST_WAITING);
        if surplus > 0 {
            tracing::warn!(surplus, "events given up: the API server takes none");
            self.untold.drain(..surplus);
        }
    }

    /// Leaves untold what was to be told under an earlier leader.
    pub fn forget(&mut self) {
        self.untold.clear();
    }

    /// Tells all that was taken up. What the API server refuses is logged, and lost; what it does
    /// not answer, and what it is not asked before this is given up, waits for the next time.
    pub async fn tell(&mut self) {
        while let Some((at_ms, told)) = self.untold.front() {
            let (claimant, reason) = (&told.claimant, &told.reason);
            match self.publish(*at_ms, told).await {
                Ok(()) => {}
                Err(error @ Error::Api(_)) => {
                    let error = explained(&error, RIGHTS);
                    tracing::warn!(%claimant, reason, error, "event not written");
                }
                Err(error) => {
                    let error = explained(&error, RIGHTS);
                    tracing::warn!(%claimant, reason, error, "event not written yet");
                    return;
                }
            }
            self.untold.pop_front();
        }
    }

    async fn publish(&self, at_ms: u64, told: &Told) -> Result<(), Error> {
        let Claimant {
            way,
            namespace,
            name,
        } = &told.claimant;
        let event = Event {
            metadata: ObjectMeta {
                // The API server puts something unique behind it.
                generate_name: Some(format!("{name}-")),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(micro(at_ms)),
            type_: Some(if told.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(told.reason.clone()),
            note: Some(excerpt(&told.note, NOTE_BYTES)),
            action: Some("Scale".to_owned()),
            reporting_controller: Some("trimtab".to_owned()),
            reporting_instance: Some(excerpt(&self.instance, INSTANCE_BYTES)),
            regarding: Some(ObjectReference {
                api_version: Some(way.api_version().to_owned()),
                kind: Some(way.kind().to_owned()),
                namespace: Some(namespace.clone()),
                name: Some(name.clone()),
                uid: Some(told.uid.clone()),
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        api.create(&PostParams::default(), &event).await.map(drop)
    }
}

fn excerpt(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
