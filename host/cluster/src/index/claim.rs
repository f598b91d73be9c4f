//! Claims: the objects that ask for a workload to be scaled, in whichever of three ways.

#[cfg(test)]
mod tests;

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Key;
use super::scaler::made_by_keda;
use super::target::WELL_KNOWN;
use crate::objects::Count;
use crate::objects::autoscaler::{HorizontalPodAutoscaler, ScaledObject};
use crate::objects::variant::{TargetReference, VariantAutoscaling, VariantStatus};

/// Cost of a replica for an hour where nothing is said of it, as in WVA.
const DEFAULT_COST: f64 = 10.0;

/// `llm-d.ai/managed: "true"` on an HPA or a ScaledObject makes it a claim.
pub(super) const MANAGED: &str = "llm-d.ai/managed";
const MODEL: &str = "llm-d.ai/model-id";
const COST: &str = "llm-d.ai/variant-cost";
/// Which of several operators in a cluster an object is for.
pub(crate) const CONTROLLER_INSTANCE: &str = "wva.llmd.ai/controller-instance";
pub(super) const ACCELERATOR: &str = "inference.optimization/acceleratorName";

/// KEDA's default for `maxReplicaCount`.
const KEDA_MAX_REPLICAS: u32 = 100;

/// The kind of object that a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    VariantAutoscaling,
    HorizontalPodAutoscaler,
    ScaledObject,
}

impl Way {
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::VariantAutoscaling => "VariantAutoscaling",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::ScaledObject => "ScaledObject",
        }
    }

    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::VariantAutoscaling => "llmd.ai/v1alpha1",
            Self::HorizontalPodAutoscaler => "autoscaling/v2",
            Self::ScaledObject => "keda.sh/v1alpha1",
        }
    }
}

/// The object that made a claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claimant {
    pub way: Way,
    pub namespace: String,
    pub name: String,
}

impl Claimant {
    pub(crate) fn new(way: Way, (namespace, name): Key) -> Self {
        Self {
            way,
            namespace,
            name,
        }
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, namespace, name) = (self.way.kind(), &self.namespace, &self.name);
        write!(f, "{kind} {namespace}/{name}")
    }
}

/// Anything with a `scale` subresource. Versions of one group are the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    pub namespace: String,
    pub group: String,
    pub kind: String,
    pub name: String,
}

impl TargetKey {
    pub(crate) fn is_of(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, kind) = (&self.group, &self.kind);
        f.write_str(kind)?;
        if !WELL_KNOWN.contains(&(group.as_str(), kind.as_str())) && !group.is_empty() {
            write!(f, ".{group}")?;
        }
        write!(f, " {}/{}", self.namespace, self.name)
    }
}

/// What a claimant asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) uid: String,
    pub(crate) target: TargetKey,
    /// `apiVersion` of the target as written; `None` where it was left out.
    pub(crate) target_version: Option<String>,
    /// Of the variant; `None` where it is that of the claimant or target.
    pub(crate) name: Option<String>,
    /// KEDA asked about it, and nothing in the cluster says that it is for us. It stands back behind
    /// any other claim of its target.
    pub(crate) registered: bool,
    /// `None` where the target's own command line is to say it.
    pub(crate) model: Option<String>,
    pub(crate) cost: f64,
    pub(crate) min_replicas: u32,
    pub(crate) max_replicas: u32,
    pub(crate) accelerator: Option<String>,
    pub(crate) instance: Option<String>,
    /// What the object's status says; `None` where nothing of ours can be in it.
    pub(crate) recorded: Option<VariantStatus>,
    /// What cannot be meant as it is written, though the rest is taken.
    pub(crate) faults: Vec<String>,
    /// Why nothing of it can be taken.
    pub(crate) unreadable: Option<String>,
}

/// What KEDA passed on of a ScaledObject's trigger when it asked about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    pub model: Option<String>,
    pub cost: Option<String>,
    /// Name of the variant.
    pub variant: Option<String>,
}

/// Bounds, as an object of some way in writes them.
struct Bounds<'a> {
    min: (&'a Count, &'static str),
    max: (&'a Count, &'static str),
    /// Where they are absent.
    absent: (u32, u32),
}

impl Claim {
    pub(crate) fn of_variant(object: &VariantAutoscaling) -> Self {
        let spec = &object.spec;
        let written = spec.variant_cost.as_deref();
        let bounds = Bounds {
            min: (&spec.min_replicas, "spec.minReplicas"),
            max: (&spec.max_replicas, "spec.maxReplicas"),
            absent: (1, u32::MAX),
        };
        let mut claim = Self::new(&object.metadata, &spec.scale_target_ref, &bounds);
        claim.set_cost(written, "spec.variantCost");
        claim.model = Some(spec.model_id.trim().to_owned()).filter(|model| !model.is_empty());
        claim.recorded = Some(object.status.clone());
        claim
    }

