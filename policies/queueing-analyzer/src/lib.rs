//! Supply and demand from a queueing model that learns from what it sees.
//!
//! A replica is a queue whose service time grows with its batch. Its capacity is the largest rate
//! of arrivals at which TTFT and ITL meet the pool's objective at the wanted percentile; demand is
//! what arrives, what waits, and what is expected to arrive by the time that a replica asked for
//! now would serve. Where latency is not measured, tokens in the KV cache stand in. Where clients
//! are seen to wait for their answers before they ask again, growth stops as soon as measured TTFT
//! and ITL meet the objective: more replicas would only make them ask faster.

mod closed_loop;
mod demand;
mod learning;
mod loads;
mod notes;
mod profile;
mod queueing;
mod saturation;
mod servers;
mod settings;
mod sizing;
mod stages;
mod state;
mod sum;
mod tail;
mod tracking;
mod work;

pub use settings::Settings;

use trimtab_models::model_name::model_size;
use trimtab_sdk::{
    Analysis, Analyzer, Context, Descriptor, Knowledge, Pool, Refusal, Replica, Stage,
    export_analyzer,
};

use crate::loads::Load;
use crate::notes::Notes;
use crate::queueing::Queueing;
use crate::saturation::Tokens;
use crate::servers::Server;
use crate::stages::RATE_WINDOW_SECONDS;
use crate::state::State;

/// Taken where the host does not say how often it calls.
const USUAL_PERIOD_SECONDS: f64 = 15.0;

/// Measurements look back a minute: a longer gap between calls brings no more that is new.
const LONGEST_GAP_SECONDS: f64 = 60.0;

/// The analyzer; see the crate's documentation.
#[derive(Clone, Copy, Debug)]
pub struct QueueingAnalyzer;

export_analyzer!(QueueingAnalyzer);

impl Analyzer for QueueingAnalyzer {
    fn describe() -> Descriptor {
        Descriptor {
            name: "queueing-analyzer".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Supply by a queueing model of a replica that learns from measured latency; \
                      demand by arrivals, queues and a forecast. Predicted latencies are at the \
                      objective's percentile."
                .into(),
            settings_schema: trimtab_sdk::settings::schema::<Settings>(),
            state_format: state::FORMAT.into(),
        }
    }

    fn analyze(
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, Refusal> {
        let settings = Settings::read(&context.settings)?;
        let mut notes = Notes::default();
        let mut state = remembered(context, &mut notes);
        let model = model_size(&pool.model);
        let loads = loads::by_variant(pool, replicas);
        let servers: Vec<Server<'_>> = (0..)
            .zip(&pool.variants)
            .zip(&loads)
            .map(|((position, variant), load)| {
                Server::new((position, variant, load), pool, &model, knowledge)
            })
            .collect();
        let call = Call {
            context,
            pool,
            replicas,
            settings: &settings,
            servers: &servers,
            loads: &loads,
        };
        let stages = call.stages(&mut state, &mut notes)?;
        notes.about_pool(pool, &model, &servers);
        let learned = learning::worth_telling(context, pool, &servers, knowledge, &state);
        Ok(Analysis {
            stages,
            learned,
            notes: notes.into_list(),
            state: trimtab_sdk::state::save(&state)?,
        })
    }
}

/// What this policy returned last time. Bytes that it cannot read are not worth standing still for.
fn remembered(context: &Context, notes: &mut Notes) -> State {
    trimtab_sdk::state::load(&context.state).unwrap_or_else(|_| {
        notes.warning(
            None,
            "the state of the last call cannot be read: learning starts anew",
        );
        State::default()
    })
}

/// The arguments of one call, and what was made of them.
struct Call<'a> {
    context: &'a Context,
    pool: &'a Pool,
    replicas: &'a [Replica],
    settings: &'a Settings,
    servers: &'a [Server<'a>],
    loads: &'a [Load],
}

impl Call<'_> {
    fn stages(&self, state: &mut State, notes: &mut Notes) -> Result<Vec<Stage>, Refusal> {
        let elapsed = self.elapsed(state);
        state.since = Some(
            state
                .since
                .unwrap_or(self.context.now)
                .min(self.context.now),
        );
        state.at = Some(self.context.now);
        let rate = loads::measured(self.pool.workload.request_rate).unwrap_or_default();
        state.lengths = profile::follow(state.lengths, self.pool, self.loads, rate * elapsed);
        let profile = &state.lengths.unwrap_or(profile::UNMEASURED);
        let Self {
            context,
            pool,
            replicas,
            settings,
            servers,
            ..
        } = *self;
        if self.only_tokens_tell(state) {
            notes.info(
                None,
                "TTFT and ITL are not measured: tokens in the KV cache decide",
            );
            let tokens = Tokens {
                context,
                pool,
                replicas,
                servers,
                profile,
                settings,
            };
            return Ok(tokens.stages(state, notes));
        }
        let disagreeing = self.disagreeing_seconds(state);
        let demand = demand::read(pool, servers, profile, settings, disagreeing)
            .ok_or_else(nothing_known)?;
        let queueing = Queueing {
            context,
            pool,
            settings,
            servers,
            profile,
            demand,
            elapsed,
        };
        Ok(queueing.stages(state, notes))
    }

    /// Seconds since the last call: what was measured since then is new.
    fn elapsed(&self, state: &State) -> f64 {
        let period = self.context.period;
        let period = if period.is_finite() && period > 0.0 {
            period
        } else {
            USUAL_PERIOD_SECONDS
        };
        let since = state.at.and_then(|at| self.context.now.checked_sub(at));
        since.map_or(period, |ms| {
            (ms as f64 / 1e3).clamp(1.0, LONGEST_GAP_SECONDS)
        })
    }

    /// Whether replicas serve, and nothing was ever heard of how long it takes.
    fn only_tokens_tell(&self, state: &State) -> bool {
        let workload = &self.pool.workload;
        let latency = [
            workload.ttft_mean,
            workload.ttft_at_percentile,
            workload.itl_mean,
            workload.itl_at_percentile,
        ];
        let known = latency.iter().any(Option::is_some)
            || self
                .loads
                .iter()
                .any(|load| load.ttft.value().or(load.itl.value()).is_some())
            || self.servers.iter().any(|server| server.known_live)
            || state
                .trackers
                .values()
                .any(|tracked| tracked.0.confidence().accepted > 0);
        // Where requests run but nothing was measured over a window yet, latency may still come.
        let runs = self.loads.iter().any(|load| load.running.mean().is_some());
        let rated = workload.request_rate.is_some()
            || self.loads.iter().any(|load| load.rate.mean().is_some());
        let waited = rated || !runs || state.age(self.context.now) >= RATE_WINDOW_SECONDS;
        !known
            && waited
            && self
                .loads
                .iter()
                .any(|load| load.kv_usage.mean().is_some() && load.is_busy())
    }

    /// For how long fewer requests are said to arrive than replicas finish.
    fn disagreeing_seconds(&self, state: &mut State) -> f64 {
        let now = self.context.now;
        if !demand::disagree(self.pool, self.servers) {
            state.disagreeing_since = None;
            return 0.0;
        }
        let since = *state.disagreeing_since.get_or_insert(now);
        now.saturating_sub(since) as f64 / 1e3
    }
}

fn nothing_known() -> Refusal {
    Refusal::InsufficientData(
        "neither the rate of arrivals, nor a queue, nor any replica is measured".into(),
    )
}
