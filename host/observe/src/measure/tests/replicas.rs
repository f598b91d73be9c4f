//! What one replica is.

use super::*;

/// One series of a rank of pod `a`.
fn rank(engine: &str, instance: &str) -> Value {
    json!({"namespace": "ns", "pod": "a", "instance": instance, "engine": engine,
           "model_name": "m"})
}

#[test]
fn data_parallel_ranks_add_up_to_one_replica() {
    // Situation 22.
    let mut prometheus = Prometheus::now();
    for engine in ["0", "1", "2", "3", "4", "5", "6", "7"] {
        let labels = || rank(engine, "10.0.0.1:8000");
        let mut sized = labels();
        sized["num_gpu_blocks"] = "1000".into();
        sized["block_size"] = "1".into();
        prometheus = prometheus
            .with(Quantity::ReportedAt, labels(), NOW)
            .with(Quantity::Waiting, labels(), 2.0)
            .with(Quantity::Running, labels(), 3.0)
            .with(Quantity::KvBlocks, sized, 1.0);
    }
    let measured = prometheus.measure_one(&pool(&["a"]));
    let replica = &measured.replicas[0];
    assert_eq!(replica.instances, 8);
    assert_eq!(replica.kv_capacity_tokens, Some(8000));
    assert_eq!((replica.waiting, replica.running), (Some(16.0), Some(24.0)));
}

#[test]
fn ranks_on_ports_of_their_own_add_up() {
    let measured = Prometheus::now()
        .with(Quantity::Waiting, rank("", "10.0.0.1:8000"), 2.0)
        .with(Quantity::Waiting, rank("", "10.0.0.1:8001"), 3.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].instances, 2);
    assert_eq!(measured.replicas[0].waiting, Some(5.0));
}

#[test]
fn ranks_of_sglang_add_up() {
    let rank = |rank: &str| json!({"namespace": "ns", "pod": "a", "dp_rank": rank});
    let measured = Prometheus::now()
        .with(Quantity::Running, rank("0"), 2.0)
        .with(Quantity::Running, rank("1"), 3.0)
        .with(Quantity::KvTokens, rank("0"), 1000.0)
        .with(Quantity::KvTokens, rank("1"), 1000.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].running, Some(5.0));
    assert_eq!(measured.replicas[0].kv_capacity_tokens, Some(2000));
}

#[test]
fn a_size_without_the_rank_counts_for_each_rank() {
    let size = json!({"namespace": "ns", "pod": "a", "num_gpu_blocks": "100", "block_size": "16"});
    let measured = Prometheus::now()
        .with(Quantity::Waiting, rank("0", "10.0.0.1:8000"), 0.0)
        .with(Quantity::Waiting, rank("1", "10.0.0.1:8000"), 0.0)
        .with(Quantity::KvBlocks, size, 1.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].kv_capacity_tokens, Some(3200));
}

#[test]
fn the_share_of_the_cache_is_weighted_by_size() {
    let (first, second) = (rank("0", "10.0.0.1:8000"), rank("1", "10.0.0.1:8000"));
    let shares = Prometheus::now()
        .with(Quantity::KvUsage, first.clone(), 0.2)
        .with(Quantity::KvUsage, second.clone(), 0.8);
    let unsized_share = shares.measure_one(&pool(&["a"])).replicas[0].kv_usage;
    assert_eq!(unsized_share, Some(0.8));
    let sized =
        shares
            .with(Quantity::KvTokens, first, 3000.0)
            .with(Quantity::KvTokens, second, 1000.0);
    let share = sized.measure_one(&pool(&["a"])).replicas[0]
        .kv_usage
        .unwrap();
    assert!((share - 0.35).abs() < 1e-9, "{share}");
}

#[test]
fn latencies_of_ranks_are_weighted_by_their_counts() {
    let (first, second) = (rank("0", "10.0.0.1:8000"), rank("1", "10.0.0.1:8000"));
    let measured = Prometheus::now()
        .with(Quantity::TtftSum, first.clone(), 3.0)
        .with(Quantity::TtftCount, first, 3.0)
        .with(Quantity::TtftSum, second.clone(), 3.0)
        .with(Quantity::TtftCount, second, 1.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].ttft, Some(1.5));
}

