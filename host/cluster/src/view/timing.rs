//! How long a view of a large cluster takes: `cargo test --release -p trimtab-cluster timing --
//! --ignored --nocapture`.

use std::time::{Duration, Instant};

use crate::index::Index;
use crate::index::testing::*;
use serde_json::{Value, json};

const POOLS: usize = 300;
const VARIANTS: usize = 1_000;
const PODS_OF_VARIANT: usize = 10;
const GPUS_OF_NODE: usize = 8;

/// Pools with pickers, variants with ready pods, and nodes that are just enough for them.
fn fleet(namespaces: usize) -> Vec<Value> {
    let mut objects = Vec::new();
    let place = |pool: usize| format!("ns-{}", pool % namespaces);
    for pool_number in 0..POOLS {
        let namespace = place(pool_number);
        let name = format!("{namespace}/pool-{pool_number}");
        let selector = json!({"matchLabels": {"pool": format!("pool-{pool_number}")}});
        objects.push(pool(&name, "").with("/spec/selector", selector));
        objects.push(service(&format!("{name}-epp"), &name));
        objects.push(pod(&format!("{name}-epp-0")).labelled("app", &name));
    }
    for number in 0..VARIANTS {
        let (namespace, pool) = (place(number % POOLS), format!("pool-{}", number % POOLS));
        let name = format!("variant-{number}");
        let set = format!("{name}-5d4f8c7b9");
        let path = |name: &str| format!("{namespace}/{name}");
        objects.push(
            deployment(&path(&name), PODS_OF_VARIANT as u32)
                .with("/spec/template/metadata/labels/pool", pool.as_str())
                .with("/spec/template/spec/nodeSelector", product(number)),
        );
        objects.push(replica_set(&path(&set), &name));
        let model = format!("org/model-{}", number % POOLS);
        objects.push(variant(&path(&name), &name).with("/spec/modelID", model));
        for pod_number in 0..PODS_OF_VARIANT {
            let node = (number * PODS_OF_VARIANT + pod_number) / GPUS_OF_NODE;
            let pod = pod_of(&path(&format!("{set}-{pod_number}")), &set)
                .labelled("app", &name)
                .labelled("pool", &pool)
                .labelled("pod-template-hash", "5d4f8c7b9");
            objects.push(holding(pod, &format!("node-{node}"), "nvidia.com/gpu", 1));
        }
    }
    for number in 0..VARIANTS * PODS_OF_VARIANT / GPUS_OF_NODE {
        let product = if number % 2 == 0 { H100 } else { L4 };
        objects.push(node(
            &format!("node-{number}"),
            product,
            GPUS_OF_NODE as u32,
        ));
    }
    objects
}

/// One variant in three does not choose its nodes.
fn product(variant: usize) -> Value {
    match variant % 3 {
        0 => json!({"nvidia.com/gpu.product": H100}),
        1 => json!({"nvidia.com/gpu.product": L4}),
        _ => Value::Null,
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
fn best_of_ten(index: &mut Index) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let before = Instant::now();
        let seen = view(index);
        best = best.min(before.elapsed());
        assert_eq!((seen.pools.len(), seen.refused.len()), (POOLS, 0));
        let replicas = seen.pools.iter().map(|pool| pool.fleet.replicas.len());
        assert_eq!(replicas.sum::<usize>(), VARIANTS * PODS_OF_VARIANT);
    }
    best
}

#[test]
#[ignore = "a measurement, to be run optimised"]
fn timing_of_a_view_of_a_thousand_variants() {
    for namespaces in [1, 20, 300] {
        let mut index = index_of(&fleet(namespaces));
        let best = best_of_ten(&mut index);
        println!("{namespaces} namespaces: {best:.1?}");
    }
}
