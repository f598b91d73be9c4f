//! Unknown, zero and absent are three things.

use super::*;

#[test]
fn the_size_of_a_cache_is_found_without_the_models_name() {
    // Situation 1.
    let size = |pod: &str| {
        json!({"namespace": "ns", "pod": pod, "instance": "10.0.0.1:8000", "engine": "0",
               "num_gpu_blocks": "25748", "block_size": "16"})
    };
    let measured = Prometheus::now()
        .idle_pod("a")
        .idle_pod("b")
        .with(Quantity::KvBlocks, size("a"), 1.0)
        .with(Quantity::KvBlocks, size("b"), 1.0)
        .measure_one(&pool(&["a", "b"]));
    let sizes: Vec<_> = measured
        .replicas
        .iter()
        .map(|one| one.kv_capacity_tokens)
        .collect();
    assert_eq!(sizes, [Some(411_968), Some(411_968)]);
}

#[test]
fn a_size_in_tokens_outranks_blocks() {
    let labels = json!({"namespace": "ns", "pod": "a", "kv_cache_size_tokens": "5000",
                        "num_gpu_blocks": "25748", "block_size": "16"});
    let measured = Prometheus::now()
        .with(Quantity::KvBlocks, labels, 1.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].kv_capacity_tokens, Some(5000));
}

#[test]
fn a_cache_without_a_size_is_unknown_and_said() {
    let labels = json!({"namespace": "ns", "pod": "a", "num_gpu_blocks": "None",
                        "block_size": "16"});
    let measured = Prometheus::now()
        .idle_pod("a")
        .with(Quantity::KvBlocks, labels, 1.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].kv_capacity_tokens, None);
    says(&measured, "`kv_blocks` of pod `a` has no size");
}

#[test]
fn without_a_picker_there_is_no_queue_and_the_pool_is_not_idle() {
    // Situation 4.
    let mut prometheus = Prometheus::now();
    for pod in ["a", "b", "c"] {
        prometheus = prometheus
            .idle_pod(pod)
            .pod(pod, Quantity::KvUsage, 0.6)
            .pod(pod, Quantity::Running, 4.0);
    }
    let measured = prometheus.measure_one(&pool(&["a", "b", "c"]));
    assert_eq!(measured.workload.queued_requests, None);
    assert_eq!(measured.idle_seconds, Some(0.0));
    assert_eq!(measured.metrics, MetricsState::Found);
}

#[test]
fn values_that_are_no_numbers_are_unknown_and_said() {
    // Situation 8.
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let measured = Prometheus::now()
            .pod("a", Quantity::ReportedAt, NOW)
            .pod("a", Quantity::KvUsage, value)
            .pod("a", Quantity::Waiting, value)
            .pod("a", Quantity::Running, value)
            .pod("a", Quantity::Finished, value)
            .measure_one(&pool(&["a"]));
        let replica = &measured.replicas[0];
        assert_eq!(
            (
                replica.kv_usage,
                replica.waiting,
                replica.running,
                replica.request_rate
            ),
            (None, None, None, None)
        );
        assert_eq!(measured.workload.request_rate, None);
        assert_eq!(measured.idle_seconds, None);
        says(&measured, "`waiting` of pod `a` is not a finite number");
    }
}

#[test]
fn a_share_that_is_a_percentage_is_unknown() {
    let usage = |value| {
        let prometheus = Prometheus::now().pod("a", Quantity::KvUsage, value);
        prometheus.measure_one(&pool(&["a"])).replicas[0].kv_usage
    };
    assert_eq!(usage(41.7), None);
    assert_eq!(usage(1.01), Some(1.0));
}

#[test]
fn absence_lasts_no_longer_than_it_is_seen() {
    // Situation 10.
    let (mut measurer, pools) = (Measurer::default(), [pool(&["a"])]);
    let absent = Prometheus::at(NOW).measure_with(&mut measurer, &pools);
    assert!(matches!(absent[0].metrics, MetricsState::Missing(_)));
    let present = Prometheus::at(NOW + 30.0).idle_pod("a");
    let present = present.measure_with(&mut measurer, &pools).remove(0);
    assert_eq!(present.metrics, MetricsState::Found);
    assert_eq!(present.replicas[0].waiting, Some(0.0));
}

