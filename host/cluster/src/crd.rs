//! Custom resources as they are installed: the schemas, columns and words that users see. What is
//! read of objects stands in `objects`, and takes more than these allow.

pub mod policy;
pub mod pool_policy;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::policy::ScalingPolicy;
use self::pool_policy::PoolPolicy;

/// One variant of a model: a workload whose replicas are to be counted out.
#[derive(Clone, Debug, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "llmd.ai",
    version = "v1alpha1",
    kind = "VariantAutoscaling",
    shortname = "va",
    namespaced,
    status = "VariantAutoscalingStatus",
    doc = "A variant: one of the workloads that serve a model, and how it may be scaled.",
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.scaleTargetRef.name"),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelID"),
    printcolumn(name = "Accelerator", type_ = "string", json_path = ".status.desiredOptimizedAlloc.accelerator"),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.currentReplicas"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desiredOptimizedAlloc.numReplicas"),
    printcolumn(name = "Metrics", type_ = "string", json_path = ".status.conditions[?(@.type=='MetricsAvailable')].reason"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("!has(self.spec.minReplicas) || !has(self.spec.maxReplicas) || self.spec.minReplicas <= self.spec.maxReplicas").message("minReplicas must not be above maxReplicas")
)]
#[serde(rename_all = "camelCase")]
pub struct VariantAutoscalingSpec {
    /// The workload to scale: anything with a `scale` subresource, in the same namespace.
    pub scale_target_ref: ScaleTargetRef,
    /// The model that it serves, as clients ask for it. Variants of one model belong together.
    #[serde(rename = "modelID")]
    #[schemars(length(min = 1))]
    pub model_id: String,
    /// Cost of one replica for an hour, in any currency, as a decimal number.
    #[serde(default = "default_cost")]
    #[schemars(regex(pattern = r"^\d+(\.\d+)?$"))]
    pub variant_cost: String,
    /// Replicas that are always kept; 0 allows scale-to-zero.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub min_replicas: i32,
    /// Replicas that are never exceeded. Without it only the autoscaler's own maximum holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_replicas: Option<i32>,
}

/// Names a workload.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTargetRef {
    /// API version, e.g. `apps/v1`. `apps` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind, e.g. Deployment, StatefulSet, LeaderWorkerSet.
    #[schemars(length(min = 1))]
    pub kind: String,
    #[schemars(length(min = 1))]
    pub name: String,
}

/// What was decided, and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariantAutoscalingStatus {
    /// The count that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_optimized_alloc: Option<DesiredOptimizedAlloc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actuation: Option<ActuationStatus>,
    /// Replicas that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// Why the count is what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `TargetResolved`, `MetricsAvailable`, `OptimizationReady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The count that is asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DesiredOptimizedAlloc {
    /// Not set while nothing was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub num_replicas: Option<i32>,
    /// Accelerator of its replicas; `unresolved` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// Instant of the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_run_time: Option<String>,
}

/// Whether the count is given to whoever scales.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActuationStatus {
    pub applied: bool,
}

fn default_cost() -> String {
    "10.0".to_owned()
}

const fn one() -> i32 {
    1
}

/// All custom resources of Trimtab.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        VariantAutoscaling::crd(),
        ScalingPolicy::crd(),
        PoolPolicy::crd(),
    ]
}

/// Whose VariantAutoscaling a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    Ours,
    /// Its last schema, which has bounds.
    OfWva,
    /// One that came before.
    Older,
}

/// `None` where there is none.
///
/// # Errors
/// The API server does not say.
pub async fn installed(client: &kube::Client) -> Result<Option<Installed>, kube::Error> {
    let all: kube::Api<CustomResourceDefinition> = kube::Api::all(client.clone());
    let found = all.get_opt(VariantAutoscaling::crd_name()).await?;
    Ok(found.map(|found| Installed::of(&found)))
}

impl Installed {
    fn of(found: &CustomResourceDefinition) -> Self {
        let mut versions = found.spec.versions.iter();
        let version = versions.find(|of| of.name == "v1alpha1");
        let schema = version.and_then(|of| of.schema.as_ref()?.open_api_v3_schema.as_ref());
        let has = |part: &str, field: &str| {
            let parts = schema.and_then(|schema| schema.properties.as_ref());
            let part = parts.and_then(|parts| parts.get(part)?.properties.as_ref());
            part.is_some_and(|fields| fields.contains_key(field))
        };
        if has("status", "currentReplicas") {
            Self::Ours
        } else if has("spec", "maxReplicas") {
            Self::OfWva
        } else {
            Self::Older
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field that users write says what it is.
    #[test]
    fn every_field_of_the_spec_of_a_policy_has_a_description() {
        fn undescribed(path: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
            let fields = schema["properties"].as_object().into_iter().flatten();
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                if field["description"].as_str().is_none_or(str::is_empty) {
                    found.push(path.clone());
                }
                undescribed(&path, field, found);
                undescribed(&format!("{path}[]"), &field["items"], found);
            }
        }
        let mut found = Vec::new();
        for definition in [ScalingPolicy::crd(), PoolPolicy::crd()] {
            let written = serde_json::to_value(&definition).unwrap();
            let schema = &written["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            undescribed(
                &definition.spec.names.kind,
                &schema["properties"]["spec"],
                &mut found,
            );
            undescribed("status", &schema["properties"]["status"], &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn our_own_definition_is_told_from_others() {
        let ours = VariantAutoscaling::crd();
        assert_eq!(Installed::of(&ours), Installed::Ours);
        let mut theirs = serde_json::to_value(&ours).unwrap();
        let schema = theirs.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties");
        let schema = schema.unwrap().as_object_mut().unwrap();
        schema.remove("status");
        let of = |value: &serde_json::Value| {
            Installed::of(&serde_json::from_value(value.clone()).unwrap())
        };
        assert_eq!(of(&theirs), Installed::OfWva);
        theirs["spec"]["versions"][0]["schema"] = serde_json::json!({});
        assert_eq!(of(&theirs), Installed::Older);
    }
}
