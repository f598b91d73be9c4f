//! A pool's endpoint picker: sends each request to the replica with the least load, and keeps
//! requests in its flow-control queue while no replica serves or all are saturated.
//!
//! In a pool with prefill and decode replicas a request's prompt is computed by a prefill replica;
//! its KV cache then goes to a decode replica, whose first iteration gives the first token, as in
//! llm-d. New requests wait while either stage is saturated; a computed prompt goes on regardless,
//! since its blocks are wanted for the next.

mod load;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use trimtab_contract::Role;

use self::load::Scale;
use crate::engine::{Job, Outlook, Part};
use crate::fleet::Fleet;
use crate::spec::{Arrival, PoolSpec};

/// Requests waiting in an engine from which on the endpoint picker takes it for saturated: the
/// default of EPP's utilization detector.
const SATURATED_WAITING: u64 = 5;
/// The same for the share of the KV cache in use.
const SATURATED_KV_USAGE: f64 = 0.8;
/// EPP counts the queue's bytes of prompt; a token is about four.
const BYTES_PER_TOKEN: u64 = 4;

/// Where a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    To(usize, Part),
    /// Nothing serves, or all that does is saturated.
    Wait,
    /// What serves could never hold it: an engine answers such a request with an error.
    Reject,
}

/// A replica that serves, with what the balancer knows of it.
#[derive(Clone, Copy, Debug)]
struct Endpoint {
    replica: usize,
    variant: usize,
    role: Role,
}

#[derive(Debug)]
pub(crate) struct Router<'a> {
    spec: &'a PoolSpec,
    /// By variant.
    scales: Vec<Scale>,
    endpoints: Vec<Endpoint>,
    queue: VecDeque<u32>,
    queued_tokens: u64,
    /// Requests whose prompt is computed, while no decode replica serves. Their KV cache waits
    /// with them.
    computed: VecDeque<u32>,
}

impl<'a> Router<'a> {
    pub(crate) fn new(spec: &'a PoolSpec) -> Self {
        Self {
            spec,
            scales: spec
                .variants
                .iter()
                .map(|variant| Scale::new(variant, &spec.objective))
                .collect(),
            endpoints: Vec::new(),
            queue: VecDeque::new(),
            queued_tokens: 0,
            computed: VecDeque::new(),
        }
    }

    /// Looks again at which replicas serve.
    pub(crate) fn refresh(&mut self, pool: usize, fleet: &Fleet<'a>) {
        self.endpoints.clear();
        for (variant, spec) in self.spec.variants.iter().enumerate() {
            let serving = fleet.serving(pool, variant);
            self.endpoints.extend(serving.map(|replica| Endpoint {
                replica,
                variant,
                role: spec.role,
            }));
        }
    }

