//! How Prometheus is reached, as the operator writes it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::queries::Windows;

/// Where Prometheus is and how it is asked. Anything that answers `/api/v1/query` will do: Thanos,
/// Mimir, VictoriaMetrics.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PrometheusConfig {
    /// Base URL, with the prefix under which the API is served if there is one.
    pub url: String,
    /// File with a bearer token; read anew for every tick, so that it may rotate.
    pub token_file: Option<PathBuf>,
    /// PEM file of the authorities that the server's certificate is checked against; the
    /// system's where it is not set.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the certificate, with its chain, that we show. Needs `prometheus.clientKeyFile`.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    pub client_key_file: Option<PathBuf>,
    /// Headers of every request, e.g. `X-Scope-OrgID`.
    pub headers: BTreeMap<String, String>,
    /// Takes any certificate of the server. For trials only.
    pub insecure_skip_verify: bool,
    /// Seconds that one query may take. Prometheus is told, and gives up too.
    pub query_timeout_seconds: f64,
    /// Seconds that all queries of a tick may take together.
    pub deadline_seconds: f64,
    /// Queries that are under way at once.
    pub concurrency: usize,
    /// Longest answer that is read, in bytes.
    pub max_response_bytes: usize,
    pub windows: Windows,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:9090".to_owned(),
            token_file: None,
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            headers: BTreeMap::new(),
            insecure_skip_verify: false,
            query_timeout_seconds: 5.0,
            // Within a tick of 15 s, with time left to decide.
            deadline_seconds: 10.0,
            concurrency: 8,
            // 10,000 pods give about 10 MiB a query.
            max_response_bytes: 64 << 20,
            windows: Windows::default(),
        }
    }
}

impl fmt::Debug for PrometheusConfig {
    /// Without the values of headers, which may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.keys().collect();
        formatter
            .debug_struct("PrometheusConfig")
            .field("url", &self.url)
            .field("token_file", &self.token_file)
            .field("ca_file", &self.ca_file)
            .field("client_certificate_file", &self.client_certificate_file)
            .field("client_key_file", &self.client_key_file)
            .field("headers", &headers)
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .field("query_timeout_seconds", &self.query_timeout_seconds)
            .field("deadline_seconds", &self.deadline_seconds)
            .field("concurrency", &self.concurrency)
            .field("max_response_bytes", &self.max_response_bytes)
            .field("windows", &self.windows)
            .finish()
    }
}

/// Why a client cannot be made of a configuration. Fields are called as the operator's
/// configuration calls them.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("`prometheus.url`: `{url}` is not a URL with http or https: {detail}")]
    Url { url: String, detail: String },
    #[error(
        "`prometheus.url` holds a name or a password; use `prometheus.bearerTokenFile` or `prometheus.headers` instead"
    )]
    Credentials,
    #[error("`{field}`: cannot read {}", path.display())]
    File {
        field: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{field}`: {} has no usable PEM: {detail}", path.display())]
    Pem {
        field: &'static str,
        path: PathBuf,
        detail: String,
    },
    #[error(
        "`prometheus.clientCertFile` and `prometheus.clientKeyFile` need each other; set both or none"
    )]
    HalfIdentity,
    #[error("`prometheus.headers`: `{name}` is no header that HTTP allows, or its value is not")]
    Header { name: String },
    #[error("`{field}` must be {bound}, not {found}")]
    Number {
        field: &'static str,
        bound: &'static str,
        found: f64,
    },
    #[error(
        "the HTTP client cannot be set up; does `prometheus.clientKeyFile` fit \
         `prometheus.clientCertFile`?"
    )]
    Client(#[source] reqwest::Error),
}

impl PrometheusConfig {
    /// Numbers that make no sense are refused, not replaced.
    pub(crate) fn check_numbers(&self) -> Result<(), ConfigError> {
        let seconds = [
            ("prometheus.timeoutSeconds", self.query_timeout_seconds),
            ("tickTimeoutSeconds", self.deadline_seconds),
        ];
        for (field, found) in seconds {
            // A day: beyond, and not finite, it is no time limit.
            if !(0.001..=86_400.0).contains(&found) {
                let bound = "between 0.001 and 86400";
                return Err(ConfigError::Number {
                    field,
                    bound,
                    found,
                });
            }
        }
        let counts = [
            ("concurrency", self.concurrency),
            ("max-response-bytes", self.max_response_bytes),
            (
                "prometheus.windowSeconds",
                self.windows.short_seconds as usize,
            ),
            (
                "prometheus.longWindowSeconds",
                self.windows.long_seconds as usize,
            ),
        ];
        match counts.into_iter().find(|(_, found)| *found == 0) {
            Some((field, _)) => Err(ConfigError::Number {
                field,
                bound: "at least 1",
                found: 0.0,
            }),
            None => Ok(()),
        }
    }
}
