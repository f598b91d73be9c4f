//! From what a run left to lines that can be drawn, thinned to what a plot can show.

use trimtab_sim::outcome::{Outcome, PoolSample, PoolSeries};

/// Points of one line, parted where nothing was measured. Instants are seconds from the start.
pub(crate) type Segments = Vec<Vec<(f64, f64)>>;

/// A plot is about this many points wide.
const POINTS: usize = 480;

/// What one point says of the several ticks that it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gather {
    Mean,
    Largest,
}

/// How many ticks one point stands for.
pub(crate) fn ticks_per_point(ticks: usize) -> usize {
    ticks.div_ceil(POINTS).max(1)
}

/// One value of a pool's samples over time.
pub(crate) fn line(
    samples: &[PoolSample],
    gather: Gather,
    value: impl Fn(&PoolSample) -> Option<f64>,
) -> Segments {
    let values = samples
        .iter()
        .map(|sample| (sample.at_seconds, value(sample)));
    gathered(&values.collect::<Vec<_>>(), gather)
}

/// One value over time, summed over all pools of a run.
pub(crate) fn total(
    outcome: &Outcome,
    gather: Gather,
    value: impl Fn(&PoolSample) -> f64,
) -> Segments {
    let values = summed(outcome, |pool, tick| pool.samples.get(tick).map(&value));
    gathered(&values, gather)
}

/// Replicas that serve, of all variants of all pools of a run.
pub(crate) fn total_serving(outcome: &Outcome) -> Segments {
    let serving = |pool: &PoolSeries, tick: usize| {
        let counts = pool
            .variants
            .iter()
            .filter_map(|variant| variant.serving.get(tick));
        Some(counts.map(|count| f64::from(*count)).sum())
    };
    let values = summed(outcome, serving);
    stepped(
        values
            .into_iter()
            .filter_map(|(at, count)| Some((at, count?))),
    )
}

/// Share of requests that met the objective, of all pools, over spans of at least `span` seconds.
pub(crate) fn attainment(outcome: &Outcome, span: f64) -> Segments {
    let met = summed(outcome, |pool, tick| {
        Some(as_f64(pool.samples.get(tick)?.met))
    });
    let missed = summed(outcome, |pool, tick| {
        Some(as_f64(pool.samples.get(tick)?.missed))
    });
    let (mut points, mut from) = (Vec::new(), 0.0);
    let (mut good, mut bad) = (0.0, 0.0);
    for ((at, met), (_, missed)) in met.into_iter().zip(missed) {
        good += met.unwrap_or(0.0);
        bad += missed.unwrap_or(0.0);
        if at - from >= span {
            if good + bad > 0.0 {
                points.push((at, good / (good + bad)));
            }
            (good, bad, from) = (0.0, 0.0, at);
        }
    }
    vec![points]
}

/// Counts of a variant as steps: each holds until the next.
pub(crate) fn steps(samples: &[PoolSample], counts: &[u32]) -> Segments {
    stepped(
        samples
            .iter()
            .zip(counts)
            .map(|(sample, count)| (sample.at_seconds, f64::from(*count))),
    )
}

/// For each tick its instant and the sum over pools; `None` where no pool has a value.
fn summed(
    outcome: &Outcome,
    value: impl Fn(&PoolSeries, usize) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let Some(first) = outcome.pools.first() else {
        return Vec::new();
    };
    let sum = |tick: usize| {
        let values = outcome.pools.iter().filter_map(|pool| value(pool, tick));
        values.reduce(|sum, value| sum + value)
    };
    first
        .samples
        .iter()
        .enumerate()
        .map(|(tick, sample)| (sample.at_seconds, sum(tick)))
        .collect()
}

fn gathered(values: &[(f64, Option<f64>)], gather: Gather) -> Segments {
    let mut segments = Segments::new();
    let mut open = Vec::new();
    for several in values.chunks(ticks_per_point(values.len())) {
        match point(several, gather) {
            Some(point) => open.push(point),
            None if open.is_empty() => {}
            None => segments.push(std::mem::take(&mut open)),
        }
    }
    if !open.is_empty() {
        segments.push(open);
    }
    segments
}

fn point(several: &[(f64, Option<f64>)], gather: Gather) -> Option<(f64, f64)> {
    let (at, _) = several.last()?;
    let measured = several.iter().filter_map(|(_, value)| *value);
    let value = match gather {
        Gather::Largest => measured.reduce(f64::max)?,
        Gather::Mean => {
            let (count, sum) = measured.fold((0_u32, 0.0), |(n, sum), value| (n + 1, sum + value));
            if count == 0 {
                return None;
            }
            sum / f64::from(count)
        }
    };
    Some((*at, value))
}

/// Only the corners of a stepped line: a constant count costs two points, however long.
pub(crate) fn stepped(values: impl Iterator<Item = (f64, f64)>) -> Segments {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for (at, value) in values {
        match last {
            Some((_, before)) if before == value => {}
            Some((_, before)) => corners.extend([(at, before), (at, value)]),
            None => corners.push((at, value)),
        }
        last = Some((at, value));
    }
    corners.extend(last);
    vec![corners]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests stay far below 2^53"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[Option<f64>]) -> Vec<PoolSample> {
        let sample = |(tick, value): (u32, &Option<f64>)| PoolSample {
            at_seconds: f64::from(tick) * 15.0,
            queued: value.unwrap_or(-1.0),
            ..PoolSample::default()
        };
        (0..).zip(values).map(sample).collect()
    }

    fn queued(sample: &PoolSample) -> Option<f64> {
        (sample.queued >= 0.0).then_some(sample.queued)
    }

    #[test]
    fn a_line_is_parted_where_nothing_was_measured() {
        let samples = samples(&[Some(1.0), Some(2.0), None, None, Some(3.0)]);
        let segments = line(&samples, Gather::Mean, queued);
        assert_eq!(segments, [vec![(0.0, 1.0), (15.0, 2.0)], vec![(60.0, 3.0)]]);
    }

    #[test]
    fn a_thinned_line_keeps_its_peaks() {
        let mut values = vec![Some(1.0); POINTS * 4];
        values[777] = Some(50.0);
        let segments = line(&samples(&values), Gather::Largest, queued);
        assert_eq!(segments.iter().map(Vec::len).sum::<usize>(), POINTS);
        assert!(segments[0].iter().any(|(_, value)| *value == 50.0));
    }

    #[test]
    fn steps_keep_only_their_corners() {
        let samples = samples(&[Some(0.0); 5]);
        let segments = steps(&samples, &[2, 2, 3, 3, 3]);
        assert_eq!(
            segments,
            [vec![(0.0, 2.0), (30.0, 2.0), (30.0, 3.0), (60.0, 3.0)]]
        );
    }

    #[test]
    fn attainment_is_weighed_by_requests() {
        let sample = |at_seconds, met, missed| PoolSample {
            at_seconds,
            met,
            missed,
            ..PoolSample::default()
        };
        let pool = PoolSeries {
            samples: vec![
                sample(15.0, 90, 10),
                sample(30.0, 0, 0),
                sample(45.0, 10, 10),
            ],
            ..PoolSeries::default()
        };
        let outcome = Outcome {
            pools: vec![pool],
            ..Outcome::default()
        };
        assert_eq!(attainment(&outcome, 45.0), [vec![(45.0, 100.0 / 120.0)]]);
    }
}
