//! Birth-and-death queues in their steady state: Poisson arrivals, a limited number of requests in
//! the system, one server whose speed may depend on how many are in it.

use crate::error::{ModelError, within};

/// The steady state of a queue. Times in the inverse of the rates' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain {
    /// Chance that the system is empty, and that it is full.
    pub empty: f64,
    pub full: f64,
    /// Mean number in the system.
    pub in_system: f64,
    /// Mean number in service.
    pub in_service: f64,
    /// Rate of those who are let in.
    pub throughput: f64,
    pub response: f64,
    pub service: f64,
    pub wait: f64,
    /// Mean number that waits.
    pub waiting: f64,
}

/// Weights are scaled down past this, so that none overflows.
const LARGE: f64 = 1e150;

/// The queue with `service_rate(n)` while `n` of at most `places` are in service and at most
/// `capacity` in the system (`capacity ≥ places ≥ 1`), in one pass and without storing the states.
///
/// # Errors
/// [`ModelError::Invalid`] where a rate or a size is out of range.
pub fn solve(
    arrival_rate: f64,
    places: u32,
    capacity: u32,
    service_rate: impl Fn(u32) -> f64,
) -> Result<Chain, ModelError> {
    within("arrival rate", arrival_rate, f64::MIN_POSITIVE, 1e300)?;
    within("places", f64::from(places), 1.0, f64::from(capacity))?;
    let mut sums = Sums::default();
    let mut empty = 1.0;
    let mut weight = 1.0;
    let mut ratio = 0.0;
    sums.add(0, 0, weight);
    for n in 1..=capacity {
        if n <= places {
            let rate = within("service rate", service_rate(n), f64::MIN_POSITIVE, 1e300)?;
            ratio = arrival_rate / rate;
        }
        weight *= ratio;
        if weight > LARGE {
            sums.scale(1.0 / weight);
            empty /= weight;
            weight = 1.0;
        }
        sums.add(n, n.min(places), weight);
    }
    Ok(sums.steady(arrival_rate, empty, weight))
}

/// M/M/1/K: one server of constant speed.
///
/// # Errors
/// [`ModelError::Invalid`] where a rate or the capacity is out of range, or where the load (arrival
/// rate over service rate) is as much as the capacity.
pub fn solve_constant(
    arrival_rate: f64,
    service_rate: f64,
    capacity: u32,
) -> Result<Chain, ModelError> {
    within("service rate", service_rate, f64::MIN_POSITIVE, 1e300)?;
    let most = f64::from(capacity) * (1.0 - f64::EPSILON);
    within("load", arrival_rate / service_rate, 0.0, most)?;
    if arrival_rate == 0.0 {
        return Ok(Chain::idle(1.0 / service_rate));
    }
    let chain = solve(arrival_rate, 1, capacity, |_| service_rate)?;
    let service = 1.0 / service_rate;
    let wait = (chain.response - service).max(0.0);
    Ok(Chain {
        service,
        wait,
        waiting: chain.throughput * wait,
        ..chain
    })
}

impl Chain {
    /// Nothing arrives.
    const fn idle(service: f64) -> Self {
        Self {
            empty: 1.0,
            full: 0.0,
            in_system: 0.0,
            in_service: 0.0,
            throughput: 0.0,
            response: service,
            service,
            wait: 0.0,
            waiting: 0.0,
        }
    }
}

/// Sums over the states of their weights, alone and with the numbers in system and service.
#[derive(Default)]
struct Sums {
    all: f64,
    in_system: f64,
    in_service: f64,
}

impl Sums {
    fn add(&mut self, in_system: u32, in_service: u32, weight: f64) {
        self.all += weight;
        self.in_system += f64::from(in_system) * weight;
        self.in_service += f64::from(in_service) * weight;
    }

    fn scale(&mut self, factor: f64) {
        self.all *= factor;
        self.in_system *= factor;
        self.in_service *= factor;
    }

    fn steady(&self, arrival_rate: f64, empty: f64, full: f64) -> Chain {
        let full = full / self.all;
        let in_system = self.in_system / self.all;
        let in_service = self.in_service / self.all;
        let throughput = arrival_rate * (1.0 - full);
        let response = in_system / throughput;
        let service = in_service / throughput;
        let wait = (response - service).max(0.0);
        Chain {
            empty: empty / self.all,
            full,
            in_system,
            in_service,
            throughput,
            response,
            service,
            wait,
            waiting: throughput * wait,
        }
    }
}
