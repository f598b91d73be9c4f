//! The layers of the configuration, each over the ones before: defaults, WVA's ConfigMap, the file,
//! the environment, the flags.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use trimtab_sim::excerpt::excerpt;

use super::{Config, Problem, yaml};

/// One key, as text from outside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Who says so: a variable, a flag, a ConfigMap's key.
    pub(crate) origin: String,
    /// e.g. `prometheus.url`.
    pub(crate) key: String,
    pub(crate) text: String,
}

impl Setting {
    pub(crate) fn new(origin: &str, key: &str, text: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            key: key.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// A key that can be set by text.
pub(super) struct Key {
    pub(super) path: &'static str,
    kind: Kind,
    /// WVA's names for the same.
    wva: &'static [&'static str],
}

/// What a key's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Empty is as not set.
    Text,
    /// Separated by commas; empty is as not set.
    List,
    Flag,
    Number,
    Duration,
    /// The token of an `Authorization` header; empty is as not set.
    Bearer,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key {
        path,
        kind,
        wva: &[],
    }
}

const fn of_wva(path: &'static str, kind: Kind, wva: &'static [&'static str]) -> Key {
    Key { path, kind, wva }
}

/// Every key that has one value. The variable of a key is its path in capitals after `TRIMTAB_`.
pub(super) const KEYS: &[Key] = &[
    of_wva("prometheus.url", Kind::Text, &["PROMETHEUS_BASE_URL"]),
    of_wva(
        "prometheus.bearerTokenFile",
        Kind::Text,
        &["PROMETHEUS_TOKEN_PATH"],
    ),
    of_wva(
        "prometheus.headers.Authorization",
        Kind::Bearer,
        &["PROMETHEUS_BEARER_TOKEN"],
    ),
    of_wva(
        "prometheus.caFile",
        Kind::Text,
        &["PROMETHEUS_CA_CERT_PATH"],
    ),
    of_wva(
        "prometheus.clientCertFile",
        Kind::Text,
        &["PROMETHEUS_CLIENT_CERT_PATH"],
    ),
    of_wva(
        "prometheus.clientKeyFile",
        Kind::Text,
        &["PROMETHEUS_CLIENT_KEY_PATH"],
    ),
    of_wva(
        "prometheus.insecureSkipVerify",
        Kind::Flag,
        &["PROMETHEUS_TLS_INSECURE_SKIP_VERIFY"],
    ),
    key("prometheus.timeoutSeconds", Kind::Duration),
    key("prometheus.windowSeconds", Kind::Duration),
    key("prometheus.longWindowSeconds", Kind::Duration),
    of_wva("intervalSeconds", Kind::Duration, &["GLOBAL_OPT_INTERVAL"]),
    key("tickTimeoutSeconds", Kind::Duration),
    key("maxDecisionAgeSeconds", Kind::Duration),
    key("maxMetricsAgeSeconds", Kind::Duration),
    of_wva("namespaces", Kind::List, &["WATCH_NAMESPACE"]),
    key("excludedNamespaces", Kind::List),
    of_wva("nodeSelector", Kind::Text, &["WVA_NODE_SELECTOR"]),
    of_wva("controllerInstance", Kind::Text, &["CONTROLLER_INSTANCE"]),
    of_wva("limitToInventory", Kind::Flag, &["WVA_LIMITED_MODE"]),
    key("mode", Kind::Text),
    key("actuation", Kind::Text),
    key("manageHpaTolerance", Kind::Flag),
    key("listen.metrics", Kind::Text),
    key("listen.health", Kind::Text),
    key("listen.externalMetrics", Kind::Text),
    key("listen.externalScaler", Kind::Text),
    key("externalMetrics.service", Kind::Text),
    key("externalMetrics.certFile", Kind::Text),
    key("externalMetrics.keyFile", Kind::Text),
    key("externalMetrics.secret", Kind::Text),
    key("externalScaler.certFile", Kind::Text),
    key("externalScaler.keyFile", Kind::Text),
    key("externalScaler.clientCaFile", Kind::Text),
    key("leaderElection.enabled", Kind::Flag),
    key("leaderElection.leaseName", Kind::Text),
    of_wva("leaderElection.namespace", Kind::Text, &["POD_NAMESPACE"]),
    key("leaderElection.leaseDurationSeconds", Kind::Duration),
    key("leaderElection.renewDeadlineSeconds", Kind::Duration),
    key("leaderElection.retryPeriodSeconds", Kind::Duration),
    key("objective.ttftSeconds", Kind::Duration),
    key("objective.itlSeconds", Kind::Duration),
    key("objective.tokensPerSecond", Kind::Number),
    key("objective.percentile", Kind::Number),
    key("objective.priority", Kind::Number),
    key("budgetPerHour", Kind::Number),
    of_wva("scaleToZero.enabled", Kind::Flag, &["WVA_SCALE_TO_ZERO"]),
    key("scaleToZero.retention", Kind::Duration),
    key("scaleFromZero.enabled", Kind::Flag),
    key("scaleFromZero.pickerAddress", Kind::Text),
    key("scaleFromZero.tokenFile", Kind::Text),
    key("policies.analyzer.policy", Kind::Text),
    key("policies.optimizer.policy", Kind::Text),
    key("policies.directory", Kind::Text),
    key("policies.shadowSeconds", Kind::Duration),
    key("policies.oci.insecureRegistries", Kind::List),
    key("policies.oci.caFile", Kind::Text),
    key("policies.oci.timeoutSeconds", Kind::Duration),
    key("policies.oci.refetchSeconds", Kind::Duration),
    key("policies.oci.publicKeyFile", Kind::Text),
    key("policies.maxima.deadlineSeconds", Kind::Duration),
    key("policies.maxima.fuelFactor", Kind::Number),
    key("policies.maxima.memoryMib", Kind::Number),
    key("policies.maxima.stateKib", Kind::Number),
    key("policies.maxima.componentMib", Kind::Number),
    key("logging.format", Kind::Text),
    of_wva("logging.level", Kind::Text, &["LOG_LEVEL"]),
    key("otlp.endpoint", Kind::Text),
    key("writesPerSecond", Kind::Number),
    key("checkpointIntervalSeconds", Kind::Duration),
];

/// Variables that stand for flags of the command and are no keys.
const OF_THE_COMMAND: [&str; 2] = ["TRIMTAB_CONFIG", "TRIMTAB_CACHE"];

/// The key that WVA calls so.
pub(crate) fn wva_key(name: &str) -> Option<&'static str> {
    let mut keys = KEYS.iter();
    keys.find(|key| key.wva.contains(&name)).map(|key| key.path)
}

