//! The configuration in the words of the crates that it is for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::core::Selector;
use tokio::net::TcpListener;
use trimtab_cluster::config::{Config as ClusterConfig, selector};
use trimtab_cluster::lease::LeaseConfig;
use trimtab_cluster::requests::{self, Told};
use trimtab_observe::{Probe, PrometheusConfig, Windows};
use trimtab_publish::metrics::Live;
use trimtab_sandbox::{OciConfig, Puller, Registry as PolicyRegistry, RegistryConfig, Sandbox};

use super::config::{Address, Config, Policies, Seconds};

/// Requests that do not watch: longer than a busy API server takes, shorter than a cycle.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Clients of the API server.
pub(crate) struct Clients {
    /// Waits as long as a watch lasts.
    pub(crate) watching: kube::Client,
    pub(crate) asking: kube::Client,
    /// Of the kubeconfig, or the pod's own.
    pub(crate) namespace: String,
}

impl Clients {
    /// As kubectl finds its cluster: KUBECONFIG, ~/.kube/config, or the pod's service account.
    ///
    /// # Errors
    /// There is no cluster to be found.
    pub(crate) async fn connect(live: &Live) -> Result<Self> {
        let mut config = kube::Config::infer()
            .await
            .context("no cluster: set KUBECONFIG, or run in a pod with a service account")?;
        config.connect_timeout = Some(REQUEST_TIMEOUT);
        let namespace = config.default_namespace.clone();
        tracing::info!(server = %config.cluster_url, namespace, "the API server");
        let live = live.clone();
        let told: Told = Arc::new(move |request| {
            live.api_request(
                request.verb,
                &request.resource,
                request.code,
                request.seconds,
            );
        });
        let watching = requests::client(config.clone(), Arc::clone(&told))?;
        config.read_timeout = Some(REQUEST_TIMEOUT);
        config.write_timeout = Some(REQUEST_TIMEOUT);
        let asking = requests::client(config, told)?;
        Ok(Self {
            watching,
            asking,
            namespace,
        })
    }
}

/// Share of a cycle's time in which Prometheus must answer: an answer that does not come is to be
/// seen as such, and not as a cycle that is given up.
const PROMETHEUS_SHARE: f64 = 2.0 / 3.0;

/// Shortest window for rates, in intervals between cycles.
const WINDOW_INTERVALS: f64 = 2.0;

/// # Errors
/// No Prometheus is named.
pub(crate) fn prometheus(config: &Config) -> Result<PrometheusConfig> {
    let configured = &config.prometheus;
    let Some(url) = configured.url.clone() else {
        bail!(
            "prometheus.url: nothing is given; expected the address of Prometheus, such as \
             --prometheus-url http://host:9090"
        );
    };
    let headers = configured.headers.iter();
    let longest = config.tick_timeout().seconds() * PROMETHEUS_SHARE;
    let timeout = configured.timeout_seconds.seconds().min(longest);
    Ok(PrometheusConfig {
        url,
        token_file: configured.bearer_token_file.clone().map(Into::into),
        ca_file: configured.ca_file.clone().map(Into::into),
        client_certificate_file: configured.client_cert_file.clone().map(Into::into),
        client_key_file: configured.client_key_file.clone().map(Into::into),
        headers: headers
            .map(|(name, value)| (name.clone(), value.0.clone()))
            .collect(),
        insecure_skip_verify: configured.insecure_skip_verify,
        query_timeout_seconds: timeout,
        deadline_seconds: timeout,
        windows: windows(config),
        ..PrometheusConfig::default()
    })
}

/// # Errors
/// There can be no HTTP client.
pub(super) fn probe(config: &Config) -> Result<Probe> {
    let configured = &config.scale_from_zero;
    let token = configured.token_file.clone().map(Into::into);
    Ok(Probe::new(&configured.picker_address, token)?)
}

/// A window that ends before the next begins would miss what comes between them, and a pool would
/// never be known to be idle.
fn windows(config: &Config) -> Windows {
    let configured = &config.prometheus;
    let intervals = config.interval_seconds.seconds() * WINDOW_INTERVALS;
    let short = configured.window_seconds.seconds().max(intervals);
    let long = configured.long_window_seconds.seconds().max(short);
    Windows {
        short_seconds: short.ceil() as u32,
        long_seconds: long.ceil() as u32,
    }
}

/// Cycles for which a decision stands, where nothing else is said.
const STANDING_CYCLES: f64 = 3.0;

