//! Which pod, replica and pool a series is of.

use super::*;

fn running(labels: &[Value], pool: &FleetPool) -> Option<f64> {
    let mut prometheus = Prometheus::now();
    for labels in labels {
        prometheus = prometheus.with(Quantity::Running, labels.clone(), 3.0);
    }
    prometheus.measure_one(pool).replicas[0].running
}

fn with_ip(mut pool: FleetPool, ip: &str) -> FleetPool {
    pool.replicas[0].pods[0].ip = Some(ip.to_owned());
    pool
}

#[test]
fn pods_are_found_under_each_label_that_names_them() {
    for labels in [
        json!({"namespace": "ns", "pod": "a"}),
        json!({"namespace": "ns", "pod_name": "a"}),
        json!({"namespace": "ns", "exported_pod": "a"}),
        json!({"namespace": "monitoring", "pod": "collector-0",
               "exported_namespace": "ns", "exported_pod": "a"}),
        json!({"namespace": "monitoring", "exported_namespace": "ns", "pod_name": "a"}),
    ] {
        assert_eq!(
            running(std::slice::from_ref(&labels), &pool(&["a"])),
            Some(3.0),
            "{labels}"
        );
    }
}

#[test]
fn names_in_another_namespace_are_other_pods() {
    for labels in [
        json!({"namespace": "other", "pod": "a"}),
        json!({"pod": "a"}),
        json!({"namespace": "ns", "exported_namespace": "other", "exported_pod": "a"}),
    ] {
        assert_eq!(
            running(std::slice::from_ref(&labels), &pool(&["a"])),
            None,
            "{labels}"
        );
    }
}

#[test]
fn series_without_a_pods_name_are_matched_by_address() {
    let labels = json!({"namespace": "ns", "instance": "10.0.0.1:8000"});
    let found = with_ip(pool(&["a"]), "10.0.0.1");
    assert_eq!(running(std::slice::from_ref(&labels), &found), Some(3.0));
    let elsewhere = with_ip(pool_in("other", "pool", &["a"]), "10.0.0.1");
    assert_eq!(running(&[labels], &elsewhere), None);
    let labels = json!({"namespace": "ns", "instance": "[fd00::1]:8000"});
    assert_eq!(
        running(&[labels], &with_ip(pool(&["a"]), "fd00::1")),
        Some(3.0)
    );
}

#[test]
fn an_address_of_two_pods_is_neithers() {
    let mut shared = with_ip(pool(&["a", "b"]), "10.0.0.1");
    shared.replicas[1].pods[0].ip = Some("10.0.0.1".to_owned());
    let labels = json!({"namespace": "ns", "instance": "10.0.0.1:8000"});
    assert_eq!(running(&[labels], &shared), None);
}

#[test]
fn a_pod_that_is_gone_leaves_nothing_to_the_next_at_its_address() {
    let labels = json!({"namespace": "ns", "pod": "gone", "instance": "10.0.0.1:8000"});
    assert_eq!(running(&[labels], &with_ip(pool(&["a"]), "10.0.0.1")), None);
}

#[test]
fn a_pod_that_came_back_counts_at_its_present_address_alone() {
    let labels = |instance| json!({"namespace": "ns", "pod": "a", "instance": instance});
    let both = [labels("10.0.0.9:8000"), labels("10.0.0.1:8000")];
    assert_eq!(
        running(&both, &with_ip(pool(&["a"]), "10.0.0.1")),
        Some(3.0)
    );
}

#[test]
fn a_pod_whose_instance_is_no_address_counts_too() {
    let labels = json!({"namespace": "ns", "pod": "a", "instance": "node-7"});
    assert_eq!(
        running(&[labels], &with_ip(pool(&["a"]), "10.0.0.1")),
        Some(3.0)
    );
}

#[test]
fn two_scrapes_of_one_series_count_once() {
    let by_name = json!({"namespace": "ns", "pod": "a", "instance": "10.0.0.1:8000"});
    let by_address = json!({"namespace": "ns", "instance": "10.0.0.1:8000"});
    let found = with_ip(pool(&["a"]), "10.0.0.1");
    assert_eq!(running(&[by_name, by_address], &found), Some(3.0));
}

#[test]
fn a_name_of_the_model_that_is_not_the_pools_loses_nothing() {
    let served = json!({"namespace": "ns", "pod": "a", "model_name": "served-name"});
    let adapter = json!({"namespace": "ns", "pod": "a", "model_name": "adapter"});
    assert_eq!(
        running(std::slice::from_ref(&served), &pool(&["a"])),
        Some(3.0)
    );
    assert_eq!(running(&[served, adapter], &pool(&["a"])), Some(6.0));
}

#[test]
fn equal_names_in_two_namespaces_never_meet() {
    // Situation 31.
    let pools = [
        with_picker(pool_in("ns1", "pool", &[]), &["epp-0"]),
        with_picker(pool_in("ns2", "pool", &[]), &["epp-0"]),
    ];
    let queue = |namespace: &str| {
        json!({"namespace": namespace, "pod": "epp-0", "inference_pool": "pool",
               "model_name": "m", "source": "llm_d_epp"})
    };
    let measured = Prometheus::now()
        .with(Quantity::QueuedRequests, queue("ns1"), 50.0)
        .with(Quantity::QueuedRequests, queue("ns2"), 200.0)
        .measure(&pools);
    let queues: Vec<_> = measured
        .iter()
        .map(|one| one.workload.queued_requests)
        .collect();
    assert_eq!(queues, [Some(50.0), Some(200.0)]);
}

