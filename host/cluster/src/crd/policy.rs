//! `ScalingPolicy`: where a policy comes from, and with what it is run.
#![allow(clippy::duplicated_attributes, reason = "columns are of the same type")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use kube_quantity::ParsedQuantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Name of an object.
const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A quantity of bytes that is not zero.
const BYTES: &str = r"^(0*[1-9][0-9]*(\.[0-9]+)?|0*\.0*[1-9][0-9]*)(k|M|G|Ki|Mi|Gi)?$";

/// A policy: an analyzer, an optimizer, or both in one component.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "trimtab.dev",
    version = "v1alpha1",
    kind = "ScalingPolicy",
    plural = "scalingpolicies",
    shortname = "sp",
    namespaced,
    status = "ScalingPolicyStatus",
    doc = "A policy that pools of this namespace may be bound to by a PoolPolicy; in Trimtab's own namespace, pools of every namespace.",
    printcolumn(name = "Policy", type_ = "string", json_path = ".status.name"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Roles", type_ = "string", json_path = ".status.roles"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(
        name = "Digest",
        type_ = "string",
        json_path = ".status.digest",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicySpec {
    /// Where its component is: exactly one of the fields.
    pub source: PolicySource,
    /// What the component must be, as `sha256:` and 64 hexadecimal digits; another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// As the policy's own JSON Schema says (`trimtab policy inspect` prints it). A PoolPolicy's
    /// settings replace those of the same name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free")]
    pub settings: Map<String, Value>,
    /// What a call may use; Trimtab's own defaults where nothing is said, and never more than its
    /// configuration allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PolicyLimits>,
}

/// An object of any content.
pub(super) fn free(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Where a component is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.builtin), has(self.directory), has(self.configMap), has(self.oci)].filter(x, x).size() == 1",
    "message": "exactly one of builtin, directory, configMap and oci must be set"
}]))]
pub struct PolicySource {
    /// Name of a policy that Trimtab brings, e.g. `queueing-analyzer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub builtin: Option<String>,
    /// A file in the policy directory that is mounted into Trimtab's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectorySource>,
    /// A ConfigMap of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// An artifact in an OCI registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci: Option<OciSource>,
}

/// A file in the policy directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.file.split('/').all(part, !(part in ['', '.', '..']))",
    "message": "file must be the path of a file within the policy directory: relative, without `.` and `..`"
}]))]
pub struct DirectorySource {
    /// Its path, from the directory on, e.g. `chat/analyzer.wasm`.
    #[schemars(length(min = 1, max = 512))]
    pub file: String,
}

/// A key of a ConfigMap's `binaryData`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapSource {
    /// Of the ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
    /// Without it, the ConfigMap must have exactly one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: Option<String>,
}

/// An artifact in an OCI registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciSource {
    /// e.g. `ghcr.io/acme/chat-analyzer@sha256:…`. A tag is asked for again every minute, and the
    /// status shows what it was resolved to; a digest never changes.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[^\s/:]+(:[0-9]+)?(/[^\s/:@]+)+(:[^\s/:@]+)?(@[^\s/@]+)?$")
    )]
    pub reference: String,
    /// Secrets of this namespace, of the type `kubernetes.io/dockerconfigjson`, that hold the
    /// registry's credentials. Trimtab must be granted `get` of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<LocalReference>,
}

/// An object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    /// Of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME))]
    pub name: String,
}

/// What a call may use, before the share that grows with the pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyLimits {
    /// Wall clock of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = true, "minimum" = 0))]
    pub deadline_seconds: Option<f64>,
    /// Instructions, as a multiple of the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = true, "minimum" = 0))]
    pub fuel_factor: Option<f64>,
    /// Memory of a call, as a quantity, e.g. `128Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = BYTES))]
    pub memory: Option<String>,
    /// What it may keep for its next call, as a quantity, e.g. `256Ki`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = BYTES))]
    pub state: Option<String>,
}

impl PolicyLimits {
    /// Bytes of `memory` and of `state`, where they are given.
    #[must_use]
    pub fn bytes(&self) -> [Option<u64>; 2] {
        [&self.memory, &self.state].map(|written| {
            let quantity = ParsedQuantity::try_from(written.as_deref()?).ok()?;
            quantity.to_bytes_f64().map(|bytes| bytes as u64)
        })
    }
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicyStatus {
    /// Generation of the object that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// SHA-256 of the component that is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What a tag was resolved to: the manifest's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// The version that stands in when this one faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good_digest: Option<String>,
    /// What the policy calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it says of its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `analyzer`, `optimizer`, or `analyzer,optimizer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
    /// Pools that are bound to it, and how: `namespace/pool (analyzer)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_by: Vec<String>,
    /// `Ready`: its component is loaded and takes its settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
