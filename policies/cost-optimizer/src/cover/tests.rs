//! The search against an enumeration of all mixes.

use proptest::prelude::*;
use trimtab_sdk::{Limits, Request, Role, Variant};

use super::*;
use crate::aim::{aim, grow};
use crate::ask::Effort;
use crate::problem::Problem;
use crate::worth::Scale;

#[path = "../../tests/it/fleet.rs"]
mod fleet;

const SAVING: u32 = 10;
const EFFORT: Effort = Effort {
    scale: Scale {
        switch_saving_percent: SAVING,
    },
    steps: 100_000,
};

/// Capacity and load in small whole numbers, so that ties happen.
#[derive(Clone, Debug)]
struct Case {
    request: Request,
    limits: Limits,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..=3, 1_usize..=3).prop_flat_map(|(n_variants, n_stages)| {
        let row = (
            (0_u32..=8, 1_u32..=2, 0_usize..2),
            (0_u32..=2, 0_u32..=4, 0_u32..=6),
            prop::collection::vec(0_u32..=5, n_stages),
        );
        let bounds = prop::collection::vec((0_u32..=16, 0_u32..=4), n_stages);
        let limits = (
            prop::option::of([0_u32..=5, 0_u32..=5]),
            prop::option::of(0_u32..=60),
        );
        (prop::collection::vec(row, n_variants), bounds, limits).prop_map(case)
    })
}

/// Two or three variants with prices and capacities as they come, up to two dozen of each.
fn larger_cases() -> impl Strategy<Value = Case> {
    let row = (100_u32..=900, 1.0..9.0, 0_u32..=12);
    (
        prop::collection::vec(row, 2..=3),
        0.2..1.2,
        1.0..1.3,
        prop::option::of(0.9..1.1),
    )
        .prop_map(|(rows, load, band, second)| {
            let supply: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let floor = load * supply.iter().sum::<f64>() * 12.0;
            let variants = rows.iter().zip(["c", "a", "b"]).map(|(row, name)| {
                let variant = fleet::variant(name, f64::from(row.0));
                Variant {
                    max_replicas: 24,
                    ..fleet::running(row.2, variant)
                }
            });
            let other: Vec<f64> = supply.iter().rev().copied().collect();
            let mut stages = vec![fleet::stage(Role::Both, floor, floor * band, &supply)];
            stages.extend(second.map(|share| {
                fleet::stage(Role::Both, floor * share, floor * share * band, &other)
            }));
            let request = fleet::request("pool", variants.collect(), stages);
            Case {
                request,
                limits: fleet::PLENTY,
            }
        })
}

type Row = ((u32, u32, usize), (u32, u32, u32), Vec<u32>);
type Scarce = (Option<[u32; 2]>, Option<u32>);

fn case((rows, bounds, (free, budget)): (Vec<Row>, Vec<(u32, u32)>, Scarce)) -> Case {
    let accelerators = ["big", "small"];
    let variants = rows.iter().zip(["c", "a", "b"]).map(|(row, name)| {
        let ((cost, gpus_per_replica, accelerator), (min, span, asked), _) = row;
        let asked = (*asked).clamp(*min, min + span);
        let mut variant = fleet::running(asked, fleet::variant(name, f64::from(*cost)));
        variant.accelerator = accelerators[*accelerator].into();
        variant.gpus_per_replica = *gpus_per_replica;
        (variant.min_replicas, variant.max_replicas) = (*min, min + span);
        variant
    });
    let stages = bounds.iter().enumerate().map(|(number, (floor, band))| {
        let supply: Vec<f64> = rows.iter().map(|row| f64::from(row.2[number])).collect();
        fleet::stage(
            Role::Both,
            f64::from(*floor),
            f64::from(floor + band),
            &supply,
        )
    });
    let request = fleet::request("pool", variants.collect(), stages.collect());
    let mut limits = match free {
        Some([big, small]) => fleet::gpus(&[("big", big), ("small", small)]),
        None => fleet::PLENTY,
    };
    let running: f64 = request
        .pool
        .variants
        .iter()
        .map(|v| v.cost * f64::from(v.desired_replicas))
        .sum();
    limits.budget = budget.map(|more| running + f64::from(more));
    Case { request, limits }
}

/// What the policy's documentation promises, in other words: the least of (cost with what a
/// replacement has to save, changes) over all mixes that are allowed.
fn oracle(case: &Case) -> Option<(u64, u64)> {
    let variants = &case.request.pool.variants;
    let mut best = None;
    let mut counts: Vec<u32> = variants
        .iter()
        .map(|variant| variant.min_replicas)
        .collect();
    loop {
        if is_allowed(case, &counts) {
            let measure =
                variants
                    .iter()
                    .zip(&counts)
                    .fold((0, 0), |(cost, changes), (v, count)| {
                        let given_up = v.desired_replicas.saturating_sub(*count);
                        let units = 100 * u64::from(*count) + u64::from(SAVING * given_up);
                        let moved = u64::from(v.desired_replicas.abs_diff(*count));
                        (cost + v.cost as u64 * units, changes + moved)
                    });
            best = Some(best.map_or(measure, |best: (u64, u64)| best.min(measure)));
        }
        let Some(place) = (0..counts.len()).find(|at| counts[*at] < variants[*at].max_replicas)
        else {
            return best;
        };
        counts[place] += 1;
        for earlier in 0..place {
            counts[earlier] = variants[earlier].min_replicas;
        }
    }
}

