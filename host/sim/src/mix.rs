//! Counts of several kinds of replica that carry a load: the cheapest, and the simplest.

use trimtab_contract::Objective;

use crate::capacity::{Demand, share};
use crate::spec::{PoolSpec, Spec};

/// One kind of replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    pub cost: f64,
    /// Load that one replica carries.
    pub share: f64,
    pub min: u32,
    pub max: u32,
    pub accelerator: String,
    pub gpus: u32,
}

impl Kind {
    /// The variants at `positions` in a pool, with the share of `demand` that each carries.
    ///
    /// Where the closed form finds none that meets the objective, the shares are those without one:
    /// then a search goes on from there to what comes closest.
    #[must_use]
    pub fn of(pool: &PoolSpec, positions: &[usize], demand: &Demand) -> Vec<Self> {
        let kinds = Self::within(pool, positions, &pool.objective, demand);
        if kinds.iter().any(|kind| kind.share > 0.0) {
            return kinds;
        }
        let boundless = Objective {
            ttft: None,
            itl: None,
            ..pool.objective
        };
        Self::within(pool, positions, &boundless, demand)
    }

    fn within(
        pool: &PoolSpec,
        positions: &[usize],
        objective: &Objective,
        demand: &Demand,
    ) -> Vec<Self> {
        positions
            .iter()
            .filter_map(|position| pool.variants.get(*position))
            .map(|variant| Self {
                cost: variant.cost_per_hour,
                share: share(variant, objective, demand),
                min: variant.min_replicas,
                max: variant.max_replicas,
                accelerator: variant.accelerator.clone(),
                gpus: variant.gpus_per_replica,
            })
            .collect()
    }
}

/// GPUs by accelerator; an accelerator that is not listed has none. `None` where there is no end
/// of them.
pub type Inventory = Option<Vec<(String, u32)>>;

/// What all replicas together keep within.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    pub inventory: &'a Inventory,
    /// `None` where there is no budget.
    pub budget_per_hour: Option<f64>,
}

impl<'a> Limits<'a> {
    #[must_use]
    pub fn of(spec: &'a Spec) -> Self {
        Self {
            inventory: &spec.inventory,
            budget_per_hour: spec.budget_per_hour,
        }
    }

    #[must_use]
    pub fn affords(&self, cost_per_hour: f64) -> bool {
        self.budget_per_hour
            .is_none_or(|budget| cost_per_hour <= budget + 1e-9)
    }
}

impl<'a> From<&'a Inventory> for Limits<'a> {
    fn from(inventory: &'a Inventory) -> Self {
        Self {
            inventory,
            budget_per_hour: None,
        }
    }
}

/// The least-cost counts that carry `load`; the most that there can be where nothing does.
///
/// Depth first over the kinds in order of cost per share, with what the rest would cost at the
/// next kind's price as the bound: exact, and quick for the few kinds that a pool has.
#[must_use]
pub fn cheapest<'a>(kinds: &[Kind], limits: impl Into<Limits<'a>>, load: f64) -> Vec<u32> {
    let limits = limits.into();
    let mut search = Search {
        kinds,
        order: by_price(kinds),
        counts: kinds.iter().map(|kind| kind.min).collect(),
        best: None,
    };
    let cost = kinds
        .iter()
        .map(|kind| f64::from(kind.min) * kind.cost)
        .sum();
    let carried: f64 = kinds
        .iter()
        .map(|kind| f64::from(kind.min) * kind.share)
        .sum();
    search.descend(0, cost, load - carried, &limits);
    search
        .best
        .map_or_else(|| simplest(kinds, limits, load), |(_, counts)| counts)
}

/// Counts that carry `load`, of the kind that is cheapest per capacity; of the next one where
/// that one has no more; the most that there can be where nothing carries it.
#[must_use]
pub fn simplest<'a>(kinds: &[Kind], limits: impl Into<Limits<'a>>, load: f64) -> Vec<u32> {
    let limits = limits.into();
    let mut counts: Vec<u32> = kinds.iter().map(|kind| kind.min).collect();
    for position in by_price(kinds) {
        let carried: f64 = kinds
            .iter()
            .zip(&counts)
            .map(|(kind, count)| f64::from(*count) * kind.share)
            .sum();
        let limit = most(kinds, &counts, &limits, position);
        if let Some((kind, count)) = kinds.get(position).zip(counts.get_mut(position)) {
            *count = count
                .saturating_add(needed(kind, load - carried))
                .min(limit);
        }
    }
    counts
}

