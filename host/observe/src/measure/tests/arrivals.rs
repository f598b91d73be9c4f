//! What arrives and what waits.

use super::*;

fn picked(pods: &[&str]) -> FleetPool {
    with_picker(pool(pods), &["epp-0"])
}

#[test]
fn a_queue_of_zero_is_zero() {
    let measured = Prometheus::now()
        .picker(Quantity::QueuedRequests, 0.0)
        .picker(Quantity::QueuedBytes, 0.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, Some(0.0));
    assert_eq!(measured.workload.queued_bytes, Some(0.0));
}

#[test]
fn without_flow_control_there_is_no_queue() {
    let measured = Prometheus::now()
        .picker(Quantity::Arrivals, 2.0)
        .picker(Quantity::ReadyEndpoints, 1.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, None);
    assert_eq!(measured.workload.request_rate, Some(2.0));
}

#[test]
fn flow_control_without_queue_series_is_an_empty_queue() {
    let measured = Prometheus::now()
        .picker(Quantity::Saturation, 0.1)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, Some(0.0));
    assert_eq!(measured.workload.queued_bytes, Some(0.0));
}

#[test]
fn a_queue_that_makes_no_sense_is_unknown_even_under_flow_control() {
    let measured = Prometheus::now()
        .idle_pod("a")
        .picker(Quantity::Arrivals, 0.0)
        .picker(Quantity::Saturation, 0.1)
        .picker(Quantity::QueuedRequests, f64::NAN)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, None);
    assert_eq!(measured.idle_seconds, None);
    says(&measured, "`queued_requests` of picker pod `epp-0` is NaN");
}

#[test]
fn a_passive_pickers_saturation_changes_nothing() {
    // Situation 16: it reports 1, which no value of ours may become.
    let passive = json!({"namespace": "ns", "pod": "epp-1", "inference_pool": "pool",
                         "source": "llm_d_epp"});
    let active = Prometheus::now()
        .picker(Quantity::Saturation, 0.3)
        .picker(Quantity::QueuedRequests, 5.0);
    let pool = with_picker(pool(&["a"]), &["epp-0", "epp-1"]);
    let alone = active.measure_one(&pool);
    let both = active
        .with(Quantity::Saturation, passive, 1.0)
        .measure_one(&pool);
    assert_eq!(alone, both);
}

#[test]
fn what_only_some_picker_pods_count_is_not_all_that_arrives() {
    let pool = with_picker(pool(&["a"]), &["epp-0", "epp-1"]);
    let some = Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::Finished, 5.0)
        .picker(Quantity::Arrivals, 3.0);
    let measured = some.measure_one(&pool);
    assert_eq!(measured.workload.request_rate, Some(5.0));
    says(&measured, "picker pod `epp-1` is not measured");
    // One that stands by counts nothing, and is measured.
    let second = json!({"namespace": "ns", "pod": "epp-1", "inference_pool": "pool",
                        "source": "llm_d_epp"});
    let both = some.with(Quantity::ReadyEndpoints, second, 1.0);
    assert_eq!(both.measure_one(&pool).workload.request_rate, Some(3.0));
}

#[test]
fn a_rate_of_a_partial_answer_is_none() {
    let with = |partial: &[Topic]| {
        let mut prometheus = Prometheus::now()
            .idle_pod("a")
            .pod("a", Quantity::Finished, 5.0)
            .picker(Quantity::Arrivals, 3.0);
        for topic in partial {
            if let Some(Ok(answer)) = prometheus.answers.by_topic.get_mut(topic) {
                let warnings = &mut Arc::make_mut(answer).warnings;
                warnings.push("partial response: a store is down".to_owned());
            }
        }
        prometheus
            .measure_one(&picked(&["a"]))
            .workload
            .request_rate
    };
    assert_eq!(with(&[]), Some(3.0));
    assert_eq!(with(&[Topic::PickerRequests]), Some(5.0));
    assert_eq!(with(&[Topic::PickerRequests, Topic::Throughput]), None);
    assert_eq!(with(&[Topic::Throughput]), Some(3.0));
}

