//! What the API server refuses of a VariantAutoscaling, told before it is printed.

use anyhow::{Context as _, Result, anyhow};
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};
use trimtab_cluster::crd::VariantAutoscalingSpec;
use trimtab_sim::excerpt;

/// Of our own definition.
#[derive(Debug)]
pub(super) struct Rules {
    spec: Validator,
}

impl Rules {
    /// # Errors
    /// Our own schema is none.
    pub(super) fn new() -> Result<Self> {
        let schema = schemars::schema_for!(VariantAutoscalingSpec);
        let spec = jsonschema::validator_for(schema.as_value())
            .map_err(|error| anyhow!("{error}"))
            .context("the schema of VariantAutoscaling is no JSON Schema")?;
        Ok(Self { spec })
    }

    /// What is wrong with a spec; nothing where it is taken.
    pub(super) fn broken(&self, spec: &Map<String, Value>) -> Vec<String> {
        let mut spec = spec.clone();
        // The API server takes them for keys that are not there.
        spec.retain(|_, value| !value.is_null());
        let count = |key: &str| spec.get(key).and_then(Value::as_u64);
        let (min, max) = (count("minReplicas"), count("maxReplicas"));
        let spec = Value::Object(spec);
        let mut faults: Vec<String> = self.spec.iter_errors(&spec).map(|of| told(&of)).collect();
        // `format: int32`, of which JSON Schema knows nothing.
        for count in [min, max].into_iter().flatten() {
            if i32::try_from(count).is_err() {
                faults.push(format!("spec: {count} replicas are more than {}", i32::MAX));
            }
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            faults.push(format!(
                "spec.minReplicas: {min} is above maxReplicas ({max})"
            ));
        }
        faults
    }
}

fn told(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str().replace('/', ".");
    format!("spec{path}: {}", excerpt::message(&error.to_string()))
}
