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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use trimtab_core::policies::Optimizer;
    use trimtab_sandbox::{SandboxConfig, SandboxedOptimizer, builtin};

    use super::*;

    /// The shipped optimizer, told apart by a section that says nothing.
    fn version(directory: &Path, mark: u8) -> PolicyChoice {
        let path = directory.join(format!("{mark}.wasm"));
        let mut component = builtin("cost-optimizer").unwrap().to_vec();
        component.extend([0, 2, 1, mark]);
        fs::write(&path, component).unwrap();
        choice(&path.to_string_lossy())
    }

    fn choice(reference: &str) -> PolicyChoice {
        PolicyChoice {
            reference: reference.to_owned(),
            settings: "{}".to_owned(),
            place: "s.yaml: policies.optimizer".to_owned(),
        }
    }

    fn digests(bound: &Bound<SandboxedOptimizer>) -> Vec<&str> {
        let rungs = bound.rungs.iter();
        rungs
            .map(|rung| Optimizer::digest(&**rung).0.as_str())
            .collect()
    }

    #[test]
    fn what_was_before_a_swap_is_the_second_rung_and_the_built_in_the_third() {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let mut shelf = Shelf::new(&sandbox);
        let shipped = shelf.named(&choice("builtin:cost-optimizer")).unwrap();
        let one = shelf.named(&version(directory.path(), b'a')).unwrap();
        let two = shelf.named(&version(directory.path(), b'b')).unwrap();
        let first = |of: &Bound<_>| digests(of)[0].to_owned();
        let (b, d, t) = (first(&shipped), first(&one), first(&two));
        assert_eq!(digests(&shipped), [&b]);
        assert_eq!(digests(&after_swap(Some(&one), &two)), [&t, &d, &b]);
        assert_eq!(digests(&after_swap(Some(&shipped), &two)), [&t, &b]);
        assert_eq!(digests(&after_swap(Some(&two), &shipped)), [&b, &t]);
        assert_eq!(digests(&after_swap(Some(&two), &two)), [&t, &b]);
        assert_eq!(digests(&after_swap(None, &two)), [&t, &b]);
    }

    #[test]
    fn a_component_is_loaded_once() {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let mut shelf = Shelf::new(&sandbox);
        let named = version(directory.path(), b'a');
        let before: Bound<SandboxedOptimizer> = shelf.named(&named).unwrap();
        fs::remove_file(PathBuf::from(&named.reference)).unwrap();
        let again: Bound<SandboxedOptimizer> = shelf.named(&named).unwrap();
        assert!(Arc::ptr_eq(&before.rungs[0], &again.rungs[0]));
    }
}
