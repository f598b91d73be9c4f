//! InferencePools of both API versions, and the Services of their endpoint pickers.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::{Ignored, Labels, Object, lenient, or_default};

pub(crate) type InferencePool = Object<InferencePoolSpec, Ignored>;

/// `inference.networking.k8s.io/v1`, and `inference.networking.x-k8s.io/v1alpha2` in its terms.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct InferencePoolSpec {
    #[serde(deserialize_with = "selector")]
    pub(crate) selector: Labels,
    #[serde(alias = "extensionRef", deserialize_with = "lenient")]
    pub(crate) endpoint_picker_ref: PickerReference,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct PickerReference {
    #[serde(deserialize_with = "lenient")]
    pub(crate) kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) name: String,
}

/// v1 wraps the labels in `matchLabels`; v1alpha2 has them plain.
fn selector<'de, D: Deserializer<'de>>(from: D) -> Result<Labels, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        #[serde(rename_all = "camelCase")]
        V1 {
            match_labels: Labels,
        },
        Plain(Labels),
        Other(IgnoredAny),
    }
    Ok(match Option::<Written>::deserialize(from)? {
        Some(
            Written::V1 {
                match_labels: labels,
            }
            | Written::Plain(labels),
        ) => labels,
        Some(Written::Other(_)) | None => Labels::new(),
    })
}

pub(crate) type Service = Object<ServiceSpec, Ignored>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceSpec {
    #[serde(deserialize_with = "or_default")]
    pub(crate) selector: Labels,
}
