//! What a component says of itself and what it can do.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use trimtab_contract::Descriptor;
use trimtab_core::policies::Digest;
use trimtab_sandbox::Policy;

use crate::figures;

#[derive(Serialize)]
struct Inspection<'a> {
    descriptor: &'a Descriptor,
    roles: Vec<&'static str>,
    digest: &'a Digest,
    /// In bytes.
    size: usize,
    /// Always empty: a component that imports anything is not admitted.
    imports: [&'static str; 0],
}

/// A policy as text, or as JSON.
pub(crate) fn inspect(policy: &Policy, json: bool) -> Result<String> {
    let inspection = Inspection {
        descriptor: policy.descriptor(),
        roles: roles(policy),
        digest: policy.digest(),
        size: policy.size(),
        imports: [],
    };
    if json {
        return Ok(serde_json::to_string_pretty(&inspection)? + "\n");
    }
    text(&inspection)
}

/// The roles that a component has, by the names that the contract gives their interfaces.
pub(crate) fn roles(policy: &Policy) -> Vec<&'static str> {
    let roles = policy.roles();
    [(roles.analyzer, "analyzer"), (roles.optimizer, "optimizer")]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
}

fn text(inspection: &Inspection<'_>) -> Result<String> {
    let descriptor = inspection.descriptor;
    let size = u64::try_from(inspection.size).unwrap_or(u64::MAX);
    let mut text = String::new();
    writeln!(text, "name      {} {}", descriptor.name, descriptor.version)?;
    writeln!(text, "summary   {}", descriptor.summary)?;
    writeln!(text, "roles     {}", inspection.roles.join(", "))?;
    writeln!(text, "digest    {}", inspection.digest)?;
    writeln!(text, "size      {} bytes", figures::count(size))?;
    writeln!(text, "imports   none")?;
    writeln!(text, "state     {}", descriptor.state_format)?;
    let schema = &descriptor.settings_schema;
    // A schema that is no JSON is shown as it is.
    let schema = serde_json::from_str::<Value>(schema)
        .and_then(|schema| serde_json::to_string_pretty(&schema))
        .unwrap_or_else(|_| schema.clone());
    writeln!(text, "settings  {schema}")?;
    Ok(text)
}
