//! The queue of an endpoint picker, read from its pods themselves: for a pool without replicas, where
//! a scrape would be too late.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::redirect;
use trimtab_core::fleet::{FleetPod, Picker};

use crate::client::chain;
use crate::names::{Quantity, names_of};

/// How long one pod may take. It is asked again soon.
const ANSWER: Duration = Duration::from_secs(1);
/// Longest page that is read, in bytes.
const LONGEST: usize = 16 << 20;
/// The label that says which pool a series is of. A picker that does not say it has one pool.
const POOL: &str = "inference_pool";

/// Asks pickers.
pub struct Probe {
    http: reqwest::Client,
    address: String,
    token_file: Option<PathBuf>,
}

/// Why it is not known whether anything waits.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("no pod of the endpoint picker of `{0}` has an address")]
    Nobody(String),
    #[error("picker pod `{pod}` does not answer at {url}: {why}")]
    Lost {
        pod: String,
        url: String,
        why: String,
    },
    #[error("picker pod `{pod}` answers {url} with {status}{hint}")]
    Status {
        pod: String,
        url: String,
        status: u16,
        hint: &'static str,
    },
    #[error("{0}: the token cannot be read")]
    Token(String, #[source] std::io::Error),
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

impl Probe {
    /// `address` is a pod's, with `{ip}`, `{pod}` and `{namespace}` in it.
    ///
    /// # Errors
    /// There can be no HTTP client.
    pub fn new(address: &str, token_file: Option<PathBuf>) -> Result<Self, ProbeError> {
        // Fails where another provider is the default already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(ANSWER)
            .redirect(redirect::Policy::none())
            // Pods serve certificates of their own making, where they serve any.
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(ProbeError::Client)?;
        Ok(Self {
            http,
            address: address.to_owned(),
            token_file,
        })
    }

    /// Whether any request waits in front of a pool.
    ///
    /// # Errors
    /// No pod says that one does, and not all say that none does.
    pub async fn waits(&self, namespace: &str, picker: &Picker) -> Result<bool, ProbeError> {
        let pods = picker.pods.iter();
        let mut asked: FuturesUnordered<_> = pods
            .filter_map(|pod| Some((pod, pod.ip.as_deref()?)))
            .map(|(pod, ip)| self.ask(namespace, &picker.pool, pod, ip))
            .collect();
        if asked.is_empty() {
            return Err(ProbeError::Nobody(picker.pool.clone()));
        }
        let mut lost = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => lost = Some(error),
            }
        }
        lost.map_or(Ok(false), Err)
    }

    async fn ask(
        &self,
        namespace: &str,
        pool: &str,
        pod: &FleetPod,
        ip: &str,
    ) -> Result<bool, ProbeError> {
        let ip = if ip.contains(':') {
            format!("[{ip}]")
        } else {
            ip.to_owned()
        };
        let url = self.address.replace("{ip}", &ip);
        let url = url.replace("{namespace}", namespace);
        let url = url.replace("{pod}", &pod.name);
        let lost = |error: reqwest::Error| ProbeError::Lost {
            pod: pod.name.clone(),
            url: url.clone(),
            why: chain(&error.without_url()),
        };
        let mut request = self.http.get(&url);
        if let Some(file) = &self.token_file {
            let token = fs_err::read_to_string(file)
                .map_err(|error| ProbeError::Token(file.display().to_string(), error))?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        if !status.is_success() {
            let hint = match status.as_u16() {
                401 | 403 => ": it asks for a token; see scaleFromZero.tokenFile",
                _ => "",
            };
            return Err(ProbeError::Status {
                pod: pod.name.clone(),
                url,
                status: status.as_u16(),
                hint,
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LONGEST {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body);
        Ok(text.lines().any(|line| is_queue(line, pool)))
    }
}

/// Whether a line of Prometheus' text format says that requests wait for this pool.
fn is_queue(line: &str, pool: &str) -> bool {
    let mut names = names_of(Quantity::QueuedRequests);
    let rest = names.find_map(|name| line.strip_prefix(name));
    let Some(rest) = rest else { return false };
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => match rest.rsplit_once('}') {
            Some(parts) => parts,
            None => return false,
        },
        None => ("", rest),
    };
    let value = value.split_whitespace().next();
    let count = value.and_then(|value| value.parse::<f64>().ok());
    let of_pool = label(labels, POOL).is_none_or(|of| of.is_empty() || of == pool);
    of_pool && count.is_some_and(|count| count > 0.0)
}

/// A label's value. Names of pools have nothing in them that would be escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let mut escaped = false;
        let end = after.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        })?;
        let (value, next) = after.split_at_checked(end)?;
        if key.trim_start_matches([',', ' ']) == name {
            return Some(value);
        }
        rest = next.strip_prefix('"')?;
    }
}
