//! Numbers that no analyzer or operator should send: the plan stays a plan.

use proptest::prelude::*;
use trimtab_sdk::{Accelerator, Limits, Request, Role, Stage, Variant};

use crate::fleet::{request, stage, variant};
use crate::planning::{counts, plan};

fn any_number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        1e-300,
        1e-9,
        0.3,
        1.0,
        7.0,
        1e9,
        1e300,
    ])
}

fn any_count() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![0, 1, 2, 5, 300, u32::MAX - 1, u32::MAX])
}

prop_compose! {
    fn any_variant()(
        name in "[ab]?",
        cost in any_number(),
        gpus_per_replica in any_count(),
        bounds in (any_count(), any_count()),
        counts in (any_count(), any_count(), any_count()),
    ) -> Variant {
        Variant {
            gpus_per_replica,
            min_replicas: bounds.0,
            max_replicas: bounds.1,
            desired_replicas: counts.0,
            current_replicas: counts.1,
            ready_replicas: counts.2,
            ..variant(&name, cost)
        }
    }
}

prop_compose! {
    fn any_stage()(
        role in prop::sample::select(vec![Role::Both, Role::Decode]),
        floor in any_number(),
        ceiling in any_number(),
        supply in prop::collection::vec(any_number(), 0..=4),
        shift in any_count(),
    ) -> Stage {
        let mut stage = stage(role, floor, ceiling, &supply);
        if let Some(capacity) = stage.capacities.first_mut() {
            capacity.variant = shift;
        }
        stage
    }
}

prop_compose! {
    fn any_request()(
        variants in prop::collection::vec(any_variant(), 0..=3),
        stages in prop::collection::vec(any_stage(), 0..=3),
    ) -> Request {
        request("pool", variants, stages)
    }
}

prop_compose! {
    fn any_limits()(
        accelerators in prop::option::of(prop::collection::vec(
            ("[ab]?", any_count(), prop::option::of(any_count())),
            0..=3,
        )),
        budget in prop::option::of(any_number()),
    ) -> Limits {
        let of = |(name, available, quota)| Accelerator { name, total: available, available, quota };
        Limits { accelerators: accelerators.map(|all| all.into_iter().map(of).collect()), budget }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn every_variant_still_gets_a_count_within_its_bounds(
        requests in prop::collection::vec(any_request(), 0..=3),
        limits in any_limits(),
    ) {
        let counts = counts(&requests, &plan(&requests, &limits));
        let variants = requests.iter().flat_map(|request| &request.pool.variants);
        for (variant, count) in variants.zip(counts.into_iter().flatten()) {
            let max = variant.max_replicas.max(variant.min_replicas);
            prop_assert!((variant.min_replicas..=max).contains(&count));
        }
    }
}
