//! The largest rate of arrivals at which a replica meets its targets.

use crate::error::{ModelError, within};
use crate::iteration::Role;
use crate::queue::{Operation, Replica};
use crate::search::{Bracket, Enough};
use crate::tail::{Quantiles, Tail, Tails};

/// What the requests were promised. Each bound is optional.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Targets {
    /// Time to first token that `percentile` of requests must meet.
    pub ttft_seconds: Option<f64>,
    /// Time between output tokens, as the mean over one request, that `percentile` of requests
    /// must meet.
    pub itl_seconds: Option<f64>,
    /// Share of requests that must meet both, e.g. 0.99.
    pub percentile: f64,
}

/// What keeps the rate from being larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    Ttft,
    Itl,
    /// The KV cache, the batch, or the engine's speed.
    Capacity,
}

/// The largest rate that meets the targets, and what the replica does at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sized {
    /// Requests per second.
    pub rate: f64,
    pub operation: Operation,
    /// At the targets' percentile.
    pub quantiles: Quantiles,
    pub binding: Binding,
}

/// A rate at which one in a thousand of those who may miss do not is near enough to the largest, and so is
/// one that is a two thousandth less: the model's own error is many times that.
const NEAR: Enough = Enough {
    below: 1e-3,
    width: 5e-4,
};

/// A replica that misses its targets at this share of its largest rate is not worth having.
const LEAST_SHARE: f64 = 1e-3;

/// Share of the requests that may miss that the model plans to: its own error, which with log-normal
/// lengths is up to a quarter more misses than it predicts, takes most of the rest.
const PLANNED_SHARE: f64 = 0.85;

/// How far from the hint the answer is looked for first.
const HINT_REACH: f64 = 0.01;

/// The largest rate at which `replica` meets those of `targets` that its role can miss: at which the share of requests that miss
/// either bound, are turned away or preempted, is no more than the percentile leaves.
///
/// `hint` is a rate near the answer, such as last time's; it makes the search shorter and moves the
/// answer by no more than the search's own error.
///
/// # Errors
/// [`ModelError::Invalid`] where a target is not positive or the percentile not inside 0..1;
/// [`ModelError::TargetUnreachable`] where a target is missed at a thousandth of the largest rate.
pub fn size(
    replica: &Replica,
    targets: &Targets,
    tail: &Tail,
    hint: Option<f64>,
) -> Result<Sized, ModelError> {
    let question = Question::new(replica, targets, tail)?;
    let rate = match question.start(hint)? {
        Start::Answer(rate) => rate,
        Start::Bracket(bracket) => bracket.crossing(NEAR, |rate| question.surplus(rate)),
    };
    let tails = Tails::new(replica, rate);
    let binding = if rate < replica.max_rate() {
        question.missed(&tails).binding()
    } else {
        Binding::Capacity
    };
    Ok(Sized {
        rate,
        operation: replica.at(rate)?,
        quantiles: tails.quantiles(tail, targets.percentile),
        binding,
    })
}

/// Targets as the model is asked for them.
struct Question<'a> {
    replica: &'a Replica,
    targets: &'a Targets,
    tail: &'a Tail,
    /// Bounds on what the model predicts before it is stretched.
    ttft: Option<f64>,
    itl: Option<f64>,
    /// Share of requests that may miss.
    spare: f64,
}

/// Where the search starts.
enum Start {
    Answer(f64),
    Bracket(Bracket),
}

/// Shares of requests that miss, by reason.
struct Missed {
    ttft: f64,
    itl: f64,
    failed: f64,
}

impl Missed {
    fn binding(&self) -> Binding {
        if self.failed > self.ttft + self.itl {
            Binding::Capacity
        } else if self.ttft > self.itl {
            Binding::Ttft
        } else {
            Binding::Itl
        }
    }
}

