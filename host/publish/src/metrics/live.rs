//! What is counted as it happens, by whoever it happens to, and not at the end of a cycle.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use trimtab_core::policies::Digest;

use super::labels;
use super::process::{Histograms, histograms, observe, short};
use super::published::PolicyRole;

/// The code of a request without an answer, as client-go has it.
const NO_ANSWER: &str = "<error>";

/// Counters that may be had before there is a [`super::Registry`] to show them. Clones count into
/// the same.
#[derive(Clone, Debug)]
pub struct Live {
    api_requests: Family<labels::Api, Counter>,
    api_seconds: Histograms<labels::ApiDuration>,
    policy_fuel: Family<labels::PolicyFuel, Counter>,
    policy_seconds: Histograms<labels::PolicyDuration>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            api_requests: Family::default(),
            api_seconds: histograms(),
            policy_fuel: Family::default(),
            policy_seconds: histograms(),
        }
    }
}

impl Live {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "trimtab_policy_fuel",
            "Fuel that calls of a policy used: work, measured the same on every machine",
            self.policy_fuel.clone(),
        );
        registry.register_with_unit(
            "trimtab_policy_call_duration",
            "How long a call of a policy took, in seconds; a call for several pools is one",
            Unit::Seconds,
            self.policy_seconds.clone(),
        );
        registry.register(
            "trimtab_api_requests",
            "Requests to the API server, watches too; the code is `<error>` where there was no \
             answer",
            self.api_requests.clone(),
        );
        registry.register_with_unit(
            "trimtab_api_request_duration",
            "How long the API server took to answer, in seconds; a watch goes on after that",
            Unit::Seconds,
            self.api_seconds.clone(),
        );
    }

    /// A request to the API server has its answer, or will have none.
    pub fn api_request(&self, verb: &'static str, resource: &str, code: Option<u16>, seconds: f64) {
        let labels = labels::Api {
            verb,
            resource: resource.to_owned(),
            code: code.map_or_else(|| NO_ANSWER.to_owned(), |code| code.to_string()),
        };
        self.api_requests.get_or_create(&labels).inc();
        let labels = labels::ApiDuration {
            verb,
            resource: labels.resource,
        };
        observe(&self.api_seconds, &labels, seconds);
    }

    /// A policy was called.
    pub fn policy_call(&self, role: PolicyRole, of: (&str, &Digest), fuel: u64, seconds: f64) {
        let (name, digest) = of;
        let labels = labels::PolicyFuel {
            role: role.word(),
            policy: name.to_owned(),
            digest: short(digest),
        };
        self.policy_fuel.get_or_create(&labels).inc_by(fuel);
        let labels = labels::PolicyDuration {
            role: role.word(),
            policy: labels.policy,
        };
        observe(&self.policy_seconds, &labels, seconds);
    }
}
