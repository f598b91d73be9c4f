//! HPAs and ScaledObjects as what acts on what we ask for.

use std::collections::BTreeMap;

use super::PoolView;
use crate::index::claim::{Claimant, TargetKey, Way};
use crate::index::scaler::{Reads, Scaler, quantity};
use crate::index::{Index, Key};
use crate::objects::autoscaler::Trigger;

/// What HPAs and KEDA read of us.
pub const METRIC: &str = "wva_desired_replicas";

/// What scales a variant's target.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalerView {
    pub claimant: Claimant,
    /// Whether anything that it scales by is what we ask for of the variant.
    pub reads_us: bool,
    pub max_replicas: Option<u32>,
    /// Somebody told it to leave the target alone.
    pub paused: bool,
    /// Share of a count by which more, and less, may be wanted without anything being done.
    pub tolerance: (f64, f64),
    /// Whether it says so itself: otherwise it is the controller's default.
    pub sets_tolerance: bool,
    /// Why it does not scale, as it says.
    pub complaint: Option<String>,
    /// What it scales by and KEDA does not know of.
    pub deaf_to: Option<String>,
    /// In which ways it takes what it reads of us for something else.
    pub misreads: Vec<Misreading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misreading {
    /// A series that is missing is read as 0.
    MissingIsZero,
    /// The count is held against another target than an AverageValue of 1.
    AnotherTarget,
}

/// What any external trigger may have in its metadata.
const OF_ANY: [&str; 3] = ["scalerAddress", "enableTLS", "unsafeSsl"];

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
            // KEDA asks nobody for one that is paused.
            deaf_to: deaf_to(&scaler.reads).filter(|_| !scaler.paused),
            misreads: misreads(&scaler.reads),
        }
    })
    .collect()
}

fn reads_us(reads: &Reads, variant: &str) -> bool {
    match reads {
        Reads::External(metrics) => metrics.iter().any(|of| {
            let named = of.labels.get("variant_name");
            named.map_or(of.name == METRIC, |named| named == variant)
        }),
        Reads::Triggers { triggers, .. } => triggers.iter().any(|trigger| {
            let given = |key: &str| trigger.metadata.get(key).map(String::as_str);
            match trigger.kind.as_str() {
                "external" | "external-push" => {
                    let named = given("variantName").filter(|named| !named.is_empty());
                    is_ours(trigger) && named.is_none_or(|named| named == variant)
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
        .filter(|(_, trigger)| is_ours(trigger))
        .map(|(at, _)| at);
    // Before a metric's own name stands whose it is.
    let is_known = |at: &u32| {
        let prefix = format!("s{at}-");
        known.iter().any(|name| name.starts_with(&prefix))
    };
    let at = external.find(|at| !is_known(at))?;
    Some(format!("s{at}-{METRIC}"))
}

/// Whether a trigger of this type, with these keys in its metadata, asks us: those of others have keys
/// of their own.
pub fn asks_us<'a>(kind: &str, keys: impl Iterator<Item = &'a String> + Clone) -> bool {
    let names_us = |key: &String| matches!(key.as_str(), "modelID" | "variantName");
    let is_known = |key: &String| OF_ANY.contains(&key.as_str());
    matches!(kind, "external" | "external-push")
        && (keys.clone().any(names_us) || keys.clone().all(is_known))
}

fn is_ours(trigger: &Trigger) -> bool {
    asks_us(&trigger.kind, trigger.metadata.keys())
}

fn misreads(reads: &Reads) -> Vec<Misreading> {
    let mut all = Vec::new();
    let is_one = |written: Option<&str>| written.is_none_or(|of| quantity(of) == Some(1.0));
    match reads {
        Reads::External(metrics) => {
            let mut ours = metrics.iter().filter(|of| of.name == METRIC);
            if ours.any(|of| of.average_value.is_none() || !is_one(of.average_value.as_deref())) {
                all.push(Misreading::AnotherTarget);
            }
        }
        Reads::Triggers { triggers, .. } => {
            for trigger in triggers {
                let given = |key: &str| trigger.metadata.get(key).map(String::as_str);
                let query = given("query").filter(|query| query.contains(METRIC));
                let pulled = trigger.kind == "prometheus" && query.is_some();
                // As it does unless it is told not to.
                if pulled && given("ignoreNullValues") != Some("false") {
                    all.push(Misreading::MissingIsZero);
                }
                let kind = trigger.metric_type.as_deref();
                let is_average = kind.is_none_or(|of| of.is_empty() || of == "AverageValue");
                let is_the_count = is_average && (!pulled || is_one(given("threshold")));
                if (pulled || is_ours(trigger)) && !is_the_count {
                    all.push(Misreading::AnotherTarget);
                }
            }
        }
    }
    all
}
