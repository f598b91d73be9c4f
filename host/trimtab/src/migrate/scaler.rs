//! HPAs and ScaledObjects: which of them are replaced, and why others are not.

use std::collections::BTreeSet;

use serde_json::Value;
use trimtab_cluster::view::METRIC;

use super::bounds::{Bounds, nameless};
use super::known::{Known, Target, target};
use super::names::Names;
use super::object::{kind, list, name, namespace, text, title};
use super::plan::{Body, Document, Fate, Plan, Wishes};
use super::signal;
use super::{hpa, scaled_object, variant};

/// What scalers have taken so far.
pub(super) struct Taken {
    names: Names,
    /// Workloads that have their scaler.
    scaled: BTreeSet<Target>,
}

impl Taken {
    /// Of several that scale one workload, one that reads the count already is the one to keep, else
    /// the first.
    pub(super) fn of(objects: &[&Value]) -> Self {
        let own = objects.iter().filter(|of| !is_made_by_keda(of));
        let reading = own.filter(|of| signal::reads_us(of).is_some());
        Self {
            names: Names::of(objects),
            scaled: reading.map(|of| target(of)).collect(),
        }
    }
}

/// What replaces a scaler, and what of it is lost.
pub(super) struct Replacement {
    pub(super) object: Value,
    pub(super) lost: Vec<String>,
    pub(super) comments: Vec<String>,
}

/// What becomes of a scaler that is not replaced, and why.
pub(super) struct Kept {
    pub(super) fate: Fate,
    pub(super) why: Vec<String>,
}

impl Kept {
    pub(super) fn new(fate: Fate, why: impl Into<String>) -> Self {
        Self {
            fate,
            why: vec![why.into()],
        }
    }
}

pub(super) fn plan(
    object: &Value,
    (known, wishes): (&Known, &Wishes),
    taken: &mut Taken,
    plan: &mut Plan,
) {
    let of = title(object);
    match replace(object, (known, wishes), taken) {
        Ok(replaced) => {
            let reads = format!("it reads {METRIC} of variant {}", replaced.variant);
            plan.row(&of, Fate::Replaced, reads);
            for lost in replaced.by.lost {
                plan.row(&of, Fate::NoEqual, lost);
            }
            plan.documents.extend(replaced.made);
            let mut comments = vec![format!("From {of}, under its own name.")];
            comments.extend(replaced.by.comments);
            plan.documents.push(Document {
                comments,
                body: Body::Object(replaced.by.object),
            });
        }
        Err(kept) => {
            for why in kept.why {
                plan.row(&of, kept.fate, why);
            }
        }
    }
}

struct Replaced {
    variant: String,
    /// What makes its workload a variant, where it is none yet.
    made: Option<Document>,
    by: Replacement,
}

fn replace(
    object: &Value,
    (known, wishes): (&Known, &Wishes),
    taken: &mut Taken,
) -> Result<Replaced, Kept> {
    let target = target(object);
    let model = judge(object, &target, (known, taken))?;
    let bounds = bounds(object)?;
    let claims = variant::claims(object);
    let variant = taken.names.take(&target, claims);
    let variant = variant.map_err(|why| Kept::new(Fate::NoEqual, why))?;
    taken.scaled.insert(target);
    let made = model
        .filter(|_| !claims)
        .map(|model| variant::made_for(object, &model, (&variant, bounds)));
    let mut by = if is_keda(object) {
        scaled_object::replace(object, &variant, &wishes.scaler_address)
    } else {
        hpa::replace(object, &variant, bounds)
    };
    if let Some(idle) = bounds.idle.filter(|_| made.is_none()) {
        by.comments.push(format!(
            "It becomes idle only where its variant may: minReplicas of its VariantAutoscaling has \
             to be {idle}."
        ));
    }
    Ok(Replaced { variant, made, by })
}

/// The model of a workload that is no variant yet; or why its scaler is not replaced.
fn judge(
    object: &Value,
    target: &Target,
    (known, taken): (&Known, &Taken),
) -> Result<Option<String>, Kept> {
    if is_made_by_keda(object) {
        let why = "KEDA makes it from its ScaledObject, and changes it by itself";
        return Err(Kept::new(Fate::LeftAlone, why));
    }
    let missing = nameless(object);
    if !missing.is_empty() {
        return Err(refused(&missing));
    }
    if let Some(hint) = signal::reads_us(object) {
        bounds(object)?;
        return Err(Kept::new(Fate::Stays, hint));
    }
    // What is a variant already serves a model, whatever its workload says.
    let model = if taken.names.has(target) {
        None
    } else {
        Some(known.served(object)?)
    };
    if taken.scaled.contains(target) {
        let why = "another object here scales the same workload: keep one of them, and delete this \
                   one";
        return Err(Kept::new(Fate::NoEqual, why));
    }
    if !is_keda(object) {
        whole(object)?;
    } else if !scaled_object::is_replaced(object) {
        let why = "none of its triggers is of a model server or an endpoint picker";
        return Err(Kept::new(Fate::LeftAlone, why));
    }
    Ok(model)
}

fn is_keda(object: &Value) -> bool {
    kind(object) == "ScaledObject"
}

fn is_made_by_keda(object: &Value) -> bool {
    let mut owners = list(object, "/metadata/ownerReferences").iter();
    owners.any(|of| text(of, "/kind") == Some("ScaledObject"))
}

fn bounds(object: &Value) -> Result<Bounds, Kept> {
    Bounds::of(object).map_err(|faults| refused(&faults))
}

fn refused(faults: &[String]) -> Kept {
    let why = faults.iter();
    Kept {
        fate: Fate::NoEqual,
        why: why
            .map(|fault| format!("{fault}: correct it, and try again"))
            .collect(),
    }
}

/// Versions before v2 keep behavior and metrics in annotations, or not at all.
fn whole(hpa: &Value) -> Result<(), Kept> {
    let version = text(hpa, "/apiVersion").unwrap_or_default();
    if version == "autoscaling/v2" {
        return Ok(());
    }
    let why = format!(
        "{version} does not say all of its behavior and metrics: give it as `kubectl get \
         horizontalpodautoscalers.v2.autoscaling {} -n {} -o yaml` prints it",
        name(hpa),
        namespace(hpa)
    );
    Err(Kept::new(Fate::NoEqual, why))
}
