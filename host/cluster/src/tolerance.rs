//! Sets the tolerance of an HPA, of which a tenth is too much where what is asked for is a count.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Error};
use serde_json::json;

use crate::index::claim::Claimant;

/// What must be granted.
pub const RIGHTS: &str = "`patch` of horizontalpodautoscalers";

/// Sets it to zero, up and down. False where the API server does not know of it: before Kubernetes
/// 1.33, and up to 1.34 without the gate HPAConfigurableTolerance.
///
/// # Errors
/// The API server did not do it.
pub async fn set_to_zero(client: &Client, hpa: &Claimant) -> Result<bool, Error> {
    let gvk = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "horizontalpodautoscalers");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &hpa.namespace, &resource);
    let none = json!({"tolerance": "0"});
    let patch = json!({"spec": {"behavior": {"scaleUp": none, "scaleDown": none}}});
    let patched = api
        .patch(&hpa.name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(patched
        .data
        .pointer("/spec/behavior/scaleUp/tolerance")
        .is_some())
}
