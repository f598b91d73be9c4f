//! HPAs and ScaledObjects as actuators: what they scale, what they scale by, and what they say came
//! of it. Whether or not they are claims, too.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_quantity::ParsedQuantity;

use super::claim::{TargetKey, group, target_key};
use crate::objects::Labels;
use crate::objects::autoscaler::{
    HorizontalPodAutoscaler, ScaledObject, ScalerCondition, Tolerances, Trigger,
};

/// An HPA or a ScaledObject.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scaler {
    pub(crate) target: TargetKey,
    /// The ScaledObject for which KEDA made this HPA.
    pub(crate) made_for: Option<String>,
    pub(crate) max_replicas: Option<u32>,
    /// Somebody told KEDA to leave the target alone.
    pub(crate) paused: bool,
    /// Share of the wanted count by which it may be missed, up and down; `None` where nothing is
    /// said of it.
    pub(crate) tolerance: (Option<f64>, Option<f64>),
    pub(crate) reads: Reads,
    /// By their types.
    pub(crate) conditions: BTreeMap<String, ScalerCondition>,
}

/// What it scales by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reads {
    External(Vec<Metric>),
    Triggers {
        triggers: Vec<Trigger>,
        /// What KEDA found that there is to read; `None` where it has not looked yet.
        known: Option<Vec<String>>,
    },
}

/// An External metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    /// Labels that are asked for.
    pub(crate) labels: Labels,
    /// Its target, where that is of each replica.
    pub(crate) average_value: Option<String>,
}

impl Scaler {
    pub(crate) fn of_hpa(object: &HorizontalPodAutoscaler) -> Self {
        let spec = &object.spec;
        let metrics = spec.metrics.iter();
        let external = metrics.filter_map(|metric| {
            let external = metric.external.as_ref()?;
            Some(Metric {
                name: external.metric.name.clone(),
                labels: external.metric.selector.match_labels.clone(),
                average_value: external.target.average_value.clone(),
            })
        });
        Self {
            target: target_key(&object.metadata, &spec.scale_target_ref),
            made_for: made_by_keda(&object.metadata),
            paused: false,
            max_replicas: spec.max_replicas.or(u32::MAX, "").ok(),
            tolerance: tolerances(&spec.behavior),
            reads: Reads::External(external.collect()),
            conditions: by_type(&object.status.conditions),
        }
    }

    pub(crate) fn of_scaled_object(object: &ScaledObject) -> Self {
        let spec = &object.spec;
        let behavior = &spec.advanced.horizontal_pod_autoscaler_config.behavior;
        let conditions = by_type(&object.status.conditions);
        // It leaves an empty list out.
        let looked = conditions
            .get("Ready")
            .is_some_and(|of| of.status == "True");
        let known = object.status.external_metric_names.clone();
        Self {
            target: target_key(&object.metadata, &spec.scale_target_ref),
            made_for: None,
            paused: is_paused(&object.metadata),
            max_replicas: spec.max_replica_count.or(u32::MAX, "").ok(),
            tolerance: tolerances(behavior),
            reads: Reads::Triggers {
                triggers: spec.triggers.clone(),
                known: known.or_else(|| looked.then(Vec::new)),
            },
            conditions,
        }
    }
}

/// The ScaledObject for which KEDA made an HPA.
pub(crate) fn made_by_keda(metadata: &ObjectMeta) -> Option<String> {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner =
        owners.find(|of| of.kind == "ScaledObject" && group(&of.api_version) == "keda.sh")?;
    Some(owner.name.clone())
}

/// As Go's `strconv.ParseBool` has it.
const FALSE: [&str; 6] = ["0", "f", "F", "FALSE", "false", "False"];

/// At the count that there is, or at a given one. KEDA takes whatever is not a word for false for
/// paused.
fn is_paused(metadata: &ObjectMeta) -> bool {
    let annotations = metadata.annotations.as_ref();
    let said = |key: &str| annotations.and_then(|all| all.get(key));
    said("autoscaling.keda.sh/paused-replicas").is_some()
        || said("autoscaling.keda.sh/paused")
            .is_some_and(|paused| !FALSE.contains(&paused.as_str()))
}

/// What Kubernetes writes as e.g. `50m`.
pub(crate) fn quantity(written: &str) -> Option<f64> {
    ParsedQuantity::try_from(written).ok()?.to_bytes_f64()
}

fn tolerances(behavior: &Tolerances) -> (Option<f64>, Option<f64>) {
    let read = |written: &Option<String>| quantity(written.as_deref()?);
    (
        read(&behavior.scale_up.tolerance),
        read(&behavior.scale_down.tolerance),
    )
}

fn by_type(conditions: &[ScalerCondition]) -> BTreeMap<String, ScalerCondition> {
    let conditions = conditions.iter();
    conditions
        .map(|condition| (condition.kind.clone(), condition.clone()))
        .collect()
}