/// How long a decision stands after its cycle began.
pub(super) fn longest_word_ms(config: &Config) -> u64 {
    let cycle = config.interval_seconds.seconds();
    let cycle = cycle.max(config.tick_timeout().seconds());
    let standing = config.max_decision_age_seconds;
    let seconds = standing.map_or(cycle * STANDING_CYCLES, Seconds::seconds);
    (seconds * 1000.0) as u64
}

/// # Errors
/// The node selector is none.
pub(crate) fn cluster(config: &Config) -> Result<ClusterConfig> {
    Ok(ClusterConfig {
        controller_instance: config.controller_instance.clone(),
        excluded_namespaces: config.excluded_namespaces.iter().cloned().collect(),
        node_selector: match &config.node_selector {
            Some(text) => selector(text).context("nodeSelector")?,
            None => Selector::default(),
        },
    })
}

/// The registry of policies. Starts its work, within a tokio runtime.
///
/// # Errors
/// What the configuration says of registries cannot be used.
pub(super) fn policies(sandbox: Sandbox, configured: &Policies) -> Result<Arc<PolicyRegistry>> {
    let oci = &configured.oci;
    let key = oci.public_key_file.as_ref().map(fs_err::read_to_string);
    let component_bytes = u64::from(configured.maxima.component_mib) << 20;
    let puller = Puller::new(OciConfig {
        mirrors: oci.mirrors.clone(),
        insecure_registries: oci.insecure_registries.clone(),
        ca_file: oci.ca_file.clone().map(Into::into),
        timeout_seconds: oci.timeout_seconds.seconds(),
        max_bytes: component_bytes,
        public_key: key.transpose().context("policies.oci.publicKeyFile")?,
    })
    .context("policies.oci")?;
    let config = RegistryConfig {
        directory: configured.directory.clone().map(Into::into),
        refetch: oci.refetch_seconds.duration(),
        max_component_bytes: usize::try_from(component_bytes).unwrap_or(usize::MAX),
        ..RegistryConfig::new(Arc::new(puller))
    };
    Ok(PolicyRegistry::start(Arc::new(sandbox), config))
}

/// Cycles after which figures in statuses are written again.
const FIGURES_CYCLES: f64 = 20.0;

/// How often figures in the statuses of PoolPolicies are written.
pub(super) fn figures_after_ms(config: &Config) -> u64 {
    (config.interval_seconds.seconds() * FIGURES_CYCLES * 1000.0) as u64
}

pub(super) fn lease(config: &Config, namespace: &str, identity: &str) -> LeaseConfig {
    let election = &config.leader_election;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    LeaseConfig {
        namespace: namespace.to_owned(),
        name: config.lease_name(),
        identity: identity.to_owned(),
        duration_ms: millis(election.lease_duration_seconds.duration()),
        renew_deadline_ms: millis(election.renew_deadline_seconds.duration()),
    }
}

/// The first address that can be had; `None` where none is wanted.
///
/// # Errors
/// None can be had.
pub(super) async fn bind(address: Address, key: &str) -> Result<Option<TcpListener>> {
    let mut refused = None;
    for candidate in address.candidates() {
        match TcpListener::bind(candidate).await {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    tracing::info!(%address, key, "listening");
                }
                return Ok(Some(listener));
            }
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) => Err(error).with_context(|| format!("{key}: cannot listen on {address}")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Prometheus;
    use super::*;

    #[test]
    fn prometheus_has_to_answer_well_before_a_cycle_is_given_up() {
        let mut config = Config {
            prometheus: Prometheus {
                url: Some("http://p".to_owned()),
                ..Prometheus::default()
            },
            ..Config::default()
        };
        let mut deadline = |interval: u32, timeout: Option<u32>| {
            config.interval_seconds = Seconds::new(interval);
            config.tick_timeout_seconds = timeout.map(Seconds::new);
            prometheus(&config).unwrap().deadline_seconds
        };
        assert_eq!(deadline(60, None), 10.0);
        assert_eq!(deadline(15, None), 10.0);
        assert_eq!(deadline(6, None), 4.0);
        assert_eq!(deadline(6, Some(12)), 8.0);
    }

    #[test]
    fn without_the_address_of_prometheus_nothing_runs() {
        let error = prometheus(&Config::default()).unwrap_err().to_string();
        assert!(
            error.starts_with("prometheus.url: nothing is given"),
            "{error}"
        );
    }

    #[test]
    fn windows_of_two_cycles_overlap() {
        let of = |interval: u32| {
            let config = Config {
                interval_seconds: Seconds::new(interval),
                ..Config::default()
            };
            let windows = windows(&config);
            (windows.short_seconds, windows.long_seconds)
        };
        assert_eq!(of(15), (60, 300));
        assert_eq!(of(60), (120, 300));
        assert_eq!(of(200), (400, 400));
    }
}
