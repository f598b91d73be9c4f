//! Asks Prometheus. Never fails as a whole: each query has its answer or its error.
//!
//! TLS is rustls with ring, as for the Kubernetes client. reqwest is built without a provider of
//! cryptography, so ring is made the process's default here where none was chosen before.

#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use prometheus_http_query::Client as Api;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Identity, Response, redirect};
use tokio::time::Instant;

use crate::answer::{Answer, Answers, QueryError, QueryStats};
use crate::config::{ConfigError, PrometheusConfig};
use crate::parse;
use crate::queries::Query;

/// Longest part of a foreign answer that a message shows, in characters.
const EXCERPT: usize = 200;

/// Asks one Prometheus.
pub struct Client {
    api: Api,
    url: String,
    token_file: Option<PathBuf>,
    query_timeout: Duration,
    deadline: Duration,
    concurrency: usize,
    max_response_bytes: usize,
}

/// What one query brought, and how many bytes that was.
struct Told {
    answer: Result<Answer, QueryError>,
    bytes: usize,
}

impl Client {
    /// Opens no connection.
    ///
    /// # Errors
    /// Where the configuration names files that cannot be used, or makes no sense.
    pub fn new(config: &PrometheusConfig) -> Result<Self, ConfigError> {
        config.check_numbers()?;
        let url = checked_url(&config.url)?;
        let query_timeout = Duration::from_secs_f64(config.query_timeout_seconds);
        // Fails where another provider is the default already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .timeout(query_timeout)
            .default_headers(headers(config)?)
            // A redirect turns POST into GET; it mostly leads to a login page.
            .redirect(redirect::Policy::none());
        let http = secured(builder, config)?
            .build()
            .map_err(ConfigError::Client)?;
        let api = Api::from(http, &url).map_err(|error| ConfigError::Url {
            url: config.url.clone(),
            detail: chain(&error),
        })?;
        Ok(Self {
            api,
            url,
            token_file: config.token_file.clone(),
            query_timeout,
            deadline: Duration::from_secs_f64(config.deadline_seconds),
            concurrency: config.concurrency,
            max_response_bytes: config.max_response_bytes,
        })
    }

