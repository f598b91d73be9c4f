//! The policy, called as a host calls it.

use trimtab_cost_optimizer::CostOptimizer;
use trimtab_sdk::{Context, Limits, Optimizer as _, Plan, Refusal, Request};

pub(crate) fn context(settings: &str) -> Context {
    Context {
        now: 0,
        period: 15.0,
        settings: settings.into(),
        state: Vec::new(),
    }
}

pub(crate) fn try_plan(
    requests: &[Request],
    limits: &Limits,
    settings: &str,
) -> Result<Plan, Refusal> {
    CostOptimizer::optimize(&context(settings), requests, limits)
}

pub(crate) fn plan(requests: &[Request], limits: &Limits) -> Plan {
    try_plan(requests, limits, "{}").unwrap()
}

/// Replicas of a plan, by request and variant.
pub(crate) fn counts(requests: &[Request], plan: &Plan) -> Vec<Vec<u32>> {
    let mut targets = plan.targets.iter();
    let counts = requests
        .iter()
        .enumerate()
        .map(|(number, request)| {
            (0..request.pool.variants.len())
                .map(|position| {
                    let target = targets.next().expect("a target for every variant");
                    assert_eq!(
                        (target.request, target.variant),
                        (number as u32, position as u32)
                    );
                    target.replicas
                })
                .collect()
        })
        .collect();
    assert_eq!(targets.next(), None, "one target for each variant");
    counts
}

/// What the plan for one request asks for.
pub(crate) fn counts_of(request: &Request, limits: &Limits) -> Vec<u32> {
    let requests = std::slice::from_ref(request);
    counts(requests, &plan(requests, limits)).remove(0)
}

/// The requests once the plan was asked for; with `served` once it is carried out as well.
pub(crate) fn follow(requests: &[Request], plan: &Plan, served: bool) -> Vec<Request> {
    let mut requests = requests.to_vec();
    for target in &plan.targets {
        let pool = &mut requests[target.request as usize].pool;
        let variant = &mut pool.variants[target.variant as usize];
        variant.desired_replicas = target.replicas;
        if served {
            variant.current_replicas = target.replicas;
            variant.ready_replicas = target.replicas;
        }
    }
    requests
}
