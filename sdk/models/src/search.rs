//! Where a monotone function crosses zero.

/// A bracket of a crossing: two places with the function's values there, of opposite sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) low: (f64, f64),
    pub(crate) high: (f64, f64),
}

/// When a search has found what it looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Enough {
    /// The function is no more than this below zero.
    pub(crate) below: f64,
    /// Or the bracket is no wider than this share of the place.
    pub(crate) width: f64,
}

impl Enough {
    pub(crate) fn reached(&self, value: f64) -> bool {
        (-self.below..=0.0).contains(&value)
    }
}

/// Evaluations after which the search gives what it has; bisection alone needs no more for 1e-6.
const MOST_STEPS: usize = 40;

impl Bracket {
    /// A place at the crossing, where the function is not above zero: inverse quadratic interpolation
    /// where it is safe, bisection elsewhere (Chandrupatla's rule), from a first guess on the chord.
    /// It aims a little below zero, so as to end there.
    pub(crate) fn crossing(&self, enough: Enough, mut f: impl FnMut(f64) -> f64) -> f64 {
        let aim = 0.5 * enough.below;
        let raised = |(x, value): (f64, f64)| (x, value + aim);
        let (mut newest, mut other) = (raised(self.low), raised(self.high));
        let mut step = (newest.1 / (newest.1 - other.1)).clamp(0.02, 0.98);
        for _ in 0..MOST_STEPS {
            let x = newest.0 + step * (other.0 - newest.0);
            let probe = raised((x, f(x)));
            let dropped;
            if (probe.1 > 0.0) == (newest.1 > 0.0) {
                dropped = newest;
            } else {
                dropped = other;
                other = newest;
            }
            newest = probe;
            let width = (other.0 - newest.0).abs();
            if newest.1.abs() <= aim || width <= enough.width * newest.0.abs() {
                break;
            }
            step = interpolate(newest, other, dropped)
                .unwrap_or(0.5)
                .clamp(0.5 * enough.width, 1.0 - 0.5 * enough.width);
        }
        if newest.1 <= aim { newest.0 } else { other.0 }
    }
}

/// How far from `a` to `b` the parabola through the three points, taken sideways, crosses zero;
/// nothing where it is not trustworthy.
fn interpolate(a: (f64, f64), b: (f64, f64), c: (f64, f64)) -> Option<f64> {
    let place = (a.0 - b.0) / (c.0 - b.0);
    let value = (a.1 - b.1) / (c.1 - b.1);
    if !(value * value < place && (1.0 - value) * (1.0 - value) < 1.0 - place) {
        return None;
    }
    let by_b = a.1 / (b.1 - a.1) * c.1 / (b.1 - c.1);
    let by_c = (c.0 - a.0) / (b.0 - a.0) * a.1 / (c.1 - a.1) * b.1 / (c.1 - b.1);
    let step = by_b + by_c;
    step.is_finite().then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: Enough = Enough {
        below: 1e-9,
        width: 1e-9,
    };

    fn crossing_of(f: impl Fn(f64) -> f64, low: f64, high: f64) -> (f64, usize) {
        let mut steps = 0;
        let bracket = Bracket {
            low: (low, f(low)),
            high: (high, f(high)),
        };
        let x = bracket.crossing(ENOUGH, |x| {
            steps += 1;
            f(x)
        });
        assert!(f(x) <= 0.0, "{x} lies above zero");
        (x, steps)
    }

    #[test]
    fn smooth_functions_take_few_steps() {
        let (x, steps) = crossing_of(|x| x * x - 2.0, 0.0, 2.0);
        assert!((x - 2f64.sqrt()).abs() < 1e-8, "{x}");
        assert!(steps <= 12, "{steps} steps");
    }

    #[test]
    fn falling_and_kinked_functions_are_crossed_too() {
        let (x, _) = crossing_of(|x| if x < 0.3 { 5.0 } else { 0.3 - x }, 0.0, 1.0);
        assert!((x - 0.3).abs() < 1e-6, "{x}");
        let (x, _) = crossing_of(|x| (-50.0 * x).exp() - 1e-3, 0.0, 1.0);
        assert!((x - 0.138_155).abs() < 1e-5, "{x}");
    }

    #[test]
    fn little_below_zero_is_enough() {
        let loose = Enough {
            below: 0.1,
            width: 1e-9,
        };
        let bracket = Bracket {
            low: (0.0, -1.0),
            high: (1.0, 1.0),
        };
        let mut steps = 0;
        let x = bracket.crossing(loose, |x| {
            steps += 1;
            2.0 * x - 1.0
        });
        assert!((0.45..=0.5).contains(&x), "{x}");
        assert_eq!(steps, 1);
    }
}
