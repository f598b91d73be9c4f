//! What an operator should see of GPUs and money, whether or not anything grows.

use std::collections::BTreeSet;

use super::ledger::{Ledger, Money, TOLERANCE, UNRESOLVED};
use crate::decision::condition;
use crate::draft::PoolDraft;

pub(super) fn report(ledger: &Ledger<'_>, pools: &mut [PoolDraft<'_>]) {
    let all = ledger.money.and_then(over_budget);
    for (pool, purse) in pools.iter_mut().zip(&ledger.purses) {
        let own = purse.and_then(over_budget);
        for message in all.iter().chain(&own) {
            pool.condition(condition::OVER_BUDGET, message.as_str());
        }
        report_gpus(ledger, pool);
    }
}

fn over_budget(money: Money) -> Option<String> {
    let Money {
        name,
        budget,
        settled,
        floors,
        ..
    } = money;
    if settled <= budget * (1.0 + TOLERANCE) {
        return None;
    }
    Some(if floors > budget {
        format!("minimum counts cost {floors:.2} per hour, {name} is {budget:.2}")
    } else {
        format!("what is asked for costs {settled:.2} per hour, {name} is {budget:.2}")
    })
}

fn report_gpus(ledger: &Ledger<'_>, pool: &mut PoolDraft<'_>) {
    let variants = pool.seen.pool.variants.iter();
    let accelerators: BTreeSet<&str> = variants
        .filter(|variant| variant.gpus_per_replica > 0)
        .map(|variant| variant.accelerator.as_str())
        .collect();
    let Some(gpus) = &ledger.gpus else {
        if !accelerators.is_empty() {
            let message = "the GPU inventory is not known; growth goes on without it";
            pool.condition(condition::INVENTORY_UNKNOWN, message);
        }
        return;
    };
    for accelerator in accelerators {
        if accelerator == UNRESOLVED {
            let message = "the accelerator of a variant is not known";
            pool.condition(condition::ACCELERATOR_UNRESOLVED, message);
            continue;
        }
        let entry = gpus
            .get(accelerator)
            .filter(|gpus| gpus.floors > gpus.total);
        if let Some(gpus) = entry {
            let (floors, total) = (gpus.floors, gpus.total);
            let message =
                format!("minimum counts need {floors} GPUs of `{accelerator}`, there are {total}");
            pool.condition(condition::OVER_BUDGET, message);
        }
    }
}
