//! The client against servers in this process: answers, failures, credentials, TLS.

mod configuration;
mod failures;
mod server;
mod tls;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::server::{Server, json, with_head};
use super::Client;
use crate::answer::{Answers, QueryError};
use crate::config::PrometheusConfig;
use crate::names::{Quantity, Source, Topic};
use crate::queries::{Queries, Windows};

/// 2026-11-25, in milliseconds.
const NOW_MS: u64 = 1_795_600_000_000;

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

fn config(url: &str) -> PrometheusConfig {
    PrometheusConfig {
        url: url.to_owned(),
        ..PrometheusConfig::default()
    }
}

async fn ask(config: &PrometheusConfig) -> Answers {
    let queries = Queries::new(Windows::default());
    Client::new(config)
        .unwrap()
        .ask(queries.iter(), NOW_MS)
        .await
}

/// The error that every query of a tick met.
#[track_caller]
fn common_error(answers: &Answers) -> QueryError {
    let mut errors = answers
        .by_topic
        .values()
        .map(|answer| answer.clone().unwrap_err());
    let first = errors.next().unwrap();
    assert!(errors.all(|error| error == first));
    for stats in &answers.stats {
        assert_eq!((stats.error, stats.samples), (Some(first.reason()), 0));
    }
    assert_eq!(answers.stats.len(), Topic::ALL.len());
    first
}

#[tokio::test]
async fn answers_are_read_with_labels_values_and_warnings() {
    let body = r#"{"status":"success","warnings":["a store is down"],"infos":["ignored"],
        "isPartial":true,"data":{"resultType":"vector","result":[
          {"metric":{"quantity":"kv_usage","namespace":"ns","pod":"a","unknown":"x"},
           "value":[1795599999.5,"0.25"]},
          {"metric":{"quantity":"waiting","source":"llm_d_epp"},"value":[1795600000,"NaN"]},
          {"metric":{"quantity":"running","namespace":"ns","pod":"a"},"value":[1795600000,"2"]},
          {"metric":{"quantity":"running","pod":"\u00e9\"\\"},"value":[1795600000,"+Inf"]}]}}"#;
    let server = Server::start(move |_| json(200, body)).await;
    let answers = ask(&config(&server.url)).await;
    let answer = answers.by_topic[&Topic::Load].as_ref().unwrap();
    let partial = "it is partial: a store did not answer";
    assert_eq!(answer.warnings, ["a store is down", partial]);
    let [usage, waiting, again, running] = &answer.samples[..] else {
        panic!("{:?}", answer.samples);
    };
    assert_eq!((usage.quantity, usage.value), (Quantity::KvUsage, 0.25));
    let labels = &answer.labels[usage.labels];
    assert_eq!((&*labels.namespace, &*labels.pod), ("ns", "a"));
    assert_eq!(answer.evaluated_at, Some(1_795_599_999.5));
    assert_eq!(again.labels, usage.labels, "each set of labels stands once");
    assert!(waiting.value.is_nan());
    assert_eq!(running.value, f64::INFINITY);
    assert_eq!(waiting.source, Some(Source::LlmDEpp));
    assert_eq!(&*answer.labels[running.labels].pod, "é\"\\");
    let stats = &answers.stats[1];
    assert_eq!(
        (stats.topic, stats.samples, stats.warnings),
        (Topic::Load, 4, 2)
    );
    assert_eq!((stats.error, stats.bytes), (None, body.len()));
    assert_eq!(stats.clock_behind_seconds, Some(0.5));
}

