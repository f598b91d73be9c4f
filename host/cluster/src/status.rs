//! What is written on VariantAutoscalings: their status, by server-side apply, when it says
//! something new, at a bounded rate. The same fields in WVA's schema and in ours; ours has more.

mod patch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use futures::StreamExt as _;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Error};
use trimtab_core::decision::{PoolDecision, VariantDecision, condition};
use trimtab_core::fleet::MetricsState;

use self::patch::document;
use crate::actuation::Finding;
use crate::index::claim::{Claimant, Way};
use crate::objects::variant::VariantStatus;
use crate::refusal::explained;
use crate::view::{PoolView, Refused, VariantView, Why};

/// Server-side apply keeps what others manage; ours is under this name.
pub const FIELD_MANAGER: &str = "trimtab";

/// A write is not repeated before its result should have come back by the watch.
const REPEATED_AFTER_MS: u64 = 60_000;

/// Seconds of unused writes that are saved up.
const BURST_SECONDS: f64 = 10.0;

/// Writes under way at a time.
const AT_A_TIME: usize = 8;

/// Whether there is a target, and what is wrong with it and its claim.
const TARGET_RESOLVED: &str = "TargetResolved";

/// Other words, with nothing else that is new, are written no sooner after the last write.
const REWORDED_AFTER_MS: u64 = 60_000;

/// Longest reason shown in a column.
const REASON_CHARS: usize = 120;

/// A condition to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub kind: &'static str,
    pub holds: bool,
    pub reason: &'static str,
    pub message: String,
}

impl Shown {
    /// What is written as soon as it changes.
    fn told(&self) -> (&str, bool, &str, Option<&str>) {
        (self.kind, self.holds, self.reason, self.lasting())
    }

    /// A message that changes only with the objects. Others carry figures that change all the time:
    /// see [`Wanted::is_worded`].
    fn lasting(&self) -> Option<&str> {
        (self.kind == TARGET_RESOLVED).then_some(self.message.as_str())
    }
}

/// The status that a variant should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub claimant: Claimant,
    recorded: Option<VariantStatus>,
    /// `None` where nothing was decided: what was decided before stays.
    decided: Option<Decided>,
    reason: String,
    pub conditions: Vec<Shown>,
}

#[derive(Clone, Debug, PartialEq)]
struct Decided {
    desired: u32,
    current: u32,
    accelerator: String,
    published: bool,
}

/// The statuses of a pool's variants, in its order.
#[must_use]
pub fn of_pool(
    view: &PoolView,
    decision: &PoolDecision,
    metrics: &MetricsState,
    findings: &[Option<Finding>],
) -> Vec<Wanted> {
    let variants = view.variants.iter().zip(&decision.variants);
    let mut findings = findings.iter().map(Option::as_ref);
    variants
        .map(|(of, decided)| {
            let mut wanted = of_variant(of, decision, decided, metrics);
            let finding = findings.next().flatten();
            let actuated = actuated(decision, decided, finding);
            wanted.conditions.extend(actuated);
            wanted
        })
        .collect()
}

/// Whether what is asked for comes to be; what is asked of nobody does not.
fn actuated(
    pool: &PoolDecision,
    decided: &VariantDecision,
    finding: Option<&Finding>,
) -> Option<Shown> {
    let failed = pool.conditions.iter().find_map(|told| {
        let (reason, is_own) = match told.reason.as_str() {
            condition::SCALING_FAILED => (
                condition::SCALING_FAILED,
                told.is_of_variant(&decided.variant),
            ),
            condition::CANNOT_START => (condition::CANNOT_START, true),
            _ => return None,
        };
        is_own.then_some((reason, &told.message))
    });
    let found = finding.map(|finding| (finding.reason, &finding.message));
    let wrong = failed.or(found);
    decided.published.then(|| Shown {
        kind: "Actuated",
        holds: wrong.is_none(),
        reason: wrong.map_or("OnItsWay", |(reason, _)| reason),
        message: wrong.map_or_else(
            || "what is asked for is there, or is being done".to_owned(),
            |(_, message)| message.clone(),
        ),
    })
}

