//! Latencies: means, and percentiles from buckets.

use super::*;

/// Buckets of model `m` in `ns`, a count up to each bound.
fn buckets(
    mut prometheus: Prometheus,
    quantity: Quantity,
    source: &str,
    counts: &[(&str, f64)],
) -> Prometheus {
    for (bound, count) in counts {
        let labels = json!({"namespace": "ns", "model_name": "m", "pod": picker_pod(quantity),
                            "source": source, "le": bound});
        prometheus = prometheus.with(quantity, labels, *count);
    }
    prometheus
}

fn picker_pod(quantity: Quantity) -> &'static str {
    let of_pickers = [Quantity::PickerTtftBucket, Quantity::PickerItlBucket];
    if of_pickers.contains(&quantity) {
        "epp-0"
    } else {
        ""
    }
}

#[test]
fn percentiles_of_engines_are_at_the_objective() {
    let counts = [("1.0", 5.0), ("2.0", 10.0), ("+Inf", 10.0)];
    let prometheus = Prometheus::now().idle_pod("a");
    let prometheus = buckets(prometheus, Quantity::TtftBucket, "vllm", &counts);
    let prometheus = buckets(prometheus, Quantity::RequestItlBucket, "vllm", &counts);
    let measured = prometheus.measure_one(&pool(&["a"]));
    assert_eq!(measured.workload.ttft_at_percentile, Some(1.8));
    assert_eq!(measured.workload.itl_at_percentile, Some(1.8));
}

#[test]
fn buckets_of_unlike_engines_are_not_mixed() {
    let prometheus = Prometheus::now().idle_pod("a");
    let fast = [("1.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::TtftBucket, "vllm", &fast);
    let slow = [("4.0", 0.0), ("8.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::TtftBucket, "sglang", &slow);
    let measured = prometheus.measure_one(&pool(&["a"]));
    assert_eq!(measured.workload.ttft_at_percentile, Some(7.2));
}

#[test]
fn the_pickers_time_to_first_token_is_preferred() {
    let engine = [("1.0", 10.0), ("+Inf", 10.0)];
    let prometheus = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::TtftSum, 1.0)
        .pod("a", Quantity::TtftCount, 10.0);
    let prometheus = buckets(prometheus, Quantity::TtftBucket, "vllm", &engine);
    let picked = with_picker(pool(&["a"]), &["epp-0"]);
    let alone = prometheus.measure_one(&picked).workload;
    assert_eq!(
        (alone.ttft_mean, alone.ttft_at_percentile),
        (Some(0.1), Some(0.9))
    );
    let queued = [("10.0", 0.0), ("20.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::PickerTtftBucket, "llm_d_epp", &queued)
        .picker(Quantity::PickerTtftSum, 150.0)
        .picker(Quantity::PickerTtftCount, 10.0);
    let both = prometheus.measure_one(&picked).workload;
    assert_eq!(
        (both.ttft_mean, both.ttft_at_percentile),
        (Some(15.0), Some(19.0))
    );
}

#[test]
fn the_time_between_tokens_is_over_requests_where_engines_have_it() {
    let prometheus = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::ItlSum, 2.0)
        .pod("a", Quantity::ItlCount, 100.0);
    let tokens = [("1.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::TokenItlBucket, "vllm", &tokens);
    let over_tokens = prometheus.measure_one(&pool(&["a"])).workload;
    assert_eq!(over_tokens.itl_at_percentile, Some(0.9));
    let requests = [("0.1", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::RequestItlBucket, "vllm", &requests);
    let workload = prometheus.measure_one(&pool(&["a"])).workload;
    assert_eq!(workload.itl_at_percentile, Some(0.09));
    assert_eq!(workload.itl_mean, Some(0.02));
}

#[test]
fn prefill_replicas_do_not_pull_the_time_between_tokens_to_zero() {
    let mut split = pool(&["p", "d"]);
    split.pool.variants = vec![variant(Role::Prefill), variant(Role::Decode)];
    split.replicas[1].variant = 1;
    let prometheus = Prometheus::now().idle_pod("p").idle_pod("d");
    let zeros = [("0.01", 95.0), ("1.0", 100.0), ("+Inf", 100.0)];
    let prometheus = buckets(prometheus, Quantity::RequestItlBucket, "vllm", &zeros);
    let tokens = [("1.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::TokenItlBucket, "vllm", &tokens);
    let measured = prometheus.measure_one(&split);
    assert_eq!(measured.workload.itl_at_percentile, Some(0.9));
}

#[test]
fn first_tokens_of_two_roles_are_not_mixed() {
    let mut split = pool(&["p", "d"]);
    split.pool.variants = vec![variant(Role::Prefill), variant(Role::Decode)];
    split.replicas[1].variant = 1;
    let prometheus = Prometheus::now()
        .idle_pod("p")
        .idle_pod("d")
        .pod("p", Quantity::TtftSum, 4.0)
        .pod("p", Quantity::TtftCount, 2.0)
        .pod("d", Quantity::TtftSum, 0.2)
        .pod("d", Quantity::TtftCount, 2.0);
    let counts = [("1.0", 10.0), ("+Inf", 10.0)];
    let measured = buckets(prometheus, Quantity::TtftBucket, "vllm", &counts).measure_one(&split);
    assert_eq!(measured.workload.ttft_at_percentile, None);
    assert_eq!(measured.workload.ttft_mean, Some(2.0));
}

#[test]
fn buckets_that_two_pools_share_are_neithers() {
    let pools = [pool_in("ns", "one", &["a"]), pool_in("ns", "two", &["b"])];
    let prometheus = Prometheus::now().idle_pod("a").idle_pod("b");
    let counts = [("1.0", 10.0), ("+Inf", 10.0)];
    let prometheus = buckets(prometheus, Quantity::TtftBucket, "vllm", &counts);
    for measured in prometheus.measure(&pools) {
        assert_eq!(measured.workload.ttft_at_percentile, None);
        says(&measured, "several pools of this namespace serve `m`");
    }
}

#[test]
fn pools_that_share_buckets_under_a_name_of_their_pods_are_said_too() {
    let mut pools = [pool_in("ns", "one", &["a"]), pool_in("ns", "two", &["b"])];
    pools
        .iter_mut()
        .for_each(|pool| pool.pool.model = format!("org/{}", pool.pool.name));
    let alone = pool_in("other", "one", &["c"]);
    let elsewhere = json!({"namespace": "other", "pod": "c", "model_name": "m"});
    let measured = Prometheus::now()
        .idle_pod("a")
        .idle_pod("b")
        .with(Quantity::ReportedAt, elsewhere.clone(), NOW)
        .with(Quantity::Waiting, elsewhere, 0.0)
        .measure(&[pools.to_vec(), vec![alone]].concat());
    says(&measured[0], "several pools of this namespace serve `m`");
    says(&measured[1], "several pools of this namespace serve `m`");
    assert_eq!(measured[2].warnings, [] as [String; 0]);
}

#[test]
fn buckets_of_a_name_that_the_pods_give_the_model_are_the_pools() {
    let mut served = pool(&["a"]);
    served.pool.model = "org/model".to_owned();
    let prometheus = Prometheus::now().idle_pod("a");
    let counts = [("1.0", 10.0), ("+Inf", 10.0)];
    let measured = buckets(prometheus, Quantity::TtftBucket, "vllm", &counts).measure_one(&served);
    assert_eq!(measured.workload.ttft_at_percentile, Some(0.9));
}
