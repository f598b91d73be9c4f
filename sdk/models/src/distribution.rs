//! The normal distribution, and the shifted log-normal that waits and gaps follow.

use std::f64::consts::{PI, SQRT_2};

/// Density of the standard normal distribution.
pub(crate) fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Share of the standard normal distribution above `z`; relative error below 2e-7, so that
/// tails compare well too; nothing is left above 8.
pub(crate) fn normal_above(z: f64) -> f64 {
    if z > 8.0 {
        return 0.0;
    }
    let half = 0.5 * complementary_error(z.abs() / SQRT_2);
    if z >= 0.0 { half } else { 1.0 - half }
}

/// `erfc` for x ≥ 0: a Chebyshev fit of its logarithm in `t = 1 / (1 + x / 2)`.
fn complementary_error(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    let fitted = FIT.iter().fold(0.0, |sum, c| sum * t + c);
    t * (fitted - x * x).exp()
}

/// `floor + exp(location + scale · Z)` with a standard normal `Z`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogNormal {
    floor: f64,
    location: f64,
    scale: f64,
}

impl LogNormal {
    /// The one with this mean and variance; `floor` lies below the mean.
    pub(crate) fn with_moments(floor: f64, mean: f64, variance: f64) -> Self {
        let above = (mean - floor).max(f64::MIN_POSITIVE);
        let spread = (1.0 + variance.max(0.0) / (above * above)).ln();
        Self {
            floor,
            location: above.ln() - 0.5 * spread,
            scale: spread.sqrt().max(1e-9),
        }
    }

    /// Share above `x`.
    pub(crate) fn above(&self, x: f64) -> f64 {
        if x <= self.floor {
            return 1.0;
        }
        self.above_logarithm((x - self.floor).ln())
    }

    /// Share that exceeds the floor by more than `exp(logarithm)`.
    fn above_logarithm(&self, logarithm: f64) -> f64 {
        normal_above((logarithm - self.location) / self.scale)
    }
}

/// Two kinds of requests, each log-normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mixture {
    /// Share of the first kind.
    share: f64,
    first: LogNormal,
    other: LogNormal,
}

impl Mixture {
    /// Mean and variance of all and of the first kind, whose share is given; those of the others
    /// follow.
    pub(crate) fn new(floor: f64, all: (f64, f64), first: (f64, f64), share: f64) -> Self {
        let (mean, variance) = all;
        let left = 1.0 - share;
        if share < 0.01 || left < 1e-6 || first.0 >= mean {
            let all = LogNormal::with_moments(floor, mean, variance);
            return Self {
                share: 0.0,
                first: all,
                other: all,
            };
        }
        let other_mean = (mean - share * first.0) / left;
        let between = share * left * (other_mean - first.0).powi(2);
        let other_variance = ((variance - between - share * first.1) / left).max(0.25 * first.1);
        Self {
            share,
            first: LogNormal::with_moments(floor, first.0, first.1),
            other: LogNormal::with_moments(floor, other_mean, other_variance),
        }
    }

    /// Share above `x`.
    pub(crate) fn above(&self, x: f64) -> f64 {
        let over = x - self.other.floor;
        if over <= 0.0 {
            return 1.0;
        }
        self.above_logarithm(over.ln())
    }

    /// Share that exceeds the floor by more than `exp(logarithm)`.
    pub(crate) fn above_logarithm(&self, logarithm: f64) -> f64 {
        let others = (1.0 - self.share) * self.other.above_logarithm(logarithm);
        if self.share > 0.0 {
            others + self.share * self.first.above_logarithm(logarithm)
        } else {
            others
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_tail_agrees_with_the_tables() {
        for (z, share) in [
            (0.0, 0.5),
            (1.0, 0.158_655_254),
            (-1.0, 0.841_344_746),
            (2.326_347_874, 0.01),
            (4.0, 3.167_124e-5),
        ] {
            let relative = normal_above(z) / share - 1.0;
            assert!(relative.abs() < 1e-6, "above {z}: off by {relative}");
        }
    }

    /// Mean and variance of a variable that exceeds `floor`, from the share of it above each value.
    fn moments(floor: f64, above: impl Fn(f64) -> f64) -> (f64, f64) {
        let width = 1e-3;
        let (mut first, mut second) = (0.0, 0.0);
        for step in 0..200_000 {
            let over = (f64::from(step) + 0.5) * width;
            let share = above(floor + over) * width;
            first += share;
            second += 2.0 * over * share;
        }
        (floor + first, second - first * first)
    }

    #[test]
    fn log_normal_has_the_moments_asked_for() {
        let made = LogNormal::with_moments(2.0, 5.0, 4.0);
        let (mean, variance) = moments(2.0, |x| made.above(x));
        assert!((mean - 5.0).abs() < 1e-3, "mean {mean}");
        assert!((variance - 4.0).abs() < 1e-2, "variance {variance}");
    }

    #[test]
    fn mixture_keeps_the_moments_of_all() {
        let made = Mixture::new(1.0, (4.0, 9.0), (2.0, 0.2), 0.6);
        let (mean, variance) = moments(1.0, |x| made.above(x));
        assert!((mean - 4.0).abs() < 1e-3, "mean {mean}");
        assert!((variance - 9.0).abs() < 5e-2, "variance {variance}");
    }
}
