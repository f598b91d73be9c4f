//! Histograms as Prometheus has them: counts in fixed buckets, and quantiles read from them.

/// vLLM's buckets of the time to first token, in seconds; see its `buckets.py`.
pub(crate) const TTFT_BOUNDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];

/// vLLM's buckets of the time between tokens and per output token, in seconds.
pub(crate) const ITL_BOUNDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// vLLM's buckets of whole requests and of their time in the queue, in seconds.
pub(crate) const REQUEST_BOUNDS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];

/// vLLM's buckets of lengths in tokens, where a model takes 131,072; it has those up to the model's
/// longest.
const LENGTH_BOUNDS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5,
];

/// The endpoint picker's buckets of the time to first token, in seconds.
pub(crate) const PICKER_TTFT_BOUNDS: &[f64] = &[
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0,
];

/// Those of [`LENGTH_BOUNDS`] that an engine with this longest request has.
pub(crate) fn length_bounds(longest: Option<u32>) -> &'static [f64] {
    let longest = longest.map_or(f64::INFINITY, f64::from);
    let count = LENGTH_BOUNDS.partition_point(|bound| *bound <= longest);
    LENGTH_BOUNDS.get(..count).unwrap_or(LENGTH_BOUNDS)
}

/// Counts by bucket, one more than there are bounds: the last has no upper bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    pub sum: f64,
    pub count: u64,
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
        self.observe_many(value, 1);
    }

    pub(crate) fn observe_many(&mut self, value: f64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += times;
        }
        self.sum += value * times as f64;
        self.count += times;
    }

    /// Upper bounds with how many observations are not above; the last bound is infinite.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(counts)
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
    fn cumulative_counts_end_with_all_of_them() {
        let histogram = of(&[0.005, 0.02, 0.02, 500.0]);
        let counts: Vec<(f64, u64)> = histogram.cumulative().collect();
        assert_eq!(counts[..3], [(0.01, 1), (0.025, 3), (0.05, 3)]);
        assert_eq!(counts.last(), Some(&(f64::INFINITY, 4)));
    }

    #[test]
    fn bounds_of_lengths_end_at_the_longest_request() {
        assert_eq!(length_bounds(Some(100)), &LENGTH_BOUNDS[..7]);
        assert_eq!(length_bounds(Some(8192)).last(), Some(&5e3));
        assert_eq!(length_bounds(None), LENGTH_BOUNDS);
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
