//! One call of a policy: the contract's records as JSON, in and out.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trimtab_contract::{Context, Knowledge, Limits, Pool, Refusal, Replica, Request};
use trimtab_core::policies::CallError;
use trimtab_core::shape::{self, Check};
use trimtab_core::snapshot::PoolRules;
use trimtab_sandbox::Policy;

use super::inspect::roles;
use crate::arguments::Function;
use crate::output::Output;
use crate::reference::Reference;

/// Parameters of the contract's `analyze`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AnalyzeInput {
    context: Context,
    pool: Pool,
    replicas: Vec<Replica>,
    knowledge: Vec<Knowledge>,
}

/// Parameters of the contract's `optimize`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct OptimizeInput {
    context: Context,
    requests: Vec<Request>,
    limits: Limits,
}

/// A refusal as it is printed, told apart from an answer by its only key.
#[derive(Serialize)]
struct Refused {
    refused: Refusal,
}

/// Calls a policy once. The output is its answer, or its refusal.
pub(crate) fn call(
    reference: &Reference,
    policy: &Policy,
    function: Function,
    input: &Path,
) -> Result<Output> {
    let lacks = |role: &str| {
        let has = roles(policy).join(" and ");
        anyhow!("policy `{reference}` has no role `{role}`; its role is {has}")
    };
    match function {
        Function::Analyze => {
            let analyzer = policy.analyzer().ok_or_else(|| lacks("analyzer"))?;
            let AnalyzeInput {
                context,
                pool,
                replicas,
                knowledge,
            } = read(input)?;
            answer(
                reference,
                analyzer.analyze(&context, &pool, &replicas, &knowledge),
                |analysis| shape::check_analysis(analysis, &pool),
            )
        }
        Function::Optimize => {
            let optimizer = policy.optimizer().ok_or_else(|| lacks("optimizer"))?;
            let OptimizeInput {
                context,
                requests,
                limits,
            } = read(input)?;
            let plausible = vec![PoolRules::default().max_plausible_replicas; requests.len()];
            answer(
                reference,
                optimizer.optimize(&context, &requests, &limits),
                |plan| shape::check_plan(plan, &requests, &plausible),
            )
        }
    }
}

/// Warns of an answer that the guard would take for a fault, and gives it all the same.
fn answer<T: Serialize>(
    reference: &Reference,
    result: Result<T, CallError>,
    check: impl FnOnce(&T) -> Check,
) -> Result<Output> {
    match result {
        Ok(record) => {
            if let Some(objection) = objection(reference, check(&record)) {
                tracing::warn!("{objection}");
            }
            Ok(Output::answer(pretty(&record)?))
        }
        Err(CallError::Refused(refused)) => Ok(Output::refusal(pretty(&Refused { refused })?)),
        Err(CallError::Fault(fault)) => {
            Err(fault).with_context(|| format!("policy `{reference}` gave no answer"))
        }
    }
}

fn objection(reference: &Reference, check: Check) -> Option<String> {
    match check.err()? {
        CallError::Fault(fault) => Some(format!(
            "the host would not take this answer of policy `{reference}`: {fault}"
        )),
        // The checks only find faults.
        CallError::Refused(_) => None,
    }
}

fn pretty<T: Serialize>(record: &T) -> Result<String> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let (name, text) = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        ("standard input".to_owned(), text)
    } else {
        let text = fs_err::read_to_string(path).context("input cannot be read")?;
        (path.display().to_string(), text)
    };
    let mut parser = serde_json::Deserializer::from_str(&text);
    let input = serde_path_to_error::deserialize(&mut parser)
        .with_context(|| format!("{name} is not what the function takes"))?;
    parser
        .end()
        .with_context(|| format!("{name} goes on after the object"))?;
    Ok(input)
}

#[cfg(test)]
mod tests {
    use trimtab_contract::{Plan, Target};

    use super::*;

    #[test]
    fn an_answer_that_the_guard_refuses_is_objected_to() {
        let reference: Reference = "builtin:cost-optimizer".parse().unwrap();
        let plan = |targets: Vec<Target>| Plan {
            targets,
            notes: Vec::new(),
            state: Vec::new(),
        };
        let said = |plan| objection(&reference, shape::check_plan(&plan, &[], &[]));
        let nowhere = Target {
            request: 0,
            variant: 7,
            replicas: 1,
            reason: String::new(),
        };
        let objection = said(plan(vec![nowhere])).unwrap();
        for part in ["builtin:cost-optimizer", "variant 7 does not exist"] {
            assert!(objection.contains(part), "{objection}");
        }
        assert_eq!(said(plan(Vec::new())), None);
    }
}
