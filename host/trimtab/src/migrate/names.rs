//! Names of variants: of two with one name, apply would write the second over the first.

use std::collections::BTreeMap;

use serde_json::Value;

use super::known::{MANAGED, Target, target};
use super::object::{is_scaler, is_variant, name, namespace};
use super::{signal, variant};

#[derive(Debug, Default)]
pub(super) struct Names {
    /// Whose each is, by namespace and name.
    owners: BTreeMap<(String, String), Target>,
    /// Of the variants that are there.
    there: BTreeMap<Target, String>,
}

impl Names {
    /// Of objects in order: of two that name one workload, the first counts.
    pub(super) fn of(objects: &[&Value]) -> Self {
        let mut names = Self::default();
        for object in objects.iter().filter(|of| is_variant(of)) {
            let (target, named) = (target(object), name(object).to_owned());
            let key = (namespace(object).to_owned(), named.clone());
            names.owners.entry(key).or_insert_with(|| target.clone());
            names.there.entry(target).or_insert(named);
        }
        // What makes a variant by itself, or reads one that was not read here, knows it by the name
        // of the workload.
        let speaks = |of: &Value| variant::claims(of) || signal::reads_us(of).is_some();
        for object in objects.iter().filter(|of| is_scaler(of) && speaks(of)) {
            let target = target(object);
            if !names.there.contains_key(&target) {
                let key = (target.namespace.clone(), target.name.clone());
                names.owners.entry(key).or_insert(target);
            }
        }
        names
    }

    /// Whether a workload is a variant already.
    pub(super) fn has(&self, target: &Target) -> bool {
        self.there.contains_key(target)
    }

    /// The name of the variant that a workload is or becomes; or why there is none, and what to do.
    /// One that `claims` becomes a variant by itself, under the name of its workload.
    pub(super) fn take(&mut self, target: &Target, claims: bool) -> Result<String, String> {
        if let Some(named) = self.there.get(target) {
            return Ok(named.clone());
        }
        let of_kind = format!("{}-{}", target.name, target.kind.to_lowercase());
        for named in [&target.name, &of_kind] {
            let key = (target.namespace.clone(), named.clone());
            if *self.owners.entry(key).or_insert_with(|| target.clone()) == *target {
                return Ok(named.clone());
            }
            if claims {
                return Err(format!(
                    "by its annotation {MANAGED} it makes a variant {named}, which is the name of \
                     another variant: take the annotation away, and try again"
                ));
            }
        }
        Err(format!(
            "{} and {of_kind} are names of other variants: write a VariantAutoscaling of another \
             name for {target}, and try again with it",
            target.name
        ))
    }
}
