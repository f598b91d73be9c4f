//! Several iterations of an unchanging batch as one step: their times are an arithmetic series.

/// Iterations that run one after the other without a change of the batch.
///
/// Each is longer than the one before by the same amount, since every sequence holds one token
/// more: the end of iteration `m` is `start + m · first + growth · m (m − 1) / 2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stride {
    /// When the first iteration starts, in seconds.
    pub(crate) start: f64,
    /// Length of the first iteration, in seconds.
    pub(crate) first: f64,
    /// How much longer each iteration is than the one before, in seconds.
    pub(crate) growth: f64,
    pub(crate) iterations: u64,
}

impl Stride {
    /// When iteration `count` ends; the start for 0.
    pub(crate) fn boundary(&self, count: u64) -> f64 {
        let count = count as f64;
        self.start + count * self.first + self.growth * (count * (count - 1.0) * 0.5)
    }

    pub(crate) fn end(&self) -> f64 {
        self.boundary(self.iterations)
    }

    /// Iterations that have ended by `at`.
    pub(crate) fn ended_by(&self, at: f64) -> u64 {
        let mut count = self.estimate(at);
        while count > 0 && self.boundary(count) > at {
            count -= 1;
        }
        while count < self.iterations && self.boundary(count + 1) <= at {
            count += 1;
        }
        count
    }

    /// Iterations up to the first boundary that is not before `at`: the earliest at which the
    /// batch can take up something that comes at `at`. At least 1, since an iteration that has
    /// started is not changed.
    pub(crate) fn until_boundary_after(&self, at: f64) -> u64 {
        let ended = self.ended_by(at);
        let next = if ended > 0 && self.boundary(ended) >= at {
            ended
        } else {
            ended + 1
        };
        next.clamp(1, self.iterations)
    }

    /// The positive root of the series for the time since the start; exact up to rounding, which
    /// the callers correct against [`Self::boundary`].
    fn estimate(&self, at: f64) -> u64 {
        let elapsed = at - self.start;
        if elapsed <= 0.0 {
            return 0;
        }
        let linear = self.first - 0.5 * self.growth;
        let root =
            2.0 * elapsed / (linear + (linear * linear + 2.0 * self.growth * elapsed).sqrt());
        (root as u64).min(self.iterations)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stride() -> impl Strategy<Value = Stride> {
        (0.0..100.0, 0.001..0.1, 0.0..0.001, 1_u64..2_000).prop_map(
            |(start, first, growth, iterations)| Stride {
                start,
                first,
                growth,
                iterations,
            },
        )
    }

    #[test]
    fn boundaries_are_sums_of_growing_iterations() {
        let stride = Stride {
            start: 1.0,
            first: 0.01,
            growth: 0.002,
            iterations: 3,
        };
        assert!((stride.boundary(1) - 1.01).abs() < 1e-12);
        assert!((stride.boundary(2) - 1.022).abs() < 1e-12);
        assert!((stride.end() - 1.036).abs() < 1e-12);
    }

    #[test]
    fn arrival_on_a_boundary_joins_there() {
        let stride = Stride {
            start: 0.0,
            first: 0.5,
            growth: 0.0,
            iterations: 4,
        };
        assert_eq!(stride.until_boundary_after(1.0), 2);
        assert_eq!(stride.until_boundary_after(0.0), 1);
        assert_eq!(stride.until_boundary_after(9.0), 4);
    }

    proptest! {
        #[test]
        fn ended_iterations_lie_round_the_instant(stride in stride(), share in 0.0..1.2) {
            let at = stride.start + share * (stride.end() - stride.start);
            let ended = stride.ended_by(at);
            prop_assert!(ended == 0 || stride.boundary(ended) <= at);
            prop_assert!(ended == stride.iterations || stride.boundary(ended + 1) > at);
        }

        #[test]
        fn next_boundary_is_the_earliest_not_before(stride in stride(), share in 0.0..1.0) {
            let at = stride.start + share * (stride.end() - stride.start);
            let next = stride.until_boundary_after(at);
            prop_assert!(stride.boundary(next) >= at || next == stride.iterations);
            prop_assert!(next == 1 || stride.boundary(next - 1) < at);
        }
    }
}
