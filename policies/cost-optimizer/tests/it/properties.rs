//! What holds for any input.

use proptest::prelude::*;
use trimtab_sdk::{Accelerator, Limits, Plan, Request, Role, Stage, Variant};

use crate::fleet::{request, running, stage, variant, with_priority};
use crate::planning::{counts, follow, plan};

const ACCELERATORS: [&str; 2] = ["big", "small"];

/// Pools that share two accelerators, of which the cluster has so many GPUs.
#[derive(Clone, Debug)]
struct Case {
    requests: Vec<Request>,
    /// `None` where the inventory is unknown.
    cluster: Option<[u32; 2]>,
    budget: Option<f64>,
}

impl Case {
    fn limits(&self) -> Limits {
        let accelerators = self.cluster.map(|totals| {
            let of = |name: &str, total: u32| Accelerator {
                name: name.into(),
                total,
                available: total.saturating_sub(used(&self.requests, name)),
                quota: None,
            };
            ACCELERATORS
                .iter()
                .zip(totals)
                .map(|(name, total)| of(name, total))
                .collect()
        });
        Limits {
            accelerators,
            budget: self.budget,
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.requests, &self.limits())
    }
}

fn used(requests: &[Request], accelerator: &str) -> u32 {
    variants(requests)
        .filter(|variant| variant.accelerator == accelerator)
        .map(|variant| variant.current_replicas * variant.gpus_per_replica)
        .sum()
}

fn variants(requests: &[Request]) -> impl Iterator<Item = &Variant> {
    requests.iter().flat_map(|request| &request.pool.variants)
}

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![6 => Just(Role::Both), 1 => Just(Role::Prefill), 1 => Just(Role::Decode)]
}

prop_compose! {
    fn any_variant()(
        (cost, gpus, accelerator) in (0_u32..=8, 1_u32..=2, 0_usize..2),
        (min, span) in (0_u32..=2, 0_u32..=4),
        (asked, current, ready) in (0_u32..=6, 0_u32..=6, 0_u32..=6),
        settled in any::<bool>(),
        role in any_role(),
    ) -> Variant {
        let asked = asked.clamp(min, min + span);
        let current = if settled { asked } else { current };
        Variant {
            accelerator: ACCELERATORS[accelerator].into(),
            gpus_per_replica: gpus,
            role,
            min_replicas: min,
            max_replicas: min + span,
            desired_replicas: asked,
            current_replicas: current,
            ready_replicas: if settled { current } else { ready.min(current) },
            ..variant("v", f64::from(cost))
        }
    }
}

prop_compose! {
    fn any_stage()(
        role in any_role(),
        (floor, band) in (0_u32..=16, 0_u32..=4),
        supply in prop::collection::vec(0_u32..=5, 3),
    ) -> Stage {
        let supply: Vec<f64> = supply.into_iter().map(f64::from).collect();
        stage(role, f64::from(floor), f64::from(floor + band), &supply)
    }
}

prop_compose! {
    fn any_request()(
        priority in 0_u32..=2,
        variants in prop::collection::vec(any_variant(), 1..=3),
        stages in prop::collection::vec(any_stage(), 1..=4),
    ) -> Request {
        with_priority(priority, request("pool", variants, stages))
    }
}