    /// Asks queries, several at once, and is done within the deadline. `now_ms` is our clock,
    /// to compare Prometheus' with.
    pub async fn ask<'q>(
        &self,
        queries: impl IntoIterator<Item = &'q Query>,
        now_ms: u64,
    ) -> Answers {
        let until = Instant::now() + self.deadline;
        let authorization = &self.authorization();
        let mut told: Vec<(&Query, Told, f64)> = futures::stream::iter(queries)
            .map(|query| async move {
                let began = Instant::now();
                let told = self.ask_until(query, authorization.clone(), until).await;
                (query, told, began.elapsed().as_secs_f64())
            })
            .buffer_unordered(self.concurrency)
            .collect()
            .await;
        told.sort_by_key(|(query, ..)| query.topic);
        let mut answers = Answers::default();
        for (query, told, seconds) in told {
            answers.stats.push(stats(query, &told, seconds, now_ms));
            answers
                .by_topic
                .insert(query.topic, told.answer.map(Arc::new));
        }
        answers
    }

    async fn ask_until(
        &self,
        query: &Query,
        authorization: Result<Option<HeaderValue>, QueryError>,
        until: Instant,
    ) -> Told {
        let failed = |error| Told {
            answer: Err(error),
            bytes: 0,
        };
        let authorization = match authorization {
            Ok(authorization) => authorization,
            Err(error) => return failed(error),
        };
        let asked = tokio::time::timeout_at(until, self.ask_one(query, authorization));
        match asked.await {
            Ok(Ok((answer, bytes))) => Told { answer, bytes },
            Ok(Err(error)) => failed(error),
            Err(_) => failed(QueryError::Deadline {
                seconds: self.deadline.as_secs_f64(),
            }),
        }
    }

    async fn ask_one(
        &self,
        query: &Query,
        authorization: Option<HeaderValue>,
    ) -> Result<(Result<Answer, QueryError>, usize), QueryError> {
        let millis = i64::try_from(self.query_timeout.as_millis()).unwrap_or(i64::MAX);
        let mut request = self.api.query(&query.promql).timeout(millis);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = request
            .post_raw()
            .await
            .map_err(|error| self.lost(&error))?;
        let status = response.status();
        let content_type = text_of(response.headers().get(header::CONTENT_TYPE));
        if status.is_redirection() {
            let location = text_of(response.headers().get(header::LOCATION));
            return Err(QueryError::Redirect {
                url: self.url.clone(),
                status: status.as_u16(),
                location,
            });
        }
        let body = self.body(response).await?;
        // Prometheus explains 4xx and 5xx in JSON; a proxy before it does not.
        let answer = parse::answer(&body).filter(|answer| {
            status.is_success() || matches!(answer, Err(QueryError::Refused { .. }))
        });
        let answer = answer.unwrap_or_else(|| {
            let url = self.url.clone();
            let excerpt = excerpt(&body);
            Err(if status.is_success() {
                QueryError::NotJson {
                    url,
                    content_type,
                    excerpt,
                }
            } else {
                QueryError::Status {
                    url,
                    status: status.as_u16(),
                    excerpt,
                }
            })
        });
        Ok((answer, body.len()))
    }

    /// Reads to the end, but no further than the limit.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, QueryError> {
        let mut body = Vec::new();
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| self.broken(&error))?;
            let Some(chunk) = chunk else { return Ok(body) };
            if body.len() + chunk.len() > self.max_response_bytes {
                return Err(QueryError::TooLarge {
                    limit: self.max_response_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, QueryError> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let failed = |detail: String| QueryError::Token {
            path: path.display().to_string(),
            detail,
        };
        let token = fs_err::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| failed("it is no text that a header allows".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn lost(&self, error: &prometheus_http_query::Error) -> QueryError {
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<reqwest::Error>());
        match source {
            Some(error) => self.broken(error),
            None => QueryError::Broken {
                url: self.url.clone(),
                detail: chain(error),
            },
        }
    }

    fn broken(&self, error: &reqwest::Error) -> QueryError {
        let url = self.url.clone();
        if error.is_timeout() {
            let seconds = self.query_timeout.as_secs_f64();
            return QueryError::Timeout { url, seconds };
        }
        let detail = error.source().map_or_else(|| error.to_string(), chain);
        if error.is_connect() {
            QueryError::Unreachable { url, detail }
        } else {
            QueryError::Broken { url, detail }
        }
    }
}

fn stats(query: &Query, told: &Told, seconds: f64, now_ms: u64) -> QueryStats {
    let answer = told.answer.as_ref().ok();
    let evaluated_at = answer.and_then(|answer| answer.evaluated_at);
    QueryStats {
        topic: query.topic,
        seconds,
        samples: answer.map_or(0, |answer| answer.samples.len()),
        bytes: told.bytes,
        warnings: answer.map_or(0, |answer| answer.warnings.len()),
        error: told.answer.as_ref().err().map(QueryError::reason),
        clock_behind_seconds: evaluated_at.map(|at| now_ms as f64 / 1000.0 - at),
    }
}

fn checked_url(url: &str) -> Result<String, ConfigError> {
    let refused = |detail: &str| ConfigError::Url {
        url: url.to_owned(),
        detail: detail.to_owned(),
    };
    let parsed = reqwest::Url::parse(url).map_err(|error| refused(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(refused(&format!("its scheme is `{}`", parsed.scheme())));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(ConfigError::Credentials);
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn headers(config: &PrometheusConfig) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let refused = || ConfigError::Header { name: name.clone() };
        let key = HeaderName::try_from(name.as_str()).map_err(|_| refused())?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| refused())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn secured(
    mut builder: ClientBuilder,
    config: &PrometheusConfig,
) -> Result<ClientBuilder, ConfigError> {
    if let Some(path) = &config.ca_file {
        let pem = read("prometheus.caFile", path)?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|error| unusable("prometheus.caFile", path, chain(&error)))?;
        if certificates.is_empty() {
            return Err(unusable(
                "prometheus.caFile",
                path,
                "it has no certificate".to_owned(),
            ));
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&config.client_certificate_file, &config.client_key_file) {
        (Some(certificate), Some(key)) => {
            let mut pem = read("prometheus.clientCertFile", certificate)?;
            pem.push(b'\n');
            pem.extend(read("prometheus.clientKeyFile", key)?);
            let identity = Identity::from_pem(&pem).map_err(|error| {
                unusable("prometheus.clientCertFile", certificate, chain(&error))
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => return Err(ConfigError::HalfIdentity),
    }
    Ok(builder.tls_danger_accept_invalid_certs(config.insecure_skip_verify))
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs_err::read(path).map_err(|source| ConfigError::File {
        field,
        path: path.to_owned(),
        source,
    })
}

fn unusable(field: &'static str, path: &Path, detail: String) -> ConfigError {
    ConfigError::Pem {
        field,
        path: path.to_owned(),
        detail,
    }
}

fn text_of(value: Option<&HeaderValue>) -> String {
    value.map_or_else(
        || "nothing".to_owned(),
        |value| String::from_utf8_lossy(value.as_bytes()).into_owned(),
    )
}

/// The beginning of a foreign text, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

/// An error with what it came from, without repetitions.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = source.source();
    }
    text
}
