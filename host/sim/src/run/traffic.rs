//! Requests on their way: arrival, dispatch, iterations, hand-over, and replicas that come and go.

use super::Simulation;
use crate::engine::{Job, Output, Part};
use crate::events::Event;
use crate::fleet::Stage;
use crate::router::Choice;
use crate::spec::FaultSpec;

impl Simulation<'_> {
    pub(crate) fn expect_arrival(&mut self, pool: usize) {
        let next = self
            .pools
            .get(pool)
            .and_then(|pool| pool.ledger.next_arrival());
        if let Some((_, arrival)) = next {
            self.events.add(arrival.at_seconds, Event::Arrival { pool });
        }
    }

    pub(crate) fn arrive(&mut self, now: f64, index: usize) {
        let Some(pool) = self.pools.get_mut(index) else {
            return;
        };
        if let Some((request, _)) = pool.ledger.next_arrival() {
            pool.ledger.arrive();
            pool.reading.arrived += 1;
            pool.router.push(request);
        }
        self.expect_arrival(index);
        self.dispatch(now, index);
    }

    /// Sends on what waits at the router, in order, as far as there is room.
    pub(crate) fn dispatch(&mut self, now: f64, index: usize) {
        while let Some((request, choice)) = self.next_dispatch(now, index) {
            let Some(pool) = self.pools.get_mut(index) else {
                return;
            };
            match choice {
                Choice::To(replica, part) => {
                    pool.router.pop();
                    self.enqueue(now, replica, request, part);
                }
                Choice::Reject => {
                    pool.router.pop();
                    pool.ledger.drop_request(now, request);
                }
                Choice::Wait => return,
            }
        }
    }

    fn next_dispatch(&self, now: f64, index: usize) -> Option<(u32, Choice)> {
        let router = &self.pools.get(index)?.router;
        let request = router.front()?;
        Some((request, router.choose(now, request, &self.fleet)))
    }

    fn enqueue(&mut self, now: f64, id: usize, request: u32, part: Part) {
        let Some(replica) = self.fleet.replicas.get_mut(id) else {
            return;
        };
        let arrival = self
            .pools
            .get(replica.pool)
            .and_then(|pool| pool.router.arrival(request));
        let Some(arrival) = arrival else { return };
        if replica.engine.enqueue(
            now,
            Job {
                request,
                arrival,
                part,
            },
        ) {
            self.expect_boundary(id);
        }
    }

    /// The engine's plan has changed: boundaries expected so far are void.
    fn expect_boundary(&mut self, id: usize) {
        let Some(replica) = self.fleet.replicas.get_mut(id) else {
            return;
        };
        replica.version = replica.version.wrapping_add(1);
        if let Some(at) = replica.engine.next_boundary() {
            self.events.add(
                at,
                Event::Boundary {
                    replica: id,
                    version: replica.version,
                },
            );
        }
    }

    pub(crate) fn boundary(&mut self, now: f64, id: usize, version: u32) {
        let replica = self.fleet.replicas.get_mut(id);
        let Some(replica) =
            replica.filter(|replica| replica.version == version && replica.stage != Stage::Gone)
        else {
            return;
        };
        let pool = replica.pool;
        let mut outputs = std::mem::take(&mut self.outputs);
        replica.engine.step(&mut outputs);
        for output in outputs.drain(..) {
            self.deliver(now, id, output);
        }
        self.outputs = outputs;
        self.expect_boundary(id);
        if self.fleet.end_if_drained(now, id) {
            self.fleet.schedule(now, &mut self.events);
        }
        self.dispatch(now, pool);
    }

    fn deliver(&mut self, now: f64, id: usize, output: Output) {
        let Some(replica) = self.fleet.replicas.get_mut(id) else {
            return;
        };
        let Some(pool) = self.pools.get_mut(replica.pool) else {
            return;
        };
        match output {
            Output::FirstToken { request } => {
                let Some(arrival) = pool.router.arrival(request) else {
                    return;
                };
                if let Some(ttft) = pool.ledger.first_token(now, request, arrival) {
                    pool.reading.ttft.observe(ttft);
                }
            }
            Output::Finished { request } => {
                let Some(arrival) = pool.router.arrival(request) else {
                    return;
                };
                let itl = pool.ledger.finish(now, request, arrival);
                pool.reading.finished += 1;
                pool.reading.input_tokens += u64::from(arrival.input_tokens);
                pool.reading.output_tokens += u64::from(arrival.output_tokens);
                if let Some(itl) = itl {
                    pool.reading.itl.observe(itl);
                    replica.engine.note_request_itl(itl);
                }
            }
            Output::PromptDone { request, slot } => {
                let tokens = pool
                    .router
                    .arrival(request)
                    .map_or(0, |arrival| arrival.input_tokens);
                let variant = pool.spec.variants.get(replica.variant);
                let per_token = variant.map_or(0.0, |of| of.kv_transfer_seconds_per_token);
                let at = now + per_token * f64::from(tokens);
                self.events.add(
                    at,
                    Event::HandedOver {
                        replica: id,
                        slot,
                        request,
                    },
                );
            }
        }
    }

    /// A prompt's KV cache has left its prefill replica; where that died, the request has started
    /// again already.
    pub(crate) fn handed_over(&mut self, now: f64, id: usize, slot: u32, request: u32) {
        let Some(replica) = self.fleet.replicas.get_mut(id) else {
            return;
        };
        if replica.stage == Stage::Gone {
            return;
        }
        let pool = replica.pool;
        if replica.engine.release(now, slot) {
            self.expect_boundary(id);
        }
        if self.fleet.end_if_drained(now, id) {
            self.fleet.schedule(now, &mut self.events);
        }
        self.decode(now, pool, request);
        self.dispatch(now, pool);
    }

    fn decode(&mut self, now: f64, index: usize, request: u32) {
        let Some(pool) = self.pools.get_mut(index) else {
            return;
        };
        match pool.router.choose_decode(now, request, &self.fleet) {
            Choice::To(replica, part) => self.enqueue(now, replica, request, part),
            Choice::Wait => pool.router.keep_computed(request),
            Choice::Reject => pool.ledger.drop_request(now, request),
        }
    }

    pub(super) fn started(&mut self, now: f64, id: usize) {
        if !self.fleet.started(now, id, &mut self.events) {
            return;
        }
        let Some(index) = self.fleet.replicas.get(id).map(|replica| replica.pool) else {
            return;
        };
        self.refresh(now, index);
    }

    /// Replicas of a pool have come or gone.
    pub(crate) fn refresh(&mut self, now: f64, index: usize) {
        let Some(pool) = self.pools.get_mut(index) else {
            return;
        };
        pool.router.refresh(index, &self.fleet);
        for request in pool.router.take_all_computed() {
            self.decode(now, index, request);
        }
        self.dispatch(now, index);
    }

    pub(super) fn fault(&mut self, now: f64, fault: usize) {
        match self.spec.faults.get(fault) {
            Some(FaultSpec::ReplicaDies { pool, variant, .. }) => self.die(now, *pool, *variant),
            Some(FaultSpec::StartFails { pool, variant, .. }) => {
                self.fleet.fail_next_start(*pool, *variant)
            }
            Some(FaultSpec::MetricsVanish {
                until_seconds,
                pool,
                ..
            }) => {
                if let Some(pool) = self.pools.get_mut(*pool) {
                    pool.dark_until = pool.dark_until.max(*until_seconds);
                }
            }
            None => {}
        }
    }

    fn die(&mut self, now: f64, index: usize, variant: usize) {
        let Some(id) = self.fleet.die(now, index, variant) else {
            return;
        };
        let requests = self
            .fleet
            .replicas
            .get(id)
            .map(|replica| replica.engine.requests());
        if let (Some(pool), Some(requests)) = (self.pools.get_mut(index), requests) {
            pool.ledger.restart(&requests);
            pool.router.retry(&requests);
        }
        self.fleet.schedule(now, &mut self.events);
        self.refresh(now, index);
    }
}