prop_compose! {
    /// A pool with little of what it needs.
    fn hungry_request()(
        priority in 1_u32..=2,
        variants in prop::collection::vec((1_u32..=8, 0_usize..2, 0_u32..=1), 1..=2),
        floor in 1_u32..=12,
        supply in prop::collection::vec(0_u32..=5, 2),
    ) -> Request {
        let variants = variants.into_iter().map(|(cost, accelerator, asked)| Variant {
            accelerator: ACCELERATORS[accelerator].into(),
            max_replicas: 4,
            ..running(asked, variant("v", f64::from(cost)))
        });
        let supply: Vec<f64> = supply.into_iter().map(f64::from).collect();
        let stages = vec![stage(Role::Both, f64::from(floor), f64::from(floor), &supply)];
        with_priority(priority, request("pool", variants.collect(), stages))
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let requests = prop_oneof![
        prop::collection::vec(any_request(), 1..=3),
        prop::collection::vec(hungry_request(), 2..=3),
    ];
    let free = prop::option::weighted(0.8, [0_u32..=7, 0_u32..=7]);
    let money = prop::option::weighted(0.3, 0_u32..=40);
    (requests, free, money).prop_map(|(requests, free, money)| case(requests, free, money))
}

fn case(mut requests: Vec<Request>, free: Option<[u32; 2]>, money: Option<u32>) -> Case {
    for (request, name) in requests.iter_mut().zip(["one", "two", "three", "four"]) {
        request.pool.name = name.into();
        for (variant, name) in request.pool.variants.iter_mut().zip(["c", "a", "b"]) {
            variant.name = name.into();
        }
    }
    let cluster = free.map(|[big, small]| {
        [
            big + used(&requests, ACCELERATORS[0]),
            small + used(&requests, ACCELERATORS[1]),
        ]
    });
    let spent: f64 = variants(&requests)
        .map(|v| v.cost * f64::from(counted(v)))
        .sum();
    let budget = money.map(|money| spent + f64::from(money));
    Case {
        requests,
        cluster,
        budget,
    }
}

/// What `counts` supply to a stage.
fn supply(request: &Request, stage: &Stage, counts: &[u32]) -> f64 {
    let variants = request
        .pool
        .variants
        .iter()
        .zip(counts)
        .zip(&stage.capacities);
    variants
        .filter(|((variant, _), _)| variant.role == stage.role)
        .map(|((_, count), capacity)| capacity.per_replica * f64::from(*count))
        .sum()
}

fn meets_floors(request: &Request, counts: &[u32]) -> bool {
    request
        .stages
        .iter()
        .all(|stage| supply(request, stage, counts) >= stage.floor)
}

/// Replicas whose GPUs and cost are counted before the plan.
fn counted(variant: &Variant) -> u32 {
    variant.desired_replicas.max(variant.current_replicas)
}

fn is_within(case: &Case, counts: &[Vec<u32>]) -> bool {
    let pairs = || variants(&case.requests).zip(counts.iter().flatten());
    let grows = |(variant, count): (&Variant, &u32)| count.saturating_sub(counted(variant));
    let gpus = case
        .limits()
        .accelerators
        .iter()
        .flatten()
        .all(|accelerator| {
            let of = || pairs().filter(|(variant, _)| variant.accelerator == accelerator.name);
            let coming: u32 = of()
                .map(|(v, _)| (counted(v) - v.current_replicas) * v.gpus_per_replica)
                .sum();
            let growth: u32 = of().map(|pair| grows(pair) * pair.0.gpus_per_replica).sum();
            growth <= accelerator.available.saturating_sub(coming)
        });
    let before: f64 = pairs().map(|(v, _)| v.cost * f64::from(counted(v))).sum();
    let after: f64 = pairs()
        .map(|pair| pair.0.cost * f64::from(counted(pair.0) + grows(pair)))
        .sum();
    gpus && case
        .limits()
        .budget
        .is_none_or(|budget| after <= budget.max(before))
}

fn is_exact(plan: &Plan) -> bool {
    plan.notes[0].text.starts_with("exact: the least-cost mix")
}

/// Every way in which the variants of the requests could grow.
fn all_growth(requests: &[Request]) -> Vec<Vec<Vec<u32>>> {
    let mut all = vec![Vec::new()];
    for request in requests {
        let mut mixes = vec![Vec::new()];
        for variant in &request.pool.variants {
            mixes = mixes
                .into_iter()
                .flat_map(|mix: Vec<u32>| {
                    (variant.desired_replicas..=variant.max_replicas)
                        .map(move |count| [mix.as_slice(), &[count]].concat())
                })
                .collect();
        }
        mixes.retain(|mix| meets_floors(request, mix));
        all = all
            .into_iter()
            .flat_map(|whole: Vec<Vec<u32>>| {
                mixes
                    .iter()
                    .map(move |mix| [whole.as_slice(), std::slice::from_ref(mix)].concat())
            })
            .collect();
    }
    all
}

fn cost(requests: &[Request], counts: &[Vec<u32>]) -> f64 {
    variants(requests)
        .zip(counts.iter().flatten())
        .map(|(v, n)| v.cost * f64::from(*n))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_complete_and_within_all_limits(case in any_case()) {
        let counts = counts(&case.requests, &case.plan());
        for (variant, count) in variants(&case.requests).zip(counts.iter().flatten()) {
            prop_assert!((variant.min_replicas..=variant.max_replicas).contains(count));
        }
        prop_assert!(is_within(&case, &counts), "{:?}", counts);
    }

    #[test]
    fn nothing_shrinks_unless_the_rest_exceeds_every_ceiling(case in any_case()) {
        let plan = case.plan();
        for (request, counts) in case.requests.iter().zip(counts(&case.requests, &plan)) {
            let pairs = || request.pool.variants.iter().zip(&counts);
            let serving: Vec<u32> = pairs().map(|(v, count)| v.ready_replicas.min(*count)).collect();
            for stage in &request.stages {
                let mut of_role = pairs().filter(|(v, _)| v.role == stage.role);
                if of_role.clone().any(|(v, count)| *count < v.desired_replicas) {
                    prop_assert!(supply(request, stage, &counts) >= stage.ceiling);
                }
                if of_role.any(|(v, count)| *count < v.ready_replicas.min(v.desired_replicas)) {
                    prop_assert!(supply(request, stage, &serving) >= stage.ceiling);
                }
            }
        }
    }

    #[test]
    fn a_role_without_a_stage_stays_as_it_is(case in any_case()) {
        let counts = counts(&case.requests, &case.plan());
        for (request, counts) in case.requests.iter().zip(counts) {
            for (variant, count) in request.pool.variants.iter().zip(counts) {
                if request.stages.iter().all(|stage| stage.role != variant.role) {
                    prop_assert_eq!(count, variant.desired_replicas);
                }
            }
        }
    }

    #[test]
    fn every_floor_is_met_if_all_can_be(case in any_case()) {
        let counts = counts(&case.requests, &case.plan());
        let met = || case.requests.iter().zip(&counts).all(|(one, counts)| meets_floors(one, counts));
        if !met() {
            let possible = all_growth(&case.requests).into_iter().find(|all| is_within(&case, all));
            prop_assert_eq!(possible, None, "{:?}", counts);
        }
    }

    #[test]
    fn growth_under_shared_limits_is_the_cheapest(case in any_case()) {
        let plan = case.plan();
        let counts = counts(&case.requests, &plan);
        let grows_only = variants(&case.requests)
            .zip(counts.iter().flatten())
            .all(|(variant, count)| *count >= variant.desired_replicas);
        if grows_only && plan.notes[0].text.starts_with("exact: what") {
            let least = all_growth(&case.requests)
                .iter()
                .filter(|all| is_within(&case, all))
                .map(|all| cost(&case.requests, all))
                .fold(f64::INFINITY, f64::min);
            prop_assert!(cost(&case.requests, &counts) <= least, "{:?} {}", counts, least);
        }
    }

    #[test]
    fn what_is_short_leaves_nothing_that_would_help(case in any_case()) {
        let counts = counts(&case.requests, &case.plan());
        for (number, request) in case.requests.iter().enumerate() {
            for stage in &request.stages {
                if supply(request, stage, &counts[number]) >= stage.floor {
                    continue;
                }
                for (position, variant) in request.pool.variants.iter().enumerate() {
                    let helps = stage.capacities[position].per_replica > 0.0;
                    let mut more = counts.clone();
                    more[number][position] += 1;
                    prop_assert!(
                        variant.role != stage.role
                            || !helps
                            || more[number][position] > variant.max_replicas
                            || !is_within(&case, &more),
                        "{:?}", more
                    );
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_requests_does_not_matter(case in any_case()) {
        let mut turned = case.clone();
        turned.requests.reverse();
        let mut there = counts(&turned.requests, &turned.plan());
        there.reverse();
        prop_assert_eq!(counts(&case.requests, &case.plan()), there);
    }

    #[test]
    fn a_plan_that_was_asked_for_is_asked_for_again(mut case in any_case()) {
        for variant in case.requests.iter_mut().flat_map(|request| &mut request.pool.variants) {
            // Replicas that were asked for and do not exist set GPUs aside until they are cancelled.
            variant.current_replicas = variant.current_replicas.max(variant.desired_replicas);
        }
        let first = case.plan();
        let again = Case { requests: follow(&case.requests, &first, false), ..case.clone() };
        if is_exact(&first) {
            prop_assert_eq!(counts(&case.requests, &first), counts(&case.requests, &again.plan()));
        }
    }

    #[test]
    fn plans_that_are_carried_out_come_to_rest(case in any_case()) {
        let mut case = case;
        let mut last = Vec::new();
        for _ in 0..8 {
            let plan = case.plan();
            let counts = counts(&case.requests, &plan);
            if counts == last {
                return Ok(());
            }
            case.requests = follow(&case.requests, &plan, true);
            last = counts;
        }
        prop_assert!(false, "still moving: {:?}", last);
    }
}
