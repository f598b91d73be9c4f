//! What the last cycle decided, and the families made from it whenever somebody reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use trimtab_contract::Accelerator;
use trimtab_core::decision::{PoolDecision, VariantDecision};
use trimtab_core::fleet::MetricsState;

use crate::desired::{Desired, METRIC};

use super::families::Families;
use super::published::{PoolMetrics, Published};
use super::{labels, lock, scaling};

/// The last cycle, as series.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// Whether there was a cycle.
    cycled: bool,
    /// Seconds since the Unix epoch; `None` before the first cycle of a leader.
    decided_at: Option<f64>,
    /// Kept from cycle to cycle for as long as the variant is there.
    changes: BTreeMap<labels::Change, u64>,
    decided: BTreeMap<labels::Decided, u32>,
    freshness: BTreeMap<labels::Freshness, bool>,
    /// False for a condition that the pool had and has no longer.
    conditions: BTreeMap<labels::PoolCondition, bool>,
    pools: usize,
    states: BTreeMap<labels::PoolState, bool>,
    ages: BTreeMap<labels::Pool, f64>,
    /// `None` before the first cycle and where it cannot be discovered.
    inventory: Option<Vec<Accelerator>>,
    /// Which Service serves external metrics, and whether it is ours.
    pub(super) external_metrics: Option<(String, bool)>,
}

impl Current {
    pub(super) fn replace(&mut self, published: &Published) {
        self.cycled = true;
        if published.leader {
            self.decided_at = Some(milliseconds(published.now_ms));
        }
        self.pools = published.decisions.len();
        self.inventory.clone_from(&published.inventory);
        self.replace_pools(&published.pools);
        self.replace_freshness(&published.decisions, &published.pools);
        self.replace_decided(published);
    }

    fn replace_decided(&mut self, published: &Published) {
        self.decided.clear();
        for (pool, variant) in variants(&published.decisions) {
            let decided = labels::Decided {
                namespace: pool.namespace.clone(),
                pool: pool.pool.clone(),
                variant: variant.variant.clone(),
                mode: scaling::mode(pool.mode),
            };
            self.decided.insert(decided, variant.desired);
            if published.leader && variant.published {
                self.count_change(&pool.namespace, variant);
            }
        }
        let present: BTreeSet<(&str, &str)> = variants(&published.decisions)
            .map(|(pool, variant)| (pool.namespace.as_str(), variant.variant.as_str()))
            .collect();
        self.changes
            .retain(|of, _| present.contains(&(of.namespace.as_str(), of.variant_name.as_str())));
    }

    fn count_change(&mut self, namespace: &str, variant: &VariantDecision) {
        let Some(direction) = scaling::direction(variant) else {
            return;
        };
        let labels = labels::Variant::new(namespace, &variant.variant, &variant.accelerator);
        let change = labels::Change {
            variant_name: labels.variant_name,
            namespace: labels.namespace,
            accelerator_type: labels.accelerator_type,
            direction,
            reason: scaling::reason(variant),
        };
        *self.changes.entry(change).or_default() += 1;
    }

    pub(super) fn replace_conditions(&mut self, decisions: &[PoolDecision]) {
        let pools: BTreeSet<labels::Pool> = decisions.iter().map(labels::Pool::of).collect();
        self.conditions.retain(|of, holds| {
            *holds = false;
            pools.contains(&labels::Pool {
                namespace: of.namespace.clone(),
                pool: of.pool.clone(),
            })
        });
        for pool in decisions {
            for condition in &pool.conditions {
                let of = labels::PoolCondition {
                    namespace: pool.namespace.clone(),
                    pool: pool.pool.clone(),
                    reason: condition.reason.clone(),
                };
                self.conditions.insert(of, true);
            }
        }
    }

    fn replace_pools(&mut self, pools: &[PoolMetrics]) {
        self.states.clear();
        self.ages.clear();
        for pool in pools {
            for state in ["found", "missing", "stale", "unavailable"] {
                let of = labels::PoolState {
                    namespace: pool.namespace.clone(),
                    pool: pool.pool.clone(),
                    state,
                };
                self.states.insert(of, state == state_word(&pool.state));
            }
            if let Some(age) = pool.age_seconds {
                let of = labels::Pool {
                    namespace: pool.namespace.clone(),
                    pool: pool.pool.clone(),
                };
                self.ages.insert(of, age);
            }
        }
    }

    fn replace_freshness(&mut self, decisions: &[PoolDecision], pools: &[PoolMetrics]) {
        self.freshness.clear();
        let statuses: BTreeMap<(&str, &str), &str> = pools
            .iter()
            .map(|pool| {
                let named = (pool.namespace.as_str(), pool.pool.as_str());
                (named, freshness_word(&pool.state))
            })
            .collect();
        for (pool, variant) in variants(decisions) {
            let named = (pool.namespace.as_str(), pool.pool.as_str());
            let Some(now) = statuses.get(&named) else {
                continue;
            };
            for status in ["fresh", "stale", "unavailable"] {
                let of = labels::Freshness {
                    variant_name: variant.variant.clone(),
                    namespace: pool.namespace.clone(),
                    status,
                };
                self.freshness.insert(of, status == *now);
            }
        }
    }
}

/// What only a leader shows, as long as its word stands, and under WVA's shard label where there is
/// one.
#[derive(Debug)]
pub(super) struct Replicas {
    pub(super) desired: Arc<Desired>,
    pub(super) current: Arc<Mutex<Current>>,
}

