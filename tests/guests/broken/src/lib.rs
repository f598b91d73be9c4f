//! A version that loads, and of which each call panics.

use trimtab_sdk::{Analysis, Analyzer, Context, Descriptor, Knowledge, Pool, Refusal, Replica};

/// Answers nothing.
pub struct Broken;

impl Analyzer for Broken {
    fn describe() -> Descriptor {
        Descriptor {
            name: "broken".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Panics.".into(),
            settings_schema: r#"{"type":"object"}"#.into(),
            state_format: "broken/1".into(),
        }
    }

    #[expect(clippy::panic, reason = "that is what it is for")]
    fn analyze(
        _context: &Context,
        _pool: &Pool,
        _replicas: &[Replica],
        _knowledge: &[Knowledge],
    ) -> Result<Analysis, Refusal> {
        panic!("a new version that nobody tried")
    }
}

trimtab_sdk::export_analyzer!(Broken);
