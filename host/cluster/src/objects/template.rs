//! Pod templates, and what of a pod's spec is the same.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use super::{Labels, or_default};

/// What a workload makes its pods from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Template {
    #[serde(deserialize_with = "or_default")]
    pub(crate) metadata: TemplateMeta,
    #[serde(deserialize_with = "or_default")]
    pub(crate) spec: TemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TemplateMeta {
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: Labels,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TemplateSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) init_containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) node_selector: Labels,
    #[serde(deserialize_with = "or_default")]
    pub(crate) affinity: Affinity,
    #[serde(deserialize_with = "or_default")]
    pub(crate) resource_claims: Vec<ClaimReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) image: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) command: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) args: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) env: Vec<Variable>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) resources: Resources,
    /// `Always` makes an init container a sidecar, which runs beside the others.
    pub(crate) restart_policy: Option<String>,
}

impl Container {
    /// The value of an environment variable that is set literally; the last one counts.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let mut set = self.env.iter().filter(|variable| variable.name == name);
        set.next_back()?.value.as_deref()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Variable {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    #[serde(deserialize_with = "or_default")]
    pub(crate) requests: BTreeMap<String, Quantity>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) limits: BTreeMap<String, Quantity>,
}

/// `spec.resourceClaims[]`: devices asked for by dynamic resource allocation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClaimReference {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    pub(crate) resource_claim_name: Option<String>,
    pub(crate) resource_claim_template_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Affinity {
    #[serde(deserialize_with = "or_default")]
    pub(crate) node_affinity: NodeAffinity,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NodeAffinity {
    #[serde(
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "or_default"
    )]
    pub(crate) required: NodeSelector,
}

/// A node fits where it fits one of the terms; a term is fitted by all of its expressions.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSelector {
    #[serde(deserialize_with = "or_default")]
    pub(crate) node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NodeSelectorTerm {
    #[serde(deserialize_with = "or_default")]
    pub(crate) match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Expression {
    #[serde(deserialize_with = "or_default")]
    pub(crate) key: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) operator: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) values: Vec<String>,
}

impl Expression {
    /// Whether a node with these labels fits. Comparisons (`Gt`, `Lt`) are left to the scheduler:
    /// they fit whatever has the label.
    pub(crate) fn fits(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => !value.is_some_and(|value| self.values.contains(value)),
            "DoesNotExist" => value.is_none(),
            _ => value.is_some(),
        }
    }
}
