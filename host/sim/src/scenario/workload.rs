//! A pool's requests: a trace, laid over and repeated as asked, or generated ones.

use std::path::Path;

use super::check::Place;
use super::file::{GenerateEntry, LengthsEntry, PatternEntry, TraceEntry, WorkloadEntry};
use super::{Overrides, ScenarioError};
use crate::generate::{Lengths, Pattern, Process, generate};
use crate::spec::Arrival;
use crate::trace;

/// Requests are held in memory, at 32 bytes each and more.
const MOST_REQUESTS: f64 = 50e6;

/// Shorter turns would be noise, and take for ever to draw.
const SHORTEST_TURN_SECONDS: f64 = 0.1;

/// What a pool's arrivals are drawn with.
pub(super) struct Source<'a> {
    /// Where relative paths start.
    pub(super) directory: &'a Path,
    /// The pool's own.
    pub(super) seed: u64,
    /// Of the scenario; a generated workload needs it.
    pub(super) duration_seconds: Option<f64>,
    pub(super) overrides: &'a Overrides,
}

/// Requests and for how long they last.
pub(super) struct Arrivals {
    pub(super) requests: Vec<Arrival>,
    pub(super) duration_seconds: f64,
    /// Lines of the trace that are no served request.
    pub(super) skipped: u64,
}

impl Source<'_> {
    /// In order of arrival, and none after the scenario's duration.
    pub(super) fn arrivals(
        &self,
        workload: &WorkloadEntry,
        place: &Place<'_>,
    ) -> Result<Arrivals, ScenarioError> {
        let mut arrivals = match (&self.overrides.trace, workload) {
            (Some(file), _) => {
                let plain = TraceEntry::plain(file.clone());
                self.trace(&plain, file, &place.key("trace"))?
            }
            (None, WorkloadEntry::Trace(entry)) => self.trace(
                entry,
                &self.directory.join(&entry.file),
                &place.key("trace"),
            )?,
            (None, WorkloadEntry::Generate(entry)) => {
                self.generated(entry, &place.key("generate"))?
            }
        };
        let duration = self.duration_seconds.unwrap_or(arrivals.duration_seconds);
        arrivals
            .requests
            .retain(|request| request.at_seconds < duration);
        arrivals.duration_seconds = duration;
        Ok(arrivals)
    }

    fn trace(
        &self,
        entry: &TraceEntry,
        file: &Path,
        place: &Place<'_>,
    ) -> Result<Arrivals, ScenarioError> {
        let factor = place.positive(
            "rate-scale",
            self.overrides.rate_scale.unwrap_or(entry.rate_scale),
        )?;
        let spread = place.not_negative(
            "spread-seconds",
            self.overrides
                .spread_seconds
                .unwrap_or(entry.spread_seconds),
        )?;
        let repeat = place.at_least_one("repeat", self.overrides.repeat.unwrap_or(entry.repeat))?;
        let trace = trace::read(file).map_err(|error| place.trace_error(error))?;
        bounded(
            trace.requests.len() as f64 * factor * f64::from(repeat),
            place,
        )?;
        let length = trace.duration_seconds;
        let repeated = match repeat {
            1 => trace.requests,
            _ => trace::repeat(&trace.requests, repeat, length),
        };
        let length = length * f64::from(repeat);
        let requests = if factor == 1.0 {
            repeated
        } else {
            trace::rate_scale(&repeated, factor, spread, self.seed, length)
        };
        Ok(Arrivals {
            requests,
            duration_seconds: length,
            skipped: trace.skipped,
        })
    }

    fn generated(
        &self,
        entry: &GenerateEntry,
        place: &Place<'_>,
    ) -> Result<Arrivals, ScenarioError> {
        let duration = self.duration_seconds.ok_or_else(|| {
            place.error("has no end; expected `duration-seconds` in the scenario")
        })?;
        let factor = self.overrides.rate_scale.unwrap_or(1.0);
        place.positive("rate-scale", factor)?;
        let list = place.key("arrivals");
        list.hold(!entry.arrivals.is_empty(), "empty", "at least one pattern")?;
        let patterns: Vec<Pattern> = entry
            .arrivals
            .iter()
            .enumerate()
            .map(|(index, entry)| Ok(pattern(entry, duration, &list.index(index))?.scaled(factor)))
            .collect::<Result<_, ScenarioError>>()?;
        let process = Process {
            input: lengths(&entry.input_tokens, &place.key("input-tokens"))?,
            output: lengths(&entry.output_tokens, &place.key("output-tokens"))?,
            patterns,
        };
        bounded(process.highest_rate() * duration, place)?;
        let requests = generate(&process, duration, self.seed);
        Ok(Arrivals {
            requests,
            duration_seconds: duration,
            skipped: 0,
        })
    }
}

