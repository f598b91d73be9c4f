//! Prometheus finds the pods, and what it scrapes is labelled as in a cluster.

use trimtab_cluster_tests::emulator::Answer;
use trimtab_cluster_tests::{ControlPlane, Prometheus, PrometheusOptions, in_namespace};

use crate::scenario::Chat;

#[tokio::test]
async fn every_pod_is_scraped_with_the_labels_of_a_pod_monitor() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 2, 1.0).await?;
        let running = "vllm:num_requests_running";
        let series = chat
            .prometheus
            .wait_for(running, |of| of.len() == 2)
            .await?;
        for (labels, _) in &series {
            assert_eq!(labels["namespace"], namespace.name());
            assert!(chat.pods.contains(&labels["pod"]), "{labels:?}");
            assert_eq!(labels["container"], "vllm");
            assert_eq!(labels["endpoint"], "http");
            assert_eq!(labels["model_name"], "Llama-3.1-8B");
            assert!(labels["instance"].ends_with(":8000"), "{labels:?}");
        }
        let endpoints = "llm_d_epp_ready_endpoints";
        let picker = chat
            .prometheus
            .wait_for(endpoints, |of| of.iter().any(|of| of.1 == 2.0));
        assert_eq!(picker.await?[0].0["pod"], chat.picker);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pods_that_answer_nonsense_are_down_until_they_are_restored() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    in_namespace(plane, async |namespace| {
        let chat = Chat::start(plane, namespace, 1, 1.0).await?;
        let (prometheus, emulator) = (&chat.prometheus, &chat.emulator);
        let pod = &chat.pods[0];
        let up = format!("up{{pod=\"{pod}\"}}");
        let is = |wanted: f64| move |of: &[(_, f64)]| of.iter().any(|of| of.1 == wanted);
        prometheus.wait_for(&up, is(1.0)).await?;
        for answer in [Answer::Error, Answer::Html, Answer::Hang] {
            emulator.answer(namespace.name(), pod, answer);
            prometheus.wait_for(&up, is(0.0)).await?;
            emulator.restore(namespace.name(), pod);
            prometheus.wait_for(&up, is(1.0)).await?;
        }
        let text = "vllm:num_requests_running{model_name=\"other\"} 7\n".to_owned();
        emulator.answer(namespace.name(), pod, Answer::Text(text));
        let other = "vllm:num_requests_running{model_name=\"other\"}";
        prometheus.wait_for(other, is(7.0)).await?;
        emulator.answer(namespace.name(), pod, Answer::Empty);
        prometheus.wait_for(other, <[_]>::is_empty).await?;
        prometheus.wait_for(&up, is(1.0)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_killed_prometheus_comes_back_with_its_samples() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let prometheus = Prometheus::start(plane, PrometheusOptions::default()).await?;
    let (job, address) = ("itself".to_owned(), prometheus.url().replace("http://", ""));
    drop(prometheus);
    let options = PrometheusOptions {
        jobs: [(job, address.parse()?)].into(),
        tls: true,
        ..PrometheusOptions::default()
    };
    let prometheus = Prometheus::start(plane, options).await?;
    let up = "up{job=\"itself\"}";
    prometheus.wait_for(up, |of| of.len() == 1).await?;
    prometheus.kill().await?;
    assert!(prometheus.query(up).await.is_err());
    prometheus.restart().await?;
    prometheus
        .wait_for(&format!("count_over_time({up}[5m])"), |of| {
            of.iter().any(|of| of.1 >= 2.0)
        })
        .await?;
    Ok(())
}
