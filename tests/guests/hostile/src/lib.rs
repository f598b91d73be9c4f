//! A policy that misbehaves in the way its settings name.

use trimtab_sdk::{Analysis, Analyzer, Context, Descriptor, Knowledge, Pool, Refusal, Replica};

struct Hostile;

impl Analyzer for Hostile {
    fn describe() -> Descriptor {
        Descriptor {
            name: "hostile".into(),
            version: "0.1.0".into(),
            summary: "misbehaves".into(),
            settings_schema: "{}".into(),
            state_format: "none".into(),
        }
    }

    fn analyze(
        context: &Context,
        _pool: &Pool,
        _replicas: &[Replica],
        _knowledge: &[Knowledge],
    ) -> Result<Analysis, Refusal> {
        Err(Refusal::Internal(context.settings.clone()))
    }
}

trimtab_sdk::export_analyzer!(Hostile);
