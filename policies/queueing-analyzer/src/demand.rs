//! What the pool is asked to serve: the rate of arrivals, and what waits beyond the usual.

use trimtab_sdk::{Pool, Role};

use crate::loads::{measured, positive};
use crate::notes::Notes;
use crate::servers::Server;
use crate::settings::Settings;
use crate::state::Profile;

/// Share of the TTFT objective that a request may spend in an engine's queue without being backlog.
const USUAL_WAIT: f64 = 0.5;

/// The same, in seconds, where there is no objective for TTFT.
const USUAL_WAIT_SECONDS: f64 = 0.5;

/// Requests that may wait in an engine at any time: they arrived while an iteration was running.
const USUAL_WAITING: f64 = 4.0;

/// Arrivals below this share of what replicas finish cannot be all arrivals.
const LEAST_SHARE_OF_SERVED: f64 = 0.5;

/// Seconds for which the two rates must disagree to be believed; windows differ by a minute anyway.
const DISAGREEMENT_SECONDS: f64 = 180.0;

/// How the rate of arrivals came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Measured where requests arrive.
    Arrivals,
    /// Added up from what replicas finished.
    Served,
    /// Estimated from the requests that run, by Little's law.
    Running,
}

/// Requests per second that arrive, and requests that wait beyond the usual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) rate: f64,
    pub(crate) basis: Basis,
    pub(crate) backlog: Backlog,
}

/// Requests that wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backlog {
    /// In the endpoint picker.
    pub(crate) queued: f64,
    /// In engines that compute prompts, beyond the usual.
    pub(crate) before_prefill: f64,
    /// In engines that only decode, beyond the usual.
    pub(crate) before_decode: f64,
}

