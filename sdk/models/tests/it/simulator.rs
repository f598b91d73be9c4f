//! A simulation of one replica, iteration by iteration, to hold the models against: Poisson arrivals,
//! continuous batching with chunked prefill, a budget of tokens, places, a KV cache with preemption.
//!
//! Written apart from the models and from the fleet's simulator: it shares nothing but the input.

use std::collections::{BTreeMap, VecDeque};

use trimtab_models::{Batch, Iteration, Lengths, Role};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine {
    pub(crate) role: Role,
    pub(crate) iteration: Iteration,
    pub(crate) batch: Batch,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: f64,
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// A request that was served. In the decode role the first token came with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) arrival: Arrival,
    pub(crate) first_token_at: f64,
    pub(crate) finished_at: f64,
}

impl Served {
    pub(crate) fn ttft(&self) -> f64 {
        self.first_token_at - self.arrival.at
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.arrival.output - 1
    }

    /// Mean time between its tokens; nothing where there is but one.
    pub(crate) fn mean_gap(&self) -> Option<f64> {
        let gaps = self.gaps();
        (gaps > 0).then(|| (self.finished_at - self.first_token_at) / gaps as f64)
    }
}

/// An iteration that was run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) end: f64,
    pub(crate) seconds: f64,
    pub(crate) decoding: usize,
    pub(crate) running: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) served: Vec<Served>,
    pub(crate) steps: Vec<Step>,
    pub(crate) preemptions: usize,
}

struct Sequence {
    arrival: Arrival,
    first_token_at: Option<f64>,
    /// Prompt tokens, and after a preemption produced ones, that must be computed still.
    to_compute: u64,
    held: u64,
    gaps_left: u64,
}

struct Decoding {
    sequence: Sequence,
    /// Iteration in which its last token comes, and that before its first step.
    last: u64,
    started: u64,
}

#[derive(Default)]
struct State {
    clock: f64,
    iterations: u64,
    admitted: u64,
    held: u64,
    waiting: VecDeque<Sequence>,
    prefilling: VecDeque<Sequence>,
    /// By order of admission to decoding.
    decoding: BTreeMap<u64, Decoding>,
    finishing: BTreeMap<u64, Vec<u64>>,
    run: Run,
}

/// Serves all arrivals, which are in order.
pub(crate) fn serve(engine: &Engine, arrivals: &[Arrival]) -> Run {
    let mut state = State::default();
    let mut coming = arrivals.iter().peekable();
    loop {
        if state.running() == 0 && state.waiting.is_empty() {
            let Some(next) = coming.peek() else { break };
            state.clock = state.clock.max(next.at);
        }
        while let Some(next) = coming.next_if(|next| next.at <= state.clock) {
            state.waiting.push_back(arrived(engine, *next));
        }
        state.iterate(engine);
    }
    state.run
}

fn arrived(engine: &Engine, arrival: Arrival) -> Sequence {
    let decodes = engine.role != Role::Prefill;
    let computed = engine.role == Role::Decode;
    Sequence {
        arrival,
        first_token_at: computed.then_some(arrival.at),
        to_compute: if computed { 0 } else { arrival.input },
        held: if computed { arrival.input } else { 0 },
        gaps_left: if decodes { arrival.output - 1 } else { 0 },
    }
}

impl State {
    fn running(&self) -> usize {
        self.prefilling.len() + self.decoding.len()
    }

    fn iterate(&mut self, engine: &Engine) {
        self.preempt(engine);
        self.admit_computed(engine);
        let decoding = self.decoding.len();
        let prompt_tokens = self.compute_prompts(engine, decoding as u64);
        let computed = decoding as u64 + prompt_tokens;
        self.held += computed;
        let Iteration {
            base_seconds,
            token_seconds,
            kv_token_seconds,
        } = engine.iteration;
        let seconds =
            base_seconds + token_seconds * computed as f64 + kv_token_seconds * self.held as f64;
        let running = self.running();
        self.clock += seconds;
        self.iterations += 1;
        self.run.steps.push(Step {
            end: self.clock,
            seconds,
            decoding,
            running,
        });
        self.finish_decoding();
        self.finish_prompts();
    }

    /// Sends the newest back to wait until the next token of all others fits.
    fn preempt(&mut self, engine: &Engine) {
        let Some(capacity) = engine.batch.kv_capacity_tokens else {
            return;
        };
        while self.held + self.decoding.len() as u64 > capacity && self.running() > 1 {
            let mut sequence = match self.prefilling.pop_back() {
                Some(sequence) => sequence,
                None => self.stop_decoding(),
            };
            self.held -= sequence.held;
            sequence.to_compute += sequence.held;
            sequence.held = 0;
            self.waiting.push_front(sequence);
            self.run.preemptions += 1;
        }
    }

    fn stop_decoding(&mut self) -> Sequence {
        let (_, stopped) = self.decoding.pop_last().expect("more than one runs");
        let mut sequence = stopped.sequence;
        let produced = self.iterations - stopped.started;
        sequence.held += produced;
        sequence.gaps_left -= produced;
        sequence
    }

    /// Takes in those whose prompt has been computed elsewhere.
    fn admit_computed(&mut self, engine: &Engine) {
        while let Some(next) = self.waiting.front() {
            let places = engine.batch.max_sequences as usize;
            if next.to_compute > 0 || self.running() >= places || !self.fits(engine, next.held) {
                break;
            }
            let sequence = self.waiting.pop_front().expect("looked at");
            self.held += sequence.held;
            self.decode(sequence);
        }
    }

