//! How much of a pool's demand one replica can carry, in closed form, and which counts suffice.
//!
//! Only scenarios (first counts) and baselines use this; the policies have a model of their own.

use trimtab_contract::{Objective, Role};

use crate::spec::{Arrival, VariantSpec};

/// Share of requests beyond the mean: the slowest percent of answers is about so much slower than
/// the mean in an iteration-level simulation of steady Poisson arrivals.
const ITL_TAIL: f64 = 1.25;

/// The same of the time to first token: 2.3 to 3.7 times the mean there.
const TTFT_TAIL: f64 = 3.0;

/// Most of the batch's places, and of the KV cache, that a steady load may fill.
const FILL: f64 = 0.9;

/// Longest iteration in units of the base, where no objective bounds it: a utilisation of 0.9.
const SLOWEST: f64 = 10.0;

/// Share of nothing: large, and finite, so that no replica at all still carries none of it.
pub const PLENTY: f64 = 1e9;

/// What arrives, as rates per second; adds up over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    pub requests: f64,
    pub input_tokens: f64,
    pub output_tokens: f64,
    /// KV tokens read by all iterations of the requests: of each, its context summed over its
    /// output tokens.
    pub kv_reads: f64,
}

impl Demand {
    /// Of requests that arrive within `seconds`.
    #[must_use]
    pub fn of<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>, seconds: f64) -> Self {
        let mut sum = Self::default();
        for arrival in arrivals {
            let (input, output) = (
                f64::from(arrival.input_tokens),
                f64::from(arrival.output_tokens),
            );
            sum.requests += 1.0;
            sum.input_tokens += input;
            sum.output_tokens += output;
            sum.kv_reads += (input + output / 2.0) * (output - 1.0);
        }
        sum.times(1.0 / seconds)
    }

    /// `factor` times as much.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            requests: self.requests * factor,
            input_tokens: self.input_tokens * factor,
            output_tokens: self.output_tokens * factor,
            kv_reads: self.kv_reads * factor,
        }
    }
}

/// The share of `demand` that one replica of `variant` can carry within `objective`: 0 where it
/// cannot meet it at all, [`PLENTY`] where nothing is demanded.
///
/// An iteration that computes and reads for the load `s·demand` takes `T = base / (1 − s·ρ)`,
/// where `ρ` is the time per second that the whole demand takes on one replica beside the base.
/// Means are held below the objectives divided by what the tail is usually longer.
#[must_use]
pub fn share(variant: &VariantSpec, objective: &Objective, demand: &Demand) -> f64 {
    if demand.requests <= 0.0 {
        return PLENTY;
    }
    let iteration = &variant.iteration;
    let prompts = if variant.role == Role::Decode {
        0.0
    } else {
        1.0
    };
    let answers = if variant.role == Role::Prefill {
        0.0
    } else {
        1.0
    };
    let tokens = prompts * demand.input_tokens + answers * demand.output_tokens;
    let reads = answers * demand.kv_reads;
    let busy = iteration.per_token_seconds * tokens + iteration.per_kv_token_seconds * reads;

    let prompt_seconds =
        iteration.per_token_seconds * demand.input_tokens / demand.requests * prompts;
    // A request waits for the iteration that runs, and its prompt is computed in the next.
    let by_ttft = objective
        .ttft
        .map(|ttft| (ttft / TTFT_TAIL - prompt_seconds) / 2.0);
    let by_itl = objective
        .itl
        .filter(|_| answers > 0.0)
        .map(|itl| itl / ITL_TAIL);
    let longest = [by_ttft, by_itl]
        .into_iter()
        .flatten()
        .fold(SLOWEST * iteration.base_seconds, f64::min);
    if longest <= iteration.base_seconds {
        return 0.0;
    }
    let by_time = (1.0 - iteration.base_seconds / longest) / busy;
    // Requests in the batch are iterations per second times T; so are KV tokens held.
    let within = |per_second: f64, most: f64| {
        FILL * most / (per_second * iteration.base_seconds + FILL * most * busy)
    };
    let by_batch = within(
        answers * demand.output_tokens,
        f64::from(variant.engine.max_sequences),
    );
    let by_memory = within(reads, variant.kv_capacity_tokens as f64);
    by_time.min(by_batch).min(by_memory)
}

