//! Against pickers of one line.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

#[test]
fn a_queue_is_one_of_the_pool_with_something_in_it() {
    let is = |line: &str| is_queue(line, "chat");
    assert!(is(
        "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"} 2"
    ));
    assert!(is(
        "inference_extension_flow_control_queue_size{inference_pool=\"chat\"} 1e0 170"
    ));
    assert!(is("llm_d_epp_flow_control_queue_size 1"));
    assert!(is(
        "llm_d_epp_flow_control_queue_size{fairness_id=\"a\\\"},b=\\\\\",inference_pool=\"chat\"} 1"
    ));
    for line in [
        "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"} 0",
        "llm_d_epp_flow_control_queue_size{inference_pool=\"other\"} 3",
        "llm_d_epp_flow_control_queue_size{fairness_id=\"inference_pool=\\\"chat\\\"\",inference_pool=\"other\"} 3",
        "llm_d_epp_flow_control_queue_bytes{inference_pool=\"chat\"} 9",
        "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"} NaN",
        "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"",
        "# HELP llm_d_epp_flow_control_queue_size 7",
        "",
    ] {
        assert!(!is(line), "{line}");
    }
}

/// A picker's pod that answers with this status line and body; and what it was asked.
async fn picker(status: &'static str, body: &'static str) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = vec![0; 4096];
            let length = stream.read(&mut read).await.unwrap();
            *kept.lock().unwrap() = String::from_utf8_lossy(&read[..length]).into_owned();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (format!("127.0.0.1:{port}"), asked)
}

fn of(addresses: &[&str]) -> Picker {
    let pods = addresses.iter().enumerate();
    Picker {
        pool: "chat".to_owned(),
        pods: pods
            .map(|(number, ip)| FleetPod {
                name: format!("epp-{number}"),
                ip: Some((*ip).to_owned()).filter(|ip| !ip.is_empty()),
            })
            .collect(),
    }
}

const EMPTY: &str = "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"} 0\n";
const FULL: &str = "llm_d_epp_flow_control_queue_size{inference_pool=\"chat\"} 3\n";

async fn waits(addresses: &[&str]) -> Result<bool, ProbeError> {
    let by_name = Probe::new("http://{pod}", None).unwrap();
    let mut picker = of(&vec!["127.0.0.1"; addresses.len()]);
    for (pod, address) in picker.pods.iter_mut().zip(addresses) {
        pod.name = (*address).to_owned();
    }
    by_name.waits("prod", &picker).await
}

#[tokio::test]
async fn one_pod_with_a_queue_is_enough_and_all_must_say_that_there_is_none() {
    let (empty, _) = picker("200 OK", EMPTY).await;
    let (full, _) = picker("200 OK", FULL).await;
    let (broken, _) = picker("500 Oh", "").await;
    assert!(!waits(&[&empty]).await.unwrap());
    assert!(waits(&[&empty, &full, &broken]).await.unwrap());
    let error = waits(&[&empty, &broken]).await.unwrap_err().to_string();
    assert!(error.ends_with("with 500"), "{error}");
    assert!(matches!(waits(&[]).await, Err(ProbeError::Nobody(_))));
    let probe = Probe::new("http://{ip}", None).unwrap();
    let asked = probe.waits("prod", &of(&[""])).await;
    assert!(
        matches!(asked, Err(ProbeError::Nobody(_))),
        "it has no address yet"
    );
}

#[tokio::test]
async fn a_picker_that_wants_a_token_gets_it() {
    let (address, asked) = picker("401 Unauthorized", "").await;
    let error = waits(&[&address]).await.unwrap_err().to_string();
    assert!(error.contains("scaleFromZero.tokenFile"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let mut picker = of(&["127.0.0.1"]);
    picker.pods[0].name = address;
    let probe = Probe::new("http://{pod}/metrics", Some(file)).unwrap();
    assert!(probe.waits("prod", &picker).await.is_err());
    let asked = asked.lock().unwrap().clone();
    assert!(asked.starts_with("GET /metrics "), "{asked}");
    assert!(
        asked.contains("authorization: Bearer secret\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_pod_that_hangs_is_given_up_after_a_second() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&open);
    tokio::spawn(async move {
        let (_stream, _) = listener.accept().await.unwrap();
        opened.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    });
    let error = waits(&[&address]).await.unwrap_err();
    assert!(matches!(error, ProbeError::Lost { .. }), "{error}");
    assert!(open.load(Ordering::SeqCst));
}
