//! The format as a JSON Schema, for editors and for whoever writes a scenario.

use super::file::ScenarioFile;

/// JSON Schema (2020-12) of scenario files.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ScenarioFile);
    schema.insert("title".to_owned(), "Trimtab scenario".into());
    schema.to_value()
}