#[test]
fn a_replica_whose_samples_are_gone_is_neither_full_nor_empty() {
    // Situation 17: of two at 0.2 and 0.3 and one that is silent, the mean is 0.25.
    let measured = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::KvUsage, 0.2)
        .idle_pod("b")
        .pod("b", Quantity::KvUsage, 0.3)
        .measure_one(&pool(&["a", "b", "c"]));
    let shares: Vec<_> = measured.replicas.iter().map(|one| one.kv_usage).collect();
    assert_eq!(shares, [Some(0.2), Some(0.3), None]);
    assert_eq!(measured.replicas[2].metrics_age, 600.0);
    says(&measured, "1 of 3 replicas do not report now: `c`");
    assert_eq!(measured.metrics, MetricsState::Stale { age_seconds: 600.0 });
}

#[test]
fn windows_without_samples_are_not_zero() {
    // Situation 11: scraped once, so that nothing has a rate yet.
    let measured = Prometheus::now()
        .pod("a", Quantity::ReportedAt, NOW)
        .pod("a", Quantity::Running, 1.0)
        .measure_one(&pool(&["a"]));
    let replica = &measured.replicas[0];
    assert_eq!(
        (replica.request_rate, replica.ttft, replica.itl),
        (None, None, None)
    );
    assert_eq!(
        (replica.input_tokens, replica.prefix_hit_ratio),
        (None, None)
    );
    assert_eq!(measured.workload.request_rate, None);
}

#[test]
fn a_window_without_requests_has_no_latency_and_a_rate_of_zero() {
    let measured = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::TtftSum, 0.0)
        .pod("a", Quantity::TtftCount, 0.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].ttft, None);
    assert_eq!(measured.workload.ttft_mean, None);
    assert_eq!(measured.workload.request_rate, Some(0.0));
}

#[test]
fn an_engine_without_a_cache_metric_is_idle_all_the_same() {
    // Situation 14.
    let measured = Prometheus::now()
        .pod("a", Quantity::ReportedAt, NOW)
        .pod("a", Quantity::Waiting, 0.0)
        .pod("a", Quantity::Running, 0.0)
        .measure_one(&pool(&["a"]));
    let replica = &measured.replicas[0];
    assert_eq!((replica.kv_usage, replica.waiting), (None, Some(0.0)));
    assert_eq!(measured.metrics, MetricsState::Found);
}

#[test]
fn a_pool_without_series_says_what_was_looked_for() {
    let measured = Prometheus::now().measure_one(&pool(&["a"]));
    let MetricsState::Missing(why) = &measured.metrics else {
        panic!("{:?}", measured.metrics);
    };
    assert!(
        why.contains("vllm:num_requests_running") && why.contains("namespace=\"ns\""),
        "{why}"
    );
    assert_eq!(measured.replicas[0].metrics_age, 600.0);
    assert_eq!(measured.replicas[0].waiting, None);
}

#[test]
fn a_pool_that_serves_nothing_yet_has_no_measurements() {
    let measured = Prometheus::now().measure_one(&pool(&[]));
    assert_eq!(
        measured.metrics,
        MetricsState::Missing("no replica serves yet".to_owned())
    );
    assert_eq!(measured.workload, Workload::UNMEASURED);
}

#[test]
fn measurements_grow_old_while_prometheus_is_down() {
    let (mut measurer, pools) = (Measurer::default(), [pool(&["a"])]);
    Prometheus::at(NOW)
        .idle_pod("a")
        .measure_with(&mut measurer, &pools);
    let mut down = Prometheus::at(NOW + 120.0);
    for topic in Topic::ALL {
        down = down.fail(topic, refused());
    }
    let measured = down.measure_with(&mut measurer, &pools).remove(0);
    let MetricsState::Unavailable(why) = &measured.metrics else {
        panic!("{:?}", measured.metrics);
    };
    assert!(why.contains("connection refused"), "{why}");
    assert_eq!(measured.replicas[0].metrics_age, 120.0);
    assert_eq!(measured.workload, Workload::UNMEASURED);
    assert_eq!(measured.idle_seconds, None);
}

