//! Devices of dynamic resource allocation (`resource.k8s.io/v1`): what there is and who has it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Ignored, Object, or_default};

pub(crate) type ResourceSlice = Object<SliceSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SliceSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) driver: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) pool: SlicePool,
    pub(crate) node_name: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) devices: Vec<Device>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SlicePool {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) generation: i64,
    /// Slices that make up this generation of the pool.
    #[serde(deserialize_with = "or_default")]
    pub(crate) resource_slice_count: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Device {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Attribute {
    pub(crate) string: Option<String>,
}

pub(crate) type ResourceClaim = Object<ClaimSpec, ClaimStatus>;

/// A claim template wraps a claim's spec in a spec of its own.
pub(crate) type ResourceClaimTemplate = Object<ClaimTemplateSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClaimTemplateSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) spec: ClaimSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClaimSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) devices: DeviceClaim,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DeviceClaim {
    #[serde(deserialize_with = "or_default")]
    pub(crate) requests: Vec<DeviceRequest>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeviceRequest {
    pub(crate) exactly: Option<ExactRequest>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) first_available: Vec<ExactRequest>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExactRequest {
    #[serde(deserialize_with = "or_default")]
    pub(crate) device_class_name: String,
    /// 1 where it is not set.
    pub(crate) count: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) admin_access: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClaimStatus {
    #[serde(deserialize_with = "or_default")]
    pub(crate) allocation: Allocation,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Allocation {
    #[serde(deserialize_with = "or_default")]
    pub(crate) devices: AllocatedDevices,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AllocatedDevices {
    #[serde(deserialize_with = "or_default")]
    pub(crate) results: Vec<AllocatedDevice>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AllocatedDevice {
    #[serde(deserialize_with = "or_default")]
    pub(crate) driver: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) pool: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) device: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) admin_access: bool,
}
