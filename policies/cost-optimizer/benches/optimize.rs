//! One call over pools of three variants each: in their bands, all in need, and short of GPUs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use trimtab_cost_optimizer::CostOptimizer;
use trimtab_sdk::{Context, Limits, Optimizer as _, Request, Role, Variant};

#[path = "../tests/it/fleet.rs"]
mod fleet;

/// A pool of six variants whose supply costs nearly the same, in two units: hard to search.
fn hard_pool(number: usize) -> Request {
    let offers = [
        ("a", 10.0, 100.0),
        ("b", 5.01, 50.0),
        ("c", 2.51, 25.0),
        ("d", 7.49, 75.0),
        ("e", 3.33, 33.0),
        ("f", 1.26, 12.5),
    ];
    let variants = offers
        .iter()
        .map(|(name, cost, _)| fleet::variant(name, *cost))
        .collect();
    let floor = 3_000.5 + number as f64;
    let stages = [1.0, 7.3].map(|scale| {
        let supply = offers.map(|(_, _, supply)| scale * supply);
        fleet::stage(Role::Both, scale * floor, scale * floor, &supply)
    });
    fleet::request(&format!("pool-{number}"), variants, stages.into())
}

/// A pool whose floor and ceiling are these shares of what runs.
fn pool(number: usize, floor: f64, ceiling: f64) -> Request {
    let offers = [("h100", 4.1, 8.7), ("a100", 2.3, 4.4), ("l40s", 1.1, 1.9)];
    let counts = [number as u32 % 7 + 1, number as u32 % 5, number as u32 % 9];
    let variants: Vec<Variant> = offers
        .iter()
        .zip(counts)
        .map(|((name, cost, _), count)| fleet::running(count, fleet::variant(name, *cost)))
        .collect();
    let supply = offers.map(|(_, _, supply)| supply);
    let runs: f64 = supply
        .iter()
        .zip(counts)
        .map(|(each, count)| each * f64::from(count))
        .sum();
    let stage = fleet::stage(Role::Both, floor * runs, ceiling * runs, &supply);
    fleet::request(&format!("pool-{number}"), variants, vec![stage])
}

fn measure(criterion: &mut Criterion) {
    let few = fleet::gpus(&[("h100", 300), ("a100", 300), ("l40s", 300)]);
    let cases: [(&str, f64, f64, &Limits); 4] = [
        ("in_band", 0.9, 1.1, &fleet::PLENTY),
        ("in_need", 1.5, 1.8, &fleet::PLENTY),
        ("shrinking", 0.5, 0.6, &fleet::PLENTY),
        ("short", 1.5, 1.8, &few),
    ];
    for (name, floor, ceiling, limits) in cases {
        compare(criterion, name, limits, |number| {
            pool(number, floor, ceiling)
        });
    }
    compare(criterion, "hard", &fleet::PLENTY, hard_pool);
}

fn compare(
    criterion: &mut Criterion,
    name: &str,
    limits: &Limits,
    pool: impl Fn(usize) -> Request,
) {
    let context = Context {
        now: 0,
        period: 15.0,
        settings: String::new(),
        state: Vec::new(),
    };
    let mut group = criterion.benchmark_group(name);
    for n_pools in [1, 100, 1_000] {
        let requests: Vec<Request> = (0..n_pools).map(&pool).collect();
        group.bench_with_input(
            BenchmarkId::from_parameter(n_pools),
            &requests,
            |bencher, all| {
                bencher.iter(|| CostOptimizer::optimize(&context, black_box(all), limits));
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = measure
}
criterion_main!(benches);
