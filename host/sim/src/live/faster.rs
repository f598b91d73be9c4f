//! A world in which everything takes less time.

use crate::spec::{IterationTime, Spec};

/// The same fleet in a world `factor` times as fast: engines, start-ups and KV transfers take that
/// much less time, and objectives and arrivals follow. What is measured in it keeps Little's law,
/// since its clock is the only one: at `factor` times the rate the same number of requests is in
/// the engines, each for a `factor`th of the time.
#[must_use]
pub fn faster(spec: &Spec, factor: f64) -> Spec {
    let mut spec = spec.clone();
    let shorter = |seconds: &mut f64| *seconds /= factor;
    shorter(&mut spec.duration_seconds);
    shorter(&mut spec.drain_seconds);
    for pool in &mut spec.pools {
        pool.objective.ttft.iter_mut().for_each(shorter);
        pool.objective.itl.iter_mut().for_each(shorter);
        for arrival in &mut pool.arrivals {
            shorter(&mut arrival.at_seconds);
        }
        for variant in &mut pool.variants {
            let IterationTime {
                base_seconds,
                per_token_seconds,
                per_kv_token_seconds,
            } = &mut variant.iteration;
            shorter(base_seconds);
            shorter(per_token_seconds);
            shorter(per_kv_token_seconds);
            shorter(&mut variant.startup.mean_seconds);
            shorter(&mut variant.kv_transfer_seconds_per_token);
        }
    }
    spec
}
