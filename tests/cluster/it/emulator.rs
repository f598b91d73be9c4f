//! A load on the emulated fleet is what Prometheus sees.

use trimtab_cluster_tests::fixtures::servers::{scale_deployment, wait_for_ready_pods};
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, in_namespace};

use trimtab_sim::generate::Lengths;

use crate::scenario::Chat;

/// Requests per second on the wall.
const RATE: f64 = 60.0;

const INPUT: Lengths = Lengths {
    mean: 500.0,
    cv: 0.5,
    max: 4000,
};

const OUTPUT: Lengths = Lengths {
    mean: 100.0,
    ..INPUT
};

#[tokio::test]
async fn an_emulated_load_has_its_rate_and_keeps_littles_law_in_prometheus() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 2, 10.0).await?;
        chat.emulator.set_lengths(0, INPUT, OUTPUT);
        chat.emulator.set_rate(0, RATE);
        let near = |wanted: f64, tolerance: f64| {
            move |of: &[(_, f64)]| {
                let first = of.first().map(|of| of.1);
                first.is_some_and(|value| (value / wanted - 1.0).abs() < tolerance)
            }
        };
        let prometheus = &chat.prometheus;
        let finished = "sum(rate(vllm:request_success_total[10s]))";
        prometheus.wait_for(finished, near(RATE, 0.15)).await?;
        let arrived = "sum(rate(llm_d_epp_request_total[10s]))";
        prometheus.wait_for(arrived, near(RATE, 0.15)).await?;
        let prompt = "sum(rate(vllm:request_prompt_tokens_sum[10s])) \
                      / sum(rate(vllm:request_prompt_tokens_count[10s]))";
        prometheus.wait_for(prompt, near(500.0, 0.15)).await?;
        // Little: what is in the engines is the rate times the time in them.
        let little = "sum(avg_over_time(vllm:num_requests_running[10s])) \
                      / sum(rate(vllm:e2e_request_latency_seconds_sum[10s]))";
        prometheus.wait_for(little, near(1.0, 0.3)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_servers_requests_wait_at_the_picker_until_there_is_one() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 10.0).await?;
        scale_deployment(namespace, "chat-h100", 0).await?;
        wait_for_ready_pods(namespace, "app=chat-h100", 0).await?;
        chat.emulator.set_rate(0, 5.0);
        let queue = "sum(llm_d_epp_flow_control_queue_size)";
        let is = |wanted: fn(f64) -> bool| move |of: &[(_, f64)]| of.iter().any(|of| wanted(of.1));
        chat.prometheus
            .wait_for(queue, is(|queued| queued > 10.0))
            .await?;
        scale_deployment(namespace, "chat-h100", 1).await?;
        chat.prometheus
            .wait_for(queue, is(|queued| queued == 0.0))
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_fleet_outlives_a_killed_api_server() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Default::default()).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        chat.emulator.set_rate(0, 20.0);
        let served = "sum(vllm:request_success_total)";
        let more = |than: f64| move |of: &[(_, f64)]| of.iter().any(|of| of.1 > than);
        chat.prometheus.wait_for(served, more(20.0)).await?;
        plane.kill("kube-apiserver").await?;
        let before = chat.prometheus.wait_for(served, more(0.0)).await?[0].1;
        chat.prometheus
            .wait_for(served, more(before + 40.0))
            .await?;
        plane.restart("kube-apiserver").await?;
        wait_until("the pods are there", DEADLINE, async || {
            scale_deployment(namespace, "chat-h100", 2).await
        })
        .await?;
        wait_for_ready_pods(namespace, "app=chat-h100", 2).await?;
        let endpoints = "llm_d_epp_ready_endpoints";
        chat.prometheus.wait_for(endpoints, more(1.5)).await?;
        Ok(())
    })
    .await
}