/// Positions of the kinds that carry anything, the cheapest per load first.
#[must_use]
pub fn by_price(kinds: &[Kind]) -> Vec<usize> {
    let mut priced: Vec<(f64, usize)> = kinds
        .iter()
        .enumerate()
        .filter(|(_, kind)| kind.share > 0.0)
        .map(|(position, kind)| (kind.cost / kind.share, position))
        .collect();
    priced.sort_by(|one, other| one.0.total_cmp(&other.0));
    priced.into_iter().map(|(_, position)| position).collect()
}

/// Replicas of one kind for `load`, forgiving a rounding error.
fn needed(kind: &Kind, load: f64) -> u32 {
    (load / kind.share - 1e-9).ceil().max(0.0) as u32
}

/// The most that the kind at `position` may have beside the others; its minimum wins.
fn most(kinds: &[Kind], counts: &[u32], limits: &Limits<'_>, position: usize) -> u32 {
    let Some(kind) = kinds.get(position) else {
        return 0;
    };
    let others = || {
        let all = kinds.iter().zip(counts).enumerate();
        all.filter(|(other, _)| *other != position)
            .map(|(_, other)| other)
    };
    let mut most = kind.max;
    if let Some(inventory) = limits.inventory {
        let total: u32 = inventory
            .iter()
            .filter(|(name, _)| *name == kind.accelerator)
            .map(|(_, gpus)| *gpus)
            .sum();
        let used: u32 = others()
            .filter(|(sharer, _)| sharer.accelerator == kind.accelerator)
            .map(|(sharer, count)| sharer.gpus * count)
            .sum();
        most = most.min(total.saturating_sub(used) / kind.gpus.max(1));
    }
    if let Some(budget) = limits.budget_per_hour.filter(|_| kind.cost > 0.0) {
        let spent: f64 = others()
            .map(|(other, count)| other.cost * f64::from(*count))
            .sum();
        most = most.min(((budget - spent) / kind.cost + 1e-9).max(0.0) as u32);
    }
    most.max(kind.min)
}

struct Search<'a> {
    kinds: &'a [Kind],
    order: Vec<usize>,
    counts: Vec<u32>,
    best: Option<(f64, Vec<u32>)>,
}

