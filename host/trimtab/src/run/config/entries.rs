//! Parts of the configuration. What is written here is its documentation: the JSON Schema shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::duration::Seconds;

/// Where measurements come from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Prometheus {
    /// Address, e.g. `https://prometheus.monitoring.svc:9090`. The one key without which nothing
    /// runs.
    pub(crate) url: Option<String>,
    /// File with a bearer token; read again when it changes. An `Authorization` among the headers
    /// wins over it.
    pub(crate) bearer_token_file: Option<String>,
    /// File with the certificates (PEM) to trust, instead of the system's.
    pub(crate) ca_file: Option<String>,
    /// File with our own certificate (PEM).
    pub(crate) client_cert_file: Option<String>,
    /// File with its key (PEM).
    pub(crate) client_key_file: Option<String>,
    /// Sent with each query, e.g. `X-Scope-OrgID`.
    pub(crate) headers: BTreeMap<String, Secret>,
    /// Whether to trust any certificate. For trials.
    pub(crate) insecure_skip_verify: bool,
    /// How long one query may take.
    pub(crate) timeout_seconds: Seconds,
    /// Over how long rates, maxima and latencies are taken; at least four scrapes should fall into
    /// it. Two intervals between cycles are taken at least.
    pub(crate) window_seconds: Seconds,
    /// Over how long token lengths and prefix hits are taken.
    pub(crate) long_window_seconds: Seconds,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            url: None,
            bearer_token_file: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            headers: BTreeMap::new(),
            insecure_skip_verify: false,
            timeout_seconds: Seconds::new(10),
            window_seconds: Seconds::new(60),
            long_window_seconds: Seconds::new(300),
        }
    }
}

/// Text that is not for the log.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Where we are asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// `/metrics`.
    pub(crate) metrics: Address,
    /// `/healthz` and `/readyz`. May be the same address.
    pub(crate) health: Address,
    /// External metrics, over TLS, e.g. `:6443`. An APIService leads there. Without it: not served.
    pub(crate) external_metrics: Address,
    /// KEDA's external scaler, e.g. `:50051`. Without it: not served.
    pub(crate) external_scaler: Address,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            metrics: Address::Port(8080),
            health: Address::Port(8081),
            external_metrics: Address::Off,
            external_scaler: Address::Off,
        }
    }
}

/// How HPAs read us.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ExternalMetrics {
    /// Service that the APIService `v1beta1.external.metrics.k8s.io` names when it is ours, in the
    /// namespace of the Lease.
    pub(crate) service: String,
    /// File with the certificate (PEM) to show; read again when it changes. Without it: one that is
    /// made, kept in the Secret, and vouched for in the APIService.
    pub(crate) cert_file: Option<String>,
    /// File with its key (PEM).
    pub(crate) key_file: Option<String>,
    /// Secret of the certificate that is made, in the namespace of the Lease.
    pub(crate) secret: String,
}

impl Default for ExternalMetrics {
    fn default() -> Self {
        Self {
            service: "trimtab-external-metrics".to_owned(),
            cert_file: None,
            key_file: None,
            secret: "trimtab-serving".to_owned(),
        }
    }
}

/// How KEDA reads us.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ExternalScaler {
    /// File with the certificate (PEM) to show; read again when it changes. Without it: no TLS, as
    /// KEDA expects where a trigger says nothing of it.
    pub(crate) cert_file: Option<String>,
    /// File with its key (PEM).
    pub(crate) key_file: Option<String>,
    /// File with who must vouch for KEDA's own certificate (PEM). Without it: anybody may ask.
    pub(crate) client_ca_file: Option<String>,
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `0`: not at all.
    Off,
    /// `:8080`: every address of the pod.
    Port(u16),
    /// `127.0.0.1:8080`.
    One(SocketAddr),
}

impl Address {
    /// Those to bind, the first that can be; none where it is off. An address of IPv6 takes both
    /// families, where the node has IPv6.
    pub(crate) fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::Off => Vec::new(),
            Self::Port(port) => vec![
                (Ipv6Addr::UNSPECIFIED, port).into(),
                (Ipv4Addr::UNSPECIFIED, port).into(),
            ],
            Self::One(address) => vec![address],
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self::Off);
        }
        match text.strip_prefix(':') {
            Some(port) => port.parse().ok().map(Self::Port),
            None => text.parse().ok().map(Self::One),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::Port(port) => write!(f, ":{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{}` is no address to listen on; expected `:8080`, `127.0.0.1:8080`, or `\"0\"` \
                 for none",
                trimtab_sim::excerpt::excerpt(&text)
            ))
        })
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`:8080`, `127.0.0.1:8080`, or `0` for none.",
            "type": "string",
            "pattern": "^0$|:[0-9]{1,5}$",
        })
    }
}

/// How pools without replicas are started when a request waits.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ScaleFromZero {
    /// Whether they are, by writing the `scale` subresource: HPA and KEDA's pulled triggers are too
    /// slow for it, or cannot. The queue of the endpoint picker is read every 100 ms while a pool has
    /// no replica.
    pub(crate) enabled: bool,
    /// Where a picker pod shows its metrics, with `{ip}`, `{pod}` and `{namespace}` in it.
    pub(crate) picker_address: String,
    /// File with a bearer token for pickers that ask for one; read each time. Whoever can put a pod
    /// behind an InferencePool is shown it: let it be good for nothing else.
    pub(crate) token_file: Option<String>,
}

impl Default for ScaleFromZero {
    fn default() -> Self {
        Self {
            enabled: true,
            picker_address: "http://{ip}:9090/metrics".to_owned(),
            token_file: None,
        }
    }
}

/// Which of several replicas decides.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LeaderElection {
    /// Without it, this process takes itself for the only one.
    pub(crate) enabled: bool,
    /// Name of the Lease, and beginning of the names of what is kept for a restart. Without it:
    /// `trimtab`, and with a `controllerInstance` that behind it, so that each has a leader.
    pub(crate) lease_name: Option<String>,
    /// Namespace of the Lease, and of what is kept for a restart. Without it: the pod's own, or
    /// that of the kubeconfig.
    pub(crate) namespace: Option<String>,
    /// How long a Lease that is not renewed is respected.
    pub(crate) lease_duration_seconds: Seconds,
    /// How long a leader that cannot renew goes on trying before it stands down; shorter than the
    /// Lease.
    pub(crate) renew_deadline_seconds: Seconds,
    /// Between two tries; shorter than the deadline.
    pub(crate) retry_period_seconds: Seconds,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            enabled: true,
            lease_name: None,
            namespace: None,
            lease_duration_seconds: Seconds::new(15),
            renew_deadline_seconds: Seconds::new(10),
            retry_period_seconds: Seconds::new(2),
        }
    }
}

/// What is written to standard error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Logging {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// A level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or directives such as
    /// `info,trimtab=debug`.
    pub(crate) level: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// Where traces are sent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Otlp {
    /// Address of a collector (OTLP), e.g. `http://otel-collector.monitoring.svc:4318`. Without
    /// it: nowhere.
    pub(crate) endpoint: Option<String>,
}
