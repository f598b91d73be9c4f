//! The fallback: where no latency is measured and none was ever learned, a replica is as full as
//! the tokens in its KV cache say.
//!
//! Demand is tokens in use and tokens that wait to be; a replica's capacity is the smaller of what
//! its memory holds and of what its engine was seen, or is expected, to be able to work on.

use std::collections::BTreeMap;

use trimtab_sdk::{Capacity, Context, Pool, Replica, Role, Stage};

use crate::loads::{is_fresh, measured, positive};
use crate::notes::Notes;
use crate::servers::Server;
use crate::settings::Settings;
use crate::stages::{RATE_WINDOW_SECONDS, longest_gap};
use crate::state::{Profile, State};

/// Unit of the stages' numbers.
const UNIT: &str = "kv-tokens";

/// Samples of a replica's knee that are averaged.
const KNEE_SAMPLES: usize = 10;

/// Bytes of prompt that make a token, as a rule of thumb for English text.
const BYTES_PER_TOKEN: f64 = 4.0;

/// All that the stages are made of.
pub(crate) struct Tokens<'a> {
    pub(crate) context: &'a Context,
    pub(crate) pool: &'a Pool,
    pub(crate) replicas: &'a [Replica],
    pub(crate) servers: &'a [Server<'a>],
    pub(crate) profile: &'a Profile,
    pub(crate) settings: &'a Settings,
}

/// What one replica holds and what waits for it.
#[derive(Clone, Copy, Debug)]
struct Held {
    capacity: f64,
    in_use: f64,
    waiting: f64,
    input_tokens: f64,
    output_tokens: f64,
}

/// One variant in tokens.
#[derive(Clone, Copy, Debug)]
struct Full {
    per_replica: f64,
    load: f64,
}

impl Tokens<'_> {
    /// A stage for each role whose replicas say how full they are, or that has none yet.
    pub(crate) fn stages(&self, state: &mut State, notes: &mut Notes) -> Vec<Stage> {
        [Role::Both, Role::Prefill, Role::Decode]
            .into_iter()
            .filter_map(|role| self.stage(role, state, notes))
            .collect()
    }

    fn stage(&self, role: Role, state: &mut State, notes: &mut Notes) -> Option<Stage> {
        let servers: Vec<_> = self
            .servers
            .iter()
            .filter(|s| s.variant.role == role)
            .collect();
        let mut capacities = Vec::with_capacity(servers.len());
        let mut reporting = servers.iter().all(|server| server.load.ready == 0);
        for server in &servers {
            let held = self.held(server);
            reporting |= !held.is_empty();
            let full = self.full(server, &held, &mut state.knees);
            capacities.push(Capacity {
                variant: server.position,
                per_replica: full.per_replica,
                load: full.load,
                predicted_ttft: None,
                predicted_itl: None,
            });
        }
        if capacities.is_empty() {
            return None;
        }
        if !reporting {
            notes.warning(
                None,
                format!("{role:?}: no replica says how full it is, nothing is said of this role"),
            );
            return None;
        }
        let demand = capacities.iter().map(|c| c.load).sum::<f64>() + self.queued(role);
        let floor = demand / self.settings.scale_up_utilization;
        Some(Stage {
            role,
            unit: UNIT.into(),
            demand,
            forecast: None,
            floor,
            ceiling: self.ceiling(&servers, demand, floor, &capacities, state),
            capacities,
        })
    }

    /// Nothing goes while requests wait, while it was needed a moment ago, or while what was needed
    /// is not remembered yet.
    fn ceiling(
        &self,
        servers: &[&Server<'_>],
        demand: f64,
        floor: f64,
        capacities: &[Capacity],
        state: &mut State,
    ) -> f64 {
        let now = self.context.now;
        let window = self.settings.scale_down_window_seconds;
        let role = servers
            .first()
            .map_or(Role::Both, |server| server.variant.role);
        let remembered = state.token_floors.of(role);
        let reach = RATE_WINDOW_SECONDS.min(window);
        let age = remembered
            .span
            .age(now, longest_gap(self.context.period, reach));
        let recent = remembered.floors.0.push(now, (window * 1e3) as u64, floor);
        let ceiling = recent
            .unwrap_or(floor)
            .max(demand / self.settings.scale_down_utilization);
        let waits = servers
            .iter()
            .any(|server| server.load.hottest.most_waiting > 0.0)
            || measured(self.pool.workload.queued_requests).is_some_and(|queued| queued > 0.0);
        if !waits && age >= window {
            return ceiling;
        }
        let standing = servers.iter().zip(capacities).map(|(server, capacity)| {
            let variant = server.variant;
            f64::from(variant.current_replicas.max(variant.desired_replicas)) * capacity.per_replica
        });
        ceiling.max(standing.sum())
    }

    /// Tokens of what waits in the endpoint picker.
    fn queued(&self, role: Role) -> f64 {
        let requests = measured(self.pool.workload.queued_requests).unwrap_or_default();
        let bytes = measured(self.pool.workload.queued_bytes).unwrap_or_default();
        let prompts = (bytes / BYTES_PER_TOKEN).max(requests * self.profile.input_tokens);
        let answers = if role == Role::Prefill {
            0.0
        } else {
            requests * self.profile.output_tokens
        };
        prompts * (1.0 - self.profile.prefix_hits) + answers
    }

    fn held(&self, server: &Server<'_>) -> Vec<Held> {
        self.replicas
            .iter()
            .filter(|replica| replica.variant == server.position && is_fresh(replica))
            .filter_map(|replica| self.held_by(replica, server))
            .collect()
    }

    fn held_by(&self, replica: &Replica, server: &Server<'_>) -> Option<Held> {
        let reported = replica.kv_capacity_tokens.map(|tokens| tokens as f64);
        let capacity = positive(reported).or_else(|| server.kv_capacity())?;
        let usage = measured(replica.kv_usage)?;
        Some(Held {
            capacity,
            in_use: (usage * capacity).round().min(capacity),
            waiting: measured(replica.waiting).unwrap_or_default(),
            input_tokens: positive(replica.input_tokens).unwrap_or(self.profile.input_tokens),
            output_tokens: positive(replica.output_tokens).unwrap_or(self.profile.output_tokens),
        })
    }

    /// What a replica of the variant can hold, and what all of them hold.
    fn full(
        &self,
        server: &Server<'_>,
        held: &[Held],
        knees: &mut BTreeMap<String, Vec<f64>>,
    ) -> Full {
        self.learn_knees(server, held, knees);
        if held.is_empty() {
            let assumed = Held {
                capacity: server.kv_capacity().unwrap_or_default(),
                in_use: 0.0,
                waiting: 0.0,
                input_tokens: self.profile.input_tokens,
                output_tokens: self.profile.output_tokens,
            };
            return Full {
                per_replica: self.effective(server, &assumed, knees),
                load: 0.0,
            };
        }
        let effective = held
            .iter()
            .map(|held| self.effective(server, held, knees))
            .collect();
        // Tokens are whole numbers up to 10^9 here, so that this sum is exact in any order.
        let load: f64 = held.iter().map(Held::demand).sum();
        let all = server.load.ready.max(held.len() as u32);
        Full {
            per_replica: median(effective).unwrap_or_default(),
            load: load / held.len() as f64 * f64::from(all),
        }
    }

    /// A replica with a queue is at its limit: what it has in use is what it can work on.
    fn learn_knees(
        &self,
        server: &Server<'_>,
        held: &[Held],
        knees: &mut BTreeMap<String, Vec<f64>>,
    ) {
        for bucket in BUCKETS {
            let seen = held
                .iter()
                .filter(|held| self.is_full(held) && bucket.holds(held.output_tokens));
            let Some(knee) = median(seen.map(|held| held.in_use).collect()) else {
                continue;
            };
            let samples = knees.entry(bucket.key(server)).or_default();
            samples.push(knee);
            let surplus = samples.len().saturating_sub(KNEE_SAMPLES);
            samples.drain(..surplus);
        }
    }

    fn is_full(&self, held: &Held) -> bool {
        held.waiting >= self.settings.queue_threshold.floor() && held.in_use > 0.0
    }

    /// Tokens that one replica can work on.
    fn effective(
        &self,
        server: &Server<'_>,
        held: &Held,
        knees: &BTreeMap<String, Vec<f64>>,
    ) -> f64 {
        let memory = (held.capacity * self.settings.kv_threshold).floor();
        let compute = if self.is_full(held) {
            Some(held.in_use)
        } else {
            let bucket = BUCKETS
                .iter()
                .find(|bucket| bucket.holds(held.output_tokens));
            let knee = bucket.and_then(|bucket| knees.get(&bucket.key(server)));
            knee.and_then(|samples| mean(samples)).or_else(|| {
                server.variant.engine.as_ref()?;
                derived(server, held.input_tokens, held.output_tokens)
            })
        };
        compute.map_or(memory, |compute| compute.min(memory))
    }
}

