//! Settings of a policy: a struct with serde and schemars, from which the schema comes too.

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;

use crate::Refusal;

/// Reads the operator's settings document.
///
/// # Errors
/// A settings refusal that names the field.
pub fn parse<S: DeserializeOwned>(document: &str) -> Result<S, Refusal> {
    let document = if document.trim().is_empty() {
        "{}"
    } else {
        document
    };
    // Serde would read a list as the fields in their order.
    if !document.trim_start().starts_with('{') {
        return Err(Refusal::Settings(
            "the settings are not an object; expected `{\"FIELD\": VALUE, …}`".to_owned(),
        ));
    }
    serde_json::from_str(document).map_err(|error| Refusal::Settings(error.to_string()))
}

/// JSON Schema of a settings struct, for the descriptor.
#[must_use]
pub fn schema<S: JsonSchema>() -> String {
    schema_for!(S).as_value().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Share {
        share: u32,
    }

    #[test]
    fn only_objects_are_settings() {
        assert_eq!(parse(" {\"share\": 2}"), Ok(Share { share: 2 }));
        assert_eq!(parse(""), Ok(Share::default()));
        for document in ["[2]", "2", "null", "\"share\""] {
            let Err(Refusal::Settings(why)) = parse::<Share>(document) else {
                panic!("{document} is taken");
            };
            assert!(why.starts_with("the settings are not an object"), "{why}");
        }
    }
}
