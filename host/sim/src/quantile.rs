//! Exact percentiles of a set of values.

use crate::outcome::Percentiles;

/// The 50th, 95th and 99th percentile, each the smallest value that as large a share of all
/// does not exceed. Reorders the values.
pub(crate) fn percentiles(values: &mut [f64]) -> Percentiles {
    Percentiles {
        p50: percentile(values, 50),
        p95: percentile(values, 95),
        p99: percentile(values, 99),
    }
}

fn percentile(values: &mut [f64], percent: usize) -> Option<f64> {
    let rank = (values.len() * percent).div_ceil(100).checked_sub(1)?;
    let (_, value, _) = values.select_nth_unstable_by(rank, f64::total_cmp);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_set() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let found = percentiles(&mut values);
        assert_eq!(
            (found.p50, found.p95, found.p99),
            (Some(100.0), Some(190.0), Some(198.0))
        );
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_none() {
        assert_eq!(percentiles(&mut [3.0]).p99, Some(3.0));
        assert_eq!(percentiles(&mut []), Percentiles::default());
    }
}