impl Held {
    fn demand(&self) -> f64 {
        self.in_use + self.waiting.floor() * self.input_tokens.floor()
    }
}

/// Tokens held by the requests that one iteration can carry.
fn derived(server: &Server<'_>, input: f64, output: f64) -> Option<f64> {
    let tokens = f64::from(server.batch.max_batched_tokens);
    let sequences = f64::from(server.batch.max_sequences);
    let requests = (tokens * output / (input + output)).min(sequences);
    let held = (requests * (input + output / 2.0)).floor();
    (held > 0.0).then_some(held)
}

/// Lengths of answers, in tokens, for which a knee is learned apart.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    name: &'static str,
    from: f64,
    to: f64,
}

const BUCKETS: [Bucket; 3] = [
    Bucket {
        name: "short",
        from: 0.0,
        to: 100.0,
    },
    Bucket {
        name: "medium",
        from: 100.0,
        to: 500.0,
    },
    Bucket {
        name: "long",
        from: 500.0,
        to: f64::INFINITY,
    },
];

impl Bucket {
    fn holds(&self, output_tokens: f64) -> bool {
        (self.from..self.to).contains(&output_tokens)
    }

    fn key(&self, server: &Server<'_>) -> String {
        format!("{}/{}", server.key, self.name)
    }
}

fn mean(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| (samples.iter().sum::<f64>() / samples.len() as f64).floor())
}

/// The middle value; of an even number of them the whole part of the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get((values.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_whole_tokens() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![42.0]), Some(42.0));
        assert_eq!(median(vec![1.0, 3.0, 5.0]), Some(3.0));
        assert_eq!(median(vec![1.0, 3.0, 5.0, 7.0]), Some(4.0));
        assert_eq!(median(vec![5.0, 1.0, 3.0]), Some(3.0));
    }

    #[test]
    fn every_length_has_one_bucket() {
        let bucket = |output: f64| {
            let holding: Vec<_> = BUCKETS
                .iter()
                .filter(|bucket| bucket.holds(output))
                .collect();
            assert_eq!(holding.len(), 1, "{output}");
            holding[0].name
        };
        assert_eq!([0.0, 50.0, 99.9].map(bucket), ["short"; 3]);
        assert_eq!([100.0, 300.0, 499.9].map(bucket), ["medium"; 3]);
        assert_eq!([500.0, 1000.0].map(bucket), ["long"; 2]);
    }
}