#[test]
fn a_query_that_fails_takes_no_other_with_it() {
    let measured = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::PrefixHits, 3.0)
        .fail(Topic::Prefix, refused())
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].prefix_hit_ratio, None);
    assert_eq!(measured.replicas[0].waiting, Some(0.0));
    assert_eq!(measured.metrics, MetricsState::Found);
    says(&measured, "query `prefix`");
}

#[test]
fn a_partial_answer_is_said() {
    let mut prometheus = Prometheus::now().idle_pod("a");
    if let Some(Ok(answer)) = prometheus.answers.by_topic.get_mut(&Topic::Load) {
        Arc::make_mut(answer)
            .warnings
            .push("partial response: a store is down".to_owned());
    }
    let measured = prometheus.measure_one(&pool(&["a"]));
    says(&measured, "query `load`: partial response");
}

#[test]
fn ages_are_those_of_the_last_sample() {
    let measured = Prometheus::now()
        .idle_pod("a")
        .pod("b", Quantity::ReportedAt, NOW - 80.0)
        .pod("b", Quantity::Waiting, 1.0)
        .measure_one(&pool(&["a", "b"]));
    assert_eq!(measured.replicas[0].metrics_age, 0.0);
    assert_eq!(measured.replicas[1].metrics_age, 80.0);
    assert_eq!(measured.metrics, MetricsState::Stale { age_seconds: 80.0 });
}

#[test]
fn samples_of_the_future_are_of_now_and_said() {
    let measured = Prometheus::now()
        .pod("a", Quantity::ReportedAt, NOW + 40.0)
        .measure_one(&pool(&["a"]));
    assert_eq!(measured.replicas[0].metrics_age, 0.0);
    says(&measured, "samples are 40 s in the future");
}

#[test]
fn a_clock_of_ours_that_is_late_makes_nothing_young() {
    let prometheus = Prometheus::now().pod("a", Quantity::ReportedAt, NOW - 80.0);
    let ours = ((NOW - 60.0) * 1000.0) as u64;
    let measured = Measurer::default().measure(&[pool(&["a"])], &prometheus.answers, ours);
    assert_eq!(measured[0].replicas[0].metrics_age, 80.0);
    says(&measured[0], "60 s ahead of ours");
}

#[test]
fn answers_that_were_kept_say_nothing_of_the_clock() {
    // Prometheus is down since; what was asked of it between cycles is 40 s old.
    let kept = Prometheus::at(NOW - 40.0).pod("a", Quantity::InputTokens, 100.0);
    let mut prometheus = Topic::ALL
        .into_iter()
        .filter(|topic| *topic != Topic::Tokens)
        .fold(kept, |kept, topic| kept.fail(topic, refused()));
    prometheus.at = NOW;
    let measured = prometheus.measure_one(&pool(&["a"]));
    let of_clock = |warning: &&String| warning.contains("clock");
    assert_eq!(measured.warnings.iter().find(of_clock), None);
}

#[test]
fn a_replica_that_stops_reporting_grows_old_and_keeps_its_windows() {
    let (mut measurer, pools) = (Measurer::default(), [pool(&["a"])]);
    Prometheus::at(NOW)
        .idle_pod("a")
        .measure_with(&mut measurer, &pools);
    let later = Prometheus::at(NOW + 45.0).pod("a", Quantity::Waiting, 7.0);
    let measured = later.measure_with(&mut measurer, &pools).remove(0);
    assert_eq!(measured.replicas[0].metrics_age, 45.0);
    assert_eq!(measured.replicas[0].waiting, Some(7.0));
    says(&measured, "1 of 1 replicas do not report now: `a`");
}
