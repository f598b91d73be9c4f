//! One entry of a ConfigMap: a YAML document under a key, for all models or for one.

use std::collections::BTreeSet;

use serde_json::{Map as Fields, Value};
use trimtab_sim::excerpt::{excerpt, message};

use super::report::{Line, Verdict};
use super::{Data, Map};

/// The entry that holds for every model.
const DEFAULT: &str = "default";

/// An entry whose document could be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) map: Map,
    /// Namespace of the map; `None` for the system's.
    map_namespace: Option<String>,
    name: String,
    pub(super) scope: Scope,
    /// Without those that name the model.
    pub(super) fields: Fields<String, Value>,
}

/// Which pools an entry is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) namespace: Option<String>,
    pub(super) model: Option<String>,
}

impl Entry {
    pub(super) fn line(&self, key: &str, verdict: Verdict) -> Line {
        Line {
            map: self.map,
            namespace: self.map_namespace.clone(),
            entry: self.name.clone(),
            key: Some(key.to_owned()),
            verdict,
        }
    }

    /// Whether it is the default of the whole cluster.
    pub(super) fn is_global_default(&self) -> bool {
        self.scope == Scope::default()
    }
}

/// The entries of a map, in the order of their names. Those that cannot be are reported, and cost
/// only themselves.
pub(super) fn read(
    map: Map,
    namespace: Option<&str>,
    data: &Data,
    report: &mut Vec<Line>,
) -> Vec<Entry> {
    let mut scopes = BTreeSet::new();
    let mut entries = Vec::new();
    for (name, text) in data {
        let read = fields(text).and_then(|mut fields| {
            let scope = scope(name, namespace, &mut fields)?;
            if scopes.insert(scope.clone()) {
                Ok((scope, fields))
            } else {
                Err("another entry before it is for the same model; expected one".to_owned())
            }
        });
        match read {
            Ok((scope, fields)) => entries.push(Entry {
                map,
                map_namespace: namespace.map(str::to_owned),
                name: name.clone(),
                scope,
                fields,
            }),
            Err(problem) => report.push(Line {
                map,
                namespace: namespace.map(str::to_owned),
                entry: name.clone(),
                key: None,
                verdict: Verdict::Invalid(problem),
            }),
        }
    }
    entries
}

fn fields(text: &str) -> Result<Fields<String, Value>, String> {
    match serde_saphyr::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        // An entry with nothing in it.
        Ok(Value::Null) => Ok(Fields::new()),
        Ok(_) => Err("expected keys with values, in YAML".to_owned()),
        Err(error) => Err(message(&error.without_snippet().to_string())),
    }
}

/// Takes out what names the model. WVA's own manual names entries `MODEL#NAMESPACE`, which
/// Kubernetes refuses as a key of a ConfigMap, so the fields are what counts.
fn scope(
    name: &str,
    map_namespace: Option<&str>,
    fields: &mut Fields<String, Value>,
) -> Result<Scope, String> {
    let model = text(fields, "model_id")?;
    let namespace = text(fields, "namespace")?;
    if name == DEFAULT {
        return Ok(Scope {
            namespace: map_namespace.map(str::to_owned),
            model: None,
        });
    }
    let (named, named_namespace) = match name.rsplit_once('#') {
        Some((model, namespace)) => (Some(model.to_owned()), Some(namespace.to_owned())),
        None => (None, None),
    };
    let Some(model) = model.or(named) else {
        return Err(format!(
            "names no model; expected `model_id`, or the name `{DEFAULT}`"
        ));
    };
    let namespace = namespace.or(named_namespace);
    match (map_namespace, namespace) {
        (Some(own), Some(other)) if own != other => Err(format!(
            "is for namespace `{}`, and its map is in `{own}`; expected the same, or none",
            excerpt(&other)
        )),
        (own, other) => Ok(Scope {
            namespace: own.map(str::to_owned).or(other),
            model: Some(model),
        }),
    }
}

/// Empty text is as none.
fn text(fields: &mut Fields<String, Value>, key: &str) -> Result<Option<String>, String> {
    match fields.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("{key}: expected text")),
    }
}

/// A number in a range.
pub(super) fn number(value: &Value, least: f64, most: f64) -> Result<f64, Verdict> {
    match value.as_f64() {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Verdict::invalid(format!(
            "{} cannot be; expected a number from {least} to {most}",
            excerpt(&value.to_string())
        ))),
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, Verdict> {
    value.as_bool().ok_or_else(|| {
        Verdict::invalid(format!(
            "{} cannot be; expected true or false, without quotes",
            excerpt(&value.to_string())
        ))
    })
}