#[tokio::test]
async fn bounds_of_buckets_are_numbers_and_no_labels() {
    let series = |bound: &str| {
        let quantity = r#""quantity":"ttft_bucket","model_name":"m""#;
        format!(r#"{{"metric":{{"le":"{bound}",{quantity}}},"value":[1795600000,"1"]}}"#)
    };
    let series = ["0.5", "+Inf", "NaN", "a"].map(series);
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        series.join(",")
    );
    let server = Server::start(move |_| json(200, &body)).await;
    let answers = ask(&config(&server.url)).await;
    let answer = answers.by_topic[&Topic::TtftBuckets].as_ref().unwrap();
    let bounds: Vec<Option<f64>> = answer.samples.iter().map(|sample| sample.bound).collect();
    assert_eq!(bounds, [Some(0.5), Some(f64::INFINITY), None, None]);
    assert_eq!(answer.labels.len(), 1);
}

#[tokio::test]
async fn queries_are_posted_under_the_prefix_of_the_url() {
    let server = Server::start(|_| json(200, EMPTY)).await;
    let answers = ask(&config(&format!("{}/prefix/", server.url))).await;
    assert!(answers.by_topic.values().all(Result::is_ok));
    let requests = server.requests();
    assert_eq!(requests.len(), Topic::ALL.len());
    for request in &requests {
        assert!(
            request.starts_with("POST /prefix/api/v1/query HTTP/1.1"),
            "{request}"
        );
        assert!(
            request.contains("query=") && request.contains("timeout=5000ms"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn no_more_queries_are_under_way_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let server = Server::start_slow(Duration::from_millis(20), move |begins| {
        if begins {
            let under_way = now.fetch_add(1, Ordering::SeqCst) + 1;
            seen.fetch_max(under_way, Ordering::SeqCst);
        } else {
            now.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let limited = PrometheusConfig {
        concurrency: 3,
        ..config(&server.url)
    };
    ask(&limited).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_bearer_token_is_read_for_every_tick() {
    let server = Server::start(|_| json(200, EMPTY)).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    fs_err::write(&token_file, "first\n").unwrap();
    let config = PrometheusConfig {
        token_file: Some(token_file.clone()),
        ..config(&server.url)
    };
    let client = Client::new(&config).unwrap();
    let queries = Queries::new(Windows::default());
    client.ask(queries.iter(), NOW_MS).await;
    fs_err::write(&token_file, "second").unwrap();
    client.ask(queries.iter(), NOW_MS).await;
    let requests = server.requests();
    let with = |token: &str| {
        let header = format!("authorization: Bearer {token}\r\n");
        requests
            .iter()
            .filter(|request| request.contains(&header))
            .count()
    };
    let each = Topic::ALL.len();
    assert_eq!((with("first"), with("second")), (each, each));
    fs_err::remove_file(&token_file).unwrap();
    let error = common_error(&client.ask(queries.iter(), NOW_MS).await);
    assert_eq!(error.reason(), "token");
    assert!(
        error
            .to_string()
            .contains(&token_file.display().to_string()),
        "{error}"
    );
    assert_eq!(server.requests().len(), 2 * each);
}

#[tokio::test]
async fn headers_of_the_configuration_are_sent() {
    let server = Server::start(|_| json(200, EMPTY)).await;
    let mut config = config(&server.url);
    config
        .headers
        .insert("X-Scope-OrgID".to_owned(), "team".to_owned());
    ask(&config).await;
    for request in server.requests() {
        assert!(request.contains("x-scope-orgid: team\r\n"), "{request}");
    }
}

#[tokio::test]
async fn one_query_that_fails_leaves_the_others() {
    let failed = Mutex::new(false);
    let server = Server::start(move |_| {
        let first = !std::mem::replace(&mut *failed.lock().unwrap(), true);
        if first {
            with_head(503, "text/plain", "no healthy upstream")
        } else {
            json(200, EMPTY)
        }
    })
    .await;
    let answers = ask(&config(&server.url)).await;
    let lost = answers.by_topic.values().filter(|answer| answer.is_err());
    assert_eq!(lost.count(), 1);
    let errors: Vec<_> = answers
        .stats
        .iter()
        .filter_map(|stats| stats.error)
        .collect();
    assert_eq!(errors, ["status"]);
}
