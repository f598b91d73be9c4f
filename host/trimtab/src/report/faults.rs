//! What a scenario lets go wrong, as instants to mark and sentences to read.

use trimtab_sim::spec::{FaultSpec, PoolSpec};

use crate::figures;

/// Something that goes wrong in a pool.
pub(crate) struct Mishap {
    /// Its instants, from the start of the run in seconds: the start, and the end where it has one.
    pub(crate) marks: Vec<f64>,
    pub(crate) sentence: String,
}

/// Those of the pool at this position.
pub(crate) fn of_pool(faults: &[FaultSpec], position: usize, pool: &PoolSpec) -> Vec<Mishap> {
    let name = |variant: usize| {
        pool.variants
            .get(variant)
            .map_or("?", |variant| &variant.name)
    };
    let at = |seconds: f64| figures::clock(seconds);
    let mishap = |fault: &FaultSpec| match *fault {
        FaultSpec::ReplicaDies {
            at_seconds,
            pool,
            variant,
        } => (pool == position).then(|| Mishap {
            marks: vec![at_seconds],
            sentence: format!("At {} a replica of {} dies.", at(at_seconds), name(variant)),
        }),
        FaultSpec::StartFails {
            at_seconds,
            pool,
            variant,
        } => (pool == position).then(|| Mishap {
            marks: vec![at_seconds],
            sentence: format!(
                "After {} a start of {} fails.",
                at(at_seconds),
                name(variant)
            ),
        }),
        FaultSpec::MetricsVanish {
            from_seconds,
            until_seconds,
            pool,
        } => (pool == position).then(|| Mishap {
            marks: vec![from_seconds, until_seconds],
            sentence: format!(
                "From {} to {} there are no metrics.",
                at(from_seconds),
                at(until_seconds)
            ),
        }),
    };
    faults.iter().filter_map(mishap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn faults_of_other_pools_are_left_out() {
        let spec = fixture::spec();
        let faults = [
            FaultSpec::MetricsVanish {
                from_seconds: 600.0,
                until_seconds: 720.0,
                pool: 1,
            },
            FaultSpec::ReplicaDies {
                at_seconds: 900.0,
                pool: 0,
                variant: 1,
            },
        ];
        let mishaps = of_pool(&faults, 0, &spec.pools[0]);
        assert_eq!(mishaps.len(), 1);
        assert_eq!(mishaps[0].sentence, "At 15:00 a replica of l40s dies.");
        assert_eq!(of_pool(&faults, 1, &spec.pools[1])[0].marks, [600.0, 720.0]);
    }
}
