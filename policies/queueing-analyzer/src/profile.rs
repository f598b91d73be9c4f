//! What the pool's requests are like: their lengths, smoothed over enough requests to be trusted.

use trimtab_models::Lengths;
use trimtab_sdk::{Pool, Role};

use crate::loads::{Load, measured, positive};
use crate::state::Profile;

/// Lengths taken where none was ever measured: a question with some context, a paragraph back.
pub(crate) const UNMEASURED: Profile = Profile {
    input_tokens: 1000.0,
    output_tokens: 200.0,
    prefix_hits: 0.0,
};

/// Requests over which lengths are averaged. Their standard deviation is about their mean, so this
/// many leave an error of 4 %.
const ENOUGH_REQUESTS: f64 = 600.0;

/// Least weight of what is newest: after so many calls it counts in full whatever the rate.
const LEAST_GAIN: f64 = 0.05;

/// The profile after `requests` more; `None` while nothing was ever measured.
pub(crate) fn follow(
    previous: Option<Profile>,
    pool: &Pool,
    loads: &[Load],
    requests: f64,
) -> Option<Profile> {
    let Some((input_tokens, output_tokens)) = lengths_now(pool, loads) else {
        return previous;
    };
    let prefix_hits = prefix_hits_now(pool, loads);
    let now = Profile {
        input_tokens,
        output_tokens: output_tokens.max(1.0),
        prefix_hits: prefix_hits
            .or(previous.map(|p| p.prefix_hits))
            .unwrap_or_default(),
    };
    let Some(before) = previous else {
        return Some(now);
    };
    let gain = (requests / ENOUGH_REQUESTS).clamp(LEAST_GAIN, 1.0);
    let towards = |before: f64, now: f64| before + gain * (now - before);
    Some(Profile {
        input_tokens: towards(before.input_tokens, now.input_tokens),
        output_tokens: towards(before.output_tokens, now.output_tokens),
        prefix_hits: towards(before.prefix_hits, now.prefix_hits),
    })
}

/// Mean lengths as measured: of what arrives, else of what the replicas finished.
fn lengths_now(pool: &Pool, loads: &[Load]) -> Option<(f64, f64)> {
    let input = positive(pool.workload.input_tokens)
        .or_else(|| heaviest(pool, loads, Role::Decode, |load| load.input_tokens.value()));
    // A prefill replica answers with a single token; it knows nothing of the answer's length.
    let output = positive(pool.workload.output_tokens).or_else(|| {
        heaviest(pool, loads, Role::Prefill, |load| {
            load.output_tokens.value()
        })
    });
    Some((input?, output?))
}

fn prefix_hits_now(pool: &Pool, loads: &[Load]) -> Option<f64> {
    measured(pool.workload.prefix_hit_ratio)
        .map(|ratio| ratio.min(1.0))
        .or_else(|| heaviest(pool, loads, Role::Decode, |load| load.prefix_hits.value()))
}

/// The value of the variant that finishes the most, of those whose role is not `except`.
fn heaviest(
    pool: &Pool,
    loads: &[Load],
    except: Role,
    value: impl Fn(&Load) -> Option<f64>,
) -> Option<f64> {
    let rate = |load: &Load| load.total_rate().unwrap_or_default();
    pool.variants
        .iter()
        .zip(loads)
        .filter(|(variant, _)| variant.role != except)
        .filter_map(|(_, load)| value(load).map(|value| (rate(load), value)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, value)| value)
}

impl Profile {
    pub(crate) fn lengths(&self) -> Lengths {
        Lengths::new(self.input_tokens, self.output_tokens).with_prefix_hits(self.prefix_hits)
    }
}