/// The demand as far as it can be known; `None` where nothing tells of it.
pub(crate) fn read(
    pool: &Pool,
    servers: &[Server<'_>],
    profile: &Profile,
    settings: &Settings,
    disagreeing_seconds: f64,
) -> Option<Demand> {
    let backlog = backlog(pool, servers, settings);
    let arrivals = measured(pool.workload.request_rate);
    let served = served(servers);
    let (rate, basis) = match (arrivals, served) {
        (Some(arrivals), Some(served)) if disagreeing_seconds >= DISAGREEMENT_SECONDS => {
            (arrivals.max(served), Basis::Served)
        }
        (Some(arrivals), _) if arrivals > 0.0 => (arrivals, Basis::Arrivals),
        (_, Some(served)) if served > 0.0 => (served, Basis::Served),
        (arrivals, served) => match running(servers, profile) {
            Some(rate) if rate > 0.0 => (rate, Basis::Running),
            running => {
                let queued = measured(pool.workload.queued_requests);
                (
                    arrivals.or(served).or(running).or(queued.map(|_| 0.0))?,
                    Basis::Arrivals,
                )
            }
        },
    };
    Some(Demand {
        rate,
        basis,
        backlog,
    })
}

/// Whether far fewer requests are said to arrive than replicas finish.
pub(crate) fn disagree(pool: &Pool, servers: &[Server<'_>]) -> bool {
    let arrivals = measured(pool.workload.request_rate);
    matches!((arrivals, served(servers)), (Some(arrivals), Some(served))
        if served > 0.1 && arrivals < LEAST_SHARE_OF_SERVED * served)
}

impl Demand {
    /// Says where the rate is not what was measured at the door.
    pub(crate) fn explain(&self, pool: &Pool, notes: &mut Notes) {
        match (self.basis, pool.workload.request_rate) {
            (Basis::Arrivals, _) => {}
            (Basis::Served, None) => {
                notes.info(
                    None,
                    "arrivals are not measured: what replicas finish stands for them",
                );
            }
            (Basis::Served, Some(arrivals)) => notes.warning(
                None,
                format!(
                    "{arrivals:.2} requests/s are said to arrive, replicas finish {:.2}: \
                     the larger counts",
                    self.rate
                ),
            ),
            (Basis::Running, _) => notes.warning(
                None,
                format!(
                    "requests run but no rate is measured: {:.2} requests/s are estimated from \
                     those that run, and nothing is given up",
                    self.rate
                ),
            ),
        }
    }

    /// Requests per second that a stage must serve, its share of the backlog in `drain` seconds.
    pub(crate) fn of_stage(&self, role: Role, settings: &Settings) -> f64 {
        self.rate + self.backlog.of_stage(role) / settings.drain_seconds
    }
}

impl Demand {
    /// Whether supply may not go down: requests wait, or the load is only guessed at.
    pub(crate) fn must_hold(&self, role: Role) -> bool {
        self.basis == Basis::Running || self.backlog.of_stage(role) >= 1.0
    }
}

impl Backlog {
    /// What waits ahead of a stage comes to it too.
    pub(crate) fn of_stage(&self, role: Role) -> f64 {
        let before = self.queued + self.before_prefill;
        match role {
            Role::Both | Role::Prefill => before,
            Role::Decode => before + self.before_decode,
        }
    }
}

/// Requests per second that replicas finish.
pub(crate) fn served(servers: &[Server<'_>]) -> Option<f64> {
    through(servers, |server| server.load.total_rate())
}

/// Requests per second that keep this many running, by Little's law. Prompts are computed in so few
/// iterations that how many of them run tells little: replicas that only do that are asked last.
fn running(servers: &[Server<'_>], profile: &Profile) -> Option<f64> {
    let of = |prefill: bool| {
        through(servers, |server| {
            let running = server.load.running.of_all(server.load.ready)?;
            let asked = (server.variant.role == Role::Prefill) == prefill;
            let mean = server.load.running.mean()?;
            asked.then(|| running / residence(server, profile, mean))
        })
    };
    of(false).or_else(|| of(true))
}

/// Requests per second through the pool, from those through each variant: one request passes a
/// prefill and a decode replica, or a single whole one.
fn through(servers: &[Server<'_>], rate: impl Fn(&Server<'_>) -> Option<f64>) -> Option<f64> {
    let of_role = |wanted: Role| {
        let servers = servers.iter().filter(|s| s.variant.role == wanted);
        servers.filter_map(&rate).reduce(|sum, rate| sum + rate)
    };
    let split = [Role::Prefill, Role::Decode]
        .into_iter()
        .filter_map(of_role);
    let split = split.reduce(f64::max);
    let rates = of_role(Role::Both).into_iter().chain(split);
    rates.reduce(|sum, rate| sum + rate)
}

/// Seconds for which a request runs in a batch of so many.
fn residence(server: &Server<'_>, profile: &Profile, running: f64) -> f64 {
    let start = &server.start;
    let batch = running / server.instances;
    let (prompt, tokens) = (profile.input_tokens, profile.output_tokens);
    if server.variant.role == Role::Prefill {
        // Behind all prompts that run.
        let computed = start.base_seconds + batch * prompt * start.token_seconds;
        return server.load.ttft.value().unwrap_or(computed);
    }
    let computed = start.token_seconds * (prompt + tokens) / tokens;
    let held = start.kv_token_seconds * (prompt + tokens / 2.0);
    let iteration = start.base_seconds + batch * (computed + held);
    let itl = server.load.itl.value().unwrap_or(iteration);
    let ttft = server.load.ttft.value().unwrap_or(iteration);
    ttft + tokens * itl
}

fn backlog(pool: &Pool, servers: &[Server<'_>], settings: &Settings) -> Backlog {
    let bound = positive(pool.objective.ttft);
    let usual_wait = bound.map_or(USUAL_WAIT_SECONDS, |bound| USUAL_WAIT * bound);
    let mut backlog = Backlog {
        queued: measured(pool.workload.queued_requests).unwrap_or_default(),
        ..Backlog::default()
    };
    for server in servers {
        let Some(waiting) = server.load.waiting.of_all(server.load.ready) else {
            continue;
        };
        let rate = server.load.total_rate().unwrap_or_default();
        let engines = f64::from(server.load.ready) * server.instances;
        let usual = (rate * usual_wait).max(USUAL_WAITING * engines);
        let beyond = (waiting - usual).max(0.0);
        match server.variant.role {
            Role::Decode => backlog.before_decode += beyond,
            // A computed prompt keeps its place until a decode replica has room for it.
            Role::Prefill if decode_is_full(servers, settings) => backlog.before_decode += beyond,
            Role::Both | Role::Prefill => backlog.before_prefill += beyond,
        }
    }
    backlog
}

fn decode_is_full(servers: &[Server<'_>], settings: &Settings) -> bool {
    servers.iter().any(|server| {
        let usage = server.load.kv_usage.mean();
        server.variant.role == Role::Decode && usage.is_some_and(|u| u >= settings.kv_threshold)
    })
}
