//! A proxy in front of the API server, which does to requests what a test says: forwards, answers
//! itself, or holds them back. It speaks plain HTTP, and to the server as its administrator.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ControlPlane;
use crate::kubeconfig;
use crate::scratch::Scratch;
use crate::wait::{DEADLINE, wait_until};

/// Longest body of a request.
const LARGEST_BODY: usize = 4 << 20;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
}

impl Asked {
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Treatment {
    Forward,
    /// It waits for the next rule, and becomes what that says.
    Hold,
    Answer(Answer),
}

/// What the proxy says itself.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: u16,
    /// Seconds after which the API server would be asked again.
    pub retry_after: Option<u32>,
    pub body: String,
}

impl Answer {
    /// As the API server refuses.
    #[must_use]
    pub fn refusal(code: u16, reason: &str) -> Self {
        let body = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("the test's proxy says {code}"), "reason": reason, "code": code,
        });
        Self {
            code,
            retry_after: None,
            body: body.to_string(),
        }
    }

    /// As an API server that has too much to do.
    #[must_use]
    pub fn too_many(retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::refusal(429, "TooManyRequests")
        }
    }

    /// A watch whose first event says that its resource version is gone.
    #[must_use]
    pub fn expired() -> Self {
        let status = Self::refusal(410, "Expired").body;
        Self {
            code: 200,
            retry_after: None,
            body: format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n"),
        }
    }
}

type Rule = Arc<dyn Fn(&Asked) -> Treatment + Send + Sync>;

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    shared: Arc<Shared>,
    scratch: Scratch,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    rule: watch::Sender<Rule>,
    /// Told when answers under way are broken off.
    cuts: watch::Sender<u64>,
    asked: Mutex<Vec<Asked>>,
}

impl Proxy {
    /// Starts one that forwards everything.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn start(plane: &ControlPlane) -> anyhow::Result<Self> {
        let scratch = Scratch::new("proxy")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let file = scratch.path().join("kubeconfig");
        let administrator = plane.client_certificate();
        kubeconfig::write(&file, &url, &plane.authority(), &administrator)?;
        let forward: Rule = Arc::new(|_| Treatment::Forward);
        let shared = Arc::new(Shared {
            upstream: plane.url(),
            http: plane.streaming_client()?,
            rule: watch::channel(forward).0,
            cuts: watch::channel(0).0,
            asked: Mutex::default(),
        });
        let routes = axum::Router::new()
            .fallback(treat)
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            shared,
            scratch,
            server,
        })
    }

    /// A kubeconfig whose API server is this proxy.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("kubeconfig")
    }

    /// What becomes of requests from now on, and of those that are held back.
    pub fn treat(&self, rule: impl Fn(&Asked) -> Treatment + Send + Sync + 'static) {
        self.shared.rule.send_replace(Arc::new(rule));
    }

    pub fn forward(&self) {
        self.treat(|_| Treatment::Forward);
    }

    /// Breaks off all answers that are under way, watches among them.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The requests that came since this was last asked.
    #[must_use]
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.shared.asked())
    }

    /// Waits for a request; those that came before this was last asked do not count.
    ///
    /// # Errors
    /// Where none comes in time.
    pub async fn wait_for(&self, what: &str, is: impl Fn(&Asked) -> bool) -> anyhow::Result<()> {
        wait_until(what, DEADLINE, async || {
            let asked = self.shared.asked();
            ensure!(asked.iter().any(&is), "none of {} was one", asked.len());
            Ok(())
        })
        .await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> anyhow::Result<Response> {
        let uri = request.uri();
        let asked = Asked {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        };
        self.asked().push(asked.clone());
        let mut rules = self.rule.subscribe();
        loop {
            let rule = Arc::clone(&rules.borrow_and_update());
            match rule(&asked) {
                Treatment::Forward => return self.forward(&asked, request).await,
                Treatment::Answer(answer) => return Ok(own(answer)),
                Treatment::Hold => rules.changed().await?,
            }
        }
    }

    async fn forward(&self, asked: &Asked, request: Request) -> anyhow::Result<Response> {
        let url = format!("{}{}?{}", self.upstream, asked.path, asked.query);
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        of_the_whole_way(&mut headers);
        let body = to_bytes(body, LARGEST_BODY).await?;
        let sent = self.http.request(parts.method, url).headers(headers);
        let answer = sent.body(body).send().await?;
        let (code, mut headers) = (answer.status(), answer.headers().clone());
        of_the_whole_way(&mut headers);
        let stream = futures::stream::try_unfold(
            (answer, self.cuts.subscribe()),
            async |(mut answer, mut cuts)| {
                let chunk: Option<Bytes> = tokio::select! {
                    chunk = answer.chunk() => chunk?,
                    _ = cuts.changed() => None.context("cut")?,
                };
                anyhow::Ok(chunk.map(|chunk| (chunk, (answer, cuts))))
            },
        );
        Ok((code, headers, Body::from_stream(stream)).into_response())
    }
}

async fn treat(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answer = shared.answer(request).await;
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

fn own(answer: Answer) -> Response {
    let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    (code, headers, answer.body).into_response()
}

/// Takes away what is between two neighbours only.
fn of_the_whole_way(headers: &mut HeaderMap) {
    for name in [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
}
