//! What is free this tick: GPUs by accelerator, and money.

use std::collections::BTreeMap;

use trimtab_contract::Variant;

use crate::draft::{PoolDraft, VariantDraft};
use crate::snapshot::{Mode, Snapshot};

/// Accelerator of a variant whose nodes are not known.
pub(super) const UNRESOLVED: &str = "unresolved";

/// Relative; sums of costs are not exact.
pub(super) const TOLERANCE: f64 = 1e-9;

/// What is free, and what is spent already.
pub(super) struct Ledger<'a> {
    /// By accelerator; `None` where the inventory is unknown.
    pub(super) gpus: Option<BTreeMap<&'a str, Gpus>>,
    /// Whether any accelerator has a quota: then a variant without a known one is granted nothing.
    quotas: bool,
    pub(super) money: Option<Money>,
    /// Budgets of single pools, one entry for each.
    pub(super) purses: Vec<Option<Money>>,
}

/// GPUs of one accelerator.
#[derive(Clone, Copy, Default)]
pub(super) struct Gpus {
    pub(super) total: u64,
    free: u64,
    /// What all floors together hold.
    pub(super) floors: u64,
}

/// Costs per hour.
#[derive(Clone, Copy)]
pub(super) struct Money {
    /// How the budget is called.
    pub(super) name: &'static str,
    pub(super) budget: f64,
    /// What was desired before and what the floors demand.
    pub(super) settled: f64,
    /// What all floors together cost.
    pub(super) floors: f64,
    left: f64,
}

/// What one more replica needs.
#[derive(Clone, Copy)]
pub(super) struct Price<'a> {
    gpus: GpuNeed<'a>,
    /// Cost per hour.
    cost: f64,
    /// Position of its pool.
    pool: usize,
}

#[derive(Clone, Copy)]
enum GpuNeed<'a> {
    /// None, or of an inventory that is unknown.
    Unlimited,
    Of {
        accelerator: &'a str,
        gpus: u64,
    },
    /// No accelerator is known, and quotas are set or there are no GPUs at all.
    Refused,
}

/// Why no more was granted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    Gpus,
    /// Of all pools together.
    Money,
    /// Of its pool alone.
    PoolMoney,
}