fn of_variant(
    view: &VariantView,
    pool: &PoolDecision,
    decided: &VariantDecision,
    metrics: &MetricsState,
) -> Wanted {
    let mut target = format!("{} is scaled", view.target);
    if view.unschedulable > 0 {
        target = format!("{target}; no place for {} replicas", view.unschedulable);
    }
    for warning in &view.warnings {
        target = format!("{target}; {warning}");
    }
    let reason = reason(pool, decided);
    Wanted {
        claimant: view.claimant.clone(),
        recorded: view.recorded.clone(),
        decided: Some(Decided {
            desired: decided.desired,
            current: decided.current,
            accelerator: decided.accelerator.clone(),
            published: decided.published,
        }),
        conditions: vec![
            Shown {
                kind: TARGET_RESOLVED,
                holds: true,
                reason: "TargetFound",
                message: target,
            },
            metrics_available(metrics),
            optimization_ready(pool, metrics, &reason),
        ],
        reason,
    }
}

/// What a claim that is not served says of itself; a count that was decided before stands.
#[must_use]
pub fn of_refused(refused: &Refused) -> Wanted {
    let found = refused.why != Why::TargetNotFound;
    let target = Shown {
        kind: TARGET_RESOLVED,
        holds: found,
        reason: if found {
            "TargetFound"
        } else {
            "TargetNotFound"
        },
        message: if found {
            format!("{} is named", refused.target)
        } else {
            refused.message.clone()
        },
    };
    let ready = Shown {
        kind: "OptimizationReady",
        holds: false,
        reason: if found {
            "InvalidConfiguration"
        } else {
            "SkippedProcessing"
        },
        message: refused.message.clone(),
    };
    Wanted {
        claimant: refused.claimant.clone(),
        recorded: refused.recorded.clone(),
        decided: None,
        reason: excerpt(&refused.message),
        conditions: vec![target, ready],
    }
}

fn metrics_available(metrics: &MetricsState) -> Shown {
    let (holds, reason, message) = match metrics {
        MetricsState::Found => (
            true,
            "MetricsFound",
            "every serving replica reports".to_owned(),
        ),
        MetricsState::Missing(what) => (false, "MetricsMissing", what.clone()),
        MetricsState::Stale { age_seconds } => {
            let message = format!("the oldest measurements are {age_seconds:.0} s old");
            (false, "MetricsStale", message)
        }
        MetricsState::Unavailable(why) => (false, "PrometheusError", why.clone()),
    };
    Shown {
        kind: "MetricsAvailable",
        holds,
        reason,
        message,
    }
}

fn optimization_ready(pool: &PoolDecision, metrics: &MetricsState, reason: &str) -> Shown {
    let told = |code: &str| {
        let mut conditions = pool.conditions.iter();
        conditions.find(|told| told.reason == code)
    };
    let failure = [
        (condition::SETTINGS_INVALID, "InvalidConfiguration"),
        (condition::NO_ANALYSIS, "OptimizationFailed"),
        (condition::NO_PLAN, "OptimizationFailed"),
    ]
    .into_iter()
    .find_map(|(code, shown)| Some((shown, told(code)?)));
    let (holds, reason, message) = match failure {
        Some((_, _)) if *metrics != MetricsState::Found => {
            (false, "MetricsUnavailable", format!("held: {reason}"))
        }
        Some((shown, told)) => (false, shown, told.message.clone()),
        None => (true, "OptimizationSucceeded", reason.to_owned()),
    };
    Shown {
        kind: "OptimizationReady",
        holds,
        reason,
        message,
    }
}

