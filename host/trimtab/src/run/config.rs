//! The configuration of the operator: defaults, WVA's ConfigMap, a YAML file, the environment and
//! flags, later ones winning key by key.

mod changes;
mod check;
mod duration;
mod entries;
mod layers;
mod policies;
pub(super) mod pools;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trimtab_core::snapshot::Mode;

pub(crate) use self::duration::Seconds;
pub(crate) use self::entries::{
    Address, ExternalMetrics, ExternalScaler, LeaderElection, Listen, LogFormat, Logging, Otlp,
    Prometheus, ScaleFromZero,
};
use self::layers::Layers;
pub(crate) use self::layers::{Setting, unknown_variables, wva_key};
pub(crate) use self::policies::{Maxima, Policies, Policy};
pub(crate) use self::pools::{
    Actuation, ObjectiveDefaults, ObjectiveEntry, PoolEntry, PoolIdentity, PoolSettings,
    ScaleToZeroDefaults, ScaleToZeroEntry,
};

/// Share of the interval that candidates in shadow may take, where nothing else is said.
const SHADOW_SHARE: f64 = 0.1;

/// What the operator is told. Durations are seconds, or as `90s`, `10m`, `1h30m`. Taken over while
/// running: `objective`, `pools`, `scaleToZero`, `budgetPerHour`, `mode`, `actuation`,
/// `logging.level` and the settings of the policies; everything else at the next start.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where measurements come from.
    pub(crate) prometheus: Prometheus,
    /// Between decisions.
    pub(crate) interval_seconds: Seconds,
    /// How long a cycle may take, at most three intervals. Without it: one interval.
    pub(crate) tick_timeout_seconds: Option<Seconds>,
    /// How long a decision stands: one that is older is told to nobody, so that whoever scales by it
    /// holds. Without it: three intervals, or three times what a cycle may take.
    pub(crate) max_decision_age_seconds: Option<Seconds>,
    /// Measurements older than this are stale: nothing shrinks on them.
    pub(crate) max_metrics_age_seconds: Seconds,
    /// Namespaces to watch. Empty: all.
    pub(crate) namespaces: Vec<String>,
    /// Namespaces to leave alone.
    pub(crate) excluded_namespaces: Vec<String>,
    /// Label selector of the nodes whose GPUs count, as kubectl takes it. Without it: all.
    pub(crate) node_selector: Option<String>,
    /// Handle only objects whose label `wva.llmd.ai/controller-instance` is this. Without it: all.
    pub(crate) controller_instance: Option<String>,
    /// Whether growth is held to the GPUs that are free.
    pub(crate) limit_to_inventory: bool,
    /// What becomes of decisions, where no entry of `pools` says otherwise: `enforce`, `observe`
    /// (computed and shown, never published) or `paused` (held).
    #[schemars(with = "pools::ModeSchema")]
    pub(crate) mode: Mode,
    /// Who sets the counts of workloads, where no entry of `pools` says otherwise.
    pub(crate) actuation: Actuation,
    /// Where we are asked.
    pub(crate) listen: Listen,
    /// How HPAs read us: `external.metrics.k8s.io`.
    pub(crate) external_metrics: ExternalMetrics,
    /// How KEDA reads us.
    pub(crate) external_scaler: ExternalScaler,
    /// Which of several replicas decides.
    pub(crate) leader_election: LeaderElection,
    /// What the users of pools were promised.
    pub(crate) objective: ObjectiveDefaults,
    /// Whether pools without requests go to zero.
    pub(crate) scale_to_zero: ScaleToZeroDefaults,
    /// How pools without replicas are started when a request waits.
    pub(crate) scale_from_zero: ScaleFromZero,
    /// Whether HPAs that are annotated with `llm-d.ai/managed` are given a tolerance of zero: by
    /// default they leave ten replicas alone where eleven are wanted. Kubernetes has the field from
    /// 1.35 on, and from 1.33 on with the gate HPAConfigurableTolerance.
    pub(crate) manage_hpa_tolerance: bool,
    /// What is different for some pools.
    pub(crate) pools: Vec<PoolEntry>,
    /// Cost per hour that all pools together may reach. Without it: no bound.
    pub(crate) budget_per_hour: Option<f64>,
    /// Who decides.
    pub(crate) policies: Policies,
    /// What is written to standard error.
    pub(crate) logging: Logging,
    /// Where traces are sent.
    pub(crate) otlp: Otlp,
    /// Most writes to the API server, as an average.
    pub(crate) writes_per_second: f64,
    /// How often what is kept for a restart is written; after a cycle in which a count changed, it
    /// is written at once.
    pub(crate) checkpoint_interval_seconds: Seconds,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prometheus: Prometheus::default(),
            interval_seconds: Seconds::new(15),
            tick_timeout_seconds: None,
            max_decision_age_seconds: None,
            // Four scrapes of 15 s, and one of slack.
            max_metrics_age_seconds: Seconds::new(75),
            namespaces: Vec::new(),
            excluded_namespaces: Vec::new(),
            node_selector: None,
            controller_instance: None,
            limit_to_inventory: true,
            mode: Mode::Enforce,
            actuation: Actuation::Metrics,
            listen: Listen::default(),
            external_metrics: ExternalMetrics::default(),
            external_scaler: ExternalScaler::default(),
            leader_election: LeaderElection::default(),
            objective: ObjectiveDefaults::default(),
            scale_to_zero: ScaleToZeroDefaults::default(),
            scale_from_zero: ScaleFromZero::default(),
            manage_hpa_tolerance: false,
            pools: Vec::new(),
            budget_per_hour: None,
            policies: Policies::default(),
            logging: Logging::default(),
            otlp: Otlp::default(),
            writes_per_second: 10.0,
            checkpoint_interval_seconds: Seconds::new(60),
        }
    }
}

