//! A pool's requests: a trace, laid over and repeated as asked, or generated ones.

use std::path::Path;

use super::check::Place;
use super::file::{GenerateEntry, LengthsEntry, PatternEntry, TraceEntry, WorkloadEntry};
use super::{Overrides, ScenarioError, bounds};
use crate::excerpt::number;
use crate::generate::{Lengths, Pattern, Process, generate};
use crate::spec::Arrival;
use crate::trace::{self, LONGEST_SECONDS};

/// Requests are held in memory, at 32 bytes each and more.
const MOST_REQUESTS: f64 = 50e6;

/// Turns of bursts are drawn before the requests, and kept.
const MOST_TURNS: f64 = 10e6;

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
                self.trace(&plain, file, &Place::option("--trace"))?
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
        let (given, options) = (entry, self.overrides);
        let (scale_place, factor) =
            chosen(place, "rate-scale", given.rate_scale, options.rate_scale);
        let (spread_place, spread) = match options.spread_seconds {
            Some(spread) => (Place::option("--spread"), spread),
            None => (place.key("spread-seconds"), given.spread_seconds),
        };
        let (repeat_place, repeat) = chosen(place, "repeat", given.repeat, options.repeat);
        scale_place.bounded(bounds::RATE_SCALE, factor)?;
        spread_place.bounded(bounds::INSTANT_SECONDS, spread)?;
        repeat_place.bounded(bounds::REPEAT, repeat)?;
        let trace = trace::read(file).map_err(|error| place.trace_error(error))?;
        // A factor below 1 thins what was repeated before.
        affordable(
            trace.requests.len() as f64 * factor.max(1.0) * f64::from(repeat),
            place,
        )?;
        let length = trace.duration_seconds * f64::from(repeat);
        if length > LONGEST_SECONDS {
            return Err(repeat_place.error(format!(
                "the trace would last {:.0} days, played {repeat} times; expected at most 366 days",
                length / 86_400.0
            )));
        }
        let repeated = match repeat {
            1 => trace.requests,
            _ => trace::repeat(&trace.requests, repeat, trace.duration_seconds),
        };
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
        Place::option("--rate-scale").bounded(bounds::RATE_SCALE, factor)?;
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
        affordable(process.highest_rate() * duration, place)?;
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

/// The value of an option where it is given, else the field's, with where it stands.
fn chosen<'a, T>(place: &Place<'a>, key: &str, field: T, option: Option<T>) -> (Place<'a>, T) {
    match option {
        Some(value) => (Place::option(&format!("--{key}")), value),
        None => (place.key(key), field),
    }
}

fn affordable(requests: f64, place: &Place<'_>) -> Result<(), ScenarioError> {
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
    let rate = |place: &Place<'_>, key, rate: f64| place.within(key, bounds::RATE, rate);
    Ok(match *entry {
        PatternEntry::Poisson { rate: constant } => Pattern::Poisson {
            rate: rate(&place.key("poisson"), "rate", constant)?,
        },
        PatternEntry::Bursts {
            on_rate,
            off_rate,
            on_seconds,
            off_seconds,
        } => {
            let place = place.key("bursts");
            let bursts = Pattern::Bursts {
                on_rate: rate(&place, "on-rate", on_rate)?,
                off_rate: rate(&place, "off-rate", off_rate)?,
                on_seconds: place.within("on-seconds", bounds::TURN_SECONDS, on_seconds)?,
                off_seconds: place.within("off-seconds", bounds::TURN_SECONDS, off_seconds)?,
            };
            let turns = 2.0 * duration_seconds / (on_seconds + off_seconds);
            place.hold(
                turns <= MOST_TURNS,
                format!("{turns:.0} turns"),
                &format!("at most {MOST_TURNS:.0}: longer ones, or less time"),
            )?;
            bursts
        }
        PatternEntry::DailyCycle {
            trough,
            peak,
            period_seconds,
        } => {
            let place = place.key("daily-cycle");
            let trough = rate(&place, "trough", trough)?;
            let peak = rate(&place, "peak", peak)?;
            place.key("peak").hold(
                peak >= trough,
                number(peak),
                &format!("at least `trough`, which is {}", number(trough)),
            )?;
            Pattern::DailyCycle {
                trough,
                peak,
                period_seconds: place.within(
                    "period-seconds",
                    bounds::DURATION_SECONDS,
                    period_seconds,
                )?,
            }
        }
        PatternEntry::Ramp { from, to } => {
            let place = place.key("ramp");
            Pattern::Ramp {
                from: rate(&place, "from", from)?,
                to: rate(&place, "to", to)?,
            }
        }
        PatternEntry::Step {
            rate: constant,
            at_seconds,
            for_seconds,
        } => {
            let place = place.key("step");
            let lasts = for_seconds.unwrap_or(duration_seconds);
            Pattern::Step {
                rate: rate(&place, "rate", constant)?,
                at_seconds: place.within("at-seconds", bounds::INSTANT_SECONDS, at_seconds)?,
                for_seconds: place.within("for-seconds", bounds::INSTANT_SECONDS, lasts)?,
            }
        }
    })
}

fn lengths(entry: &LengthsEntry, place: &Place<'_>) -> Result<Lengths, ScenarioError> {
    Ok(Lengths {
        mean: place.within("mean", bounds::MEAN_TOKENS, entry.mean)?,
        cv: place.within("cv", bounds::VARIATION, entry.cv)?,
        max: place.within("max", bounds::TOKENS, entry.max)?,
    })
}
