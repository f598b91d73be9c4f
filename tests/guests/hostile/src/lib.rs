//! A policy that misbehaves in the way its settings name, as an analyzer and as an optimizer.

mod answers;
mod behaviour;

use behaviour::Settings;
use trimtab_sdk::{
    Analysis, Analyzer, Context, Descriptor, Knowledge, Limits, Optimizer, Plan, Pool, Refusal,
    Replica, Request,
};

/// Misbehaves in every way that it knows.
pub struct Hostile;

fn describe() -> Descriptor {
    Descriptor {
        name: "hostile".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "Misbehaves in the way its settings name.".into(),
        settings_schema: r#"{"type":"object"}"#.into(),
        state_format: "hostile/1".into(),
    }
}

impl Analyzer for Hostile {
    fn describe() -> Descriptor {
        describe()
    }

    fn analyze(
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        _knowledge: &[Knowledge],
    ) -> Result<Analysis, Refusal> {
        let settings: Settings = trimtab_sdk::settings::parse(&context.settings)?;
        settings.act();
        answers::analysis(&settings, context, pool, replicas)
    }
}

impl Optimizer for Hostile {
    fn describe() -> Descriptor {
        describe()
    }

    fn optimize(
        context: &Context,
        requests: &[Request],
        _limits: &Limits,
    ) -> Result<Plan, Refusal> {
        let settings: Settings = trimtab_sdk::settings::parse(&context.settings)?;
        settings.act();
        answers::plan(&settings, context, requests)
    }
}

trimtab_sdk::export_analyzer!(Hostile);
trimtab_sdk::export_optimizer!(Hostile);
