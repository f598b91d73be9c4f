//! Kubernetes objects as far as they are needed: what is not named here is dropped while it is
//! read, so that it takes no memory. Absent and null are the same.

pub(crate) mod autoscaler;
pub(crate) mod definition;
pub(crate) mod device;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod policy;
pub(crate) mod pool;
pub(crate) mod salvage;
pub(crate) mod template;
#[cfg(test)]
mod tests;
pub(crate) mod variant;
pub(crate) mod workload;

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// Any object, with the parts of its spec and status that `S` and `T` name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Object<S, T> {
    pub(crate) metadata: ObjectMeta,
    #[serde(
        deserialize_with = "or_default",
        bound(deserialize = "S: Default + Deserialize<'de>")
    )]
    pub(crate) spec: S,
    #[serde(
        deserialize_with = "or_default",
        bound(deserialize = "T: Default + Deserialize<'de>")
    )]
    pub(crate) status: T,
}

/// A part of an object that nobody needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from)?;
        Ok(Self)
    }
}

impl<S, T> kube::Resource for Object<S, T> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Labels, annotations or a selector.
pub(crate) type Labels = BTreeMap<String, String>;

/// A condition of a pod or node.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Condition {
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(crate) kind: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) status: String,
    pub(crate) last_transition_time: Option<Time>,
}

/// The instant at which a condition became true, in milliseconds since the Unix epoch; `None`
/// where it is not.
pub(crate) fn true_since_ms(conditions: &[Condition], kind: &str) -> Option<u64> {
    let condition = conditions
        .iter()
        .find(|condition| condition.kind == kind && condition.status == "True")?;
    Some(condition.last_transition_time.as_ref().map_or(0, millis))
}

pub(crate) fn millis(time: &Time) -> u64 {
    u64::try_from(time.0.as_millisecond()).unwrap_or(0)
}

/// Null is as missing.
pub(crate) fn or_default<'de, D, V>(from: D) -> Result<V, D::Error>
where
    D: Deserializer<'de>,
    V: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A count as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Count {
    #[default]
    Absent,
    Is(u32),
    /// Something that is no count.
    Odd(String),
}

impl Count {
    /// A bound must not be guessed.
    ///
    /// # Errors
    /// What is wrong with what stands at `place`.
    pub(crate) fn or(&self, absent: u32, place: &str) -> Result<u32, String> {
        match self {
            Self::Absent => Ok(absent),
            Self::Is(count) => Ok(*count),
            Self::Odd(written) => Err(format!("{place}: {written} is no count of replicas")),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = serde_json::Value::deserialize(from)?;
        let count = written.as_u64().and_then(|count| u32::try_from(count).ok());
        Ok(match count {
            Some(count) => Self::Is(count),
            None if written.is_null() => Self::Absent,
            None => Self::Odd(written.to_string()),
        })
    }
}

/// What is not of the expected form is as missing. For kinds whose schema is not Kubernetes' own:
/// one odd object must not hide the others of its list.
pub(crate) fn lenient<'de, D, V>(from: D) -> Result<V, D::Error>
where
    D: Deserializer<'de>,
    V: Default + Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written<V> {
        Expected(V),
        Other(IgnoredAny),
    }
    Ok(match Option::deserialize(from)? {
        Some(Written::Expected(value)) => value,
        Some(Written::Other(_)) | None => V::default(),
    })
}
