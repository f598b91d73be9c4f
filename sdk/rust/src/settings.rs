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
    serde_json::from_str(document).map_err(|error| Refusal::Settings(error.to_string()))
}

/// JSON Schema of a settings struct, for the descriptor.
#[must_use]
pub fn schema<S: JsonSchema>() -> String {
    schema_for!(S).as_value().to_string()
}
