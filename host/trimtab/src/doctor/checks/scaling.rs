//! Variants, and whether what is asked for of them comes to be.

use trimtab_cluster::Way;
use trimtab_cluster::view::{Misreading, ScalerView};

use super::{Area, Check};
use crate::doctor::facts::{Facts, PoolFacts, Said, VariantFacts};

pub(super) fn variants(facts: &Facts) -> Vec<Check> {
    let area = Area::Variants;
    let mut checks = Vec::new();
    for (claimant, why) in &facts.refused {
        let check = Check::ok(area, claimant, why);
        checks.push(check.failed("it is not scaled: make it as the message says"));
    }
    for pool in &facts.pools {
        for variant in &pool.variants {
            let what = title(pool, variant);
            checks.extend(variant.said.iter().map(|said| told(&what, said)));
            if variant.warnings.is_empty() {
                let found = format!("scales {}", variant.target);
                checks.push(Check::ok(area, what, found));
                continue;
            }
            let warnings = variant.warnings.iter();
            checks.extend(warnings.map(|warning| {
                Check::ok(area, what.clone(), warning).warning("make it as the message says")
            }));
        }
    }
    checks
}

/// It sees from where it runs what may look well from here.
fn told(what: &str, said: &Said) -> Check {
    let Said {
        kind,
        reason,
        message,
    } = said;
    let found = format!("the operator says: {kind} is False, {reason}: {message}");
    let check = Check::ok(Area::Variants, what, found);
    if reason == "PrometheusError" {
        return check.failed(
            "let the operator reach Prometheus: `prometheus` in its configuration, the network from \
             its pod; until then no count is lowered",
        );
    }
    check.warning("do what its message says; `kubectl describe va` shows it, too")
}

fn title(pool: &PoolFacts, variant: &VariantFacts) -> String {
    format!("variant `{}` of pool {}", variant.name, pool.name)
}

pub(super) fn scalers(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    for pool in &facts.pools {
        for variant in &pool.variants {
            let what = title(pool, variant);
            let before = checks.len();
            checks.extend(acted_on(pool, variant, &what));
            for scaler in variant.scalers.iter().filter(|of| of.reads_us) {
                checks.extend(trouble(scaler, pool.enforced));
                checks.extend(swallowed(scaler, variant.max_replicas));
            }
            if checks.len() == before {
                checks.push(Check::ok(Area::Scaling, what, by_whom(pool, variant)));
            }
        }
    }
    checks
}

fn by_whom(pool: &PoolFacts, variant: &VariantFacts) -> String {
    let mut reading = variant.scalers.iter().filter(|of| of.reads_us);
    match reading.next() {
        _ if !pool.enforced => "nobody is told, as its mode keeps the count".to_owned(),
        Some(scaler) if !pool.direct => format!("scaled by {}", scaler.claimant),
        _ => "scaled by us".to_owned(),
    }
}

/// Whether exactly one acts on the count.
fn acted_on(pool: &PoolFacts, variant: &VariantFacts, what: &str) -> Option<Check> {
    let found = |found: String| Check::ok(Area::Scaling, what, found);
    let target = &variant.target;
    let first = variant.scalers.first();
    if pool.direct {
        let other = &first?.claimant;
        let both = format!("{other} scales {target}, though `actuation` is `direct`");
        return Some(found(both).warning(format!(
            "delete {other}, or set `actuation` to `metrics`: until then the workload is left to it"
        )));
    }
    if !pool.enforced || variant.scalers.iter().any(|of| of.reads_us) {
        return None;
    }
    let who = match first {
        None => format!("no HPA and no ScaledObject scales {target}"),
        Some(other) => format!(
            "{} scales {target}, by nothing that we ask for",
            other.claimant
        ),
    };
    Some(found(who).failed(
        "make an HPA on wva_desired_replicas or a ScaledObject with an external-push trigger, or \
         set `actuation` to `direct`",
    ))
}

/// What keeps one that reads us from it.
fn trouble(scaler: &ScalerView, enforced: bool) -> Vec<Check> {
    let what = scaler.claimant.to_string();
    let found = |found: String| Check::ok(Area::Scaling, what.clone(), found);
    let mut checks = Vec::new();
    // Nobody is told anything while a mode keeps the count.
    if let Some(complaint) = scaler.complaint.as_ref().filter(|_| enforced) {
        checks.push(
            found(format!("does not scale: {complaint}")).failed(
                "see who serves what it reads (external metrics, KEDA's log), and its target",
            ),
        );
    }
    if let Some(metric) = &scaler.deaf_to {
        let deaf = format!("KEDA does not know of `{metric}` in status.externalMetricNames");
        checks.push(found(deaf).failed(
            "it asked while we did not answer, and does not ask again: change anything in its spec, \
             or restart KEDA's operator",
        ));
    }
    if scaler.paused {
        let paused = "somebody paused it: nothing that we ask for comes to be";
        checks.push(found(paused.to_owned()).warning(
            "remove its annotations autoscaling.keda.sh/paused and paused-replicas, unless that is meant",
        ));
    }
    checks.extend(scaler.misreads.iter().map(|misread| match misread {
        Misreading::MissingIsZero => {
            let read = "its prometheus trigger reads a series that is missing as 0";
            found(read.to_owned()).failed("set ignoreNullValues: \"false\" in that trigger")
        }
        Misreading::AnotherTarget => {
            let read =
                "it holds the count that is asked for against another target than 1 a replica";
            found(read.to_owned())
                .failed("make its target an AverageValue of 1 (KEDA: threshold \"1\")")
        }
    }));
    checks
}

/// A step of one that the HPA controller takes for none.
fn swallowed(scaler: &ScalerView, variant_max: u32) -> Option<Check> {
    let (up, down) = scaler.tolerance;
    let tolerance = up.max(down);
    if tolerance <= 0.0 {
        return None;
    }
    let from = (1.0 / tolerance).ceil();
    let most = scaler.max_replicas.unwrap_or(u32::MAX).min(variant_max);
    if f64::from(most) < from {
        return None;
    }
    let percent = tolerance * 100.0;
    let field = match scaler.claimant.way {
        Way::ScaledObject => "advanced.horizontalPodAutoscalerConfig.behavior",
        Way::HorizontalPodAutoscaler | Way::VariantAutoscaling => "behavior",
    };
    let found = format!(
        "from {from} replicas on, its tolerance of {percent:.0} % takes one more or less for none"
    );
    let todo = format!(
        "set spec.{field}.scaleUp.tolerance and scaleDown.tolerance to 0, which Kubernetes has from \
         1.33 (gate HPAConfigurableTolerance) and by default from 1.35; or `actuation` to `direct`"
    );
    Some(Check::ok(Area::Scaling, scaler.claimant.to_string(), found).warning(todo))
}
