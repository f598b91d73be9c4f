//! Statuses of ScalingPolicies and PoolPolicies: written by server-side apply when they say
//! something new, and figures that change all the time no oftener than they are wanted.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Error};
use serde::Serialize;
use serde_json::{Value, json};

use crate::index::Key;
use crate::refusal::explained;
use crate::status::FIELD_MANAGER;

/// Writes of one round, and those under way at a time.
const MOST_AT_ONCE: usize = 50;
const AT_A_TIME: usize = 8;

/// A write is not repeated before its result should have come back by the watch.
const REPEATED_AFTER_MS: u64 = 60_000;

/// Parts of a status that change all the time.
const FIGURES: [&str; 2] = ["shadows", "experiment"];
/// Follows from the rest.
const SINCE: &str = "lastTransitionTime";
/// Of these, what is news all the same.
const NEWS: [&str; 2] = ["name", "phase"];

/// Of which kind an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    ScalingPolicy,
    PoolPolicy,
}

impl Kind {
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ScalingPolicy => ("ScalingPolicy", "scalingpolicies"),
            Self::PoolPolicy => ("PoolPolicy", "poolpolicies"),
        }
    }
}

/// A condition to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub kind: &'static str,
    pub holds: bool,
    pub reason: String,
    pub message: String,
}

/// The status that an object should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    kind: Kind,
    key: Key,
    recorded: Value,
    status: Value,
}

impl Wanted {
    /// `status` is without conditions, which `said` are; one that was of this status before keeps
    /// the instant at which it became so.
    pub fn new<T: Serialize>(
        (kind, key): (Kind, &Key),
        recorded: &T,
        status: &T,
        said: &[Said],
        now_ms: u64,
    ) -> Self {
        // The types hold nothing that JSON has no word for.
        let recorded = serde_json::to_value(recorded).unwrap_or_default();
        let mut status = serde_json::to_value(status).unwrap_or_default();
        let conditions: Vec<Value> = said
            .iter()
            .map(|said| condition(said, &recorded, now_ms))
            .collect();
        if let Some(fields) = status.as_object_mut() {
            fields.insert("conditions".to_owned(), json!(conditions));
        }
        Self {
            kind,
            key: key.clone(),
            recorded,
            status,
        }
    }
}

fn condition(said: &Said, recorded: &Value, now_ms: u64) -> Value {
    let status = if said.holds { "True" } else { "False" };
    let before = recorded.get("conditions").and_then(Value::as_array);
    let since = before.into_iter().flatten().find_map(|found| {
        let same = found["type"] == said.kind && found["status"] == status;
        same.then(|| found.get(SINCE).cloned())?
    });
    json!({
        "type": said.kind,
        "status": status,
        "reason": said.reason,
        "message": said.message,
        SINCE: since.unwrap_or_else(|| json!(timestamp(now_ms))),
    })
}