#[test]
fn what_is_left_when_a_replica_no_longer_counts_is_no_rate() {
    let pools = [pool(&["a", "b"])];
    let mut measurer = Measurer::default();
    let mut rate = |seconds: f64, counting: &[&str]| {
        let idle = Prometheus::at(NOW + seconds);
        let silent = |prometheus: Prometheus, pod: &&str| {
            let at = prometheus.at;
            let gauges = [Quantity::KvUsage, Quantity::Waiting, Quantity::Running];
            let reported = prometheus.pod(pod, Quantity::ReportedAt, at);
            let with = |prometheus: Prometheus, gauge| prometheus.pod(pod, gauge, 0.0);
            gauges.into_iter().fold(reported, with)
        };
        let both = ["a", "b"].iter().fold(idle, silent);
        let counted =
            |prometheus: Prometheus, pod: &&str| prometheus.pod(pod, Quantity::Finished, 4.0);
        let prometheus = counting.iter().fold(both, counted);
        let measured = prometheus.measure_with(&mut measurer, &pools).remove(0);
        (measured.workload.request_rate, measured.warnings)
    };
    // One that never finished anything, as an engine that is new, has none to be missed.
    assert_eq!(rate(0.0, &["a"]).0, Some(4.0));
    assert_eq!(rate(15.0, &["a", "b"]).0, Some(8.0));
    let (lost, warnings) = rate(30.0, &["a"]);
    assert_eq!(lost, None);
    assert!(
        warnings.iter().any(|of| of.contains("no longer say")),
        "{warnings:?}"
    );
    assert_eq!(rate(45.0, &["a", "b"]).0, Some(8.0));
    assert_eq!(rate(60.0, &["a"]).0, None);
    // It was made anew, and has nothing to do.
    assert_eq!(rate(400.0, &["a"]).0, Some(4.0));
}

#[test]
fn a_picker_whose_series_name_no_pod_is_read() {
    let labels = json!({"namespace": "ns", "instance": "epp:9090", "inference_pool": "pool",
                        "source": "llm_d_epp"});
    let measured = Prometheus::now()
        .idle_pod("a")
        .with(Quantity::QueuedRequests, labels.clone(), 4.0)
        .with(Quantity::Arrivals, labels, 2.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, Some(4.0));
    assert_eq!(measured.workload.request_rate, Some(2.0));
}

#[test]
fn queues_of_several_picker_pods_add_up() {
    let second = json!({"namespace": "ns", "pod": "epp-1", "inference_pool": "pool",
                        "source": "llm_d_epp"});
    let measured = Prometheus::now()
        .picker(Quantity::QueuedRequests, 5.0)
        .with(Quantity::QueuedRequests, second, 7.0)
        .measure_one(&with_picker(pool(&["a"]), &["epp-0", "epp-1"]));
    assert_eq!(measured.workload.queued_requests, Some(12.0));
}

#[test]
fn the_queue_of_a_picker_pod_that_is_gone_is_gone() {
    let gone = json!({"namespace": "ns", "pod": "epp-old", "inference_pool": "pool",
                      "source": "llm_d_epp"});
    let measured = Prometheus::now()
        .picker(Quantity::QueuedRequests, 5.0)
        .with(Quantity::QueuedRequests, gone, 70.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, Some(5.0));
}

#[test]
fn a_negative_queue_is_left_out_and_said() {
    // Situation 40.
    let queue = |model: &str| {
        json!({"namespace": "ns", "pod": "epp-0", "inference_pool": "pool", "model_name": model,
               "source": "llm_d_epp"})
    };
    let measured = Prometheus::now()
        .with(Quantity::QueuedRequests, queue("x"), 5.0)
        .with(Quantity::QueuedRequests, queue("y"), -3.0)
        .with(Quantity::QueuedRequests, queue("z"), 4.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.queued_requests, Some(9.0));
    says(&measured, "is negative (-3): left out");
}

/// An engine that runs so many requests, and a picker that has so many in flight.
fn running_and_in_flight(running: f64, in_flight: f64) -> Prometheus {
    let engines = json!({"namespace": "ns", "model_name": "m", "source": "vllm"});
    Prometheus::now()
        .idle_pod("a")
        .pod("a", Quantity::Running, running)
        .with(Quantity::EnginesRunning, engines, running)
        .picker(Quantity::Arrivals, 0.0)
        .picker(Quantity::InFlight, in_flight)
}

#[test]
fn what_runs_is_what_the_engines_say_and_a_picker_that_lost_count_is_said() {
    // Situation 41.
    let measured = running_and_in_flight(1029.0, 588.0).measure_one(&picked(&["a"]));
    assert_eq!(measured.replicas[0].running, Some(1029.0));
    assert_eq!(measured.idle_seconds, Some(0.0));
    says(
        &measured,
        "the engines run 1029 requests, the endpoint picker has 588 in flight",
    );
}

#[test]
fn a_picker_is_held_to_have_lost_count_by_no_small_difference() {
    for (running, in_flight) in [(1029.0, 700.0), (9.0, 0.0), (20.0, 800.0), (0.0, 0.0)] {
        let measured = running_and_in_flight(running, in_flight).measure_one(&picked(&["a"]));
        assert_eq!(
            measured.warnings,
            [] as [String; 0],
            "{running} {in_flight}"
        );
    }
}

