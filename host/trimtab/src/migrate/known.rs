//! What is known of the workloads that are scaled: which of them serve a model, and under which name
//! they are or become variants.

use std::collections::BTreeMap;

use serde_json::Value;
use trimtab_cluster::workload::{self, Serving};

use super::object::{annotation, group, kind, name, namespace, text};

/// Annotation of an HPA or a ScaledObject that names the model.
const MODEL: &str = "llm-d.ai/model-id";
pub(super) const MANAGED: &str = "llm-d.ai/managed";

/// A workload: namespace, kind and name.
pub(super) type Target = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct Known {
    workloads: BTreeMap<Target, Serving>,
    /// Namespaces and selectors of InferencePools.
    pools: Vec<(String, BTreeMap<String, String>)>,
    /// Names of the variants that are there.
    variants: BTreeMap<Target, String>,
}

/// What is to be done with what scales a workload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    Model(String),
    /// It is none of ours.
    Nothing(String),
    /// It cannot be known; why, and what to do.
    Unknown(String),
}

impl Known {
    pub(super) fn of(objects: &[Value]) -> Self {
        let mut known = Self::default();
        for object in objects {
            match (group(object), kind(object)) {
                ("apps", "Deployment" | "StatefulSet")
                | ("leaderworkerset.x-k8s.io", "LeaderWorkerSet") => {
                    let serving = workload::serving(object).unwrap_or_default();
                    known.workloads.insert(itself(object), serving);
                }
                (group, "InferencePool") if group.starts_with("inference.networking") => {
                    let selected = workload::selected(object);
                    known.pools.push((namespace(object).to_owned(), selected));
                }
                ("llmd.ai", "VariantAutoscaling") => {
                    let named = name(object).to_owned();
                    known.variants.insert(target(object), named);
                }
                _ => {}
            }
        }
        known
    }

    /// The variant that a workload is already.
    pub(super) fn variant(&self, target: &Target) -> Option<&str> {
        self.variants.get(target).map(String::as_str)
    }

    /// The model that a workload serves under its own name.
    pub(super) fn model(&self, target: &Target) -> Option<&str> {
        self.workloads.get(target)?.model.as_deref()
    }

    /// What the workload that `scaler` scales serves.
    pub(super) fn served(&self, scaler: &Value) -> Served {
        let target = target(scaler);
        let (_, kind, named) = &target;
        let Some(serving) = self.workloads.get(&target) else {
            return Served::Unknown(format!(
                "{kind} {named} is not among what was read: give it too, or let it be read"
            ));
        };
        let in_pool = self.pools.iter().any(|(of, selector)| {
            let mut labels = selector.iter();
            *of == target.0
                && !selector.is_empty()
                && labels.all(|(key, value)| serving.labels.get(key) == Some(value))
        });
        if !serving.engine && !in_pool {
            return Served::Nothing(format!(
                "{kind} {named} serves no model: no engine is started in it, and no InferencePool \
                 selects its pods"
            ));
        }
        let said = annotation(scaler, MODEL).map(str::to_owned);
        match said.or_else(|| serving.model.clone()) {
            Some(model) => Served::Model(model),
            None => Served::Unknown(format!(
                "the command line of {kind} {named} names no model: annotate this object with \
                 {MODEL}, and try again"
            )),
        }
    }
}

fn itself(object: &Value) -> Target {
    (
        namespace(object).to_owned(),
        kind(object).to_owned(),
        name(object).to_owned(),
    )
}

/// What an object scales. WVA's first schema named no target: it is the Deployment of the same name.
pub(super) fn target(scaler: &Value) -> Target {
    let of = |key: &str| text(scaler, &format!("/spec/scaleTargetRef/{key}"));
    (
        namespace(scaler).to_owned(),
        of("kind").unwrap_or("Deployment").to_owned(),
        of("name").unwrap_or(name(scaler)).to_owned(),
    )
}
