//! Percentiles from the buckets of histograms.

/// Cumulative counts by upper bound, in no order.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// Adds the `count` of those up to `bound`. Equal bounds add up, however they are written.
    pub(super) fn add(&mut self, bound: f64, count: f64) {
        match self.buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, known)) => *known += count,
            None => self.buckets.push((bound, count)),
        }
    }

    /// In order, and never falling: rates of buckets are extrapolated one by one.
    fn settled(&self) -> Vec<(f64, f64)> {
        let mut buckets = self.buckets.clone();
        buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        let mut highest = 0.0;
        for (_, count) in &mut buckets {
            highest = f64::max(highest, *count);
            *count = highest;
        }
        buckets
    }
}

/// The quantile of what several histograms counted, as PromQL's `histogram_quantile` reads one:
/// linear within a bucket, the last bound where it lies beyond. Engines differ in their bounds:
/// each is read at the bounds of all, so counts of unlike buckets never meet.
pub(super) fn quantile(histograms: &[&Histogram], quantile: f64) -> Option<f64> {
    let settled: Vec<Vec<(f64, f64)>> = histograms.iter().map(|one| one.settled()).collect();
    let total: f64 = settled
        .iter()
        .filter_map(|buckets| buckets.last())
        .map(|(_, count)| count)
        .sum();
    if total.is_nan() || total <= 0.0 {
        return None;
    }
    let bounds = settled.iter().flatten().map(|(bound, _)| *bound);
    let mut bounds: Vec<f64> = bounds.filter(|bound| bound.is_finite()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let rank = quantile.clamp(0.0, 1.0) * total;
    let (mut lower, mut below) = (0.0, 0.0);
    for upper in &bounds {
        let up_to: f64 = settled
            .iter()
            .map(|buckets| count_to(buckets, *upper))
            .sum();
        if up_to >= rank && up_to > below {
            return Some(lower + (upper - lower) * (rank - below) / (up_to - below));
        }
        (lower, below) = (*upper, up_to);
    }
    bounds.last().copied()
}

/// How many lie at or below a value, linear between the bounds around it.
fn count_to(buckets: &[(f64, f64)], value: f64) -> f64 {
    let (mut lower, mut below) = (0.0, 0.0);
    for (upper, count) in buckets {
        if *upper >= value {
            if !upper.is_finite() || *upper <= lower {
                return if *upper <= value { *count } else { below };
            }
            return below + (count - below) * (value - lower) / (upper - lower);
        }
        (lower, below) = (*upper, *count);
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(buckets: &[(f64, f64)]) -> Histogram {
        let mut histogram = Histogram::default();
        for (bound, count) in buckets {
            histogram.add(*bound, *count);
        }
        histogram
    }

    #[test]
    fn quantiles_are_linear_within_a_bucket() {
        let histogram = of(&[(f64::INFINITY, 10.0), (1.0, 0.0), (2.0, 10.0)]);
        assert_eq!(quantile(&[&histogram], 0.5), Some(1.5));
        assert_eq!(quantile(&[&histogram], 1.0), Some(2.0));
    }

    #[test]
    fn what_lies_beyond_the_last_bound_reads_as_it() {
        let histogram = of(&[(1.0, 1.0), (f64::INFINITY, 10.0)]);
        assert_eq!(quantile(&[&histogram], 0.9), Some(1.0));
    }

    #[test]
    fn empty_histograms_have_no_quantile() {
        assert_eq!(quantile(&[], 0.9), None);
        assert_eq!(
            quantile(&[&of(&[(1.0, 0.0), (f64::INFINITY, 0.0)])], 0.9),
            None
        );
    }

    #[test]
    fn unlike_bounds_are_not_added_up() {
        // Ten within 0 to 1, ten within 4 to 8: the median is where the first end.
        let fast = of(&[(1.0, 10.0), (f64::INFINITY, 10.0)]);
        let slow = of(&[(4.0, 0.0), (8.0, 10.0), (f64::INFINITY, 10.0)]);
        assert_eq!(quantile(&[&fast, &slow], 0.5), Some(1.0));
        assert_eq!(quantile(&[&fast, &slow], 0.75), Some(6.0));
    }

    #[test]
    fn a_bucket_that_falls_short_of_the_one_below_is_lifted() {
        let histogram = of(&[(1.0, 5.0), (2.0, 4.9), (4.0, 10.0), (f64::INFINITY, 10.0)]);
        assert_eq!(quantile(&[&histogram], 0.5), Some(1.0));
        assert_eq!(quantile(&[&histogram], 0.75), Some(3.0));
    }

    #[test]
    fn bounds_written_in_two_ways_are_one() {
        let histogram = of(&[("1".parse().unwrap(), 4.0), ("1.0".parse().unwrap(), 6.0)]);
        assert_eq!(quantile(&[&histogram], 1.0), Some(1.0));
        assert_eq!(quantile(&[&histogram], 0.5), Some(0.5));
    }
}
