//! Who decides, and where policies may come from.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::duration::Seconds;

/// Who decides, where no PoolPolicy says otherwise, and where policies may come from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Policies {
    /// Turns measurements into supply and demand. Without it: `builtin:queueing-analyzer`.
    #[schemars(with = "Policy")]
    #[serde(deserialize_with = "analyzer")]
    pub(crate) analyzer: Policy,
    /// Turns supply and demand into replica counts. Without it: `builtin:cost-optimizer`.
    #[schemars(with = "Policy")]
    #[serde(deserialize_with = "optimizer")]
    pub(crate) optimizer: Policy,
    /// Directory that ScalingPolicies with the source `directory` are read from. It is watched.
    /// Without it there are none.
    pub(crate) directory: Option<String>,
    /// Registries that ScalingPolicies with the source `oci` are pulled from.
    pub(crate) oci: Oci,
    /// The most that a ScalingPolicy's `limits` may ask for.
    pub(crate) maxima: Maxima,
    /// Processor time that candidates in shadow may take in a cycle; what does not fit is skipped.
    /// Without it: a tenth of the interval.
    pub(crate) shadow_seconds: Option<Seconds>,
}

/// A policy and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Policy {
    /// `builtin:NAME`, or the path of a component.
    #[schemars(with = "Option<String>")]
    pub(crate) policy: String,
    /// As the policy's own schema says.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub(crate) settings: Map<String, Value>,
}

/// [`Policy`] as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct WrittenPolicy {
    policy: Option<String>,
    settings: Map<String, Value>,
}

/// How registries are asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Oci {
    /// By registry, as references name it: hosts that are asked before it, in this order; a path
    /// after the host comes before the repository.
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts, with their port, that are asked without TLS. For trials.
    pub(crate) insecure_registries: BTreeSet<String>,
    /// File with the certificates (PEM) to trust beside the system's.
    pub(crate) ca_file: Option<String>,
    /// How long one registry may take for one policy.
    pub(crate) timeout_seconds: Seconds,
    /// How often tags are asked for again.
    pub(crate) refetch_seconds: Seconds,
    /// File with the public key (PEM) of cosign by which every policy of a registry must be
    /// signed. Without it none need be.
    pub(crate) public_key_file: Option<String>,
}

impl Default for Oci {
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            insecure_registries: BTreeSet::new(),
            ca_file: None,
            timeout_seconds: Seconds::new(60),
            refetch_seconds: Seconds::new(60),
            public_key_file: None,
        }
    }
}

/// Bounds of what ScalingPolicies may ask for, before the share that grows with the pool.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Maxima {
    /// Wall clock of one call.
    pub(crate) deadline_seconds: Seconds,
    /// Instructions of one call, as a multiple of the default.
    pub(crate) fuel_factor: f64,
    /// Memory of one call, in MiB.
    pub(crate) memory_mib: u32,
    /// What a policy may keep for its next call, in KiB.
    pub(crate) state_kib: u32,
    /// A component, in MiB. Compiling takes about 24 times as much memory.
    pub(crate) component_mib: u32,
}

impl Default for Maxima {
    fn default() -> Self {
        Self {
            deadline_seconds: Seconds::new(10),
            fuel_factor: 10.0,
            memory_mib: 512,
            state_kib: 1024,
            component_mib: 24,
        }
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            analyzer: WrittenPolicy::default().or("builtin:queueing-analyzer"),
            optimizer: WrittenPolicy::default().or("builtin:cost-optimizer"),
            directory: None,
            oci: Oci::default(),
            maxima: Maxima::default(),
            shadow_seconds: None,
        }
    }
}

impl WrittenPolicy {
    fn or(self, otherwise: &str) -> Policy {
        Policy {
            policy: self.policy.unwrap_or_else(|| otherwise.to_owned()),
            settings: self.settings,
        }
    }
}

fn analyzer<'de, D: Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    Ok(WrittenPolicy::deserialize(from)?.or("builtin:queueing-analyzer"))
}

fn optimizer<'de, D: Deserializer<'de>>(from: D) -> Result<Policy, D::Error> {
    Ok(WrittenPolicy::deserialize(from)?.or("builtin:cost-optimizer"))
}
