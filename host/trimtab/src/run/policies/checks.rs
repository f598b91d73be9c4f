//! Settings, held against the policies that they are for.

use std::collections::BTreeMap;

use trimtab_core::policies::Digest;

use crate::binding::{Role, Settings};

/// Whether policies take settings: calls of a guest, so each is made once.
#[derive(Default)]
pub(super) struct Checks {
    known: BTreeMap<Question, Result<(), String>>,
    asked: BTreeMap<Question, Result<(), String>>,
}

/// Digest, role, and settings.
type Question = (Digest, &'static str, String);

impl Checks {
    pub(super) fn check<R: Role>(
        &mut self,
        role: &R,
        settings: &str,
        place: &str,
    ) -> Result<(), String> {
        let question = (role.digest().clone(), R::NAME, settings.to_owned());
        let known = self
            .asked
            .get(&question)
            .or_else(|| self.known.get(&question));
        let answer = known.cloned().unwrap_or_else(|| {
            let given = Settings {
                document: settings,
                place: "",
            };
            role.check(&given).map_err(|error| format!("{error:#}"))
        });
        self.asked.insert(question, answer.clone());
        answer.map_err(|problem| format!("{place}{problem}"))
    }

    /// What was not asked since the last time is forgotten.
    pub(super) fn sweep(&mut self) {
        self.known = std::mem::take(&mut self.asked);
    }
}
