//! The fallback ladder: the bound version, its last good one, the built-in policy of that kind.
//! Where none answers, the caller holds what is desired now.

use trimtab_contract::{Descriptor, Refusal};

use crate::breaker::{Asked, Breakers, Circuit, Outcome};
use crate::decision::{Answerer, Call, RungFault};
use crate::policies::{Analyzer, Bound, CallError, Digest, Optimizer};

/// What both kinds of policy have.
pub(crate) trait Policy {
    fn descriptor(&self) -> &Descriptor;
    fn digest(&self) -> &Digest;
    fn terms(&self) -> u64;
}

impl Policy for dyn Analyzer {
    fn descriptor(&self) -> &Descriptor {
        Analyzer::descriptor(self)
    }

    fn digest(&self) -> &Digest {
        Analyzer::digest(self)
    }

    fn terms(&self) -> u64 {
        Analyzer::terms(self)
    }
}

impl Policy for dyn Optimizer {
    fn descriptor(&self) -> &Descriptor {
        Optimizer::descriptor(self)
    }

    fn digest(&self) -> &Digest {
        Optimizer::digest(self)
    }

    fn terms(&self) -> u64 {
        Optimizer::terms(self)
    }
}

/// What became of a call.
pub(crate) struct Climbed<T> {
    pub(crate) call: Call,
    pub(crate) answer: Option<T>,
    /// What was really called, in its order.
    pub(crate) asked: Vec<Asked>,
}

/// Asks one rung after the other until one answers or refuses.
///
/// `ask` gets the rung's policy and the settings that are meant for it; what it returns has been
/// checked against the contract. A rung whose breaker is open is skipped.
pub(crate) fn climb<P: Policy + ?Sized, T>(
    bound: &Bound<P>,
    breakers: &Breakers,
    now_ms: u64,
    ask: impl Fn(&P, &str) -> Result<T, CallError>,
) -> Climbed<T> {
    let mut call = Call::default();
    let mut asked = Vec::new();
    for (rung, policy) in bound.rungs.iter().enumerate() {
        let policy = policy.as_ref();
        let settings = settings_for(bound, policy);
        let circuit = Circuit::new(policy.digest(), policy.terms(), settings);
        if !breakers.allows(&circuit, now_ms) {
            call.faults.push(RungFault {
                digest: policy.digest().clone(),
                fault: None,
            });
            continue;
        }
        let asking = ask(policy, settings);
        let outcome = match &asking {
            Ok(_) => Outcome::Answered,
            Err(CallError::Refused(_)) => Outcome::Refused,
            Err(CallError::Fault(_)) => Outcome::Faulted,
        };
        asked.push(Asked { circuit, outcome });
        match asking {
            Ok(answer) => {
                call.answered_by = Some(answerer(policy, rung));
                let answer = Some(answer);
                return Climbed {
                    call,
                    answer,
                    asked,
                };
            }
            Err(CallError::Refused(refusal)) => {
                call.answered_by = Some(answerer(policy, rung));
                call.refusal = Some(refusal);
                return Climbed {
                    call,
                    answer: None,
                    asked,
                };
            }
            Err(CallError::Fault(fault)) => {
                let fault = Some(fault);
                call.faults.push(RungFault {
                    digest: policy.digest().clone(),
                    fault,
                });
            }
        }
    }
    Climbed {
        call,
        answer: None,
        asked,
    }
}

/// The settings were written for the bound policy: versions of it get them, a stand-in of another
/// name does not.
fn settings_for<'a, P: Policy + ?Sized>(bound: &'a Bound<P>, policy: &P) -> &'a str {
    let named_as_bound = bound
        .rungs
        .first()
        .is_some_and(|first| first.descriptor().name == policy.descriptor().name);
    if named_as_bound {
        &bound.settings
    } else {
        "{}"
    }
}

fn answerer<P: Policy + ?Sized>(policy: &P, rung: usize) -> Answerer {
    Answerer {
        name: policy.descriptor().name.clone(),
        version: policy.descriptor().version.clone(),
        digest: policy.digest().clone(),
        rung,
    }
}

impl Call {
    /// Whether the bound version itself gave an answer.
    ///
    /// What stands in for it may raise and keep, but not lower: the fewer replicas might be the
    /// fault's doing.
    pub(crate) fn may_lower(&self) -> bool {
        self.refusal.is_none()
            && self.absent.is_none()
            && self
                .answered_by
                .as_ref()
                .is_some_and(|answerer| answerer.rung == 0)
    }

    /// The call's outcome in a few words, for an operator.
    pub(crate) fn outcome(&self) -> String {
        match (&self.answered_by, &self.refusal) {
            (Some(answerer), Some(refusal)) => {
                let (kind, why) = words(refusal);
                format!(
                    "`{}` {} refused ({kind}): {why}",
                    answerer.name, answerer.version
                )
            }
            (Some(answerer), None) if answerer.rung > 0 || self.absent.is_some() => format!(
                "`{}` {} answered in place of the bound version",
                answerer.name, answerer.version
            ),
            (Some(answerer), None) => {
                format!("`{}` {} answered", answerer.name, answerer.version)
            }
            (None, _) => "no policy of the ladder answered".to_owned(),
        }
    }
}

fn words(refusal: &Refusal) -> (&'static str, &str) {
    match refusal {
        Refusal::Settings(why) => ("settings", why),
        Refusal::InsufficientData(why) => ("insufficient data", why),
        Refusal::Internal(why) => ("internal", why),
    }
}
