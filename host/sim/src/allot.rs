//! The replicas that a whole fleet starts with, within the GPUs and the budget that all pools share.

use crate::capacity::{Demand, stages};
use crate::mix::{Kind, Limits, by_price};
use crate::spec::{PoolSpec, VariantSpec};

/// A variant, by position of its pool and its own.
type Place = (usize, usize);

/// Lowers first counts until the whole fleet keeps within the limits.
///
/// Only those that `free` names by pool and variant are lowered, and no further than their minimum;
/// a role keeps a replica where its pool may not be at zero, as the guard sees to it. Of what is
/// left each role gets one replica, then pools by priority, and among equals whoever has the least
/// share of what it would start with; of its variants the cheapest per capacity.
pub(crate) fn within(pools: &mut [PoolSpec], limits: Limits<'_>, free: &[Vec<bool>]) {
    let wanted: Vec<Vec<u32>> = pools
        .iter()
        .map(|pool| pool.variants.iter().map(|v| v.initial_replicas).collect())
        .collect();
    let roles = roles(pools);
    roles.iter().for_each(|role| lower(pools, role, free));
    for role in &roles {
        if count(pools, role) == 0 && !may_be_empty(pools, role) {
            let lowered = role.iter().filter(|place| at(&wanted, place) > 0);
            let kept = lowered.min_by_key(|place| {
                let has_room = variant(pools, **place).is_some_and(|v| fits(pools, limits, v));
                !has_room
            });
            if let Some(place) = kept.copied() {
                add(pools, place);
            }
        }
    }
    while let Some(place) = next(pools, limits, &roles, &wanted) {
        add(pools, place);
    }
}

/// Places of the variants that serve one role of one pool together, the cheapest per capacity first.
fn roles(pools: &[PoolSpec]) -> Vec<Vec<Place>> {
    let mut roles = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        // The order does not depend on how many seconds the requests come in.
        let demand = Demand::of(&pool.arrivals, 1.0);
        for stage in stages(&pool.variants) {
            let order = by_price(&Kind::of(pool, &stage, &demand));
            let others = (0..stage.len()).filter(|position| !order.contains(position));
            let sorted = order.iter().copied().chain(others);
            let places = sorted.filter_map(|position| Some((index, *stage.get(position)?)));
            roles.push(places.collect());
        }
    }
    roles
}

fn may_be_empty(pools: &[PoolSpec], role: &[Place]) -> bool {
    let pool = role.first().and_then(|(pool, _)| pools.get(*pool));
    pool.is_none_or(|pool| pool.rules.scale_to_zero_after_seconds.is_some())
}

fn lower(pools: &mut [PoolSpec], role: &[Place], free: &[Vec<bool>]) {
    for (pool, position) in role {
        let is_free = free.get(*pool).and_then(|of_pool| of_pool.get(*position));
        let variant = pools.get_mut(*pool);
        let variant = variant.and_then(|pool| pool.variants.get_mut(*position));
        if let Some(variant) = variant.filter(|_| is_free == Some(&true)) {
            variant.initial_replicas = variant.initial_replicas.min(variant.min_replicas);
        }
    }
}

/// The place that gets the next replica; `None` where nothing more is wanted or fits.
fn next(
    pools: &[PoolSpec],
    limits: Limits<'_>,
    roles: &[Vec<Place>],
    wanted: &[Vec<u32>],
) -> Option<Place> {
    let bids = roles.iter().filter_map(|role| {
        let place = role.iter().find(|place| {
            variant(pools, **place).is_some_and(|variant| {
                variant.initial_replicas < at(wanted, place) && fits(pools, limits, variant)
            })
        })?;
        let priority = pools.get(place.0)?.objective.priority;
        let (has, wants) = (
            count(pools, role),
            role.iter().map(|place| at(wanted, place)).sum::<u32>(),
        );
        let share = f64::from(has) / f64::from(wants.max(1));
        Some((*place, (has > 0, priority), share))
    });
    bids.min_by(|one, other| one.1.cmp(&other.1).then(one.2.total_cmp(&other.2)))
        .map(|(place, ..)| place)
}

/// Whether there are GPUs and money for one more.
fn fits(pools: &[PoolSpec], limits: Limits<'_>, variant: &VariantSpec) -> bool {
    let all = || pools.iter().flat_map(|pool| &pool.variants);
    let cost: f64 = all()
        .map(|other| other.cost_per_hour * f64::from(other.initial_replicas))
        .sum();
    let has_gpus = limits.inventory.as_ref().is_none_or(|inventory| {
        let of_kind = inventory
            .iter()
            .filter(|(name, _)| *name == variant.accelerator);
        let total: u32 = of_kind.map(|(_, gpus)| *gpus).sum();
        let used = all()
            .filter(|other| other.accelerator == variant.accelerator)
            .map(|other| {
                other
                    .gpus_per_replica
                    .saturating_mul(other.initial_replicas)
            })
            .fold(0, u32::saturating_add);
        used.saturating_add(variant.gpus_per_replica) <= total
    });
    has_gpus && limits.affords(cost + variant.cost_per_hour)
}

fn variant(pools: &[PoolSpec], (pool, position): Place) -> Option<&VariantSpec> {
    pools.get(pool)?.variants.get(position)
}

fn at(counts: &[Vec<u32>], (pool, position): &Place) -> u32 {
    let of_pool = counts.get(*pool);
    of_pool
        .and_then(|of_pool| of_pool.get(*position))
        .copied()
        .unwrap_or(0)
}

