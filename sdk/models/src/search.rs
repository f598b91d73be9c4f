//! Where a monotone function crosses zero.

/// A bracket of a crossing: two places with the function's values there, of opposite sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) low: (f64, f64),
    pub(crate) high: (f64, f64),
}

/// Evaluations after which the search gives what it has; bisection alone needs no more for 1e-6.
const MOST_STEPS: usize = 40;

impl Bracket {
    /// The crossing to within `tolerance`, relative, on the side where the function is not above
    /// zero: inverse quadratic interpolation where it is
    /// safe, bisection elsewhere (Chandrupatla's rule). Six to eight evaluations as a rule.
    pub(crate) fn crossing(&self, tolerance: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
        let (mut newest, mut other) = (self.low, self.high);
        let mut step = 0.5;
        for _ in 0..MOST_STEPS {
            let x = newest.0 + step * (other.0 - newest.0);
            let probe = (x, f(x));
            let dropped;
            if (probe.1 > 0.0) == (newest.1 > 0.0) {
                dropped = newest;
            } else {
                dropped = other;
                other = newest;
            }
            newest = probe;
            let width = (other.0 - newest.0).abs();
            if newest.1 == 0.0 || width <= tolerance * newest.0.abs() {
                break;
            }
            step = interpolate(newest, other, dropped)
                .unwrap_or(0.5)
                .clamp(0.5 * tolerance, 1.0 - 0.5 * tolerance);
        }
        if newest.1 <= 0.0 { newest.0 } else { other.0 }
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

    fn crossing_of(f: impl Fn(f64) -> f64, low: f64, high: f64) -> (f64, usize) {
        let mut steps = 0;
        let bracket = Bracket {
            low: (low, f(low)),
            high: (high, f(high)),
        };
        let x = bracket.crossing(1e-9, |x| {
            steps += 1;
            f(x)
        });
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
}
