//! HPAs over a simulated fleet: one for each pool and stage, on the variant that is cheapest per
//! capacity.

use trimtab_core::snapshot::{PoolSnapshot, Snapshot};

use super::Hpa;
use super::metric::{Tolerance, average_value};
use crate::capacity::{Demand, stages};
use crate::controller::{Controller, Counts};
use crate::mix::{Kind, by_price};
use crate::run::START_MS;
use crate::spec::{PoolSpec, Spec};

/// Requests that wait per replica, in thousandths.
const WAITING_MILLI: i64 = 1_000;
/// Requests that run per replica, in thousandths.
const RUNNING_MILLI: i64 = 16_000;

/// One HPA for each stage of each pool; all other variants stay at their least.
pub struct Controlled {
    pools: Vec<Pool>,
}

struct Pool {
    /// By variant.
    least: Vec<u32>,
    scaled: Vec<Scaled>,
}

/// A variant under an HPA.
struct Scaled {
    variant: usize,
    hpa: Hpa,
}

impl Controlled {
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        Self {
            pools: spec
                .pools
                .iter()
                .map(|pool| Pool::new(pool, spec.duration_seconds))
                .collect(),
        }
    }
}

impl Pool {
    fn new(pool: &PoolSpec, duration_seconds: f64) -> Self {
        let demand = Demand::of(&pool.arrivals, duration_seconds);
        let cheapest = |stage: Vec<usize>| {
            let first = by_price(&Kind::of(pool, &stage, &demand))
                .first()
                .copied()?;
            let variant = *stage.get(first)?;
            let bounds = pool.variants.get(variant)?;
            let hpa = Hpa::new(bounds.min_replicas.max(1), bounds.max_replicas);
            Some(Scaled { variant, hpa })
        };
        Self {
            least: pool
                .variants
                .iter()
                .map(|variant| variant.min_replicas)
                .collect(),
            scaled: stages(&pool.variants)
                .into_iter()
                .filter_map(cheapest)
                .collect(),
        }
    }

    fn decide(&mut self, now_seconds: f64, seen: &PoolSnapshot) -> Vec<u32> {
        let mut desired = self.least.clone();
        for scaled in &mut self.scaled {
            if let Some(place) = desired.get_mut(scaled.variant) {
                *place = scaled.decide(now_seconds, seen);
            }
        }
        desired
    }
}

impl Scaled {
    fn decide(&mut self, now_seconds: f64, seen: &PoolSnapshot) -> u32 {
        let Some(variant) = seen.pool.variants.get(self.variant) else {
            return self.hpa.min_replicas;
        };
        // Nobody else scales: a variant at zero was left there by the scenario, not by its user.
        let asked = variant.desired_replicas.max(1);
        let of_variant = seen.replicas.iter().filter(|replica| {
            usize::try_from(replica.variant).is_ok_and(|position| position == self.variant)
        });
        let mut waiting = milli(seen.pool.workload.queued_requests);
        let mut running = None;
        for replica in of_variant {
            waiting = plus(waiting, milli(replica.waiting));
            running = plus(running, milli(replica.running));
        }
        let proposal = |usage: Option<i64>, target| {
            usage.map(|usage| {
                average_value(
                    variant.current_replicas,
                    usage,
                    target,
                    Tolerance::default(),
                )
            })
        };
        let proposals = [
            proposal(waiting, WAITING_MILLI),
            proposal(running, RUNNING_MILLI),
        ];
        self.hpa.sync(now_seconds, asked, &proposals)
    }
}

fn milli(count: Option<f64>) -> Option<i64> {
    count.map(|count| (count * 1000.0).ceil() as i64)
}

/// A query sums up what there is.
fn plus(sum: Option<i64>, more: Option<i64>) -> Option<i64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (one, other) => one.or(other),
    }
}

impl Controller for Controlled {
    fn decide(&mut self, snapshot: &Snapshot) -> Counts {
        let now_seconds = snapshot.now_ms.saturating_sub(START_MS) as f64 / 1000.0;
        let pools = self.pools.iter_mut().zip(&snapshot.pools);
        let desired = pools
            .map(|(pool, seen)| pool.decide(now_seconds, seen))
            .collect();
        Counts {
            desired,
            decisions: Vec::new(),
        }
    }
}