#[test]
fn a_renamed_queue_counts_once_in_its_new_name() {
    // Situation 32.
    let queue = |pod: &str, source: &str| json!({"namespace": "ns", "pod": pod, "inference_pool": "pool", "source": source});
    let upgrading = with_picker(pool(&["a"]), &["epp-0", "epp-1"]);
    let old = queue("epp-0", "inference_extension");
    let measured = Prometheus::now()
        .with(Quantity::QueuedRequests, old.clone(), 40.0)
        .with(Quantity::QueuedRequests, queue("epp-1", "llm_d_epp"), 42.0)
        .measure_one(&upgrading);
    assert_eq!(measured.workload.queued_requests, Some(42.0));
    says(
        &measured,
        "picker pod `epp-0` still has the names of `inference_extension`",
    );
    let before = Prometheus::now().with(Quantity::QueuedRequests, old, 40.0);
    assert_eq!(
        before.measure_one(&upgrading).workload.queued_requests,
        Some(40.0)
    );
}

#[test]
fn requests_counted_under_two_names_count_once_for_each_picker_pod() {
    let requests = |pod: &str, source: &str| json!({"namespace": "ns", "pod": pod, "model_name": "m", "source": source});
    let measured = Prometheus::now()
        .with(Quantity::Arrivals, requests("epp-0", "llm_d_epp"), 4.0)
        .with(
            Quantity::Arrivals,
            requests("epp-0", "inference_objective"),
            4.0,
        )
        .with(
            Quantity::Arrivals,
            requests("epp-1", "inference_objective"),
            2.0,
        )
        .measure_one(&with_picker(pool(&["a"]), &["epp-0", "epp-1"]));
    assert_eq!(measured.workload.request_rate, Some(6.0));
}

#[test]
fn series_that_name_no_pool_are_of_the_pool_of_their_picker_pod() {
    let pools = [
        with_picker(pool_in("ns", "one", &[]), &["epp-one"]),
        with_picker(pool_in("ns", "two", &[]), &[]),
    ];
    let requests = |pod: &str| json!({"namespace": "ns", "pod": pod, "model_name": "m", "source": "llm_d_epp"});
    let gauge = json!({"namespace": "ns", "pod": "epp-two", "name": "two", "source": "llm_d_epp"});
    let measured = Prometheus::now()
        .with(Quantity::Arrivals, requests("epp-one"), 1.0)
        .with(Quantity::Arrivals, requests("epp-two"), 2.0)
        .with(Quantity::ReadyEndpoints, gauge, 1.0)
        .measure(&pools);
    let rates: Vec<_> = measured
        .iter()
        .map(|one| one.workload.request_rate)
        .collect();
    assert_eq!(rates, [Some(1.0), Some(2.0)]);
}

#[test]
fn the_model_tells_the_pool_only_where_one_pool_of_the_namespace_has_it() {
    let requests = json!({"namespace": "ns", "instance": "epp:9090", "model_name": "m",
                          "source": "inference_model"});
    let prometheus = Prometheus::now().with(Quantity::Arrivals, requests, 3.0);
    let alone = prometheus.measure(&[pool_in("ns", "one", &[]), pool_in("other", "one", &[])]);
    assert_eq!(alone[0].workload.request_rate, Some(3.0));
    assert_eq!(alone[1].workload.request_rate, None);
    let shared = prometheus.measure(&[pool_in("ns", "one", &[]), pool_in("ns", "two", &[])]);
    assert_eq!(shared[0].workload.request_rate, None);
    assert_eq!(shared[1].workload.request_rate, None);
}

#[test]
fn pools_behind_one_picker_are_told_apart_by_their_model() {
    let mut pools = [pool_in("ns", "one", &[]), pool_in("ns", "two", &[])];
    pools[1].pool.model = "n".to_owned();
    let pools = pools.map(|mut pool| {
        pool.picker = Some(Picker {
            pool: "shared".to_owned(),
            pods: vec![pod(&"epp-0")],
        });
        pool
    });
    let queue = |model: &str| {
        json!({"namespace": "ns", "pod": "epp-0", "inference_pool": "shared",
               "target_model_name": model, "source": "llm_d_epp"})
    };
    let measured = Prometheus::now()
        .with(Quantity::QueuedRequests, queue("m"), 1.0)
        .with(Quantity::QueuedRequests, queue("n"), 2.0)
        .measure(&pools);
    let queues: Vec<_> = measured
        .iter()
        .map(|one| one.workload.queued_requests)
        .collect();
    assert_eq!(queues, [Some(1.0), Some(2.0)]);
}

#[test]
fn a_series_that_names_another_pool_is_not_taken_by_its_model() {
    let queue = json!({"namespace": "ns", "instance": "epp:9090", "inference_pool": "another",
                       "model_name": "m", "source": "llm_d_epp"});
    let measured = Prometheus::now()
        .with(Quantity::QueuedRequests, queue, 9.0)
        .measure_one(&with_picker(pool(&["a"]), &[]));
    assert_eq!(measured.workload.queued_requests, None);
}

#[test]
fn ratios_need_no_equal_labels() {
    // Situation 34.
    let hits = json!({"namespace": "ns", "pod": "a", "model_name": "m", "engine": "0"});
    let queries = json!({"namespace": "ns", "pod": "a", "model_name": "m"});
    let measured = Prometheus::now()
        .with(Quantity::PrefixHits, hits, 300.0)
        .with(Quantity::PrefixQueries, queries, 1000.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].prefix_hit_ratio, Some(0.3));
    assert_eq!(measured.workload.prefix_hit_ratio, Some(0.3));
}