fn count(pools: &[PoolSpec], places: &[Place]) -> u32 {
    places
        .iter()
        .filter_map(|place| variant(pools, *place))
        .map(|variant| variant.initial_replicas)
        .sum()
}

fn add(pools: &mut [PoolSpec], (pool, position): Place) {
    let pool = pools.get_mut(pool);
    if let Some(variant) = pool.and_then(|pool| pool.variants.get_mut(position)) {
        variant.initial_replicas += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::mix::Inventory;
    use crate::scenario::{Overrides, Scenario};
    use crate::testing;

    /// A pool that would start with so many replicas on each accelerator, at 4.0 an hour.
    fn pool(priority: u32, wanted: &[(&str, u32)]) -> PoolSpec {
        let variants = wanted.iter().map(|(accelerator, count)| VariantSpec {
            accelerator: (*accelerator).to_owned(),
            ..testing::variant(*count)
        });
        let mut pool = testing::pool(variants.collect(), Vec::new());
        pool.objective.priority = priority;
        pool
    }

    fn alloted(mut pools: Vec<PoolSpec>, gpus: u32, budget: Option<f64>) -> Vec<Vec<u32>> {
        let inventory: Inventory = Some(vec![("H100".to_owned(), gpus), ("L40S".to_owned(), gpus)]);
        let limits = Limits {
            inventory: &inventory,
            budget_per_hour: budget,
        };
        let free: Vec<Vec<bool>> = pools
            .iter()
            .map(|pool| vec![true; pool.variants.len()])
            .collect();
        within(&mut pools, limits, &free);
        pools
            .iter()
            .map(|pool| pool.variants.iter().map(|v| v.initial_replicas).collect())
            .collect()
    }

    #[test]
    fn a_fleet_that_fits_stays_as_it_is() {
        let pools = vec![
            pool(1, &[("H100", 3), ("L40S", 1)]),
            pool(1, &[("H100", 2)]),
        ];
        assert_eq!(alloted(pools, 5, Some(24.0)), [vec![3, 1], vec![2]]);
    }

    #[test]
    fn pools_of_one_priority_share_what_there_is() {
        let pools = || vec![pool(1, &[("H100", 6)]), pool(1, &[("H100", 3)])];
        assert_eq!(alloted(pools(), 6, None), [[4], [2]]);
        assert_eq!(alloted(pools(), 99, Some(13.0)), [[2], [1]]);
    }

    #[test]
    fn what_is_cheapest_per_capacity_comes_first() {
        let mut mixed = pool(1, &[("L40S", 4), ("H100", 4)]);
        mixed.arrivals = vec![testing::arrival(0.0, 1000, 100)];
        // Cheaper by the replica, dearer by what it carries.
        mixed.variants[0].cost_per_hour = 2.0;
        mixed.variants[0].iteration.base_seconds *= 4.0;
        mixed.variants[0].iteration.per_token_seconds *= 4.0;
        mixed.variants[0].iteration.per_kv_token_seconds *= 4.0;
        assert_eq!(alloted(vec![mixed], 99, Some(14.0)), [[1, 3]]);
    }

    #[test]
    fn priority_goes_first_and_leaves_each_role_one() {
        let pools = vec![pool(2, &[("H100", 4)]), pool(1, &[("H100", 4)])];
        assert_eq!(alloted(pools, 6, None), [[2], [4]]);
    }

    #[test]
    fn minimums_and_the_last_replica_stay_without_room() {
        let mut least = pool(1, &[("H100", 5)]);
        least.variants[0].min_replicas = 3;
        let mut idle = pool(1, &[("H100", 2)]);
        idle.rules.scale_to_zero_after_seconds = Some(60.0);
        let pools = vec![least, pool(1, &[("H100", 2)]), idle];
        assert_eq!(alloted(pools, 0, Some(0.0)), [[3], [1], [0]]);
    }

    #[test]
    fn counts_that_are_given_stay() {
        let mut pools = vec![pool(1, &[("H100", 5)]), pool(1, &[("H100", 5)])];
        let budget = Limits {
            inventory: &None,
            budget_per_hour: Some(28.0),
        };
        within(&mut pools, budget, &[vec![false], vec![true]]);
        let counts = pools.iter().map(|pool| pool.variants[0].initial_replicas);
        assert_eq!(counts.collect::<Vec<_>>(), [5, 2]);
    }

    #[test]
    fn auto_starts_within_the_scenarios_budget() {
        let starts_at = |budget: &str| {
            let yaml = format!(
                "
name: dear
duration-seconds: 120
{budget}
pools:
  - name: chat
    model: Llama-3.1-8B
    objective: {{ttft-seconds: 1, itl-seconds: 0.05}}
    workload:
      generate:
        arrivals: [poisson: {{rate: 200}}]
        input-tokens: {{mean: 1000}}
        output-tokens: {{mean: 200}}
    variants: [{{name: h100, accelerator: H100, cost-per-hour: 4}}]
"
            );
            let scenario = Scenario::parse("s.yaml", &yaml, Path::new("")).unwrap();
            let spec = scenario.resolve(&Overrides::default()).unwrap();
            spec.pools[0].variants[0].initial_replicas
        };
        assert!(starts_at("") > 2);
        assert_eq!(starts_at("budget-per-hour: 9"), 2);
    }
}