impl Collector for Replicas {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let word = self.desired.now().ok();
        let variants = word.iter().flat_map(|word| &word.variants);
        let replicas: Vec<_> = variants
            .map(|((namespace, name), count)| {
                let of = labels::Variant::new(namespace, name, &count.accelerator);
                (of, count)
            })
            .collect();
        let shown = || replicas.iter().map(|(of, count)| (of, *count));
        let mut families = Families(encoder);
        families.gauge(
            METRIC,
            "Replicas that a variant should have",
            shown().filter_map(|(of, count)| Some((of, f64::from(count.desired?)))),
        )?;
        families.gauge(
            "wva_current_replicas",
            "Replicas that a variant has",
            shown().map(|(of, count)| (of, f64::from(count.current))),
        )?;
        families.gauge(
            "wva_desired_ratio",
            "Replicas that a variant should have over those that it has; where it has none, the \
             first of the two",
            shown().filter_map(|(of, count)| Some((of, count.ratio()?))),
        )?;
        families.counter(
            "wva_replica_scaling",
            "Changes of the count that is asked for, by direction and by who moved it: the plan, \
             or a rule of the guard",
            lock(&self.current)
                .changes
                .iter()
                .map(|(of, count)| (of, *count)),
        )
    }
}

/// What every process shows of the last cycle.
#[derive(Debug)]
pub(super) struct State {
    pub(super) desired: Arc<Desired>,
    pub(super) current: Arc<Mutex<Current>>,
}

impl Collector for State {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let current = lock(&self.current);
        let mut families = Families(encoder);
        families.single(
            "trimtab_leader",
            "1 where this process leads",
            Some(flag(self.desired.leads())),
        )?;
        families.single(
            "trimtab_last_decision_timestamp_seconds",
            "When the last cycle decided, in seconds since the Unix epoch",
            current.decided_at,
        )?;
        let owner = current.external_metrics.iter().map(|(service, ours)| {
            let service = service.clone();
            (labels::Service { service }, flag(*ours))
        });
        let owner: Vec<_> = owner.collect();
        families.gauge(
            "trimtab_external_metrics_owner",
            "Which Service serves external.metrics.k8s.io in the cluster: 1 where it is ours, 0 where \
             it is another's",
            owner.iter().map(|(of, ours)| (of, *ours)),
        )?;
        current.encode_pools(&mut families)?;
        current.encode_inventory(&mut families)
    }
}

impl Current {
    fn encode_pools(&self, families: &mut Families<'_>) -> fmt::Result {
        families.single(
            "wva_models_processed",
            "Pools that the last cycle decided for",
            self.decided_at.map(|_| number(self.pools)),
        )?;
        families.gauge(
            "wva_metrics_freshness_status",
            "1 for what a variant's measurements are, 0 for what they are not",
            self.freshness.iter().map(|(of, is)| (of, flag(*is))),
        )?;
        families.gauge(
            "trimtab_decided_replicas",
            "Replicas that the last cycle decided on, also where they are not published",
            self.decided
                .iter()
                .map(|(of, count)| (of, f64::from(*count))),
        )?;
        families.gauge(
            "trimtab_pool_condition",
            "1 for a condition that a pool has, 0 for one that it had",
            self.conditions.iter().map(|(of, holds)| (of, flag(*holds))),
        )?;
        families.gauge(
            "trimtab_pool_metrics",
            "1 for what a pool's measurements are, 0 for what they are not",
            self.states.iter().map(|(of, is)| (of, flag(*is))),
        )?;
        families.gauge(
            "trimtab_metrics_age_seconds",
            "Age of the oldest measurement that a pool was decided on, in seconds",
            self.ages.iter().map(|(of, age)| (of, *age)),
        )
    }

    fn encode_inventory(&self, families: &mut Families<'_>) -> fmt::Result {
        let known = self.cycled.then(|| flag(self.inventory.is_some()));
        families.single(
            "wva_gpu_discovery_up",
            "1 where the GPU inventory is known",
            known,
        )?;
        let listed = self.inventory.iter().flatten();
        let by_type: BTreeMap<_, _> = listed
            .clone()
            .map(|of| {
                let accelerator_type = of.name.clone();
                (labels::AcceleratorType { accelerator_type }, of)
            })
            .collect();
        families.gauge(
            "wva_available_gpus",
            "GPUs that no pod holds",
            by_type
                .iter()
                .map(|(of, gpus)| (of, f64::from(gpus.available))),
        )?;
        let by_name: BTreeMap<_, _> = listed
            .map(|of| {
                let accelerator = of.name.clone();
                (labels::Accelerator { accelerator }, of)
            })
            .collect();
        families.gauge(
            "trimtab_gpus",
            "GPUs in the cluster",
            by_name.iter().map(|(of, gpus)| (of, f64::from(gpus.total))),
        )?;
        families.gauge(
            "trimtab_gpus_available",
            "GPUs that no pod holds",
            by_name
                .iter()
                .map(|(of, gpus)| (of, f64::from(gpus.available))),
        )
    }
}

fn variants(decisions: &[PoolDecision]) -> impl Iterator<Item = (&PoolDecision, &VariantDecision)> {
    decisions
        .iter()
        .flat_map(|pool| pool.variants.iter().map(move |variant| (pool, variant)))
}

fn state_word(state: &MetricsState) -> &'static str {
    match state {
        MetricsState::Found => "found",
        MetricsState::Missing(_) => "missing",
        MetricsState::Stale { .. } => "stale",
        MetricsState::Unavailable(_) => "unavailable",
    }
}

/// The same in WVA's words, which have none for series that are not there.
fn freshness_word(state: &MetricsState) -> &'static str {
    match state {
        MetricsState::Found => "fresh",
        MetricsState::Stale { .. } => "stale",
        MetricsState::Missing(_) | MetricsState::Unavailable(_) => "unavailable",
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 stay exact for 285,000 years"
)]
fn milliseconds(instant: u64) -> f64 {
    instant as f64 / 1000.0
}
