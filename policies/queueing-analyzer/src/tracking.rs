//! Following the constants of an iteration, and how well the router balances, from what settled
//! replicas measure.

use trimtab_models::{Observation, Tracker};

use crate::loads::positive;
use crate::servers::Server;
use crate::state::{Profile, Settled, State, Tracked};

/// Seconds after replicas joined before their measurements count: what finishes first is short, so
/// that the rates and lengths of a replica which fills up do not belong together.
const SETTLING_SECONDS: f64 = 90.0;

/// Share of new replicas among those of a variant that does not disturb the means.
const FEW: f64 = 0.1;

/// Moves the constants of each kind of engine towards what its replicas measured over `seconds`.
/// After more than `longest_gap` seconds without measurements, replicas settle anew.
pub(crate) fn follow(
    servers: &[Server<'_>],
    profile: &Profile,
    now: u64,
    (seconds, longest_gap): (f64, f64),
    state: &mut State,
) {
    for server in servers {
        if !is_settled(server, now, longest_gap, state) {
            continue;
        }
        follow_balance(server, state);
        let Some(observation) = observation(server, profile, seconds) else {
            continue;
        };
        let tracked = state
            .trackers
            .entry(server.key.clone())
            .or_insert_with(|| Tracked(Tracker::new(server.start)));
        tracked.0.update(&observation);
    }
    forget(servers, state);
}

/// Drops what belongs to variants that are gone.
fn forget(servers: &[Server<'_>], state: &mut State) {
    let is_key = |key: &String| servers.iter().any(|server| server.key == *key);
    state.trackers.retain(|key, _| is_key(key));
    let is_variant = |name: &String| servers.iter().any(|server| server.variant.name == *name);
    state.settled.retain(|name, _| is_variant(name));
    state.hints.retain(|name, _| is_variant(name));
}

/// Share of a new sight of the balance that is taken over.
const BALANCE_GAIN: f64 = 0.1;

/// What a few replicas show is mostly chance: it counts for less.
fn follow_balance(server: &Server<'_>, state: &mut State) {
    if let Some(seen) = server.load.balance() {
        let gain = BALANCE_GAIN * (1.0 - 1.0 / f64::from(server.load.fresh));
        state.balance += gain * (seen - state.balance);
    }
}

/// Whether all but a few of the replicas that serve have done so for a while, and were measured all
/// the time: Prometheus divides what it saw by its whole window, also where it has seen less of it,
/// as after its start or a gap.
fn is_settled(server: &Server<'_>, now: u64, longest_gap: f64, state: &mut State) -> bool {
    if server.load.fresh == 0 {
        return false;
    }
    let ready = server.variant.ready_replicas;
    let name = server.variant.name.clone();
    let settled = state.settled.entry(name).or_insert(Settled {
        ready,
        since: now,
        until: now,
    });
    let joined = f64::from(ready.saturating_sub(settled.ready));
    let gap = now.saturating_sub(settled.until) as f64 / 1e3;
    if joined > FEW * f64::from(ready) || gap > longest_gap {
        settled.since = now;
    }
    settled.ready = ready;
    settled.until = now;
    now.saturating_sub(settled.since) as f64 / 1e3 >= SETTLING_SECONDS
}

/// The means of one engine of the variant; `None` where none served.
fn observation(server: &Server<'_>, profile: &Profile, seconds: f64) -> Option<Observation> {
    let load = server.load;
    let (ttft_seconds, itl_seconds) = (load.ttft.value(), load.itl.value());
    let per_replica = positive(load.rate.mean())?;
    ttft_seconds.or(itl_seconds)?;
    Some(Observation {
        role: server.role(),
        rate: per_replica / server.instances,
        // Windows of a minute overlap from call to call: only what is new counts.
        requests: load.total_rate()? * seconds,
        lengths: server.own_lengths(profile),
        batch: server.batch,
        ttft_seconds,
        itl_seconds,
        running: positive(load.running.mean()).map(|running| running / server.instances),
    })
}