#[test]
fn the_leader_of_a_group_reports_for_all_of_it() {
    // Situation 23.
    let mut groups = pool(&[]);
    for group in ["g0", "g1", "g2"] {
        let pods: Vec<String> = ["", "-1", "-2", "-3"]
            .map(|worker| format!("{group}{worker}"))
            .into();
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        groups.replicas.push(replica(group, &pods));
    }
    let measured = Prometheus::now()
        .idle_pod("g0")
        .idle_pod("g1")
        .idle_pod("g2")
        .measure_one(&groups);
    assert_eq!(measured.replicas.len(), 3);
    for replica in &measured.replicas {
        assert_eq!((replica.instances, replica.metrics_age), (1, 0.0));
    }
    assert_eq!(measured.metrics, MetricsState::Found);
    assert_eq!(measured.warnings, [] as [String; 0]);
}

#[test]
fn names_of_ranks_are_those_of_their_pod() {
    // Situation 26.
    let labels = |pod: &str| json!({"namespace": "ns", "pod": pod});
    let measured = Prometheus::now()
        .with(Quantity::Running, labels("pod-a-rank-0"), 2.0)
        .with(Quantity::Running, labels("pod-a-rank-1"), 5.0)
        .measure_one(&pool(&["pod-a"]));
    assert_eq!(measured.replicas[0].instances, 2);
    assert_eq!(measured.replicas[0].running, Some(7.0));
}

#[test]
fn roles_keep_their_own_measurements() {
    // Situation 28.
    let mut split = pool(&["p", "d"]);
    split.pool.variants = vec![variant(Role::Prefill), variant(Role::Decode)];
    split.replicas[1].variant = 1;
    let measured = Prometheus::now()
        .pod("p", Quantity::KvUsage, 0.2)
        .pod("d", Quantity::KvUsage, 0.9)
        .measure_one(&split);
    let of = |variant| {
        let mut replicas = measured.replicas.iter();
        replicas
            .find(|one| one.variant == variant)
            .unwrap()
            .kv_usage
    };
    assert_eq!((of(0), of(1)), (Some(0.2), Some(0.9)));
}

#[test]
fn a_rank_that_stops_reporting_makes_its_replica_old_until_it_is_forgotten() {
    let (mut measurer, pools) = (Measurer::default(), [pool(&["a"])]);
    let tick = |after: f64, engines: &[&str]| {
        let mut prometheus = Prometheus::at(NOW + after);
        for engine in engines {
            let labels = rank(engine, "10.0.0.1:8000");
            prometheus = prometheus
                .with(Quantity::ReportedAt, labels.clone(), NOW + after)
                .with(Quantity::Waiting, labels, 0.0);
        }
        prometheus
    };
    let mut ages = Vec::new();
    for (after, engines) in [
        (0.0, &["0", "1"][..]),
        (100.0, &["0"]),
        (300.0, &["0"]),
        (315.0, &["0"]),
    ] {
        let measured = tick(after, engines).measure_with(&mut measurer, &pools);
        ages.push((
            measured[0].replicas[0].metrics_age,
            measured[0].replicas[0].instances,
        ));
    }
    assert_eq!(ages, [(0.0, 2), (100.0, 2), (300.0, 2), (0.0, 1)]);
}

#[test]
fn a_rank_that_is_no_number_makes_the_sum_unknown() {
    let measured = Prometheus::now()
        .with(Quantity::Waiting, rank("0", "10.0.0.1:8000"), 5.0)
        .with(Quantity::Waiting, rank("1", "10.0.0.1:8000"), f64::NAN)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].waiting, None);
}

#[test]
fn a_negative_count_is_left_out_of_the_sum_and_said() {
    // Situation 40.
    let measured = Prometheus::now()
        .with(Quantity::Waiting, rank("0", "10.0.0.1:8000"), 5.0)
        .with(Quantity::Waiting, rank("1", "10.0.0.1:8000"), -3.0)
        .with(Quantity::Waiting, rank("2", "10.0.0.1:8000"), 4.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].waiting, Some(9.0));
    says(&measured, "`waiting` of pod `a` is negative: left out");
}

#[test]
fn a_negative_count_alone_is_unknown() {
    let measured = Prometheus::now()
        .pod("a", Quantity::Waiting, -1.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].waiting, None);
}
