//! What a request costs, so that loads of unlike requests can be compared: when answers become
//! shorter while more arrive, it is the work that says whether more replicas are needed.

use serde::{Deserialize, Serialize};
use trimtab_models::Iteration;

use crate::servers::Server;
use crate::state::{Profile, State};

/// Observations after which a change of the constants is taken for a change of the load. Before, it
/// is the guess at them that becomes better.
const LEARNED_OBSERVATIONS: u32 = 20;

/// The engine by whose constants work is counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Yardstick {
    /// [`Server::key`].
    key: String,
    token_seconds: f64,
    kv_token_seconds: f64,
}

impl Yardstick {
    fn new(key: &str, iteration: Iteration) -> Self {
        Self {
            key: key.into(),
            token_seconds: iteration.token_seconds,
            kv_token_seconds: iteration.kv_token_seconds,
        }
    }

    /// Seconds of iterations that one request fills, beside their base.
    ///
    /// As tracked, the constants make up for lengths that are measured over longer windows than
    /// latency: a request that is longer than known shows as an engine that is slower.
    pub(crate) fn work_seconds(&self, profile: &Profile) -> f64 {
        let lengths = profile.lengths();
        let computed = lengths.input_tokens - lengths.cached_tokens + lengths.output_tokens;
        let held = (lengths.input_tokens + lengths.output_tokens / 2.0) * lengths.output_tokens;
        computed * self.token_seconds + held * self.kv_token_seconds
    }
}

/// The work in one request of the profile, in seconds. Counts what is remembered anew where the
/// yardstick is another, or became better known.
pub(crate) fn per_request(servers: &[Server<'_>], profile: &Profile, state: &mut State) -> f64 {
    let before = state.yardstick.take();
    let kept = before
        .as_ref()
        .and_then(|before| servers.iter().find(|server| server.key == before.key));
    let Some(server) = kept.or_else(|| busiest(servers)) else {
        return 1.0;
    };
    let now = Yardstick::new(&server.key, state.iteration(server));
    let work = now.work_seconds(profile);
    if let Some(before) = before
        && (before.key != now.key || !is_learned(server, state))
    {
        state.scale_work(work / before.work_seconds(profile));
    }
    state.yardstick = Some(now);
    work
}

/// The one that serves the most; the first where none does.
fn busiest<'s, 'a>(servers: &'s [Server<'a>]) -> Option<&'s Server<'a>> {
    let rate = |server: &Server<'_>| server.load.total_rate().unwrap_or_default();
    servers
        .iter()
        .rev()
        .max_by(|a, b| rate(a).total_cmp(&rate(b)))
}

fn is_learned(server: &Server<'_>, state: &State) -> bool {
    let tracked = state.trackers.get(&server.key);
    tracked.is_some_and(|tracked| tracked.0.confidence().accepted >= LEARNED_OBSERVATIONS)
}