/// Why the count is what it is: that replicas get nothing to do, else what keeps it from being judged
/// at all, else the guard's last word, else the plan's.
fn reason(pool: &PoolDecision, decided: &VariantDecision) -> String {
    let told = |code: &&str| pool.conditions.iter().find(|told| told.reason == **code);
    let unjudged = [condition::EVIDENCE_PARTIAL, condition::INSUFFICIENT_DATA];
    let held = decided
        .proposed
        .is_none()
        .then(|| unjudged.iter().find_map(told));
    let stuck = told(&condition::ROUTER_STUCK);
    let told = stuck.or_else(|| held.flatten());
    let told = told.map(|told| told.message.as_str());
    let reason = told.unwrap_or_else(|| decided.why());
    excerpt(if reason.is_empty() { "held" } else { reason })
}

fn excerpt(text: &str) -> String {
    if text.chars().count() <= REASON_CHARS {
        return text.to_owned();
    }
    let start: String = text.chars().take(REASON_CHARS - 1).collect();
    format!("{start}…")
}

/// Writes statuses.
pub struct Writer {
    client: Client,
    queue: Queue,
}

/// What became of a round of writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub written: usize,
    /// Left for the next round: the rate allows no more.
    pub deferred: usize,
    /// One message for each that failed.
    pub failed: Vec<String>,
}

/// Decides what is to be written; without a connection.
#[derive(Debug)]
struct Queue {
    per_second: f64,
    tokens: f64,
    refilled_ms: Option<u64>,
    /// Written lately: the watch may not have told of it yet.
    recent: BTreeMap<Claimant, (Wanted, u64)>,
    /// The cluster's CRD is WVA's, which has no place for what is only ours.
    plain: bool,
}

impl Writer {
    #[must_use]
    pub const fn new(client: Client, writes_per_second: f64) -> Self {
        Self {
            client,
            queue: Queue {
                per_second: writes_per_second,
                tokens: writes_per_second * BURST_SECONDS,
                refilled_ms: None,
                recent: BTreeMap::new(),
                plain: false,
            },
        }
    }

    /// Writes what says something new. What fails or has to wait is found new again next time.
    pub async fn write(&mut self, wanted: Vec<Wanted>, now_ms: u64) -> Report {
        let (due, deferred) = self.queue.due(wanted, now_ms);
        let mut report = Report {
            deferred,
            ..Report::default()
        };
        let plain = self.queue.plain;
        let writes = due.into_iter().map(|wanted| {
            let client = self.client.clone();
            async move {
                let result = apply(client, &wanted, now_ms, plain).await;
                (wanted, result)
            }
        });
        let mut writes = futures::stream::iter(writes).buffer_unordered(AT_A_TIME);
        while let Some((wanted, result)) = writes.next().await {
            match result {
                Ok(was_plain) => {
                    self.queue.plain |= was_plain;
                    report.written += 1;
                    let claimant = wanted.claimant.clone();
                    self.queue.recent.insert(claimant, (wanted, now_ms));
                }
                // It was deleted meanwhile.
                Err(Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    let error = explained(&error, "`patch` of variantautoscalings/status");
                    report.failed.push(format!("{}: {error}", wanted.claimant));
                }
            }
        }
        report
    }
}

/// Tells whether only WVA's fields could be written.
async fn apply(client: Client, wanted: &Wanted, now_ms: u64, plain: bool) -> Result<bool, Error> {
    let gvk = GroupVersionKind::gvk("llmd.ai", "v1alpha1", "VariantAutoscaling");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "variantautoscalings");
    let namespace = &wanted.claimant.namespace;
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let name = &wanted.claimant.name;
    let patch = Patch::Apply(document(wanted, now_ms, plain));
    match api.patch_status(name, &parameters, &patch).await {
        Err(Error::Api(status)) if !plain && status.message.contains("not declared in schema") => {
            let patch = Patch::Apply(document(wanted, now_ms, true));
            api.patch_status(name, &parameters, &patch)
                .await
                .map(|_| true)
        }
        written => written.map(|_| plain),
    }
}

