//! What holds for a pool, and what of it can change.

use super::*;
use crate::run::config::changes::Changes;

const POOL: PoolIdentity<'_> = PoolIdentity {
    namespace: "prod",
    pool: "chat",
    model: "llama",
};

#[test]
fn the_last_entry_that_means_a_pool_and_sets_a_key_wins() {
    let config = file(
        "objective: {ttftSeconds: 2, itlSeconds: 0.1, priority: 5}\n\
         scaleToZero: {retention: 5m}\n\
         policies: {analyzer: {settings: {headroom: 0.1, tracking: false}}}\n\
         pools:\n\
         - {namespace: prod, objective: {ttftSeconds: 1, percentile: 0.99}}\n\
         - {model: other, objective: {ttftSeconds: 9}}\n\
         - {namespace: prod, pool: chat, model: llama, objective: {ttftSeconds: 500ms, itlSeconds: null}, scaleToZero: {enabled: true}, analyzerSettings: {headroom: 0.3}}\n\
         - {mode: observe}\n",
    )
    .unwrap();
    let settings = config.pool(&[], None, POOL);
    assert_eq!(settings.objective.ttft, Some(0.5));
    assert_eq!(settings.objective.itl, None);
    assert_eq!(settings.objective.percentile, 0.99);
    assert_eq!(settings.objective.priority, 5);
    assert_eq!(settings.rules.mode, Mode::Observe);
    assert_eq!(settings.rules.scale_to_zero_after_seconds, Some(300.0));
    assert_eq!(settings.analyzer_settings["headroom"], 0.3);
    assert_eq!(settings.analyzer_settings["tracking"], false);
    let elsewhere = PoolIdentity {
        namespace: "test",
        ..POOL
    };
    let settings = config.pool(&[], None, elsewhere);
    assert_eq!(settings.objective.ttft, Some(2.0));
    assert_eq!(settings.rules.scale_to_zero_after_seconds, None);
}

#[test]
fn entries_from_elsewhere_win_over_defaults_and_lose_to_our_own() {
    let config = file(
        "objective: {ttftSeconds: 2, priority: 5}\n\
         pools: [{model: llama, objective: {priority: 1}}]\n",
    )
    .unwrap();
    let inherited = PoolEntry {
        objective: ObjectiveEntry {
            ttft_seconds: Some(Some(Seconds::new(3))),
            priority: Some(7),
            ..ObjectiveEntry::default()
        },
        ..PoolEntry::default()
    };
    let settings = config.pool(&[inherited], None, POOL);
    assert_eq!(settings.objective.ttft, Some(3.0));
    assert_eq!(settings.objective.priority, 1);
}

#[test]
fn settings_of_a_policy_that_is_not_there_yet_wait_with_it() {
    let pools = |settings: &str| format!("pools: [{{pool: p, mode: observe, {settings}}}]\n");
    let old = file(&format!(
        "policies: {{analyzer: {{settings: {{headroom: 1}}}}}}\n{}",
        pools("analyzerSettings: {headroom: 2}")
    ))
    .unwrap();
    let new = file(&format!(
        "policies: {{analyzer: {{policy: mine.wasm, settings: {{mine: 1}}}}}}\nbudgetPerHour: 5\n{}",
        pools("analyzerSettings: {mine: 2}")
    ))
    .unwrap();
    let next = old.reloaded(&new);
    assert_eq!(next.budget_per_hour, Some(5.0));
    assert_eq!(next.policies, old.policies);
    assert_eq!(next.pools, old.pools);
    let restart = old.changes(&new).restart;
    let waiting = ["headroom", "mine"].map(|key| format!("policies.analyzer.settings.{key}"));
    assert!(
        waiting.iter().all(|key| restart.contains(key)),
        "{restart:?}"
    );
}

#[test]
fn changes_are_told_apart_by_whether_they_need_a_restart() {
    let old = file("logging: {level: info}").unwrap();
    let new = file(
        "logging: {level: debug, format: json}\nintervalSeconds: 20\nbudgetPerHour: 5\n\
         policies: {analyzer: {settings: {headroom: 1}}, optimizer: {policy: mine.wasm}}\n\
         pools: [{mode: observe}]\nobjective: {ttftSeconds: 1}\n",
    )
    .unwrap();
    let changes = old.changes(&new);
    assert_eq!(
        changes.reloaded,
        [
            "budgetPerHour",
            "logging.level",
            "objective.ttftSeconds",
            "policies.analyzer.settings.headroom",
            "pools",
        ]
    );
    assert_eq!(
        changes.restart,
        [
            "intervalSeconds",
            "logging.format",
            "policies.optimizer.policy"
        ]
    );
    assert_eq!(old.changes(&old), Changes::default());
    let reloaded = old.reloaded(&new);
    assert_eq!(old.changes(&reloaded).restart, Vec::<String>::new());
    assert_eq!(old.changes(&reloaded).reloaded, changes.reloaded);
    assert!(reloaded.changes(&new).reloaded.is_empty());
}
