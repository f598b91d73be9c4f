//! The flags of the operator. They win over environment and file.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use super::config::Setting;

/// Scale the pools of a cluster
#[derive(Args, Debug, Default)]
pub(crate) struct RunArguments {
    /// Configuration file (YAML). A variable of the environment wins over it: for the key
    /// `prometheus.url`, TRIMTAB_PROMETHEUS_URL
    #[arg(long, value_name = "FILE", env = "TRIMTAB_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address of Prometheus
    #[arg(long, value_name = "URL")]
    prometheus_url: Option<String>,
    /// Between decisions, e.g. 15s
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// Namespaces to watch [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    namespace: Vec<String>,
    /// What becomes of decisions: enforce, observe or paused
    #[arg(long)]
    mode: Option<String>,
    /// Handle only objects that are labelled with this controller instance
    #[arg(long, value_name = "NAME")]
    controller_instance: Option<String>,
    /// Address of /metrics, e.g. :8080; 0 turns it off
    #[arg(long, value_name = "ADDRESS")]
    listen_metrics: Option<String>,
    /// Address of /healthz and /readyz, e.g. :8081; 0 turns them off
    #[arg(long, value_name = "ADDRESS")]
    listen_health: Option<String>,
    /// Whether to decide only as the leader among several replicas: true or false
    #[arg(long, value_name = "BOOL")]
    leader_election: Option<String>,
    /// How log lines are written: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged: a level, or directives such as info,trimtab=debug
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Any other key with one value, e.g. `writesPerSecond=2`; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl RunArguments {
    /// Those that are given, as settings of the configuration's keys.
    ///
    /// # Errors
    /// Where a `--set` has no value.
    pub(crate) fn settings(&self) -> Result<Vec<Setting>> {
        let namespaces = (!self.namespace.is_empty()).then(|| self.namespace.join(","));
        let flags = [
            ("--prometheus-url", "prometheus.url", &self.prometheus_url),
            ("--interval", "intervalSeconds", &self.interval),
            ("--namespace", "namespaces", &namespaces),
            ("--mode", "mode", &self.mode),
            (
                "--controller-instance",
                "controllerInstance",
                &self.controller_instance,
            ),
            ("--listen-metrics", "listen.metrics", &self.listen_metrics),
            ("--listen-health", "listen.health", &self.listen_health),
            (
                "--leader-election",
                "leaderElection.enabled",
                &self.leader_election,
            ),
            ("--log-format", "logging.format", &self.log_format),
            ("--log-level", "logging.level", &self.log_level),
        ];
        let mut settings: Vec<Setting> = flags
            .into_iter()
            .filter_map(|(flag, key, given)| Some(Setting::new(flag, key, given.as_ref()?)))
            .collect();
        for given in &self.set {
            let Some((key, value)) = given.split_once('=') else {
                bail!("--set {given}: has no value; expected KEY=VALUE");
            };
            settings.push(Setting::new("--set", key, value));
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;
    use crate::run::config::{Config, Sources};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArguments,
    }

    fn line() -> Command {
        Line::command()
    }

    fn parse(flags: &[&str]) -> RunArguments {
        let words = ["run"].iter().chain(flags);
        let matches = line().try_get_matches_from(words).unwrap();
        Line::from_arg_matches(&matches).unwrap().run
    }

    #[test]
    fn the_flags_are_consistent() {
        line().debug_assert();
    }

    #[test]
    fn each_flag_sets_its_key() {
        let flags = [
            "--prometheus-url=http://p",
            "--interval=30s",
            "--namespace=a,b",
            "--mode=observe",
            "--controller-instance=blue",
            "--listen-metrics=0",
            "--listen-health=127.0.0.1:1",
            "--leader-election=false",
            "--log-format=json",
            "--log-level=debug",
            "--set=writesPerSecond=2",
        ];
        let settings = parse(&flags).settings().unwrap();
        assert_eq!(settings.len(), flags.len());
        let sources = Sources {
            flags: &settings,
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap();
        assert_eq!(config.interval_seconds.seconds(), 30.0);
        assert_eq!(config.namespaces, ["a", "b"]);
        assert_eq!(config.controller_instance.as_deref(), Some("blue"));
        assert_eq!(config.writes_per_second, 2.0);
        assert!(!config.leader_election.enabled);
    }

    #[test]
    fn a_set_without_a_value_is_refused() {
        let error = parse(&["--set=writesPerSecond"]).settings().unwrap_err();
        assert!(error.to_string().contains("expected KEY=VALUE"), "{error}");
    }
}
