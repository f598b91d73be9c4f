//! Clients that wait for their answers before they ask again: however many replicas serve, the same
//! requests are in flight, and each replica more makes more of them arrive. Growth that follows
//! such a rate has no end: it stops where the objective is met.

use serde::{Deserialize, Serialize};
use trimtab_sdk::{Pool, Role};

use crate::demand;
use crate::loads::{Load, measured, positive};
use crate::notes::Notes;
use crate::servers::Server;
use crate::state::{Profile, State};

/// So many times the replicas show whether the requests in flight depend on them: a doubling, as far
/// as whole replicas come to one.
const GROWN: f64 = 1.75;

/// Share of the replicas' growth that the rate must show too. In an open loop it does not while a
/// queue drains.
const PROPORTION: f64 = 0.8;

/// Share by which the requests in flight may differ and be the same. In an open loop, twice the load
/// is about twice as many.
const SAME: f64 = 0.15;

/// Fewer requests in flight are the same by chance.
const FEWEST: f64 = 20.0;

/// Seconds for which the requests in flight may be others and still be the same afterwards: while
/// replicas join, the minute over which rates and latencies are measured is of two kinds.
const TRANSIENT_SECONDS: f64 = 90.0;

/// Seconds in which replicas must have grown: what was longer ago is another load.
const LONGEST_SECONDS: f64 = 1800.0;

/// With what a load is compared once there are more replicas.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Reference {
    /// Instant of the first sight of so many requests.
    since: u64,
    /// Instant of the last one.
    until: u64,
    seen: Sight,
    /// Whether more replicas have been seen with the same requests.
    closed: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sight {
    /// Replicas that serve.
    replicas: f64,
    in_flight: f64,
    /// Requests that arrive per second. What replicas finish follows their number in any loop while
    /// there is a queue.
    rate: f64,
}

/// Whether clients wait for their answers, as far as has been seen.
pub(crate) fn follow(
    pool: &Pool,
    servers: &[Server<'_>],
    profile: &Profile,
    now: u64,
    state: &mut State,
    notes: &mut Notes,
) -> bool {
    let Some(seen) = Sight::of(pool, servers, profile) else {
        return false;
    };
    let followed = state
        .closed_loop
        .and_then(|reference| reference.follow(seen, now));
    let reference = followed.unwrap_or_else(|| Reference::new(seen, now));
    state.closed_loop = Some(reference);
    if reference.closed {
        let in_flight = reference.seen.in_flight;
        notes.warning(
            None,
            format!(
                "{in_flight:.0} requests are in flight whatever the number of replicas: clients \
                 wait for their answers (closed loop); growth stops where TTFT and ITL meet the \
                 objective"
            ),
        );
    }
    reference.closed
}

impl Reference {
    fn new(seen: Sight, now: u64) -> Self {
        Self {
            since: now,
            until: now,
            seen,
            closed: false,
        }
    }

    /// The same after one more sight; `None` where there must be another.
    fn follow(mut self, seen: Sight, now: u64) -> Option<Self> {
        // None where the clock was set back.
        let age = now.checked_sub(self.since)? as f64 / 1e3;
        let is_same = seen.has_as_many_as(&self.seen);
        if is_same && !self.closed && seen.replicas < self.seen.replicas {
            return Some(Self::new(seen, now));
        }
        if is_same {
            self.until = now;
        }
        let missed = now.saturating_sub(self.until) as f64 / 1e3;
        if missed >= TRANSIENT_SECONDS || (!self.closed && age >= LONGEST_SECONDS) {
            return None;
        }
        self.closed |= is_same && seen.is_more_of(&self.seen);
        Some(self)
    }
}

impl Sight {
    /// `None` where any of it is not measured, or nothing serves.
    ///
    /// Requests in flight are counted by Little's law from means over one minute. Queues are given as
    /// the largest of that minute: while replicas join, they would be too long, and rates too low.
    fn of(pool: &Pool, servers: &[Server<'_>], profile: &Profile) -> Option<Self> {
        let rate = measured(pool.workload.request_rate)?;
        let served = positive(demand::served(servers))?;
        let (mut replicas, mut being_served) = (0.0, 0.0);
        for server in servers.iter().filter(|server| server.load.ready > 0) {
            replicas += f64::from(server.load.ready);
            let of_server = server.load.total_rate()?;
            if of_server > 0.0 {
                being_served += of_server * residence(server, profile)?;
            }
        }
        let queued = measured(pool.workload.queued_requests).unwrap_or_default();
        (replicas > 0.0).then_some(Self {
            replicas,
            in_flight: queued + rate * being_served / served,
            rate,
        })
    }

    fn has_as_many_as(&self, before: &Self) -> bool {
        (self.in_flight - before.in_flight).abs() <= SAME * before.in_flight
    }

    /// Whether it is the load of before, served faster by so many more replicas.
    fn is_more_of(&self, before: &Self) -> bool {
        before.in_flight >= FEWEST
            && before.rate > 0.0
            && self.replicas >= GROWN * before.replicas
            && self.rate / before.rate >= PROPORTION * self.replicas / before.replicas
    }
}

/// Seconds that a request spends in a replica, queue and all.
fn residence(server: &Server<'_>, profile: &Profile) -> Option<f64> {
    let later_tokens = server.own_lengths(profile).output_tokens - 1.0;
    let first = server.load.ttft.value();
    let itl = server.load.itl.value();
    let later = itl.or_else(|| (later_tokens < 1.0).then_some(0.0));
    let later = later.map(|itl| itl * later_tokens);
    match server.variant.role {
        Role::Both => Some(first? + later?),
        Role::Prefill => first,
        Role::Decode => later,
    }
}

/// Whether what a role's replicas measure meets the objective; false where there is none. All that
/// serve are measured where clients are known to wait.
pub(crate) fn is_objective_met(pool: &Pool, servers: &[Server<'_>], role: Role) -> bool {
    let (objective, workload) = (&pool.objective, &pool.workload);
    let ttft = positive(objective.ttft).filter(|_| role != Role::Decode);
    let itl = positive(objective.itl).filter(|_| role != Role::Prefill);
    let meets = |bound: Option<f64>, at_percentile, mean: fn(&Load) -> Option<f64>| {
        let of_role = servers.iter().filter(|server| server.variant.role == role);
        let means = of_role.filter_map(|server| mean(server.load));
        let mut all = means.chain(positive(at_percentile));
        bound.is_none_or(|bound| all.all(|seconds| seconds <= bound))
    };
    ttft.or(itl).is_some()
        && meets(ttft, workload.ttft_at_percentile, |load| load.ttft.value())
        && meets(itl, workload.itl_at_percentile, |load| load.itl.value())
}
