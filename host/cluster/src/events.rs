//! Events on the objects that ask for scaling: when a count changes, and when something begins to
//! be wrong. Nothing is said twice while it goes on.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use trimtab_core::decision::{PoolDecision, VariantDecision};

use crate::index::claim::Claimant;
use crate::view::{PoolView, Refused, Why};

/// Longest note that the API takes, in bytes.
const NOTE_BYTES: usize = 1024;
/// Events of one round: a fault of everything is told of by some.
const MOST_AT_ONCE: usize = 50;

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
    going_on: BTreeSet<(Claimant, String)>,
}

impl News {
    /// What changed in this tick. `pools` and `decisions` stand side by side.
    pub fn of_tick<'a>(
        &mut self,
        pools: impl Iterator<Item = (&'a PoolView, &'a PoolDecision)>,
        refused: &[Refused],
    ) -> Vec<Told> {
        let mut scaled = Vec::new();
        let mut wrong = Vec::new();
        for (view, decision) in pools {
            for (of, decided) in view.variants.iter().zip(&decision.variants) {
                let told = |warning, reason: &str, note: String| Told {
                    claimant: of.claimant.clone(),
                    uid: of.uid.clone(),
                    warning,
                    reason: reason.to_owned(),
                    note,
                };
                scaled.extend(change(decided).map(|(reason, note)| told(false, reason, note)));
                let unschedulable = of.unschedulable;
                if unschedulable > 0 {
                    let note = format!("no node has a place for {unschedulable} replicas");
                    wrong.push(told(true, "Unschedulable", note));
                }
                let warnings = of.warnings.iter();
                wrong.extend(
                    warnings.map(|warning| told(true, "InvalidConfiguration", warning.clone())),
                );
            }
            // What holds for the pool is told on its first variant.
            if let Some(of) = view.variants.first() {
                wrong.extend(decision.conditions.iter().map(|condition| Told {
                    claimant: of.claimant.clone(),
                    uid: of.uid.clone(),
                    warning: true,
                    reason: condition.reason.clone(),
                    note: format!("pool {}: {}", decision.pool, condition.message),
                }));
            }
        }
        wrong.extend(refused.iter().map(|refused| {
            Told {
                claimant: refused.claimant.clone(),
                uid: refused.uid.clone(),
                warning: true,
                reason: match refused.why {
                    Why::TargetNotFound => "TargetNotFound",
                    Why::Conflict => "TargetConflict",
                    Why::Invalid => "InvalidConfiguration",
                }
                .to_owned(),
                note: refused.message.clone(),
            }
        }));
        let mut going_on = BTreeSet::new();
        for told in wrong {
            let key = (told.claimant.clone(), told.reason.clone());
            if going_on.insert(key.clone()) && !self.going_on.contains(&key) {
                scaled.push(told);
            }
        }
        self.going_on = going_on;
        scaled.truncate(MOST_AT_ONCE);
        scaled
    }
}

fn change(decided: &VariantDecision) -> Option<(&'static str, String)> {
    let (before, now) = (decided.previous, decided.desired);
    let reason = match now.cmp(&before) {
        std::cmp::Ordering::Less => "ScaledDown",
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => "ScaledUp",
    };
    let why = decided
        .steps
        .last()
        .map_or(&decided.reason, |step| &step.why);
    let mode = if decided.published {
        ""
    } else {
        " (not published)"
    };
    Some((reason, format!("desired {before} to {now}{mode}: {why}")))
}

/// Writes events.
pub struct Speaker {
    recorder: Recorder,
}

impl Speaker {
    /// `instance` is this process's name.
    #[must_use]
    pub fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter {
            controller: "trimtab".to_owned(),
            instance: Some(instance.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Tells all; what cannot be told is logged, and lost.
    pub async fn tell(&self, news: Vec<Told>) {
        for told in news {
            let about = ObjectReference {
                api_version: Some(told.claimant.way.api_version().to_owned()),
                kind: Some(told.claimant.way.kind().to_owned()),
                namespace: Some(told.claimant.namespace.clone()),
                name: Some(told.claimant.name.clone()),
                uid: Some(told.uid.clone()),
                ..ObjectReference::default()
            };
            let event = Event {
                type_: if told.warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason: told.reason.clone(),
                note: Some(excerpt(&told.note)),
                action: "Scale".to_owned(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, &about).await {
                let (claimant, reason) = (&told.claimant, &told.reason);
                tracing::warn!(%claimant, reason, %error, "event not written");
            }
        }
    }
}

fn excerpt(note: &str) -> String {
    let end = (0..=NOTE_BYTES.min(note.len()))
        .rev()
        .find(|end| note.is_char_boundary(*end));
    note.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
