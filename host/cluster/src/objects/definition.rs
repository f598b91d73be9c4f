//! Definitions of custom kinds, as far as they say where a kind keeps its counts.

use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

use super::workload::Workload;
use super::{Ignored, Object, or_default};

pub(crate) type Definition = Object<DefinitionSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DefinitionSpec {
    versions: Vec<DefinedVersion>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct DefinedVersion {
    name: String,
    #[serde(deserialize_with = "or_default")]
    subresources: Subresources,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Subresources {
    scale: Option<ScalePaths>,
}

/// Where objects of a kind say how many replicas are wanted, and how many there are: names of
/// fields, each after a dot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScalePaths {
    pub(crate) spec_replicas_path: String,
    pub(crate) status_replicas_path: String,
}

/// As the workloads of Kubernetes itself have it.
impl Default for ScalePaths {
    fn default() -> Self {
        Self {
            spec_replicas_path: ".spec.replicas".to_owned(),
            status_replicas_path: ".status.replicas".to_owned(),
        }
    }
}

impl DefinitionSpec {
    /// As the definition's version says; where it says nothing, as most kinds have it.
    pub(crate) fn scale_paths(self, version: &str) -> ScalePaths {
        let mut versions = self.versions.into_iter();
        let version = versions.find(|defined| defined.name == version);
        version
            .and_then(|version| version.subresources.scale)
            .unwrap_or_default()
    }
}

impl ScalePaths {
    /// The object as a workload that keeps its counts where Kubernetes' own do.
    pub(crate) fn workload(&self, object: DynamicObject) -> Workload {
        let mut data = object.data;
        let spec = at(&data, &self.spec_replicas_path);
        let status = at(&data, &self.status_replicas_path);
        put(&mut data, "spec", spec);
        put(&mut data, "status", status);
        let read: Result<Workload, _> = serde_json::from_value(data);
        Workload {
            metadata: object.metadata,
            ..read.unwrap_or_default()
        }
    }
}

fn at(data: &Value, path: &str) -> Value {
    let names = path.split('.').filter(|name| !name.is_empty());
    let found = names.into_iter().try_fold(data, |at, name| at.get(name));
    found.cloned().unwrap_or_default()
}

/// Sets `replicas` of a part of the object; where the part is missing, it is made.
fn put(data: &mut Value, part: &str, replicas: Value) {
    let Value::Object(parts) = data else {
        return;
    };
    let fields = parts
        .entry(part)
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Value::Object(fields) = fields {
        fields.insert("replicas".to_owned(), replicas);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(scale: Value) -> DefinitionSpec {
        let definition: Definition = serde_json::from_value(json!({
            "metadata": {"name": "fleets.example.com"},
            "spec": {"group": "example.com", "versions": [
                {"name": "v1alpha1", "served": true, "subresources": {"status": {}}},
                {"name": "v1", "served": true, "subresources": {"status": {}, "scale": scale}},
            ]},
        }))
        .unwrap();
        definition.spec
    }

    fn object(data: Value) -> DynamicObject {
        let mut object: DynamicObject =
            serde_json::from_value(json!({"metadata": {"name": "f", "namespace": "a"}})).unwrap();
        object.data = data;
        object
    }

    #[test]
    fn counts_are_read_where_the_kind_keeps_them() {
        let scale = json!({
            "specReplicasPath": ".spec.fleet.size",
            "statusReplicasPath": ".status.running",
            "labelSelectorPath": ".status.selector",
        });
        let paths = definition(scale.clone()).scale_paths("v1");
        let workload = paths.workload(object(json!({
            // What stands where others keep their count means something else here.
            "spec": {"fleet": {"size": 5}, "replicas": 2},
            "status": {"running": 4},
        })));
        assert_eq!(workload.metadata.name.as_deref(), Some("f"));
        assert_eq!(workload.spec.value.replicas, Some(5));
        assert_eq!(workload.status.replicas, Some(4));
        let silent = paths.workload(object(json!({"spec": {"replicas": 2}})));
        assert_eq!(silent.spec.value.replicas, None);
        assert_eq!(silent.status.replicas, None);
        let other = definition(scale).scale_paths("v1alpha1");
        assert_eq!(other, ScalePaths::default());
    }

    #[test]
    fn a_path_may_lead_out_of_the_spec() {
        let paths = ScalePaths {
            spec_replicas_path: ".size".to_owned(),
            status_replicas_path: ".status.replicas".to_owned(),
        };
        let workload = paths.workload(object(json!({"size": 3})));
        assert_eq!(workload.spec.value.replicas, Some(3));
        let odd = paths.workload(object(json!({"size": "many"})));
        assert_eq!(odd.spec.value.replicas, None);
        assert_eq!(odd.spec.left_out, [".replicas"]);
    }
}