/// Something of the configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key, or who set it; empty where the whole is meant.
    pub(crate) key: String,
    pub(crate) problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" | "." => f.write_str(&self.problem),
            key => write!(f, "{key}: {}", self.problem),
        }
    }
}

/// What a configuration is made of, the weakest first.
pub(crate) struct Sources<'a> {
    /// Of WVA's ConfigMap.
    pub(crate) wva: &'a [Setting],
    /// Name and text of the YAML file.
    pub(crate) file: Option<(&'a str, &'a str)>,
    /// A variable's value.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) flags: &'a [Setting],
}

impl Default for Sources<'_> {
    fn default() -> Self {
        Self {
            wva: &[],
            file: None,
            environment: &|_| None,
            flags: &[],
        }
    }
}

impl Config {
    /// # Errors
    /// Where a layer cannot be read, or the whole cannot be; names every key and what would be
    /// right.
    pub(crate) fn load(sources: &Sources<'_>) -> Result<Self> {
        let mut layers = Layers::new();
        for setting in sources.wva {
            layers.set(setting).map_err(anyhow::Error::msg)?;
        }
        if let Some((name, text)) = sources.file {
            match yaml::read(text) {
                Ok(value) => layers.file(value),
                Err(problem) => bail!("{name}: {problem}"),
            }
        }
        layers
            .environment(sources.environment)
            .map_err(anyhow::Error::msg)?;
        for setting in sources.flags {
            layers.set(setting).map_err(anyhow::Error::msg)?;
        }
        let config = layers.config().map_err(anyhow::Error::msg)?;
        let problems = config.problems();
        if problems.is_empty() {
            return Ok(config);
        }
        let lines = problems.into_iter().map(|Problem { key, problem }| {
            let key = layers.named(&key);
            format!("{key}: {problem}")
        });
        bail!("{}", lines.collect::<Vec<_>>().join("\n"))
    }

    /// The keys that settings set, and nothing else, as a file would have them.
    ///
    /// # Errors
    /// One of them cannot be.
    pub(crate) fn document(settings: &[Setting]) -> Result<serde_json::Value, Problem> {
        let mut layers = Layers::new();
        for setting in settings {
            layers.set(setting)?;
        }
        Ok(layers.into_document())
    }

    /// Processor time that candidates in shadow may take in a cycle.
    pub(crate) fn shadow_seconds(&self) -> f64 {
        let given = self.policies.shadow_seconds.map(Seconds::seconds);
        given.unwrap_or(self.interval_seconds.seconds() * SHADOW_SHARE)
    }

    /// How long a cycle may take.
    pub(crate) fn tick_timeout(&self) -> Seconds {
        self.tick_timeout_seconds.unwrap_or(self.interval_seconds)
    }

    /// Whether any pool is to be.
    pub(crate) fn scales_directly(&self) -> bool {
        let direct = Actuation::Direct;
        self.actuation == direct || self.pools.iter().any(|of| of.actuation == Some(direct))
    }

    /// Where the Lease and what is remembered are, and WVA's settings for all namespaces.
    /// `namespace` is that of the kubeconfig, or the pod's own.
    pub(crate) fn own_namespace(&self, namespace: &str) -> String {
        let given = self.leader_election.namespace.clone();
        given.unwrap_or_else(|| namespace.to_owned())
    }

    /// Name of the Lease: of all operators of one instance.
    pub(crate) fn lease_name(&self) -> String {
        let given = self.leader_election.lease_name.clone();
        given.unwrap_or_else(|| match &self.controller_instance {
            Some(instance) => format!("trimtab-{instance}"),
            None => "trimtab".to_owned(),
        })
    }

    /// JSON Schema (2020-12) of the file.
    pub(crate) fn schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".to_owned(), "Trimtab configuration".into());
        schema.to_value()
    }
}
