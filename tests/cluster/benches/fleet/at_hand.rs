//! A Prometheus whose answers are at hand: each was asked of the real one between two cycles. With
//! it a cycle takes what it takes of the operator, and nothing of what Prometheus takes on the same
//! cores.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::net::TcpListener;

/// After a query was answered it is asked again: well before the next cycle, and late enough for
/// the answer to be young in it.
const PAUSE: Duration = Duration::from_secs(11);

/// Path of instant queries.
const QUERY: &str = "/api/v1/query";

/// Goes when its runtime does.
pub(crate) struct AtHand {
    url: String,
}

#[derive(Clone)]
struct Source {
    client: reqwest::Client,
    url: String,
    /// Last answers, by the form that asked for them.
    answers: Arc<Mutex<HashMap<Bytes, Bytes>>>,
}

impl AtHand {
    pub(crate) async fn start(prometheus: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let source = Source {
            client: reqwest::Client::new(),
            url: format!("{prometheus}{QUERY}"),
            answers: Arc::default(),
        };
        let router = Router::new().route(QUERY, post(query)).with_state(source);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn query(State(source): State<Source>, form: Bytes) -> Response {
    let answer = match source.known(&form) {
        Some(answer) => answer,
        None => match source.ask(&form).await {
            Ok(answer) => answer,
            Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        },
    };
    tokio::spawn(async move {
        tokio::time::sleep(PAUSE).await;
        if let Ok(answer) = source.ask(&form).await {
            source.keep(form, answer);
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
}

impl Source {
    fn known(&self, form: &Bytes) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(form).cloned()
    }

    fn keep(&self, form: Bytes, answer: Bytes) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(form, answer);
    }

    async fn ask(&self, form: &Bytes) -> reqwest::Result<Bytes> {
        let kind = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let asked = self.client.post(&self.url).header(kind.0, kind.1);
        let answer = asked.body(form.clone()).send().await?.error_for_status()?;
        answer.bytes().await
    }
}