impl Queue {
    /// What to write now, changed counts first, and how much has to wait.
    fn due(&mut self, wanted: Vec<Wanted>, now_ms: u64) -> (Vec<Wanted>, usize) {
        self.refill(now_ms);
        // What has come back by the watch is not waited for: others may write over it.
        for echoed in wanted
            .iter()
            .filter(|wanted| wanted.is_recorded(self.plain, now_ms))
        {
            self.recent.remove(&echoed.claimant);
        }
        let mut due: Vec<Wanted> = wanted
            .into_iter()
            .filter(|wanted| wanted.claimant.way == Way::VariantAutoscaling)
            .filter(|wanted| self.is_new(wanted, now_ms))
            .collect();
        due.sort_by_key(|wanted| !wanted.changes_count());
        let now = due.len().min(self.tokens as usize);
        let deferred = due.split_off(now).len();
        self.tokens -= now as f64;
        self.recent
            .retain(|_, (_, at_ms)| now_ms.saturating_sub(*at_ms) < REPEATED_AFTER_MS);
        (due, deferred)
    }

    fn is_new(&self, wanted: &Wanted, now_ms: u64) -> bool {
        let recent = self
            .recent
            .get(&wanted.claimant)
            .is_some_and(|(wrote, at_ms)| {
                now_ms.saturating_sub(*at_ms) < REPEATED_AFTER_MS
                    && wrote.says_the_same(wanted)
                    // Else the watch has told of something since: others may write over it.
                    && wrote.recorded == wanted.recorded
            });
        !recent && !wanted.is_recorded(self.plain, now_ms)
    }

    fn refill(&mut self, now_ms: u64) {
        let since = self.refilled_ms.replace(now_ms);
        let seconds = since.map_or(0.0, |since| now_ms.saturating_sub(since) as f64 / 1000.0);
        let most = self.per_second * BURST_SECONDS;
        self.tokens = (self.tokens + seconds * self.per_second).min(most);
    }
}

impl Wanted {
    fn changes_count(&self) -> bool {
        let desired = self.decided.as_ref().map(|decided| decided.desired);
        let recorded = self.recorded.as_ref();
        desired.is_some()
            && desired != recorded.and_then(|status| status.desired_optimized_alloc.num_replicas)
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let told = self.conditions.iter().map(Shown::told);
        self.decided == other.decided && told.eq(other.conditions.iter().map(Shown::told))
    }

    /// Whether the object says all that already.
    fn is_recorded(&self, plain: bool, now_ms: u64) -> bool {
        let Some(recorded) = &self.recorded else {
            return false;
        };
        let decided = self.decided.as_ref().is_none_or(|decided| {
            let allocation = &recorded.desired_optimized_alloc;
            allocation.num_replicas == Some(decided.desired)
                && allocation.accelerator.as_ref() == Some(&decided.accelerator)
                && recorded.actuation.applied == Some(decided.published)
                && (plain || recorded.current_replicas == Some(decided.current))
        });
        let conditions = self.conditions.iter().all(|shown| {
            recorded.conditions.iter().any(|found| {
                found.kind == shown.kind
                    && found.status == patch::status(shown.holds)
                    && found.reason.as_deref() == Some(shown.reason)
                    && shown
                        .lasting()
                        .is_none_or(|message| found.message.as_deref() == Some(message))
            })
        });
        let written_ms = recorded.written_ms().unwrap_or(0);
        let lately = now_ms.saturating_sub(written_ms) < REWORDED_AFTER_MS;
        decided && conditions && (lately || self.is_worded(recorded, plain))
    }

    /// Whether the object says it in these words, whatever the figures are.
    fn is_worded(&self, recorded: &VariantStatus, plain: bool) -> bool {
        let alike =
            |found: Option<&str>, said: &str| found.is_some_and(|of| words(of).eq(words(said)));
        let reason = plain || alike(recorded.reason.as_deref(), &self.reason);
        reason
            && self.conditions.iter().all(|shown| {
                let mut found = recorded.conditions.iter();
                let found = found.find(|found| found.kind == shown.kind);
                found.is_some_and(|found| alike(found.message.as_deref(), &shown.message))
            })
    }
}

/// A text without its figures.
fn words(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|of| !of.is_ascii_digit() && *of != '.')
}
