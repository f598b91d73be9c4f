//! HPAs and ScaledObjects as what acts on what we ask for.

use std::collections::BTreeMap;

use super::{PoolView, ScalerView};
use crate::index::claim::{Claimant, TargetKey, Way};
use crate::index::scaler::{Reads, Scaler};
use crate::index::{Index, Key};

/// What HPAs and KEDA read of us.
pub const METRIC: &str = "wva_desired_replicas";

/// Of the HPA controller, where neither it nor the HPA is told another.
const DEFAULT_TOLERANCE: f64 = 0.1;

impl Index {
    /// HPAs and ScaledObjects by what they scale.
    pub(super) fn scalers_by_target(&self) -> BTreeMap<&TargetKey, Vec<(&Claimant, &Scaler)>> {
        let mut by_target: BTreeMap<&TargetKey, Vec<(&Claimant, &Scaler)>> = BTreeMap::new();
        for (of, scaler) in &self.scalers {
            let on_target = by_target.entry(&scaler.target).or_default();
            on_target.push((of, scaler));
        }
        by_target
    }

    /// Names of the variants that ScaledObjects scale.
    pub(super) fn scaled_objects(&self, pools: &[PoolView]) -> BTreeMap<Key, String> {
        let variants = pools.iter().flat_map(|pool| {
            let named = pool.fleet.pool.variants.iter();
            pool.variants.iter().zip(named.map(|variant| &variant.name))
        });
        let by_target: BTreeMap<&TargetKey, &String> =
            variants.map(|(of, name)| (&of.target, name)).collect();
        let objects = self.scalers.iter();
        objects
            .filter(|(of, _)| of.way == Way::ScaledObject)
            .filter_map(|(of, scaler)| {
                let variant = *by_target.get(&scaler.target)?;
                Some(((of.namespace.clone(), of.name.clone()), variant.clone()))
            })
            .collect()
    }
}

/// Those of one target, for its variant. An HPA that KEDA made stands for its ScaledObject, and says
/// how it went.
pub(super) fn views(of_target: &[(&Claimant, &Scaler)], variant: &str) -> Vec<ScalerView> {
    let mut all = of_target.iter();
    let made = all.find(|(_, scaler)| scaler.made_for.is_some());
    let own = of_target
        .iter()
        .filter(|(_, scaler)| scaler.made_for.is_none());
    own.map(|(of, scaler)| {
        let made = made.filter(|(_, made)| made.made_for.as_ref() == Some(&of.name));
        let (up, down) = scaler.tolerance;
        ScalerView {
            claimant: (*of).clone(),
            reads_us: reads_us(&scaler.reads, variant),
            max_replicas: scaler.max_replicas,
            paused: scaler.paused,
            tolerance: (
                up.unwrap_or(DEFAULT_TOLERANCE),
                down.unwrap_or(DEFAULT_TOLERANCE),
            ),
            sets_tolerance: up.is_some() && down.is_some(),
            complaint: complaint(scaler).or_else(|| complaint(made?.1)),
            deaf_to: deaf_to(&scaler.reads),
            missing_is_zero: missing_is_zero(&scaler.reads),
        }
    })
    .collect()
}

fn reads_us(reads: &Reads, variant: &str) -> bool {
    match reads {
        Reads::External(metrics) => metrics.iter().any(|(name, labels)| {
            let named = labels.get("variant_name");
            named.map_or(name == METRIC, |named| named == variant)
        }),
        Reads::Triggers { triggers, .. } => triggers.iter().any(|trigger| {
            let given = |key: &str| trigger.metadata.get(key).map(String::as_str);
            match trigger.kind.as_str() {
                "external" | "external-push" => {
                    given("variantName").is_none_or(|named| named.is_empty() || named == variant)
                }
                "prometheus" => given("query").is_some_and(|query| query.contains(METRIC)),
                _ => false,
            }
        }),
    }
}

/// Why it does not scale. An HPA of a workload at zero is not active, and means no harm.
fn complaint(scaler: &Scaler) -> Option<String> {
    let of = |kind: &str| {
        scaler
            .conditions
            .get(kind)
            .filter(|of| of.status == "False")
    };
    let told = of("ScalingActive").filter(|of| of.reason != "ScalingDisabled");
    let told = told.or_else(|| of("AbleToScale")).or_else(|| of("Ready"))?;
    Some(format!("{}: {}", told.reason, told.message))
}

/// The first external trigger whose metric KEDA did not take up. It asks for their names once, and
/// goes without those that did not answer then.
fn deaf_to(reads: &Reads) -> Option<String> {
    let Reads::Triggers {
        triggers,
        known: Some(known),
    } = reads
    else {
        return None;
    };
    let mut external = (0..)
        .zip(triggers)
        .filter(|(_, trigger)| trigger.kind.starts_with("external"))
        .map(|(at, _)| at);
    // Before a metric's own name stands whose it is.
    let is_known = |at: &u32| {
        let prefix = format!("s{at}-");
        known.iter().any(|name| name.starts_with(&prefix))
    };
    let at = external.find(|at| !is_known(at))?;
    Some(format!("s{at}-{METRIC}"))
}

/// As a prometheus trigger does unless it is told not to.
fn missing_is_zero(reads: &Reads) -> bool {
    let Reads::Triggers { triggers, .. } = reads else {
        return false;
    };
    triggers.iter().any(|trigger| {
        let given = |key: &str| trigger.metadata.get(key).map(String::as_str);
        trigger.kind == "prometheus"
            && given("query").is_some_and(|query| query.contains(METRIC))
            && given("ignoreNullValues") != Some("false")
    })
}
