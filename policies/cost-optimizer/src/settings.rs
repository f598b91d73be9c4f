//! What an operator may set.

use schemars::JsonSchema;
use serde::Deserialize;
use trimtab_sdk::{Refusal, settings};

/// Settings of the cost optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// A replacement must be cheaper by more than this share, in percent, of the cost of the
    /// replicas that it makes superfluous. Old and new run side by side while the new ones start,
    /// so a start-up of two minutes at 10 percent is paid back after twenty.
    #[schemars(range(min = 0, max = 99))]
    pub(crate) switch_saving_percent: u32,
    /// Steps that one call may search, over all pools. Where they do not suffice for the exact
    /// answer, the best mix found is improved locally and the plan's note says `heuristic`.
    #[schemars(range(min = 1000))]
    pub(crate) search_steps: u32,
}

impl Default for Settings {
    fn default() -> Self {
        // Half a million steps take 0.2 s at most; a pool of three variants needs some dozens.
        Self {
            switch_saving_percent: 10,
            search_steps: 500_000,
        }
    }
}

impl Settings {
    /// Reads the operator's document.
    ///
    /// # Errors
    /// A settings refusal that names the field.
    pub(crate) fn read(document: &str) -> Result<Self, Refusal> {
        let read: Self = settings::parse(document)?;
        if read.switch_saving_percent > 99 {
            return Err(Refusal::Settings(format!(
                "`switch-saving-percent` is {}: from 0 to 99 is possible",
                read.switch_saving_percent
            )));
        }
        if read.search_steps < 1_000 {
            return Err(Refusal::Settings(format!(
                "`search-steps` is {}: at least 1000 are needed",
                read.search_steps
            )));
        }
        Ok(read)
    }

    /// Steps for one of `n_problems`: the same for each, so that their order does not matter.
    pub(crate) fn steps_each(self, n_problems: usize) -> u32 {
        let share = self.search_steps as usize / n_problems.max(1);
        share.clamp(200, 20_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_document_means_the_defaults() {
        assert_eq!(Settings::read("").unwrap(), Settings::default());
        assert_eq!(Settings::read("{}").unwrap(), Settings::default());
    }

    #[test]
    fn the_schema_says_what_may_be_set() {
        let schema = settings::schema::<Settings>();
        for part in [
            "switch-saving-percent",
            "search-steps",
            r#""maximum":99"#,
            r#""additionalProperties":false"#,
        ] {
            assert!(schema.contains(part), "{part} in {schema}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_by_name() {
        for (document, word) in [
            (r#"{"switch-saving-percent": 100}"#, "switch-saving-percent"),
            (r#"{"switch-saving-percent": -1}"#, "-1"),
            (r#"{"search-steps": 1}"#, "search-steps"),
            (r#"{"saving": 1}"#, "saving"),
        ] {
            let refusal = Settings::read(document).unwrap_err();
            let Refusal::Settings(message) = refusal else {
                panic!("{refusal:?}")
            };
            assert!(message.contains(word), "{message}");
        }
    }
}