impl Search<'_> {
    /// Tries every count of the kind at `depth` that may still lead to less than the best cost.
    fn descend(&mut self, depth: usize, cost: f64, load: f64, limits: &Limits<'_>) {
        if load <= 1e-9 {
            if self
                .best
                .as_ref()
                .is_none_or(|(best, _)| cost < *best - 1e-9)
            {
                self.best = Some((cost, self.counts.clone()));
            }
            return;
        }
        let kinds = self.kinds;
        let Some(&position) = self.order.get(depth) else {
            return;
        };
        let Some(kind) = kinds.get(position) else {
            return;
        };
        let next = self.order.get(depth + 1).and_then(|next| kinds.get(*next));
        let limit = most(kinds, &self.counts, limits, position).saturating_sub(kind.min);
        for extra in (0..=needed(kind, load).min(limit)).rev() {
            let cost = cost + f64::from(extra) * kind.cost;
            let load = load - f64::from(extra) * kind.share;
            let rest = next.map_or(0.0, |next| load.max(0.0) * next.cost / next.share);
            if self
                .best
                .as_ref()
                .is_some_and(|(best, _)| cost + rest >= *best - 1e-9)
            {
                // The fewer of this kind, the more is left for dearer ones. Only the first count
                // overshoots, and may cost more than the next.
                if load > 1e-9 {
                    break;
                }
                continue;
            }
            self.set(position, kind.min + extra);
            self.descend(depth + 1, cost, load, limits);
            self.set(position, kind.min);
        }
    }

    fn set(&mut self, position: usize, count: u32) {
        if let Some(place) = self.counts.get_mut(position) {
            *place = count;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(cost: f64, share: f64, min: u32, max: u32) -> Kind {
        Kind {
            cost,
            share,
            min,
            max,
            accelerator: format!("card-{cost}"),
            gpus: 1,
        }
    }

    #[test]
    fn a_small_rest_goes_to_a_small_card() {
        let kinds = [kind(4.5, 10.0, 0, 9), kind(1.9, 2.0, 0, 9)];
        assert_eq!(cheapest(&kinds, &None, 21.5), [2, 1]);
        assert_eq!(cheapest(&kinds, &None, 25.0), [3, 0]);
        assert_eq!(simplest(&kinds, &None, 21.5), [3, 0]);
    }

    #[test]
    fn gpus_that_do_not_exist_are_not_counted_on() {
        let kinds = [kind(4.5, 10.0, 0, 9), kind(1.9, 2.0, 0, 9)];
        let inventory = Some(vec![
            ("card-4.5".to_owned(), 2),
            ("card-1.9".to_owned(), 50),
        ]);
        assert_eq!(cheapest(&kinds, &inventory, 25.0), [2, 3]);
        assert_eq!(simplest(&kinds, &inventory, 25.0), [2, 3]);
        assert_eq!(cheapest(&kinds, &inventory, 1e6), [2, 9]);
        assert_eq!(cheapest(&kinds, &Some(Vec::new()), 1.0), [0, 0]);
    }

    #[test]
    fn a_budget_is_kept_within_but_for_minimums() {
        let kinds = [kind(4.5, 10.0, 0, 9), kind(1.9, 2.0, 0, 9)];
        let within = |budget| Limits {
            inventory: &None,
            budget_per_hour: Some(budget),
        };
        assert_eq!(cheapest(&kinds, within(13.5), 25.0), [3, 0]);
        assert_eq!(cheapest(&kinds, within(12.0), 25.0), [2, 1]);
        assert_eq!(simplest(&kinds, within(12.0), 25.0), [2, 1]);
        assert_eq!(cheapest(&kinds, within(0.0), 25.0), [0, 0]);
        let least = [kind(4.5, 10.0, 2, 9), kind(1.9, 2.0, 1, 9)];
        assert_eq!(simplest(&least, within(5.0), 99.0), [2, 1]);
    }

    #[test]
    fn kinds_on_one_card_share_its_gpus() {
        let on_h100 = |cost, share, gpus| Kind {
            accelerator: "H100".to_owned(),
            gpus,
            ..kind(cost, share, 0, 9)
        };
        let kinds = [on_h100(4.5, 10.0, 1), on_h100(8.0, 19.0, 2)];
        let inventory = Some(vec![("H100".to_owned(), 3)]);
        assert_eq!(cheapest(&kinds, &inventory, 29.0), [1, 1]);
    }

    proptest! {
        #[test]
        fn no_cheaper_mix_exists(
            costs in prop::collection::vec((1.0..9.0f64, 0.0..5.0f64, 0..2u32, 2..5u32), 1..4),
            load in 0.1..30.0f64,
        ) {
            let kinds: Vec<Kind> =
                costs.iter().map(|&(cost, share, min, max)| kind(cost, share, min, max)).collect();
            let all = kinds.iter().fold(vec![vec![]], |mixes: Vec<Vec<u32>>, kind| {
                let with = |count| mixes.iter().map(move |mix| [&mix[..], &[count]].concat());
                (kind.min..=kind.max).flat_map(with).collect()
            });
            let sum = |mix: &[u32], value: fn(&Kind) -> f64| -> f64 {
                kinds.iter().zip(mix).map(|(kind, count)| value(kind) * f64::from(*count)).sum()
            };
            let least = all
                .iter()
                .filter(|mix| sum(mix, |kind| kind.share) >= load - 1e-9)
                .map(|mix| sum(mix, |kind| kind.cost))
                .min_by(f64::total_cmp);
            let found = cheapest(&kinds, &None, load);
            if let Some(least) = least {
                prop_assert!((sum(&found, |kind| kind.cost) - least).abs() < 1e-6);
                prop_assert!(sum(&found, |kind| kind.share) >= load - 1e-6);
            }
            prop_assert!(kinds.iter().zip(&found).all(|(k, n)| (k.min..=k.max).contains(n)));
        }
    }
}
