//! A Prometheus beside a control plane: it finds pods through the API, as it does in a cluster, and
//! scrapes one process on loopback for all of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::ControlPlane;
use crate::certificates::Pair;
use crate::http;
use crate::ports::free_port;
use crate::process::{Process, Program, Signal};
use crate::scratch::Scratch;
use crate::wait::{DEADLINE, wait_until};

/// What to scrape, and how.
#[derive(Clone, Debug)]
pub struct PrometheusOptions {
    pub scrape_interval: Duration,
    /// Pods of these are scraped.
    pub namespaces: Vec<String>,
    /// Who answers `/pods/NAMESPACE/POD/metrics` for all of them.
    pub pods: Option<SocketAddr>,
    /// Other targets, by job: their `/metrics`.
    pub jobs: BTreeMap<String, SocketAddr>,
    /// Whether it serves HTTPS, with a certificate of the control plane's authority, and wants a
    /// client's certificate from there.
    pub tls: bool,
}

impl Default for PrometheusOptions {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(1),
            namespaces: Vec::new(),
            pods: None,
            jobs: BTreeMap::new(),
            tls: false,
        }
    }
}

/// A running Prometheus. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Prometheus {
    process: Mutex<Process>,
    http: reqwest::Client,
    url: String,
    /// After the process, so that it is gone when this is removed.
    _scratch: Scratch,
}

/// One series of an answer: its labels without the name, and its value.
pub type Sample = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not get ready, with its log.
    pub async fn start(plane: &ControlPlane, options: PrometheusOptions) -> anyhow::Result<Self> {
        let scratch = Scratch::new("prometheus")?;
        let path = |file: &str| scratch.path().join(file);
        let config = config(&options, &plane.kubeconfig());
        fs_err::write(path("prometheus.yml"), config.to_string())?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut program = Program::new(
            "prometheus",
            plane.binaries().program("prometheus"),
            path("prometheus.log"),
        )
        .flag("config.file", path("prometheus.yml"))
        .flag("storage.tsdb.path", path("data"))
        .flag("web.listen-address", &address)
        .argument("--web.enable-lifecycle");
        let mut scheme = "http";
        if options.tls {
            let web = web_config(&plane.server_certificate(), &plane.authority());
            fs_err::write(path("web.yml"), web.to_string())?;
            program = program.flag("web.config.file", path("web.yml"));
            scheme = "https";
        }
        let prometheus = Self {
            process: Mutex::new(Process::start(program)?),
            http: plane.http_client()?,
            url: format!("{scheme}://{address}"),
            _scratch: scratch,
        };
        prometheus.ready().await?;
        Ok(prometheus)
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL).await
    }

    /// See [`ControlPlane::signal`].
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.lock().await.signal(signal).await
    }

    /// Starts it again after it was killed, with its data, and waits until it is ready.
    ///
    /// # Errors
    /// Where it still runs, or does not get ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.process.lock().await.restart()?;
        self.ready().await
    }

    /// Asks an instant query.
    ///
    /// # Errors
    /// Where it cannot be asked, or the query is wrong.
    pub async fn query(&self, promql: &str) -> anyhow::Result<Vec<Sample>> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.url))?;
        url.query_pairs_mut().append_pair("query", promql);
        let answer = http::get(&self.http, url.as_str()).await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let series = answer
            .pointer("/data/result")
            .and_then(Value::as_array)
            .context("an answer without a result")?;
        series.iter().map(sample).collect()
    }

    /// Asks until the answer holds, and gives it.
    ///
    /// # Errors
    /// Where it does not in time; says what the last answer was.
    pub async fn wait_for(
        &self,
        promql: &str,
        holds: impl Fn(&[Sample]) -> bool,
    ) -> anyhow::Result<Vec<Sample>> {
        wait_until(promql, DEADLINE, async || {
            let samples = self.query(promql).await?;
            ensure!(holds(&samples), "the answer is {samples:?}");
            Ok(samples)
        })
        .await
    }

    /// The last lines of its log.
    pub async fn log(&self, lines: usize) -> String {
        self.process.lock().await.log_tail(lines)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let url = format!("{}/-/ready", self.url);
        let look = async || http::get(&self.http, &url).await;
        let ready = wait_until("Prometheus is ready", DEADLINE, look).await;
        let log = self.log(30).await;
        ready.with_context(|| format!("the log of Prometheus ends:\n{log}"))?;
        Ok(())
    }
}

fn sample(series: &Value) -> anyhow::Result<Sample> {
    let labels = series.get("metric").cloned().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = serde_json::from_value(labels)?;
    labels.remove("__name__");
    let value = series.pointer("/value/1").and_then(Value::as_str);
    let value = value.context("a series without a value")?;
    Ok((labels, value.parse()?))
}

/// The configuration: JSON, which YAML has in it.
fn config(options: &PrometheusOptions, kubeconfig: &PathBuf) -> Value {
    let interval = format!("{}ms", options.scrape_interval.as_millis());
    let jobs = options.jobs.iter().map(|(job, address)| {
        json!({
            "job_name": job,
            "static_configs": [{"targets": [address.to_string()]}],
        })
    });
    let pods = options.pods.map(|address| {
        json!({
            "job_name": "pods",
            "kubernetes_sd_configs": [{
                "role": "pod",
                "kubeconfig_file": kubeconfig,
                "namespaces": {"names": options.namespaces},
            }],
            "relabel_configs": relabelling(address),
        })
    });
    json!({
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "scrape_configs": pods.into_iter().chain(jobs).collect::<Vec<Value>>(),
    })
}

/// Gives the labels that a PodMonitor gives, from ready pods alone and their port of metrics.
fn relabelling(address: SocketAddr) -> Value {
    let meta = |name: &str| format!("__meta_kubernetes_{name}");
    let keep = |source: &str, regex: &str| json!({"source_labels": [meta(source)], "regex": regex, "action": "keep"});
    let copy = |source: &str, target: &str| json!({"source_labels": [meta(source)], "target_label": target});
    let both = [meta("namespace"), meta("pod_name")];
    json!([
        keep("pod_ready", "true"),
        keep("pod_container_port_name", "http|metrics"),
        {
            "source_labels": both,
            "separator": "/",
            "target_label": "__metrics_path__",
            "replacement": "/pods/$1/metrics",
        },
        {
            "source_labels": [meta("pod_ip"), meta("pod_container_port_number")],
            "separator": ":",
            "target_label": "instance",
        },
        copy("namespace", "namespace"),
        copy("pod_name", "pod"),
        copy("pod_container_name", "container"),
        copy("pod_container_port_name", "endpoint"),
        {
            "source_labels": [meta("namespace"), meta("pod_container_name")],
            "separator": "/",
            "target_label": "job",
        },
        {"target_label": "__address__", "replacement": address.to_string()},
    ])
}

fn web_config(server: &Pair, authority: &PathBuf) -> Value {
    json!({
        "tls_server_config": {
            "cert_file": server.certificate,
            "key_file": server.key,
            "client_ca_file": authority,
            "client_auth_type": "RequireAndVerifyClientCert",
        },
    })
}