impl<'a> Question<'a> {
    fn new(replica: &'a Replica, targets: &'a Targets, tail: &'a Tail) -> Result<Self, ModelError> {
        within("percentile", targets.percentile, 1e-6, 1.0 - 1e-6)?;
        within("TTFT factor of the tail", tail.ttft_factor, 1e-3, 1e3)?;
        within("ITL factor of the tail", tail.itl_factor, 1e-3, 1e3)?;
        let bound = |what, target: Option<f64>, factor: f64| {
            let seconds = target.map(|seconds| within(what, seconds, 1e-9, 1e9));
            Ok(seconds.transpose()?.map(|seconds| seconds / factor))
        };
        let ttft = bound(
            "TTFT target in seconds",
            targets.ttft_seconds,
            tail.ttft_factor,
        )?;
        let itl = bound(
            "ITL target in seconds",
            targets.itl_seconds,
            tail.itl_factor,
        )?;
        Ok(Self {
            replica,
            targets,
            tail,
            ttft: ttft.filter(|_| replica.role() != Role::Decode),
            itl: itl.filter(|_| replica.role() != Role::Prefill),
            spare: PLANNED_SHARE * (1.0 - targets.percentile),
        })
    }

    fn missed(&self, tails: &Tails) -> Missed {
        Missed {
            ttft: self.ttft.map_or(0.0, |bound| tails.ttft_above(bound)),
            itl: self.itl.map_or(0.0, |bound| tails.itl_above(bound)),
            failed: tails.failed(),
        }
    }

    /// Logarithm of the share that misses over the share that may: above zero, too much arrives.
    fn surplus(&self, rate: f64) -> f64 {
        let missed = self.missed(&Tails::new(self.replica, rate));
        let all = missed.ttft + missed.itl + missed.failed;
        (all.max(1e-12) / self.spare).ln()
    }

    fn start(&self, hint: Option<f64>) -> Result<Start, ModelError> {
        let max = self.replica.max_rate();
        let most = self.fluid_guess();
        let least = LEAST_SHARE * max;
        let at = |rate: f64| (rate, self.surplus(rate));
        if let Some(hint) = hint.filter(|rate| *rate > least && *rate < most) {
            let here = at(hint);
            if NEAR.reached(here.1) {
                return Ok(Start::Answer(hint));
            }
            let reach = if here.1 > 0.0 {
                -HINT_REACH
            } else {
                HINT_REACH
            };
            let there = at((hint * (1.0 + reach)).max(least).min(most));
            if (here.1 > 0.0) != (there.1 > 0.0) {
                return Ok(between(here, there));
            }
        }
        let high = at(most);
        if high.1 <= 0.0 {
            let top = at(max);
            let higher = between(high, top);
            return Ok(if top.1 > 0.0 {
                higher
            } else {
                Start::Answer(max)
            });
        }
        let low = at(least.min(most));
        if low.1 > 0.0 {
            return Err(self.unreachable(low.0));
        }
        Ok(between(low, high))
    }

    /// The rate at which the mean iteration is as long as a gap may be: less will do, as a rule.
    fn fluid_guess(&self) -> f64 {
        let work = self.replica.work();
        let max = self.replica.max_rate();
        match self.itl {
            Some(bound) if work.gaps > 0.0 => {
                let busy = (1.0 - work.base / bound).max(LEAST_SHARE);
                (busy / work.total()).min(max)
            }
            Some(_) | None => max,
        }
    }

    fn unreachable(&self, rate: f64) -> ModelError {
        let tails = Tails::new(self.replica, rate);
        let best = tails.quantiles(self.tail, self.targets.percentile);
        let (what, target, best) = match self.ttft {
            Some(bound) if best.ttft_seconds > bound * self.tail.ttft_factor => {
                ("TTFT", self.targets.ttft_seconds, best.ttft_seconds)
            }
            Some(_) | None => ("ITL", self.targets.itl_seconds, best.itl_seconds),
        };
        ModelError::TargetUnreachable {
            what,
            target: target.unwrap_or_default(),
            best,
        }
    }
}

const fn between(low: (f64, f64), high: (f64, f64)) -> Start {
    Start::Bracket(Bracket { low, high })
}