#[test]
fn requests_of_another_namespace_are_none_that_a_picker_lost() {
    let elsewhere = json!({"namespace": "other", "model_name": "m", "source": "vllm"});
    let measured = running_and_in_flight(4.0, 4.0)
        .with(Quantity::EnginesRunning, elsewhere, 900.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.warnings, [] as [String; 0]);
}

#[test]
fn what_several_engines_run_and_several_picker_pods_have_in_flight_adds_up() {
    let second = json!({"namespace": "ns", "pod": "epp-1", "source": "llm_d_epp"});
    let gone = json!({"namespace": "ns", "pod": "epp-old", "inference_pool": "pool",
                      "source": "llm_d_epp"});
    let sglang = json!({"namespace": "ns", "model_name": "m", "source": "sglang"});
    let pool = with_picker(pool(&["a"]), &["epp-0", "epp-1"]);
    let both = running_and_in_flight(60.0, 50.0)
        .with(Quantity::InFlight, second, 50.0)
        .with(Quantity::EnginesRunning, sglang, 60.0);
    assert_eq!(both.measure_one(&pool).warnings, [] as [String; 0]);
    let one = running_and_in_flight(60.0, 50.0)
        .with(Quantity::InFlight, gone, 50.0)
        .with(
            Quantity::EnginesRunning,
            json!({"namespace": "ns", "model_name": "m", "source": "sglang"}),
            60.0,
        );
    says(
        &one.measure_one(&pool),
        "the engines run 120 requests, the endpoint picker has 50 in flight",
    );
}

#[test]
fn without_a_picker_requests_are_those_that_finish_and_those_that_stay() {
    let growing = Prometheus::now()
        .pod("a", Quantity::Finished, 3.0)
        .pod("b", Quantity::Finished, 2.0)
        .pod("a", Quantity::WaitingGrowth, 1.5)
        .pod("b", Quantity::RunningGrowth, -0.5);
    let measured = growing.measure_one(&pool(&["a", "b"]));
    assert_eq!(measured.workload.request_rate, Some(6.0));
    let draining =
        Prometheus::now()
            .pod("a", Quantity::Finished, 1.0)
            .pod("a", Quantity::WaitingGrowth, -2.0);
    assert_eq!(
        draining.measure_one(&pool(&["a"])).workload.request_rate,
        Some(0.0)
    );
}

#[test]
fn a_picker_that_counts_nothing_is_said() {
    let measured = Prometheus::now()
        .pod("a", Quantity::Finished, 3.0)
        .measure_one(&picked(&["a"]));
    assert_eq!(measured.workload.request_rate, Some(3.0));
    says(
        &measured,
        "no requests are counted by the endpoint picker of `pool`",
    );
}

#[test]
fn a_request_that_two_roles_serve_counts_once() {
    let mut split = pool(&["p", "d"]);
    split.pool.variants = vec![variant(Role::Prefill), variant(Role::Decode)];
    split.replicas[1].variant = 1;
    let measured = Prometheus::now()
        .pod("p", Quantity::Finished, 4.0)
        .pod("d", Quantity::Finished, 4.0)
        .pod("p", Quantity::OutputTokens, 4.0)
        .pod("p", Quantity::CountedRequests, 4.0)
        .pod("d", Quantity::OutputTokens, 800.0)
        .pod("d", Quantity::CountedRequests, 4.0)
        .pod("p", Quantity::PrefixHits, 30.0)
        .pod("p", Quantity::PrefixQueries, 100.0)
        .pod("d", Quantity::PrefixHits, 100.0)
        .pod("d", Quantity::PrefixQueries, 100.0)
        .measure_one(&split);
    assert_eq!(measured.workload.request_rate, Some(4.0));
    assert_eq!(measured.workload.output_tokens, Some(200.0));
    assert_eq!(measured.workload.prefix_hit_ratio, Some(0.3));
}

#[test]
fn lengths_are_means_over_all_requests_of_the_pool() {
    let measured = Prometheus::now()
        .pod("a", Quantity::InputTokens, 100.0)
        .pod("a", Quantity::CountedRequests, 1.0)
        .pod("b", Quantity::InputTokens, 900.0)
        .pod("b", Quantity::CountedRequests, 3.0)
        .measure_one(&pool(&["a", "b"]));
    assert_eq!(measured.workload.input_tokens, Some(250.0));
    assert_eq!(measured.replicas[1].input_tokens, Some(300.0));
}
