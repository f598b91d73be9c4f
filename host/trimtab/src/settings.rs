//! A policy's settings, held against its own schema and against the policy itself, before a run
//! in which it would refuse every tick.

use anyhow::{Context as _, Result, bail};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use trimtab_contract::{Context, Descriptor, Limits, Objective, Pool, Refusal, Workload};
use trimtab_core::policies::{Analyzer, CallError, Optimizer};
use trimtab_sim::excerpt;
use trimtab_sim::run::START_MS;

use crate::binding::Settings;

/// Refuses settings that do not fit the schema, or that the policy itself refuses when it is
/// tried with them: a schema does not say everything.
pub(crate) fn check(
    policy: &Descriptor,
    given: &Settings<'_>,
    attempt: impl FnOnce() -> Result<(), CallError>,
) -> Result<()> {
    let place = given.place;
    if !policy.settings_schema.trim().is_empty() {
        let schema: Value = serde_json::from_str(&policy.settings_schema).with_context(|| {
            format!("the settings schema of policy `{}` is no JSON", policy.name)
        })?;
        fit(&schema, given.document, place, &policy.name)?;
    }
    if let Err(CallError::Refused(Refusal::Settings(why))) = attempt() {
        bail!(
            "{place}: policy `{}` refuses them: {}",
            policy.name,
            excerpt::message(&why)
        );
    }
    Ok(())
}

fn fit(schema: &Value, settings: &str, place: &str, policy: &str) -> Result<()> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => bail!(
            "the settings schema of policy `{policy}` is not a JSON Schema: {}",
            excerpt::message(&error.to_string())
        ),
    };
    let settings = serde_json::from_str(settings)?;
    match validator.iter_errors(&settings).next() {
        Some(error) => bail!("{place}{}", problem(&error, schema)),
        None => Ok(()),
    }
}

/// The rest of the path, and what is wrong there.
fn problem(error: &ValidationError<'_>, schema: &Value) -> String {
    let path = path(error.instance_path().as_str());
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
        return format!("{path}: {}", excerpt::message(&error.to_string()));
    };
    let name = unexpected.first().map(String::as_str).unwrap_or_default();
    let name = excerpt::excerpt(name);
    let known = schema.get("properties").and_then(Value::as_object);
    let known = known
        .filter(|_| path.is_empty())
        .map_or_else(String::new, |known| {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("; known: {}", names.join(", "))
        });
    format!("{path}.{name}: `{name}` is not known{known}")
}

/// A JSON pointer as scenarios' paths are written.
fn path(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1);
    let part = |part: &str| match part.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => {
            let key = part.replace("~1", "/").replace("~0", "~");
            format!(".{}", excerpt::excerpt(&key))
        }
    };
    parts.map(part).collect()
}

/// Calls an analyzer with a pool that has nothing yet.
pub(crate) fn try_analyzer(
    policy: &(impl Analyzer + ?Sized),
    settings: &str,
) -> Result<(), CallError> {
    let pool = Pool {
        name: "trial".to_owned(),
        namespace: "trial".to_owned(),
        model: "trial".to_owned(),
        objective: Objective {
            ttft: None,
            itl: None,
            throughput: None,
            percentile: 0.99,
            priority: 1,
        },
        workload: Workload::UNMEASURED,
        variants: Vec::new(),
    };
    let answer = policy.analyze(&context(settings), &pool, &[], &[]);
    answer.map(|_| ())
}

/// Calls an optimizer with no pool at all.
pub(crate) fn try_optimizer(
    policy: &(impl Optimizer + ?Sized),
    settings: &str,
) -> Result<(), CallError> {
    let limits = Limits {
        accelerators: None,
        budget: None,
    };
    let answer = policy.optimize(&context(settings), &[], &limits);
    answer.map(|_| ())
}

fn context(settings: &str) -> Context {
    Context {
        now: START_MS,
        period: 15.0,
        settings: settings.to_owned(),
        state: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object",
        "properties": {
            "share": {"type": "number", "maximum": 1},
            "steps": {"type": "array", "items": {
                "type": "object", "properties": {"at": {}}, "additionalProperties": false
            }}
        },
        "additionalProperties": false
    }"#;

    fn checked(schema: &str, settings: &str, answer: Result<(), CallError>) -> Result<(), String> {
        let policy = Descriptor {
            name: "mine".to_owned(),
            version: "1".to_owned(),
            summary: String::new(),
            settings_schema: schema.to_owned(),
            state_format: String::new(),
        };
        let given = Settings {
            document: settings,
            place: "s.yaml: policies.analyzer.settings",
        };
        check(&policy, &given, || answer).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_held_against_the_policys_own_schema() {
        assert_eq!(
            checked(SCHEMA, r#"{"share": 0.5, "steps": [{"at": 1}]}"#, Ok(())),
            Ok(())
        );
        let refused = |settings| checked(SCHEMA, settings, Ok(())).unwrap_err();
        let place = "s.yaml: policies.analyzer.settings";
        assert_eq!(
            refused(r#"{"foo": 1}"#),
            format!("{place}.foo: `foo` is not known; known: share, steps")
        );
        assert_eq!(
            refused(r#"{"share": 2}"#),
            format!("{place}.share: 2 is greater than the maximum of 1")
        );
        assert_eq!(
            refused(r#"{"share": "much"}"#),
            format!("{place}.share: \"much\" is not of type \"number\"")
        );
        assert_eq!(
            refused(r#"{"steps": [{"at": 1}, {"to": 1}]}"#),
            format!("{place}.steps[1].to: `to` is not known")
        );
        assert_eq!(
            refused("{\"\\u001b[2J\": 1}"),
            format!("{place}.\\u{{1b}}[2J: `\\u{{1b}}[2J` is not known; known: share, steps")
        );
    }

    #[test]
    fn what_the_policy_itself_refuses_is_refused() {
        let refusal = |refusal| Err(CallError::Refused(refusal));
        assert_eq!(
            checked(
                "",
                "{}",
                refusal(Refusal::Settings("share: is 2".to_owned()))
            ),
            Err(
                "s.yaml: policies.analyzer.settings: policy `mine` refuses them: share: is 2"
                    .to_owned()
            )
        );
        let no_data = Refusal::InsufficientData("no replica".to_owned());
        assert_eq!(checked("", "{}", refusal(no_data)), Ok(()));
    }

    #[test]
    fn a_schema_that_is_none_is_told_of() {
        assert_eq!(
            checked("nonsense", "{}", Ok(())),
            Err("the settings schema of policy `mine` is no JSON".to_owned())
        );
        let error = checked(r#"{"type": "thing"}"#, "{}", Ok(())).unwrap_err();
        assert!(
            error.starts_with("the settings schema of policy `mine` is not a JSON Schema: "),
            "{error}"
        );
    }
}
