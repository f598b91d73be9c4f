//! Histograms as Prometheus has them: counts in fixed buckets, and quantiles read from them.

/// vLLM's buckets of the time to first token, in seconds; see its `buckets.py`.
pub(crate) const TTFT_BOUNDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];

/// vLLM's buckets of the time per output token, in seconds.
pub(crate) const ITL_BOUNDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// Counts by bucket, one more than there are bounds: the last has no upper bound.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
            count: 0,
        }
    }

    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
        self.count += 1;
    }

    /// The mean of what was observed since `earlier`.
    pub(crate) fn mean_since(&self, earlier: &Self) -> Option<f64> {
        let count = self.count - earlier.count;
        (count > 0).then(|| (self.sum - earlier.sum) / count as f64)
    }

    /// The quantile of what was observed since `earlier`, as `histogram_quantile` reads it:
    /// linear within the bucket; the last bound where it lies beyond.
    pub(crate) fn quantile_since(&self, earlier: &Self, quantile: f64) -> Option<f64> {
        let count = self.count - earlier.count;
        if count == 0 {
            return None;
        }
        let rank = quantile.clamp(0.0, 1.0) * count as f64;
        let mut below = 0.0;
        let mut lower = 0.0;
        for ((upper, now), before) in self.bounds.iter().zip(&self.counts).zip(&earlier.counts) {
            let inside = (now - before) as f64;
            if below + inside >= rank && inside > 0.0 {
                return Some(lower + (upper - lower) * (rank - below) / inside);
            }
            below += inside;
            lower = *upper;
        }
        self.bounds.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(ITL_BOUNDS);
        for value in values {
            histogram.observe(*value);
        }
        histogram
    }

    #[test]
    fn quantiles_are_linear_within_a_bucket() {
        let empty = of(&[]);
        let histogram = of(&[1.5, 1.5, 1.5, 1.5]);
        assert_eq!(histogram.quantile_since(&empty, 0.5), Some(1.75));
        assert_eq!(histogram.quantile_since(&empty, 1.0), Some(2.5));
        assert_eq!(histogram.mean_since(&empty), Some(1.5));
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        assert_eq!(of(&[0.05]).quantile_since(&of(&[]), 1.0), Some(0.05));
    }

    #[test]
    fn only_what_came_since_counts() {
        let earlier = of(&[0.2, 0.2]);
        let mut later = earlier.clone();
        assert_eq!(later.quantile_since(&earlier, 0.9), None);
        later.observe(0.005);
        assert_eq!(later.quantile_since(&earlier, 1.0), Some(0.01));
    }

    #[test]
    fn what_lies_beyond_the_last_bound_reads_as_it() {
        assert_eq!(of(&[500.0]).quantile_since(&of(&[]), 0.9), Some(80.0));
    }
}