/// RFC 3339 in whole seconds, as Kubernetes writes times.
#[must_use]
pub fn timestamp(now_ms: u64) -> String {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// Writes statuses.
pub struct Writer {
    client: Client,
    queue: Queue,
}

/// Decides what is to be written; without a connection.
#[derive(Debug)]
struct Queue {
    figures_after_ms: u64,
    /// What was written last, and when.
    written: BTreeMap<(Kind, Key), (Value, u64)>,
}

impl Writer {
    /// Figures are written at most so often.
    #[must_use]
    pub const fn new(client: Client, figures_after_ms: u64) -> Self {
        Self {
            client,
            queue: Queue {
                figures_after_ms,
                written: BTreeMap::new(),
            },
        }
    }

    /// Writes what says something new; tells of what failed. That and what has to wait is found new
    /// again next time.
    pub async fn write(&mut self, wanted: Vec<Wanted>, now_ms: u64) -> Vec<String> {
        let due = self.queue.due(wanted, now_ms);
        let writes = due.into_iter().map(|wanted| {
            let client = self.client.clone();
            async move {
                let result = apply(client, &wanted).await;
                (wanted, result)
            }
        });
        let mut writes = futures::stream::iter(writes).buffer_unordered(AT_A_TIME);
        let mut failed = Vec::new();
        while let Some((wanted, result)) = writes.next().await {
            let (kind, plural) = wanted.kind.names();
            let (namespace, name) = wanted.key.clone();
            match result {
                Ok(()) => {
                    let of = (wanted.kind, wanted.key);
                    self.queue.written.insert(of, (wanted.status, now_ms));
                }
                // It was deleted meanwhile.
                Err(Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    let error = explained(&error, &format!("`patch` of {plural}/status"));
                    failed.push(format!("{kind} {namespace}/{name}: {error}"));
                }
            }
        }
        failed
    }
}

async fn apply(client: Client, wanted: &Wanted) -> Result<(), Error> {
    let (kind, plural) = wanted.kind.names();
    let gvk = GroupVersionKind::gvk("trimtab.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let (namespace, name) = &wanted.key;
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let document = json!({
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "status": wanted.status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(document);
    api.patch_status(name, &parameters, &patch).await.map(drop)
}

impl Queue {
    fn due(&mut self, wanted: Vec<Wanted>, now_ms: u64) -> Vec<Wanted> {
        let alive = |of: &(Kind, Key)| {
            wanted
                .iter()
                .any(|wanted| (wanted.kind, &wanted.key) == (of.0, &of.1))
        };
        self.written.retain(|of, _| alive(of));
        let mut due: Vec<Wanted> = wanted
            .into_iter()
            .filter(|wanted| self.is_due(wanted, now_ms))
            .collect();
        due.truncate(MOST_AT_ONCE);
        due
    }

    fn is_due(&self, wanted: &Wanted, now_ms: u64) -> bool {
        if wanted.recorded == wanted.status {
            return false;
        }
        let written = self.written.get(&(wanted.kind, wanted.key.clone()));
        let Some((written, at_ms)) = written else {
            return true;
        };
        let since_ms = now_ms.saturating_sub(*at_ms);
        let is_news = news(written) != news(&wanted.status);
        // What somebody else wrote over is written again, once the watch has told of our own write.
        let is_lost =
            since_ms >= REPEATED_AFTER_MS && news(&wanted.recorded) != news(&wanted.status);
        is_news || is_lost || since_ms >= self.figures_after_ms
    }
}

/// A status without its figures.
fn news(status: &Value) -> Value {
    if let Some(fields) = status.as_object() {
        let fields = fields.iter().filter(|(name, _)| *name != SINCE);
        let fields = fields.map(|(name, value)| {
            let is_figures = FIGURES.contains(&name.as_str());
            let value = if is_figures {
                lasting(value)
            } else {
                news(value)
            };
            (name.clone(), value)
        });
        return Value::Object(fields.collect());
    }
    match status.as_array() {
        Some(parts) => parts.iter().map(news).collect(),
        None => status.clone(),
    }
}

/// What of a part with figures is news.
fn lasting(part: &Value) -> Value {
    if let Some(parts) = part.as_array() {
        return parts.iter().map(lasting).collect();
    }
    let fields = part.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| NEWS.contains(&name.as_str()));
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::pool_policy::{ExperimentStatus, PoolPolicyStatus, PoolStatus, ShadowStatus};

    fn status(ticks: u64, phase: &str) -> PoolPolicyStatus {
        let shadow = ShadowStatus {
            name: "s".to_owned(),
            ticks,
            ..ShadowStatus::default()
        };
        let experiment = ExperimentStatus {
            phase: phase.to_owned(),
            pairs: ticks,
            ..ExperimentStatus::default()
        };
        let pool = PoolStatus {
            name: "p".to_owned(),
            shadows: vec![shadow],
            experiment: Some(experiment),
            ..PoolStatus::default()
        };
        PoolPolicyStatus {
            pools: vec![pool],
            ..PoolPolicyStatus::default()
        }
    }

    fn wanted(recorded: &PoolPolicyStatus, status: &PoolPolicyStatus, now_ms: u64) -> Wanted {
        let said = Said {
            kind: "Accepted",
            holds: true,
            reason: "Accepted".to_owned(),
            message: String::new(),
        };
        let key = ("a".to_owned(), "p".to_owned());
        Wanted::new((Kind::PoolPolicy, &key), recorded, status, &[said], now_ms)
    }

    /// What the API server has after a write.
    fn echo(wanted: &Wanted) -> PoolPolicyStatus {
        serde_json::from_value(wanted.status.clone()).unwrap()
    }

    #[test]
    fn news_is_written_at_once_and_figures_now_and_then() {
        let mut queue = Queue {
            figures_after_ms: 300_000,
            written: BTreeMap::new(),
        };
        let mut due = |recorded: &PoolPolicyStatus, status: &PoolPolicyStatus, now_ms| {
            let wanted = wanted(recorded, status, now_ms);
            let is_due = !queue.due(vec![wanted.clone()], now_ms).is_empty();
            if is_due {
                let of = (wanted.kind, wanted.key.clone());
                queue.written.insert(of, (wanted.status.clone(), now_ms));
            }
            (is_due, echo(&wanted))
        };
        let (is_due, first) = due(&PoolPolicyStatus::default(), &status(1, "Running"), 0);
        assert!(is_due);
        assert!(!due(&PoolPolicyStatus::default(), &status(1, "Running"), 5_000).0);
        assert!(!due(&first, &status(2, "Running"), 15_000).0);
        assert!(due(&first, &status(2, "Done"), 30_000).0);
        assert!(!due(&first, &status(3, "Done"), 45_000).0);
        assert!(due(&first, &status(30, "Done"), 330_000).0);
        assert!(due(&PoolPolicyStatus::default(), &status(31, "Done"), 391_000).0);
    }

    #[test]
    fn a_condition_keeps_the_instant_at_which_it_became_so() {
        let first = echo(&wanted(
            &PoolPolicyStatus::default(),
            &status(1, "Running"),
            10_000,
        ));
        let later = echo(&wanted(&first, &status(2, "Running"), 90_000));
        assert_eq!(later.conditions, first.conditions);
        assert_eq!(later.conditions[0].last_transition_time.0.as_second(), 10);
    }
}