impl TraceEntry {
    /// The file as it is.
    pub(super) fn plain(file: std::path::PathBuf) -> Self {
        Self {
            file,
            rate_scale: super::defaults::one(),
            spread_seconds: super::defaults::spread_seconds(),
            repeat: super::defaults::once(),
        }
    }
}

fn bounded(requests: f64, place: &Place<'_>) -> Result<(), ScenarioError> {
    if requests <= MOST_REQUESTS {
        return Ok(());
    }
    Err(place.error(format!(
        "would be {requests:.0} requests; expected at most {MOST_REQUESTS:.0}: a lower rate, or \
         less time"
    )))
}

fn pattern(
    entry: &PatternEntry,
    duration_seconds: f64,
    place: &Place<'_>,
) -> Result<Pattern, ScenarioError> {
    Ok(match *entry {
        PatternEntry::Poisson { rate } => Pattern::Poisson {
            rate: place.key("poisson").not_negative("rate", rate)?,
        },
        PatternEntry::Bursts {
            on_rate,
            off_rate,
            on_seconds,
            off_seconds,
        } => {
            let place = place.key("bursts");
            let turn = |key: &str, seconds: f64| {
                place.key(key).hold(
                    seconds >= SHORTEST_TURN_SECONDS && seconds.is_finite(),
                    seconds,
                    "at least 0.1",
                )?;
                Ok::<f64, ScenarioError>(seconds)
            };
            Pattern::Bursts {
                on_rate: place.not_negative("on-rate", on_rate)?,
                off_rate: place.not_negative("off-rate", off_rate)?,
                on_seconds: turn("on-seconds", on_seconds)?,
                off_seconds: turn("off-seconds", off_seconds)?,
            }
        }
        PatternEntry::DailyCycle {
            trough,
            peak,
            period_seconds,
        } => {
            let place = place.key("daily-cycle");
            Pattern::DailyCycle {
                trough: place.not_negative("trough", trough)?,
                peak: place.not_negative("peak", peak)?,
                period_seconds: place.positive("period-seconds", period_seconds)?,
            }
        }
        PatternEntry::Ramp { from, to } => {
            let place = place.key("ramp");
            Pattern::Ramp {
                from: place.not_negative("from", from)?,
                to: place.not_negative("to", to)?,
            }
        }
        PatternEntry::Step {
            rate,
            at_seconds,
            for_seconds,
        } => {
            let place = place.key("step");
            Pattern::Step {
                rate: place.not_negative("rate", rate)?,
                at_seconds: place.not_negative("at-seconds", at_seconds)?,
                for_seconds: place
                    .not_negative("for-seconds", for_seconds.unwrap_or(duration_seconds))?,
            }
        }
    })
}

fn lengths(entry: &LengthsEntry, place: &Place<'_>) -> Result<Lengths, ScenarioError> {
    place.key("mean").hold(
        entry.mean >= 1.0 && entry.mean.is_finite(),
        entry.mean,
        "a number of tokens from 1 on",
    )?;
    Ok(Lengths {
        mean: entry.mean,
        cv: place.not_negative("cv", entry.cv)?,
        max: place.at_least_one("max", entry.max)?,
    })
}