    fn fits(&self, engine: &Engine, tokens: u64) -> bool {
        let capacity = engine.batch.kv_capacity_tokens.unwrap_or(u64::MAX);
        self.running() == 0 || self.held + self.decoding.len() as u64 + tokens <= capacity
    }

    /// Gives the budget that decoding leaves to prompts, in order; returns the tokens computed.
    fn compute_prompts(&mut self, engine: &Engine, decoding: u64) -> u64 {
        let budget = u64::from(engine.batch.max_batched_tokens).saturating_sub(decoding);
        let mut left = budget;
        for sequence in &mut self.prefilling {
            left -= compute(sequence, left);
        }
        while left > 0 && self.running() < engine.batch.max_sequences as usize {
            let reserved = budget - left;
            let Some(next) = self.waiting.front() else {
                break;
            };
            if !self.fits(engine, reserved + next.to_compute) {
                break;
            }
            let mut sequence = self.waiting.pop_front().expect("looked at");
            left -= compute(&mut sequence, left);
            self.prefilling.push_back(sequence);
        }
        budget - left
    }

    fn finish_prompts(&mut self) {
        while self
            .prefilling
            .front()
            .is_some_and(|first| first.to_compute == 0)
        {
            let mut sequence = self.prefilling.pop_front().expect("looked at");
            // A prompt yields a token; after a preemption it is one of the answer's.
            if sequence.first_token_at.is_some() {
                sequence.gaps_left -= 1;
            }
            sequence.first_token_at.get_or_insert(self.clock);
            if sequence.gaps_left == 0 {
                self.held -= sequence.held;
                self.finish(&sequence);
            } else {
                self.decode(sequence);
            }
        }
    }

    fn decode(&mut self, sequence: Sequence) {
        if sequence.gaps_left == 0 {
            self.held -= sequence.held;
            return self.finish(&sequence);
        }
        let last = self.iterations + sequence.gaps_left;
        self.finishing.entry(last).or_default().push(self.admitted);
        let started = self.iterations;
        self.decoding.insert(
            self.admitted,
            Decoding {
                sequence,
                last,
                started,
            },
        );
        self.admitted += 1;
    }

    fn finish_decoding(&mut self) {
        for id in self.finishing.remove(&self.iterations).unwrap_or_default() {
            // Whoever was preempted since finishes later, under another number.
            let Some(done) = self.decoding.remove(&id) else {
                continue;
            };
            assert_eq!(done.last, self.iterations);
            self.held -= done.sequence.held + self.iterations - done.started;
            self.finish(&done.sequence);
        }
    }

    fn finish(&mut self, sequence: &Sequence) {
        self.run.served.push(Served {
            arrival: sequence.arrival,
            first_token_at: sequence.first_token_at.unwrap_or(self.clock),
            finished_at: self.clock,
        });
    }
}

fn compute(sequence: &mut Sequence, budget: u64) -> u64 {
    let tokens = sequence.to_compute.min(budget);
    sequence.to_compute -= tokens;
    sequence.held += tokens;
    tokens
}

/// Poisson arrivals until `end`, with log-normal lengths; the rate may change with time.
pub(crate) fn arrivals(
    seed: u64,
    lengths: &Lengths,
    end: f64,
    rate: impl Fn(f64) -> f64,
) -> Vec<Arrival> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    let mut at = 0.0;
    loop {
        at += -random.uniform().ln() / rate(at);
        if at > end {
            return all;
        }
        all.push(Arrival {
            at,
            input: random.length(lengths.input_tokens, lengths.spread.input),
            output: random.length(lengths.output_tokens, lengths.spread.output),
        });
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// Strictly between 0 and 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn length(&mut self, mean: f64, spread: f64) -> u64 {
        if spread == 0.0 {
            return mean.round().max(1.0) as u64;
        }
        let variance = (1.0 + spread * spread).ln();
        let length = (mean.ln() - 0.5 * variance + variance.sqrt() * self.normal()).exp();
        length.round().max(1.0) as u64
    }
}

/// What the requests of a run saw, without those of its first tenth.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Ascending.
    ttft: Vec<f64>,
    mean_gaps: Vec<f64>,
    /// Mean gap over tokens.
    pub(crate) itl: f64,
    served: Vec<Served>,
}

impl Seen {
    pub(crate) fn of(run: &Run) -> Self {
        let served = run.served[run.served.len() / 10..].to_vec();
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values
        };
        let gaps: u64 = served.iter().map(Served::gaps).sum();
        let decoding: f64 = served
            .iter()
            .map(|s| s.finished_at - s.first_token_at)
            .sum();
        Self {
            ttft: sorted(served.iter().map(Served::ttft).collect()),
            mean_gaps: sorted(served.iter().filter_map(Served::mean_gap).collect()),
            itl: decoding / gaps as f64,
            served,
        }
    }

    pub(crate) fn ttft(&self) -> f64 {
        self.ttft.iter().sum::<f64>() / self.ttft.len() as f64
    }

    pub(crate) fn ttft_at(&self, percentile: f64) -> f64 {
        at(&self.ttft, percentile)
    }

    /// A request's mean gap at a percentile of requests.
    pub(crate) fn itl_at(&self, percentile: f64) -> f64 {
        at(&self.mean_gaps, percentile)
    }

    /// Share of requests that met both bounds.
    pub(crate) fn attained(&self, ttft: f64, itl: f64) -> f64 {
        let met = |served: &&Served| {
            served.ttft() <= ttft && served.mean_gap().is_none_or(|gap| gap <= itl)
        };
        self.served.iter().filter(met).count() as f64 / self.served.len() as f64
    }
}

fn at(sorted: &[f64], percentile: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * percentile) as usize]
}
