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
    going_on: BTreeSet<(Claimant, String, String)>,
}

/// What is wrong with an object itself; an object may have several such.
const INVALID: &str = "InvalidConfiguration";

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
                wrong.extend(warnings.map(|warning| told(true, INVALID, warning.clone())));
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
                    Why::Invalid => INVALID,
                }
                .to_owned(),
                note: refused.message.clone(),
            }
        }));
        let mut going_on = BTreeSet::new();
        for told in wrong {
            // Other notes carry figures that change all the time.
            let note = Some(&told.note).filter(|_| told.reason == INVALID);
            let note = note.cloned().unwrap_or_default();
            let key = (told.claimant.clone(), told.reason.clone(), note);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::testing::*;
    use trimtab_core::decision::{Call, Planned};
    use trimtab_core::snapshot::Mode;

    #[test]
    fn each_thing_that_is_wrong_with_an_object_is_told_once_while_it_goes_on() {
        let silence = Call {
            answered_by: None,
            refusal: None,
            faults: Vec::new(),
        };
        let decision = PoolDecision {
            now_ms: 0,
            namespace: "a".to_owned(),
            pool: "model:m".to_owned(),
            mode: Mode::Enforce,
            analyses: Vec::new(),
            plan: Planned {
                call: silence,
                notes: Vec::new(),
            },
            variants: vec![VariantDecision {
                variant: "v".to_owned(),
                accelerator: "H100".to_owned(),
                role: trimtab_contract::Role::Both,
                current: 1,
                previous: 1,
                proposed: None,
                desired: 1,
                published: true,
                reason: String::new(),
                steps: Vec::new(),
            }],
            conditions: Vec::new(),
        };
        let mut view = view_of(&[deployment("a/d", 1), variant("a/v", "d")]);
        let mut news = News::default();
        let mut told = |warnings: &[&str]| -> Vec<String> {
            let pool = &mut view.pools[0];
            let warnings = warnings.iter().map(|warning| (*warning).to_owned());
            pool.variants[0].warnings = warnings.collect();
            let told = news.of_tick([(&*pool, &decision)].into_iter(), &[]);
            told.into_iter().map(|told| told.note).collect()
        };
        assert_eq!(told(&["a cost"]), ["a cost"]);
        assert_eq!(told(&["a cost", "a role"]), ["a role"]);
        assert_eq!(told(&["a role"]), [] as [String; 0]);
        assert_eq!(told(&["a role", "a cost"]), ["a cost"]);
    }
}
