//! What is known of the workloads that are scaled: which of them serve a model, and under which name
//! they are or become variants.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use trimtab_cluster::workload::{self, Serving};

use super::object::{annotation, group, group_of, kind, name, namespace, text};
use super::plan::Fate;
use super::scaler::Kept;
use super::signal;

/// Annotation of an HPA or a ScaledObject that names the model.
const MODEL: &str = "llm-d.ai/model-id";
pub(super) const MANAGED: &str = "llm-d.ai/managed";

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

#[derive(Debug, Default)]
pub(super) struct Known {
    /// All that was read, with what its pods serve where it has a template of them.
    workloads: BTreeMap<Target, Option<Serving>>,
    /// Namespaces and selectors of InferencePools.
    pools: Vec<(String, BTreeMap<String, String>)>,
}

impl Known {
    pub(super) fn of(objects: &[&Value]) -> Self {
        let mut known = Self::default();
        for object in objects {
            if kind(object) == "InferencePool" && group(object).starts_with("inference.networking")
            {
                let selected = workload::selected(object);
                known.pools.push((namespace(object).to_owned(), selected));
            }
            // Any kind may be scaled: an HPA says which.
            let has_pods = object
                .pointer("/spec/template/spec/containers")
                .or_else(|| object.pointer("/spec/leaderWorkerTemplate"))
                .is_some();
            let serving = has_pods.then(|| workload::serving(object).unwrap_or_default());
            known.workloads.insert(itself(object), serving);
        }
        known
    }

    /// The model that a workload serves under its own name.
    pub(super) fn model(&self, target: &Target) -> Option<&str> {
        self.workloads.get(target)?.as_ref()?.model.as_deref()
    }

    /// The model that is served by the workload that `scaler` scales; or why it is none of ours, or
    /// cannot be known.
    pub(super) fn served(&self, scaler: &Value) -> Result<String, Kept> {
        let target = target(scaler);
        let unknown = |why: String| Err(Kept::new(Fate::NoEqual, why));
        let serving = match self.workloads.get(&target) {
            Some(Some(serving)) => serving,
            Some(None) => {
                return unknown(format!(
                    "{target} has no pod template of its own (spec.template) that would name its \
                     model: write its VariantAutoscaling by hand, with spec.modelID, and try again \
                     with it"
                ));
            }
            None => {
                return unknown(format!(
                    "{target} is not among what was read: give it too, or let it be read; if it is \
                     gone, delete this object"
                ));
            }
        };
        let in_pool = self.pools.iter().any(|(of, selector)| {
            let mut labels = selector.iter();
            *of == target.namespace
                && !selector.is_empty()
                && labels.all(|(key, value)| serving.labels.get(key) == Some(value))
        });
        let reads_server = signal::all(scaler).any(signal::is_of_server);
        if !serving.engine && !in_pool && !reads_server {
            let why = format!(
                "{target} serves no model: no engine is started in it, no InferencePool selects its \
                 pods, and this object reads no metric of a model server"
            );
            return Err(Kept::new(Fate::LeftAlone, why));
        }
        let said = annotation(scaler, MODEL).filter(|model| !model.trim().is_empty());
        match said.or(serving.model.as_deref()) {
            Some(model) => Ok(model.to_owned()),
            None => unknown(format!(
                "the command line of {target} names no model: annotate this object with {MODEL}, \
                 and try again"
            )),
        }
    }
}

fn itself(object: &Value) -> Target {
    Target {
        namespace: namespace(object).to_owned(),
        group: group(object).to_owned(),
        kind: kind(object).to_owned(),
        name: name(object).to_owned(),
    }
}

/// What an object scales. WVA's first schema named no target: it is the Deployment of the same name.
pub(super) fn target(scaler: &Value) -> Target {
    let of = |key: &str| {
        let said = text(scaler, &format!("/spec/scaleTargetRef/{key}"));
        said.filter(|said| !said.is_empty())
    };
    let kind = of("kind").unwrap_or("Deployment");
    let version = of("apiVersion").unwrap_or(version_of(kind));
    Target {
        namespace: namespace(scaler).to_owned(),
        group: group_of(version).to_owned(),
        kind: kind.to_owned(),
        name: of("name").unwrap_or(name(scaler)).to_owned(),
    }
}

/// The API version of a workload where nothing is said of it.
pub(super) fn version_of(kind: &str) -> &'static str {
    match kind {
        "LeaderWorkerSet" => "leaderworkerset.x-k8s.io/v1",
        _ => "apps/v1",
    }
}