/// `prometheus.bearerTokenFile` is `TRIMTAB_PROMETHEUS_BEARER_TOKEN_FILE`.
pub(super) fn variable(path: &str) -> String {
    let mut name = "TRIMTAB_".to_owned();
    let mut before = '.';
    for letter in path.chars() {
        if letter == '.' {
            name.push('_');
        } else {
            if letter.is_ascii_uppercase() && before != '.' {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        before = letter;
    }
    name
}

/// Variables of the environment that are written as ours and set no key, with the nearest that
/// does. What Kubernetes sets in a pod for a Service named `trimtab…` is none of them.
pub(crate) fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<(String, String)> {
    let known: Vec<String> = KEYS.iter().map(|key| variable(key.path)).collect();
    let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
    known.extend(OF_THE_COMMAND);
    let unknown = names.into_iter().filter(|name| {
        let of_a_service = name.contains("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || name.contains("_PORT_")
            || name.ends_with("_PORT");
        name.starts_with("TRIMTAB_") && !known.contains(&name.as_str()) && !of_a_service
    });
    unknown
        .map(|name| {
            let near = nearest(&name, &known).to_owned();
            (name, near)
        })
        .collect()
}

/// A document that layers are laid over.
pub(super) struct Layers {
    document: Value,
    /// Who set a key, for errors.
    origins: BTreeMap<String, String>,
}

impl Layers {
    pub(super) fn new() -> Self {
        Self {
            document: Value::Object(Map::new()),
            origins: BTreeMap::new(),
        }
    }

    pub(super) fn file(&mut self, value: Value) {
        merge(&mut self.document, value);
        self.origins.clear();
    }

    /// WVA's names first: our own win over them.
    pub(super) fn environment(
        &mut self,
        variable_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), Problem> {
        for key in KEYS {
            let own = variable(key.path);
            let names = key.wva.iter().copied().chain([own.as_str()]);
            for name in names {
                if let Some(text) = variable_of(name) {
                    self.set(&Setting::new(name, key.path, &text))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn set(&mut self, setting: &Setting) -> Result<(), Problem> {
        let problem = |problem: String| Problem {
            key: setting.origin.clone(),
            problem: format!("{} (key {})", problem, setting.key),
        };
        let mut keys = KEYS.iter();
        let Some(key) = keys.find(|key| key.path == setting.key) else {
            let known: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
            let near = nearest(&setting.key, &known);
            return Err(Problem {
                key: setting.origin.clone(),
                problem: format!(
                    "there is no key `{}` with one value; nearest is `{near}`",
                    excerpt(&setting.key)
                ),
            });
        };
        let Some(value) = key.kind.read(&setting.text).map_err(problem)? else {
            return Ok(());
        };
        let mut tried = self.document.clone();
        merge(&mut tried, nested(key.path, value));
        yaml::whole(&tried).map_err(|found| problem(found.problem))?;
        self.document = tried;
        self.origins
            .insert(setting.key.clone(), setting.origin.clone());
        Ok(())
    }

    pub(super) fn into_document(self) -> Value {
        self.document
    }

    pub(super) fn config(&self) -> Result<Config, Problem> {
        yaml::whole(&self.document)
    }

    /// A key, with whoever set it.
    pub(super) fn named(&self, key: &str) -> String {
        match self.origins.get(key) {
            Some(origin) => format!("{key} (set by {origin})"),
            None => key.to_owned(),
        }
    }
}

impl Kind {
    /// `None` where the text is as if it were not there.
    fn read(self, text: &str) -> Result<Option<Value>, String> {
        let text = text.trim();
        let wrong = |expected: &str| format!("`{}` is not {expected}", excerpt(text));
        if text.is_empty() && matches!(self, Self::Text | Self::List | Self::Bearer) {
            return Ok(None);
        }
        Ok(Some(match self {
            // A duration is read by its own type: also an empty one, which it refuses.
            Self::Text | Self::Duration => text.into(),
            Self::Bearer => format!("Bearer {text}").into(),
            Self::List => {
                let parts = text.split(',').map(str::trim);
                parts.filter(|part| !part.is_empty()).collect()
            }
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => true.into(),
                "false" | "0" => false.into(),
                _ => return Err(wrong("`true` or `false`")),
            },
            Self::Number => number(text).ok_or_else(|| wrong("a number"))?,
        }))
    }
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    let number: f64 = text.parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

/// `{"a": {"b": value}}` for `a.b`.
fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, name| {
        Value::Object(Map::from_iter([(name.to_owned(), inner)]))
    })
}

/// Objects key by key; anything else is replaced.
fn merge(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                merge(below.entry(name).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    let far = |of: &&&str| -(strsim::jaro_winkler(name, of) * 1e6) as i64;
    known.iter().min_by_key(far).copied().unwrap_or_default()
}

impl Setting {
    /// What is wrong with it by itself; `None` where it can be.
    pub(crate) fn problem(&self) -> Option<String> {
        let mut layers = Layers::new();
        let tried = layers.set(self).and_then(|()| layers.config());
        match tried {
            Err(found) => Some(found.problem),
            Ok(config) => {
                let mut found = config.problems().into_iter();
                // Other keys are wrong only because they are not there.
                let of_key = found.find(|problem| problem.key == self.key);
                of_key
                    .map(|found| found.problem)
                    .filter(|_| !self.text.trim().is_empty())
            }
        }
    }
}