    /// `None` where the HPA is not ours to read: not annotated, or made by KEDA for a ScaledObject
    /// from which it inherits the annotations.
    pub(crate) fn of_hpa(object: &HorizontalPodAutoscaler) -> Option<Self> {
        if made_by_keda(&object.metadata).is_some() {
            return None;
        }
        let spec = &object.spec;
        let bounds = Bounds {
            min: (&spec.min_replicas, "spec.minReplicas"),
            max: (&spec.max_replicas, "spec.maxReplicas"),
            absent: (1, u32::MAX),
        };
        Self::annotated(&object.metadata, &spec.scale_target_ref, &bounds)
    }

    pub(crate) fn of_scaled_object(object: &ScaledObject) -> Option<Self> {
        let (target, bounds) = parts(object);
        Self::annotated(&object.metadata, target, &bounds)
    }

    /// Of one that says nothing of us.
    pub(crate) fn of_any_scaled_object(object: &ScaledObject) -> Self {
        let (target, bounds) = parts(object);
        Self::new(&object.metadata, target, &bounds)
    }

    /// With what KEDA passed on when it asked.
    pub(crate) fn registered(mut self, registration: &Registration) -> Self {
        let given = |text: &Option<String>| {
            let text = text.as_ref().map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        self.registered = true;
        self.name = given(&registration.variant);
        self.model = given(&registration.model);
        self.set_cost(registration.cost.as_deref(), "trigger metadata variantCost");
        self
    }

    fn annotated(
        metadata: &ObjectMeta,
        target: &TargetReference,
        bounds: &Bounds<'_>,
    ) -> Option<Self> {
        let annotations = metadata.annotations.as_ref()?;
        if annotations.get(MANAGED)? != "true" {
            return None;
        }
        let mut claim = Self::new(metadata, target, bounds);
        let cost = annotations.get(COST).map(String::as_str);
        claim.set_cost(cost, &format!("annotation {COST}"));
        let model = annotations.get(MODEL).map(|model| model.trim().to_owned());
        claim.model = model.filter(|model| !model.is_empty());
        Some(claim)
    }

    fn new(metadata: &ObjectMeta, target: &TargetReference, bounds: &Bounds<'_>) -> Self {
        let label = |key| metadata.labels.as_ref()?.get(key).cloned();
        let read = |(count, place): (&Count, &str), absent| count.or(absent, place);
        let min = read(bounds.min, bounds.absent.0);
        let max = read(bounds.max, bounds.absent.1);
        let unreadable = [&min, &max].into_iter().find_map(|of| of.clone().err());
        let min_replicas = min.unwrap_or(bounds.absent.0);
        let max_replicas = max.unwrap_or(bounds.absent.1);
        let mut faults = Vec::new();
        if min_replicas > max_replicas {
            faults.push(format!(
                "minReplicas {min_replicas} is above maxReplicas {max_replicas}: the minimum counts"
            ));
        }
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            target: target_key(metadata, target),
            target_version: target.api_version.clone(),
            name: None,
            registered: false,
            model: None,
            cost: DEFAULT_COST,
            min_replicas,
            max_replicas,
            accelerator: label(ACCELERATOR).filter(|name| !name.is_empty()),
            instance: label(CONTROLLER_INSTANCE),
            recorded: None,
            faults,
            unreadable,
        }
    }

    fn set_cost(&mut self, written: Option<&str>, place: &str) {
        let Some(written) = written else { return };
        match written.trim().parse::<f64>() {
            Ok(cost) if cost.is_finite() && cost >= 0.0 => self.cost = cost,
            _ => self.faults.push(format!(
                "{place}: `{written}` is no number of 0 or more; {DEFAULT_COST} is taken"
            )),
        }
    }
}

/// Target and bounds of a ScaledObject.
fn parts(object: &ScaledObject) -> (&TargetReference, Bounds<'_>) {
    let spec = &object.spec;
    let bounds = Bounds {
        min: (&spec.min_replica_count, "spec.minReplicaCount"),
        max: (&spec.max_replica_count, "spec.maxReplicaCount"),
        absent: (0, KEDA_MAX_REPLICAS),
    };
    (&spec.scale_target_ref, bounds)
}

/// What an object in this namespace scales.
pub(super) fn target_key(metadata: &ObjectMeta, target: &TargetReference) -> TargetKey {
    let kind = target.kind.clone().filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or_else(|| "Deployment".to_owned());
    TargetKey {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        group: target_group(target, &kind),
        kind,
        name: target.name.clone(),
    }
}

/// The group of an `apiVersion`; empty for the core group.
pub(super) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn target_group(target: &TargetReference, kind: &str) -> String {
    match target.api_version.as_deref() {
        Some(version) if !version.is_empty() => group(version),
        _ if kind == "LeaderWorkerSet" => "leaderworkerset.x-k8s.io",
        _ => "apps",
    }
    .to_owned()
}
