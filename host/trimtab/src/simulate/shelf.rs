//! The components of a simulation, each loaded once, and what is bound from them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use trimtab_core::policies::Bound;
use trimtab_sandbox::{Policy, Sandbox};
use trimtab_sim::scenario::PolicyChoice;

use crate::binding::{Role, Settings};
use crate::reference::Reference;

pub(super) struct Shelf<'a> {
    sandbox: &'a Sandbox,
    loaded: BTreeMap<Reference, Policy>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(sandbox: &'a Sandbox) -> Self {
        Self {
            sandbox,
            loaded: BTreeMap::new(),
        }
    }

    /// What a scenario names, with what stands in for it: the built-in of its kind.
    ///
    /// # Errors
    /// The component cannot be used, or does not take the settings; names the field.
    pub(super) fn named<R: Role>(&mut self, choice: &PolicyChoice) -> Result<Bound<R>> {
        let reference = reference(choice);
        let role = self.role::<R>(&reference);
        role.with_context(|| format!("{}.policy: cannot be used", choice.place))?;
        self.bind(&reference, choice)
    }

    /// Another policy, or the same, with the settings of a choice.
    ///
    /// # Errors
    /// As [`Self::named`], which also says where a component was named that cannot be used.
    pub(super) fn bind<R: Role>(
        &mut self,
        reference: &Reference,
        choice: &PolicyChoice,
    ) -> Result<Bound<R>> {
        let chosen = self.role::<R>(reference)?;
        let builtin = self.role::<R>(&Reference::Builtin(R::BUILTIN.to_owned()))?;
        chosen.check(&Settings {
            document: &choice.settings,
            place: &format!("{}.settings", choice.place),
        })?;
        let rungs = without_twins([chosen, builtin]);
        Ok(Bound::new(rungs, choice.settings.as_str()))
    }

    fn role<R: Role>(&mut self, reference: &Reference) -> Result<Arc<R>> {
        let policy = match self.loaded.get(reference) {
            Some(policy) => policy.clone(),
            None => {
                let policy = reference.load(self.sandbox)?;
                self.loaded.insert(reference.clone(), policy.clone());
                policy
            }
        };
        R::of(&policy).with_context(|| format!("policy `{reference}` has no role `{}`", R::NAME))
    }
}

pub(super) fn reference(choice: &PolicyChoice) -> Reference {
    let parsed = choice.reference.parse();
    parsed.unwrap_or_else(|never: Infallible| match never {})
}

/// A ladder after a swap: the new version, the one before as the last good one, the built-in.
pub(super) fn after_swap<R: Role>(before: Option<&Bound<R>>, new: &Bound<R>) -> Bound<R> {
    let before = before.and_then(|bound| bound.rungs.first());
    let (first, rest) = (new.rungs.iter().take(1), new.rungs.iter().skip(1));
    let rungs = first.chain(before).chain(rest).cloned();
    Bound {
        rungs: without_twins(rungs),
        ..new.clone()
    }
}

/// Of rungs that are the same policy the first stays.
fn without_twins<R: Role>(rungs: impl IntoIterator<Item = Arc<R>>) -> Vec<Arc<R>> {
    let mut kept: Vec<Arc<R>> = Vec::new();
    for rung in rungs {
        if !kept.iter().any(|of| of.digest() == rung.digest()) {
            kept.push(rung);
        }
    }
    kept
}