impl<'a> Ledger<'a> {
    /// Opens with what is free after all that is settled.
    pub(super) fn open(snapshot: &'a Snapshot, pools: &[PoolDraft<'a>]) -> Self {
        let inventory = snapshot.inventory.as_deref();
        let mut gpus = inventory.map(|accelerators| {
            let mut gpus: BTreeMap<&str, Gpus> = BTreeMap::new();
            for accelerator in accelerators {
                let entry = gpus.entry(&accelerator.name).or_default();
                let allowed = accelerator.quota.unwrap_or(u32::MAX);
                entry.total += u64::from(accelerator.total);
                entry.free += u64::from(accelerator.available.min(allowed));
            }
            gpus
        });
        let all = snapshot.budget_per_hour;
        let mut money = all.map(|budget| Money::new("the budget", budget));
        let mut purses = Vec::with_capacity(pools.len());
        for pool in pools {
            let own = pool.seen.rules.budget_per_hour;
            let mut purse = own.map(|budget| Money::new("the pool's budget", budget));
            for draft in &pool.variants {
                let floor = binding_floor(pool, draft);
                let settled = draft.previous().max(floor);
                if let Some(gpus) = &mut gpus {
                    reserve(gpus, draft.variant, settled, floor);
                }
                for money in money.iter_mut().chain(&mut purse) {
                    money.settle(draft.variant, settled, floor);
                }
            }
            purses.push(purse);
        }
        let quotas = inventory.is_some_and(|all| all.iter().any(|one| one.quota.is_some()));
        Self {
            gpus,
            quotas,
            money,
            purses,
        }
    }

    pub(super) fn price(&self, pool: usize, variant: &'a Variant) -> Price<'a> {
        let gpus = match (&self.gpus, variant.gpus_per_replica) {
            (None, _) | (_, 0) => GpuNeed::Unlimited,
            (Some(all), _) if variant.accelerator == UNRESOLVED => {
                if self.quotas || all.values().all(|gpus| gpus.total == 0) {
                    GpuNeed::Refused
                } else {
                    GpuNeed::Unlimited
                }
            }
            (Some(_), gpus) => GpuNeed::Of {
                accelerator: &variant.accelerator,
                gpus: u64::from(gpus),
            },
        };
        Price {
            gpus,
            cost: cost(variant),
            pool,
        }
    }

    /// Whether all of these fit together: what a replica costs, the replicas that need GPUs, and
    /// all replicas.
    pub(super) fn covers(&self, claims: impl Iterator<Item = (Price<'a>, u32, u32)>) -> bool {
        let mut needed: BTreeMap<&str, u64> = BTreeMap::new();
        let mut spent = 0.0;
        let mut of_pools = vec![0.0; self.purses.len()];
        for (price, gpu_replicas, replicas) in claims {
            let cost = price.cost * f64::from(replicas);
            spent += cost;
            if let Some(of_pool) = of_pools.get_mut(price.pool) {
                *of_pool += cost;
            }
            match price.gpus {
                GpuNeed::Unlimited => {}
                GpuNeed::Refused => return false,
                GpuNeed::Of { accelerator, gpus } => {
                    *needed.entry(accelerator).or_default() += gpus * u64::from(gpu_replicas);
                }
            }
        }
        let affordable = self.money.is_none_or(|money| money.affords(spent));
        let mut purses = self.purses.iter().zip(of_pools);
        affordable
            && purses.all(|(purse, spent)| purse.is_none_or(|purse| purse.affords(spent)))
            && needed
                .iter()
                .all(|(accelerator, gpus)| *gpus <= self.free(accelerator))
    }

    /// Takes one replica's GPUs, unless it holds them already, and its money.
    ///
    /// # Errors
    /// What is short; then nothing is taken.
    pub(super) fn take(&mut self, price: Price<'a>, needs_gpus: bool) -> Result<(), Shortage> {
        let taken = match price.gpus {
            GpuNeed::Unlimited => None,
            GpuNeed::Refused => return Err(Shortage::Gpus),
            GpuNeed::Of { accelerator, gpus } => needs_gpus.then_some((accelerator, gpus)),
        };
        if taken.is_some_and(|(accelerator, gpus)| gpus > self.free(accelerator)) {
            return Err(Shortage::Gpus);
        }
        let mut purse = self.purses.get_mut(price.pool).and_then(Option::as_mut);
        let affords = |money: &Option<&mut Money>| {
            let money = money.as_deref();
            money.is_none_or(|money| money.affords(price.cost))
        };
        let mut money = self.money.as_mut();
        if !affords(&purse) {
            return Err(Shortage::PoolMoney);
        }
        if !affords(&money) {
            return Err(Shortage::Money);
        }
        for money in purse.iter_mut().chain(&mut money) {
            money.left -= price.cost;
        }
        let entry = taken.and_then(|(accelerator, gpus)| {
            self.gpus
                .as_mut()
                .and_then(|all| all.get_mut(accelerator))
                .zip(Some(gpus))
        });
        if let Some((entry, gpus)) = entry {
            entry.free -= gpus;
        }
        Ok(())
    }

    /// An accelerator that a known inventory does not have has no free GPUs.
    fn free(&self, accelerator: &str) -> u64 {
        let known = self
            .gpus
            .as_ref()
            .map(|gpus| gpus.get(accelerator).copied());
        known.map_or(u64::MAX, |known| known.unwrap_or_default().free)
    }

    pub(super) fn explain(&self, shortage: Shortage, pool: usize, variant: &Variant) -> String {
        match shortage {
            Shortage::Gpus if variant.accelerator == UNRESOLVED && self.quotas => {
                "its accelerator is not known, and quotas are set".to_owned()
            }
            Shortage::Gpus if variant.accelerator == UNRESOLVED => {
                "there are no GPUs of any kind".to_owned()
            }
            Shortage::Gpus => {
                let (accelerator, each) = (&variant.accelerator, variant.gpus_per_replica);
                let free = self.free(accelerator);
                format!("{free} GPUs of `{accelerator}` are left, a replica needs {each}")
            }
            Shortage::Money => short_of(self.money, variant),
            Shortage::PoolMoney => short_of(self.purses.get(pool).copied().flatten(), variant),
        }
    }
}

fn short_of(money: Option<Money>, variant: &Variant) -> String {
    let left = money.map_or(f64::INFINITY, |money| money.left.max(0.0));
    let name = money.map_or("the budget", |money| money.name);
    let cost = variant.cost;
    format!("{left:.2} per hour of {name} are left, a replica costs {cost:.2}")
}

impl Money {
    fn new(name: &'static str, budget: f64) -> Self {
        Self {
            name,
            budget,
            settled: 0.0,
            floors: 0.0,
            left: budget,
        }
    }

    fn settle(&mut self, variant: &Variant, settled: u32, floor: u32) {
        self.settled += f64::from(settled) * cost(variant);
        self.floors += f64::from(floor) * cost(variant);
        self.left = self.budget - self.settled;
    }

    fn affords(self, cost: f64) -> bool {
        cost <= self.left + self.budget.abs() * TOLERANCE
    }
}

/// Counts as held what will exist once all that was asked for does.
fn reserve<'a>(gpus: &mut BTreeMap<&'a str, Gpus>, variant: &'a Variant, settled: u32, floor: u32) {
    let entry = gpus.entry(&variant.accelerator).or_default();
    let each = u64::from(variant.gpus_per_replica);
    let coming = settled.saturating_sub(variant.current_replicas);
    entry.free = entry.free.saturating_sub(u64::from(coming) * each);
    entry.floors += u64::from(floor) * each;
}

/// A floor counts where the count is published.
fn binding_floor(pool: &PoolDraft<'_>, draft: &VariantDraft<'_>) -> u32 {
    if pool.seen.rules.mode == Mode::Enforce {
        draft.floor
    } else {
        0
    }
}

/// A cost that is no amount counts as nothing rather than as a licence to spend.
fn cost(variant: &Variant) -> f64 {
    variant.cost.max(0.0)
}
