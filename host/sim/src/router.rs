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
    /// Requests beyond those of the spec.
    added: Vec<&'a Arrival>,
    /// By variant.
    scales: Vec<Scale>,
    /// Serving replicas that take new requests.
    entries: Vec<Endpoint>,
    /// Serving replicas that take computed prompts.
    decoders: Vec<Endpoint>,
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
            added: Vec::new(),
            scales: spec
                .variants
                .iter()
                .map(|variant| Scale::new(variant, &spec.objective))
                .collect(),
            entries: Vec::new(),
            decoders: Vec::new(),
            queue: VecDeque::new(),
            queued_tokens: 0,
            computed: VecDeque::new(),
        }
    }

    /// Looks again at which replicas serve.
    pub(crate) fn refresh(&mut self, pool: usize, fleet: &Fleet<'a>) {
        self.entries.clear();
        self.decoders.clear();
        for (variant, spec) in self.spec.variants.iter().enumerate() {
            let role = spec.role;
            let endpoints = if role == Role::Decode {
                &mut self.decoders
            } else {
                &mut self.entries
            };
            let serving = fleet.serving(pool, variant);
            endpoints.extend(serving.map(|replica| Endpoint {
                replica,
                variant,
                role,
            }));
        }
    }

    pub(crate) fn arrival(&self, request: u32) -> Option<&'a Arrival> {
        let position = request as usize;
        let of_spec = self.spec.arrivals.get(position);
        of_spec.or_else(|| {
            let beyond = position.checked_sub(self.spec.arrivals.len())?;
            self.added.get(beyond).copied()
        })
    }

    /// Makes known a request that the spec does not have, and gives its position.
    pub(crate) fn add(&mut self, arrival: &'a Arrival) -> u32 {
        let position = self.spec.arrivals.len() + self.added.len();
        self.added.push(arrival);
        position as u32
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
    pub(crate) fn choose(&self, now: f64, request: u32, fleet: &Fleet<'a>) -> Choice {
        let outlook = |endpoint: &Endpoint| {
            fleet
                .replicas
                .get(endpoint.replica)
                .map(|of| of.engine.outlook(now))
        };
        let mut decoders = self.decoders.iter().filter_map(outlook);
        let decode_is_open = decoders.any(|outlook| !is_saturated(&outlook));
        let is_open = |endpoint: &Endpoint, outlook: &Outlook| {
            !is_saturated(outlook) && (endpoint.role != Role::Prefill || decode_is_open)
        };
        match self.least_loaded(now, request, &self.entries, fleet, is_open) {
            Some(endpoint) => Choice::To(endpoint.replica, part_of(endpoint.role)),
            None => self.refuse(request, &self.entries),
        }
    }

    /// Where a request with a computed prompt goes.
    pub(crate) fn choose_decode(&self, now: f64, request: u32, fleet: &Fleet<'a>) -> Choice {
        match self.least_loaded(now, request, &self.decoders, fleet, |_, _| true) {
            Some(endpoint) => Choice::To(endpoint.replica, part_of(endpoint.role)),
            None => self.refuse(request, &self.decoders),
        }
    }

    fn refuse(&self, request: u32, endpoints: &[Endpoint]) -> Choice {
        let held = endpoints
            .iter()
            .any(|endpoint| self.scale(endpoint, request).is_some());
        if held || endpoints.is_empty() {
            Choice::Wait
        } else {
            Choice::Reject
        }
    }

    /// Of the endpoints that are open and could hold the request the one with the least load; of
    /// equal ones, requests take turns.
    fn least_loaded(
        &self,
        now: f64,
        request: u32,
        endpoints: &[Endpoint],
        fleet: &Fleet<'a>,
        is_open: impl Fn(&Endpoint, &Outlook) -> bool,
    ) -> Option<Endpoint> {
        let arrival = self.arrival(request)?;
        let first = request as usize % endpoints.len().max(1);
        let (last, rest) = endpoints.split_at(first.min(endpoints.len()));
        let mut best: Option<(f64, Endpoint)> = None;
        for endpoint in rest.iter().chain(last) {
            let (Some(scale), Some(replica)) = (
                self.scale(endpoint, request),
                fleet.replicas.get(endpoint.replica),
            ) else {
                continue;
            };
            let outlook = replica.engine.outlook(now);
            if !is_open(endpoint, &outlook) {
                continue;
            }
            let job = Job {
                request,
                arrival,
                part: part_of(endpoint.role),
            };
            let load = scale.load(&outlook, arrival, replica.engine.cached_tokens(&job));
            if best.is_none_or(|(least, _)| load < least) {
                best = Some((load, *endpoint));
            }
        }
        best.map(|(_, endpoint)| endpoint)
    }

    /// The scale of an endpoint that could hold the request.
    fn scale(&self, endpoint: &Endpoint, request: u32) -> Option<&Scale> {
        let scale = self.scales.get(endpoint.variant)?;
        self.arrival(request)
            .is_some_and(|arrival| scale.holds(arrival))
            .then_some(scale)
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
