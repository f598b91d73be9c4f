//! Settings of the configuration.

mod resolve;

use trimtab_sandbox::SandboxConfig;

use super::*;
use crate::run::config::Sources;

fn config(yaml: &str) -> Config {
    let yaml = format!("prometheus: {{url: http://p}}\n{yaml}");
    Config::load(&Sources {
        file: Some(("config.yaml", &yaml)),
        ..Sources::default()
    })
    .unwrap()
}

fn problem(policies: &Defaults, yaml: &str) -> Option<String> {
    let checked = policies.check(&config(yaml));
    checked.err().map(|error| format!("{error:#}"))
}

#[test]
fn settings_that_a_policy_does_not_take_are_refused_wherever_they_stand() {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let policies = Defaults::load(&sandbox, &config("").policies).unwrap().0;
    let problem = |yaml: &str| problem(&policies, yaml);
    for role in ["analyzer", "optimizer"] {
        let told = problem(&format!("policies: {{{role}: {{settings: {{nope: 1}}}}}}"));
        let told = told.unwrap_or_default();
        let place = format!("policies.{role}.settings.nope");
        assert!(
            told.contains(&place) && told.contains("not known"),
            "{told}"
        );
    }
    let pools = "pools: [{pool: a}, {pool: b, analyzerSettings: {headroom: lots}}]";
    let told = problem(pools).unwrap_or_default();
    assert!(
        told.contains("pools[1].analyzerSettings.headroom"),
        "{told}"
    );
    let taken = "pools: [{pool: b, analyzerSettings: {headroom: 0.2}}]";
    assert_eq!(problem(taken), None);
    let both = format!("policies: {{analyzer: {{settings: {{headroom: 0.3}}}}}}\n{taken}");
    assert_eq!(problem(&both), None);
}
