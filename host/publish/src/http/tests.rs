//! Over a real socket.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use std::time::Duration;

use super::*;
use crate::metrics::testing::leading;
use crate::metrics::{Build, Live};

struct Running {
    address: SocketAddr,
    health: Arc<Health>,
    now: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), Undrained>>,
}

async fn start() -> Running {
    let build = Build {
        version: "1.2.3",
        revision: None,
    };
    let registry = Arc::new(Registry::new(&build, &Live::default(), leading(), None));
    let known = Arc::new(Health::new(["pods"]));
    let now = Arc::new(AtomicU64::new(0));
    let clock = {
        let now = Arc::clone(&now);
        move || Duration::from_secs(now.load(Ordering::SeqCst))
    };
    let routes = metrics(registry).merge(health(Arc::clone(&known), clock));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = oneshot::channel();
    let server = tokio::spawn(serve(listener, routes, async move {
        stopping.await.unwrap();
    }));
    Running {
        address,
        health: known,
        now,
        stop,
        server,
    }
}

/// Status line and headers, and the body.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_wants_them() {
    let running = start().await;
    let (head, body) = ask(running.address, "GET /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let wanted = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(head.contains(wanted), "{head}");
    assert!(
        body.contains(r#"trimtab_build_info{version="1.2.3""#),
        "{body}"
    );
}

#[tokio::test]
async fn a_dead_loop_fails_the_liveness_probe_with_the_reason() {
    let running = start().await;
    running
        .health
        .started(Duration::ZERO, Duration::from_secs(15));
    let (head, _) = ask(running.address, "GET /healthz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    running.now.store(600, Ordering::SeqCst);
    let (head, body) = ask(running.address, "GET /healthz").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("for 600 s"), "{body}");
}

#[tokio::test]
async fn the_readiness_probe_lists_what_is_missing() {
    let running = start().await;
    let (head, body) = ask(running.address, "GET /readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("[-]cache/pods failed"), "{body}");
    running.health.synced("pods");
    running
        .health
        .ticked(Duration::ZERO, Duration::from_secs(15));
    let (head, body) = ask(running.address, "GET /readyz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("[+]cache/pods ok"), "{body}");
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let running = start().await;
    let (head, _) = ask(running.address, "GET /").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let (head, _) = ask(running.address, "POST /metrics").await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_and_frees_its_address() {
    let running = start().await;
    // A connection that asks for nothing does not keep it.
    let _idle = TcpStream::connect(running.address).await.unwrap();
    ask(running.address, "GET /readyz").await;
    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
    TcpListener::bind(running.address).await.unwrap();
}