    pub(crate) fn arrival(&self, request: u32) -> Option<&'a Arrival> {
        self.spec.arrivals.get(request as usize)
    }

    /// Takes on a request at the end of the queue.
    pub(crate) fn push(&mut self, request: u32) {
        self.queued_tokens += self.input_tokens(request);
        self.queue.push_back(request);
    }

    /// Takes back requests of a replica that died, in order of arrival: they are the oldest.
    pub(crate) fn retry(&mut self, requests: &[u32]) {
        for request in requests.iter().rev() {
            self.queued_tokens += self.input_tokens(*request);
            self.queue.push_front(*request);
        }
    }

    pub(crate) fn front(&self) -> Option<u32> {
        self.queue.front().copied()
    }

    pub(crate) fn pop(&mut self) {
        if let Some(request) = self.queue.pop_front() {
            self.queued_tokens -= self.input_tokens(request);
        }
    }

    pub(crate) fn queued_requests(&self) -> u64 {
        self.queue.len() as u64
    }

    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queued_tokens * BYTES_PER_TOKEN
    }

    /// Keeps a computed prompt until a decode replica serves.
    pub(crate) fn keep_computed(&mut self, request: u32) {
        self.computed.push_back(request);
    }

    pub(crate) fn take_all_computed(&mut self) -> VecDeque<u32> {
        std::mem::take(&mut self.computed)
    }

    /// Where a new request goes at `now`.
    pub(crate) fn choose(&self, now: f64, arrival: &Arrival, fleet: &Fleet<'a>) -> Choice {
        let mut best: Option<(f64, Endpoint)> = None;
        let mut could_hold = false;
        let mut decode_open = None;
        for endpoint in self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.role != Role::Decode)
        {
            let Some((scale, outlook, job)) = self.weigh(now, endpoint, arrival, fleet) else {
                continue;
            };
            could_hold |= scale.holds(arrival);
            if is_saturated(&outlook) || !scale.holds(arrival) {
                continue;
            }
            if endpoint.role == Role::Prefill {
                let open = *decode_open.get_or_insert_with(|| self.decode_is_open(now, fleet));
                if !open {
                    continue;
                }
            }
            let load = scale.load(&outlook, arrival, self.cached(endpoint, &job, fleet));
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, *endpoint));
            }
        }
        match best {
            Some((_, endpoint)) => Choice::To(endpoint.replica, part_of(endpoint.role)),
            None if could_hold
                || self
                    .endpoints
                    .iter()
                    .all(|endpoint| endpoint.role == Role::Decode) =>
            {
                Choice::Wait
            }
            None => Choice::Reject,
        }
    }

    /// Where a request with a computed prompt goes.
    pub(crate) fn choose_decode(&self, now: f64, arrival: &Arrival, fleet: &Fleet<'a>) -> Choice {
        let mut best: Option<(f64, usize)> = None;
        let mut serving = false;
        for endpoint in self.decoders() {
            serving = true;
            let Some((scale, outlook, _)) = self.weigh(now, endpoint, arrival, fleet) else {
                continue;
            };
            let load = scale.load(&outlook, arrival, u64::from(arrival.input_tokens));
            if scale.holds(arrival) && best.is_none_or(|(least, _)| load < least) {
                best = Some((load, endpoint.replica));
            }
        }
        match best {
            Some((_, replica)) => Choice::To(replica, Part::Answer),
            None if serving => Choice::Reject,
            None => Choice::Wait,
        }
    }

    fn decoders(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints
            .iter()
            .filter(|endpoint| endpoint.role == Role::Decode)
    }

    fn decode_is_open(&self, now: f64, fleet: &Fleet<'a>) -> bool {
        let outlooks = self
            .decoders()
            .filter_map(|endpoint| fleet.replicas.get(endpoint.replica));
        outlooks
            .map(|replica| replica.engine.outlook(now))
            .any(|outlook| !is_saturated(&outlook))
    }

    fn weigh<'b>(
        &self,
        now: f64,
        endpoint: &Endpoint,
        arrival: &'b Arrival,
        fleet: &Fleet<'a>,
    ) -> Option<(&Scale, Outlook, Job<'b>)> {
        let scale = self.scales.get(endpoint.variant)?;
        let outlook = fleet.replicas.get(endpoint.replica)?.engine.outlook(now);
        Some((
            scale,
            outlook,
            Job {
                request: 0,
                arrival,
                part: part_of(endpoint.role),
            },
        ))
    }

    fn cached(&self, endpoint: &Endpoint, job: &Job<'_>, fleet: &Fleet<'a>) -> u64 {
        if job.arrival.prefix_blocks.is_empty() {
            return 0;
        }
        fleet
            .replicas
            .get(endpoint.replica)
            .map_or(0, |replica| replica.engine.cached_tokens(job))
    }

    fn input_tokens(&self, request: u32) -> u64 {
        self.arrival(request)
            .map_or(0, |arrival| u64::from(arrival.input_tokens))
    }
}

const fn part_of(role: Role) -> Part {
    match role {
        Role::Both => Part::Whole,
        Role::Prefill => Part::Prompt,
        Role::Decode => Part::Answer,
    }
}

fn is_saturated(outlook: &Outlook) -> bool {
    outlook.waiting >= SATURATED_WAITING || outlook.kv_usage >= SATURATED_KV_USAGE
}
