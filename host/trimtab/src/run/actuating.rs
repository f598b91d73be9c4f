//! Doing what was decided: sets the counts of workloads in pools that ask for it, and starts pools
//! without replicas when a request waits.

mod waking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use trimtab_cluster::refusal::explained;
use trimtab_cluster::scale::{self, Scaled};
use trimtab_cluster::tolerance;
use trimtab_cluster::view::{PoolView, VariantView, View};
use trimtab_cluster::{Claimant, Cluster, Key, TargetKey, Way};
use trimtab_core::decision::{Condition, PoolDecision, VariantDecision, condition};

pub(super) use self::waking::{Started, Waking, Woken};
use super::config::{Actuation, Config, PoolEntry, PoolSettings};
use super::cycle::identity;

/// Workloads that are scaled at the same time.
const CONCURRENCY: usize = 8;
/// How long one may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What holds for pools, as the last cycle took it over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) config: Config,
    /// Entries from WVA's ConfigMaps, below those of the configuration.
    pub(super) inherited: Vec<PoolEntry>,
    /// Of PoolPolicies, by the pool's namespace and name.
    pub(super) bound: Arc<BTreeMap<Key, PoolEntry>>,
}

impl Rules {
    pub(super) fn of(&self, pool: &PoolView) -> PoolSettings {
        let of = (&pool.fleet.pool.namespace, &pool.fleet.pool.name);
        let bound = self.bound.get(&(of.0.clone(), of.1.clone()));
        self.config
            .pool(&self.inherited, bound, identity(&pool.fleet))
    }
}

/// Sets counts.
#[derive(Clone)]
pub(super) struct Actuator {
    pub(super) client: kube::Client,
    pub(super) cluster: Cluster,
}

/// A workload whose count is to be set.
struct Change<'a> {
    pool: usize,
    of: &'a VariantView,
    decided: &'a VariantDecision,
}

impl Actuator {
    /// Sets the counts of pools that are scaled directly, and adds to the decisions what stood in
    /// the way. A count is set only where the workload still has the one that was decided on.
    pub(super) async fn act(&self, view: &View, rules: &Rules, decisions: &mut [PoolDecision]) {
        let mut changes = Vec::new();
        for (position, (pool, decision)) in view.pools.iter().zip(&*decisions).enumerate() {
            if rules.of(pool).actuation != Actuation::Direct {
                continue;
            }
            for (of, decided) in pool.variants.iter().zip(&decision.variants) {
                let is_ours = of.scalers.is_empty();
                if is_ours && decided.published && decided.desired != of.spec_replicas {
                    changes.push(Change {
                        pool: position,
                        of,
                        decided,
                    });
                }
            }
        }
        let changed = futures::stream::iter(changes)
            .map(async |change| (change.pool, self.change(&change).await))
            .buffer_unordered(CONCURRENCY)
            .collect::<Vec<_>>()
            .await;
        for (pool, failed) in changed {
            if let (Some(decision), Some(condition)) = (decisions.get_mut(pool), failed) {
                decision.conditions.push(condition);
            }
        }
    }

    /// Gives HPAs that are claims of ours a tolerance of zero, where they say nothing of it. Each is
    /// tried once: an API server that does not know the field drops it.
    pub(super) async fn tolerate_nothing(&self, view: &View, tried: &mut BTreeSet<Claimant>) {
        let variants = view.pools.iter().flat_map(|pool| &pool.variants);
        let hpas = variants.flat_map(|of| of.scalers.iter().map(move |scaler| (of, scaler)));
        let due = hpas.filter(|(of, scaler)| {
            let managed = scaler.claimant == of.claimant;
            managed && scaler.claimant.way == Way::HorizontalPodAutoscaler && !scaler.sets_tolerance
        });
        let due: Vec<Claimant> = due.map(|(_, scaler)| scaler.claimant.clone()).collect();
        for hpa in due {
            if !tried.insert(hpa.clone()) {
                continue;
            }
            match tolerance::set_to_zero(&self.client, &hpa).await {
                Ok(true) => tracing::info!(%hpa, "its tolerance is zero now"),
                Ok(false) => tracing::warn!(
                    %hpa,
                    "its tolerance stays: the API server does not know the field"
                ),
                Err(error) => {
                    let why = explained(&error, tolerance::RIGHTS);
                    tracing::warn!(%hpa, why, "its tolerance stays");
                }
            }
        }
    }

    /// What stood in its way.
    async fn change(&self, change: &Change<'_>) -> Option<Condition> {
        let (target, variant) = (&change.of.target, &change.decided.variant);
        let (from, to) = (change.of.spec_replicas, change.decided.desired);
        match self.scale(target, (from, to)).await {
            Ok(Scaled::Done) => {
                tracing::info!(%target, from, to, "scaled");
                None
            }
            Ok(Scaled::Found(found)) => {
                tracing::info!(%target, from, to, found, "somebody else scaled it: left alone");
                None
            }
            Err(why) => {
                tracing::warn!(%target, from, to, why, "not scaled; trying again");
                let message = format!("{target} is not scaled: {why}");
                let failed = condition::SCALING_FAILED;
                Some(Condition::of_variant(failed, variant, &message))
            }
        }
    }

    async fn scale(&self, target: &TargetKey, counts: (u32, u32)) -> Result<Scaled, String> {
        let resource = self.cluster.resource_of(target);
        let resource = resource.ok_or_else(|| "its kind is not known".to_owned())?;
        let scaled = scale::scale(&self.client, &resource, target, counts);
        match tokio::time::timeout(ANSWER, scaled).await {
            Ok(scaled) => scaled.map_err(|error| explained(&error, scale::RIGHTS)),
            Err(_) => Err("the API server does not answer".to_owned()),
        }
    }
}