fn is_allowed(case: &Case, counts: &[u32]) -> bool {
    let variants = &case.request.pool.variants;
    let shrinks = variants
        .iter()
        .zip(counts)
        .any(|(v, count)| *count < v.desired_replicas);
    let growth = |v: &Variant, count: u32| count.saturating_sub(v.desired_replicas);
    let supplied = case.request.stages.iter().all(|stage| {
        let supply: f64 = stage
            .capacities
            .iter()
            .map(|c| c.per_replica * f64::from(counts[c.variant as usize]))
            .sum();
        supply >= if shrinks { stage.ceiling } else { stage.floor }
    });
    let gpus = case
        .limits
        .accelerators
        .iter()
        .flatten()
        .all(|accelerator| {
            let of = variants
                .iter()
                .zip(counts)
                .filter(|(v, _)| v.accelerator == accelerator.name);
            of.map(|(v, count)| growth(v, *count) * v.gpus_per_replica)
                .sum::<u32>()
                <= accelerator.available
        });
    let money = case.limits.budget.is_none_or(|budget| {
        variants
            .iter()
            .zip(counts)
            .map(|(v, count)| v.cost * f64::from(v.desired_replicas + growth(v, *count)))
            .sum::<f64>()
            <= budget
    });
    supplied && gpus && money
}

fn with_problem<T>(case: &Case, look: impl FnOnce(&Problem, &mut Purse) -> T) -> T {
    let mut purse = Purse::new(&case.limits);
    let problems: Vec<Problem> = Problem::of_request(0, &case.request, &purse).collect();
    purse.set_aside(&problems, case.limits.budget);
    look(&problems[0], &mut purse)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn no_allowed_mix_is_better_than_the_aim(case in cases()) {
        with_problem(&case, |problem, purse| {
            let before = purse.clone();
            let answer = aim(problem, purse, EFFORT);
            prop_assert_eq!(&before, purse, "the purse is given back");
            prop_assert!(answer.exact);
            let found = answer.best.map(|mix| (mix.worth.cost as u64 / 1_000_000, mix.worth.changes));
            prop_assert_eq!(found, oracle(&case));
            Ok(())
        })?;
    }

    #[test]
    fn a_short_search_still_gives_an_allowed_mix(case in cases()) {
        with_problem(&case, |problem, purse| {
            let answer = aim(problem, purse, Effort { steps: 3, ..EFFORT });
            if let Some(mix) = answer.best {
                let mut counts = vec![0; mix.counts.len()];
                for (choice, count) in problem.choices.iter().zip(&mix.counts) {
                    counts[choice.position as usize] = *count;
                }
                prop_assert!(is_allowed(&case, &counts), "{:?}", counts);
            }
            Ok(())
        })?;
    }

    #[test]
    fn equal_mixes_are_chosen_by_name_not_by_place(case in cases()) {
        let mut turned = case.clone();
        let last = case.request.pool.variants.len() as u32 - 1;
        turned.request.pool.variants.reverse();
        for capacity in turned.request.stages.iter_mut().flat_map(|stage| &mut stage.capacities) {
            capacity.variant = last - capacity.variant;
        }
        let counts = |case: &Case| {
            with_problem(case, |problem, purse| aim(problem, purse, EFFORT).best.map(|m| m.counts))
        };
        prop_assert_eq!(counts(&case), counts(&turned));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_allowed_mix_of_many_replicas_is_better(case in larger_cases()) {
        with_problem(&case, |problem, purse| {
            let answer = aim(problem, purse, EFFORT);
            prop_assert!(answer.exact);
            let found = answer.best.map(|mix| (mix.worth.cost as u64 / 1_000_000, mix.worth.changes));
            prop_assert_eq!(found, oracle(&case));
            Ok(())
        })?;
    }
}

#[test]
fn a_large_fleet_of_near_ties_is_searched_in_bounded_steps() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let costs = [10.0, 5.01, 2.51, 7.49, 3.33, 1.26];
    let supply = [100.0, 50.0, 25.0, 75.0, 33.0, 12.5];
    let variants = names
        .iter()
        .zip(costs)
        .map(|(name, cost)| fleet::variant(name, cost))
        .collect();
    let stage = fleet::stage(Role::Both, 9_876.5, 9_876.5, &supply);
    let case = Case {
        request: fleet::request("pool", variants, vec![stage]),
        limits: fleet::PLENTY,
    };
    with_problem(&case, |problem, purse| {
        let floors = problem.floors();
        let mix = grow(
            problem,
            &floors,
            purse,
            Effort {
                steps: 2_000,
                ..EFFORT
            },
        )
        .best
        .unwrap();
        let cost = mix.worth.cost / 1e8;
        // Split replicas would cost 986.65: a tenth of a percent above it is near enough.
        assert!((986.6..=987.6).contains(&cost), "{cost}");
    });
}

#[test]
fn numbers_out_of_all_proportion_end_in_bounded_steps() {
    let variants = ["a", "b", "c"].map(|name| Variant {
        max_replicas: u32::MAX,
        ..fleet::running(1, fleet::variant(name, 1e-6))
    });
    let pool = |name: &str| {
        let stages = vec![
            fleet::stage(Role::Both, 1e9, 1e300, &[1e-3, 1e-300, 0.0]),
            fleet::stage(Role::Both, 1e9, 1e300, &[0.0, 1e300, 1e-2]),
        ];
        fleet::request(name, variants.to_vec(), stages)
    };
    let requests = [pool("one"), pool("two")];
    let limits = Limits {
        accelerators: None,
        budget: Some(1_000_000.0),
    };
    let context = trimtab_sdk::Context {
        now: 0,
        period: 15.0,
        settings: String::new(),
        state: Vec::new(),
    };
    let plan =
        <crate::CostOptimizer as trimtab_sdk::Optimizer>::optimize(&context, &requests, &limits);
    assert_eq!(plan.unwrap().targets.len(), 6);
}