/// The positions of the variants of each stage that a request has to pass. Where some variants
/// do whole requests there is one stage, and those that do parts are left alone.
#[must_use]
pub fn stages(variants: &[VariantSpec]) -> Vec<Vec<usize>> {
    let of = |role| -> Vec<usize> {
        let with_role = variants
            .iter()
            .enumerate()
            .filter(|(_, variant)| variant.role == role);
        with_role.map(|(position, _)| position).collect()
    };
    match of(Role::Both) {
        both if both.is_empty() => vec![of(Role::Prefill), of(Role::Decode)],
        both => vec![both],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Overrides, Scenario};

    const SCENARIO: &str = "
name: test
duration-seconds: 60
pools:
  - name: pool
    model: Llama-3.1-8B
    objective: {ttft-seconds: 1, itl-seconds: 0.05}
    workload:
      generate: {arrivals: [poisson: {rate: 1}], input-tokens: {mean: 9}, output-tokens: {mean: 9}}
    variants:
      - {name: h100, accelerator: H100}
      - {name: a100, accelerator: A100}
      - {name: l40s, accelerator: L40S}
";

    fn variants() -> (Vec<VariantSpec>, Objective) {
        let scenario = Scenario::parse("test", SCENARIO, std::path::Path::new("")).unwrap();
        let mut spec = scenario.resolve(&Overrides::default()).unwrap();
        let pool = spec.pools.remove(0);
        (pool.variants, pool.objective)
    }

    fn demand(input_tokens: u32, output_tokens: u32) -> Demand {
        let prefix_blocks = Box::default();
        let one = Arrival {
            at_seconds: 0.0,
            input_tokens,
            output_tokens,
            prefix_blocks,
        };
        Demand::of([&one], 1.0)
    }

    /// Requests per second.
    fn rate(variant: &VariantSpec, objective: &Objective, input: u32, output: u32) -> f64 {
        share(variant, objective, &demand(input, output))
    }

    #[test]
    fn faster_cards_carry_more() {
        let (variants, objective) = variants();
        let rates: Vec<f64> = variants
            .iter()
            .map(|v| rate(v, &objective, 1155, 211))
            .collect();
        assert!((14.0..20.0).contains(&rates[0]), "H100: {rates:?}");
        assert!((4.0..7.0).contains(&rates[1]), "A100: {rates:?}");
        assert!((1.5..4.0).contains(&rates[2]), "L40S: {rates:?}");
    }

    #[test]
    fn capacity_falls_as_objectives_tighten() {
        let (variants, objective) = variants();
        let with_itl = |itl| {
            let objective = Objective {
                itl: Some(itl),
                ..objective.clone()
            };
            rate(&variants[0], &objective, 1155, 211)
        };
        assert!(with_itl(0.05) > with_itl(0.02));
        assert_eq!(with_itl(0.007), 0.0, "the base alone takes longer");
        let with_ttft = |ttft| {
            let objective = Objective {
                ttft: Some(ttft),
                itl: None,
                ..objective.clone()
            };
            rate(&variants[0], &objective, 4_000, 10)
        };
        assert!(with_ttft(0.6) > with_ttft(0.4));
        assert_eq!(with_ttft(0.3), 0.0, "the prompt alone takes longer");
    }

    #[test]
    fn places_and_memory_bound_what_is_carried() {
        let (mut variants, objective) = variants();
        let h100 = &mut variants[0];
        let free = rate(h100, &objective, 1155, 211);
        h100.engine.max_sequences = 16;
        let few_places = rate(h100, &objective, 1155, 211);
        assert!(few_places < 0.7 * free, "{few_places} {free}");
        h100.engine.max_sequences = 256;
        h100.kv_capacity_tokens = 20_000;
        let little_memory = rate(h100, &objective, 1155, 211);
        assert!(little_memory < 0.7 * free, "{little_memory} {free}");
    }

    #[test]
    fn a_prefill_replica_computes_no_answers() {
        let (mut variants, objective) = variants();
        let whole = rate(&variants[0], &objective, 2000, 500);
        variants[0].role = Role::Prefill;
        let prefill = rate(&variants[0], &objective, 2000, 500);
        assert_eq!(prefill, rate(&variants[0], &objective, 2000, 1));
        variants[0].role = Role::Decode;
        let decode = rate(&variants[0], &objective, 2000, 500);
        assert!(prefill > whole && decode > whole);
        assert_eq!(
            stages(&variants),
            [vec![1, 2]],
            "those that do whole requests"
        );
        variants.truncate(1);
        assert_eq!(stages(&variants), [vec![], vec![0]]);
    }

    #[test]
    fn no_demand_is_carried_by_anything() {
        let (variants, objective) = variants();
        assert_eq!(
            share(&variants[0], &objective, &Demand::of([], 60.0)),
            PLENTY
        );
    }
}
