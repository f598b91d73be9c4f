//! What a configuration cannot be, beyond its types.

use std::ops::RangeInclusive;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use trimtab_cluster::config::selector;
use trimtab_sim::excerpt::{excerpt, message};

use super::{Config, PoolEntry, Problem, Seconds};

/// Intervals that a cycle may take: after four without one the loop is taken for dead.
const TIMEOUT_INTERVALS: f64 = 3.0;

/// Problems that were found.
#[derive(Default)]
struct Found(Vec<Problem>);

impl Config {
    /// Everything that cannot be, with what would be right.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        self.check_prometheus(&mut found);
        self.check_serving(&mut found);
        self.check_clocks(&mut found);
        self.check_lease(&mut found);
        self.check_names(&mut found);
        self.check_objective(&mut found);
        for (index, entry) in self.pools.iter().enumerate() {
            check_entry(&format!("pools[{index}]"), entry, &mut found);
        }
        self.check_outside(&mut found);
        found.0
    }

    fn check_prometheus(&self, found: &mut Found) {
        let prometheus = &self.prometheus;
        // That there is one at all is known once WVA's ConfigMaps are read.
        if let Some(url) = &prometheus.url {
            found.url("prometheus.url", url);
        }
        found.pair(
            ("prometheus.clientCertFile", &prometheus.client_cert_file),
            ("prometheus.clientKeyFile", &prometheus.client_key_file),
        );
        found.seconds(
            "prometheus.timeoutSeconds",
            prometheus.timeout_seconds,
            0.1..=600.0,
        );
        self.check_windows(found);
    }

    fn check_serving(&self, found: &mut Found) {
        let (metrics, scaler) = (&self.external_metrics, &self.external_scaler);
        found.pair(
            ("externalMetrics.certFile", &metrics.cert_file),
            ("externalMetrics.keyFile", &metrics.key_file),
        );
        found.pair(
            ("externalScaler.certFile", &scaler.cert_file),
            ("externalScaler.keyFile", &scaler.key_file),
        );
        if scaler.client_ca_file.is_some() && scaler.cert_file.is_none() {
            found.add(
                "externalScaler.certFile",
                "nothing is given; certificates of clients are only seen with TLS",
            );
        }
        found.label("externalMetrics.service", &metrics.service);
        found.name("externalMetrics.secret", &metrics.secret);
        let picker = "scaleFromZero.pickerAddress";
        found.url(picker, &self.scale_from_zero.picker_address);
    }

    fn check_windows(&self, found: &mut Found) {
        let (short, long) = (
            self.prometheus.window_seconds,
            self.prometheus.long_window_seconds,
        );
        for (key, window) in [
            ("prometheus.windowSeconds", short),
            ("prometheus.longWindowSeconds", long),
        ] {
            found.seconds(key, window, 2.0..=3600.0);
            if window.seconds().fract() != 0.0 {
                found.add(key, format!("{window} is not a whole number of seconds"));
            }
        }
        if long < short {
            found.add(
                "prometheus.longWindowSeconds",
                format!("{long} is less than prometheus.windowSeconds, {short}"),
            );
        }
    }

    fn check_clocks(&self, found: &mut Found) {
        found.seconds("intervalSeconds", self.interval_seconds, 1.0..=3600.0);
        if let Some(timeout) = self.tick_timeout_seconds {
            let most = self.interval_seconds.seconds() * TIMEOUT_INTERVALS;
            found.seconds("tickTimeoutSeconds", timeout, 1.0..=most.max(1.0));
        }
        if let Some(age) = self.max_decision_age_seconds {
            let least = self.interval_seconds.seconds();
            found.seconds("maxDecisionAgeSeconds", age, least..=86_400.0);
        }
        found.seconds(
            "maxMetricsAgeSeconds",
            self.max_metrics_age_seconds,
            1.0..=3600.0,
        );
        found.seconds(
            "checkpointIntervalSeconds",
            self.checkpoint_interval_seconds,
            1.0..=86_400.0,
        );
        found.number("writesPerSecond", self.writes_per_second, 0.01..=10_000.0);
    }

    fn check_lease(&self, found: &mut Found) {
        let lease = &self.leader_election;
        let retry = "leaderElection.retryPeriodSeconds";
        found.seconds(retry, lease.retry_period_seconds, 0.1..=3600.0);
        if lease.renew_deadline_seconds <= lease.retry_period_seconds {
            found.add(
                "leaderElection.renewDeadlineSeconds",
                format!(
                    "{} leaves no time for a second try; expected more than \
                     leaderElection.retryPeriodSeconds, {}",
                    lease.renew_deadline_seconds, lease.retry_period_seconds
                ),
            );
        }
        if lease.lease_duration_seconds <= lease.renew_deadline_seconds {
            found.add(
                "leaderElection.leaseDurationSeconds",
                format!(
                    "{} ends before the leader stands down; expected more than \
                     leaderElection.renewDeadlineSeconds, {}",
                    lease.lease_duration_seconds, lease.renew_deadline_seconds
                ),
            );
        }
        // The Lease has whole seconds.
        if lease.lease_duration_seconds.seconds().fract() != 0.0 {
            found.add(
                "leaderElection.leaseDurationSeconds",
                format!(
                    "{} is not a whole number of seconds, as a Lease has",
                    lease.lease_duration_seconds
                ),
            );
        }
    }

    fn check_names(&self, found: &mut Found) {
        let namespaces = [
            ("namespaces", &self.namespaces),
            ("excludedNamespaces", &self.excluded_namespaces),
        ];
        for (key, names) in namespaces {
            for name in names {
                found.label(key, name);
            }
        }
        if let Some(Err(error)) = self.node_selector.as_deref().map(selector) {
            found.add("nodeSelector", message(&error.to_string()));
        }
        let lease = &self.leader_election;
        // It is named after the instance where it is given no name of its own.
        let named = match (&lease.lease_name, &self.controller_instance) {
            (None, Some(_)) => "controllerInstance",
            _ => "leaderElection.leaseName",
        };
        found.name(named, &self.lease_name());
        if let Some(namespace) = &lease.namespace {
            found.label("leaderElection.namespace", namespace);
        }
    }

    fn check_objective(&self, found: &mut Found) {
        let objective = &self.objective;
        found.objective(
            "objective",
            [objective.ttft_seconds, objective.itl_seconds],
            objective.tokens_per_second,
            Some(objective.percentile),
            Some(objective.priority),
        );
        found.retention("scaleToZero.retention", self.scale_to_zero.retention);
        if let Some(budget) = self.budget_per_hour {
            found.number("budgetPerHour", budget, 0.0..=1e12);
        }
    }

    fn check_outside(&self, found: &mut Found) {
        if let Some(endpoint) = &self.otlp.endpoint {
            found.url("otlp.endpoint", endpoint);
        }
        found.level("logging.level", &self.logging.level);
        let policies = [
            ("policies.analyzer.policy", &self.policies.analyzer.policy),
            ("policies.optimizer.policy", &self.policies.optimizer.policy),
        ];
        self.check_sources(found);
        for (key, policy) in policies {
            if matches!(policy.trim(), "" | "builtin:") {
                found.add(key, "names no policy; expected `builtin:NAME`, or a path");
            }
        }
    }

    fn check_sources(&self, found: &mut Found) {
        let policies = &self.policies;
        if let Some(seconds) = policies.shadow_seconds {
            let interval = self.interval_seconds.seconds();
            found.seconds("policies.shadowSeconds", seconds, 0.0..=interval);
        }
        let (oci, maxima) = (&policies.oci, &policies.maxima);
        for (key, seconds) in [
            ("policies.oci.timeoutSeconds", oci.timeout_seconds),
            ("policies.oci.refetchSeconds", oci.refetch_seconds),
        ] {
            found.seconds(key, seconds, 1.0..=86_400.0);
        }
        let deadline = "policies.maxima.deadlineSeconds";
        found.seconds(deadline, maxima.deadline_seconds, 0.001..=3600.0);
        for (key, value, most) in [
            ("fuelFactor", maxima.fuel_factor, 1e6),
            ("memoryMib", f64::from(maxima.memory_mib), 4096.0),
            ("stateKib", f64::from(maxima.state_kib), 65_536.0),
            ("componentMib", f64::from(maxima.component_mib), 64.0),
        ] {
            let least = if key == "fuelFactor" { 0.001 } else { 1.0 };
            found.number(&format!("policies.maxima.{key}"), value, least..=most);
        }
    }
}

fn check_entry(place: &str, entry: &PoolEntry, found: &mut Found) {
    if let Some(namespace) = &entry.namespace {
        found.label(&format!("{place}.namespace"), namespace);
    }
    let objective = &entry.objective;
    found.objective(
        &format!("{place}.objective"),
        [objective.ttft_seconds, objective.itl_seconds].map(Option::flatten),
        objective.tokens_per_second.flatten(),
        objective.percentile,
        objective.priority,
    );
    if let Some(retention) = entry.scale_to_zero.retention {
        found.retention(&format!("{place}.scaleToZero.retention"), retention);
    }
    if let Some(budget) = entry.budget_per_hour {
        found.number(&format!("{place}.budgetPerHour"), budget, 0.0..=1e12);
    }
}

impl Found {
    fn add(&mut self, key: &str, problem: impl Into<String>) {
        self.0.push(Problem {
            key: key.to_owned(),
            problem: problem.into(),
        });
    }

    fn seconds(&mut self, key: &str, value: Seconds, within: RangeInclusive<f64>) {
        if !within.contains(&value.seconds()) {
            let (least, most) = within.into_inner();
            let problem = format!("{value} cannot be; expected {least}s to {most}s");
            self.add(key, problem);
        }
    }

    /// A certificate and its key: both or none.
    fn pair(&mut self, certificate: (&str, &Option<String>), key: (&str, &Option<String>)) {
        match (certificate.1, key.1) {
            (Some(_), None) => self.add(key.0, "nothing is given; a certificate needs its key"),
            (None, Some(_)) => {
                self.add(
                    certificate.0,
                    "nothing is given; a key needs its certificate",
                );
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn number(&mut self, key: &str, value: f64, within: RangeInclusive<f64>) {
        if !within.contains(&value) {
            let (least, most) = within.into_inner();
            self.add(
                key,
                format!("{value} cannot be; expected {least} to {most}"),
            );
        }
    }

    fn objective(
        &mut self,
        place: &str,
        times: [Option<Seconds>; 2],
        tokens: Option<f64>,
        percentile: Option<f64>,
        priority: Option<u32>,
    ) {
        for (name, time) in ["ttftSeconds", "itlSeconds"].into_iter().zip(times) {
            if let Some(time) = time {
                self.seconds(&format!("{place}.{name}"), time, 1e-6..=86_400.0);
            }
        }
        if let Some(tokens) = tokens {
            self.number(&format!("{place}.tokensPerSecond"), tokens, 0.0..=1e12);
        }
        if let Some(percentile) = percentile
            && !(percentile > 0.0 && percentile < 1.0)
        {
            self.add(
                &format!("{place}.percentile"),
                format!("{percentile} cannot be; expected a share between 0 and 1, such as 0.95"),
            );
        }
        if priority == Some(0) {
            self.add(
                &format!("{place}.priority"),
                "0 cannot be; expected 1, the most important, or more",
            );
        }
    }

    fn retention(&mut self, key: &str, retention: Seconds) {
        self.seconds(key, retention, 1.0..=31_536_000.0);
    }

    fn url(&mut self, key: &str, url: &str) {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':'])) {
            self.add(
                key,
                format!(
                    "`{}` is no address; expected one such as http://host:9090",
                    excerpt(url)
                ),
            );
        }
    }

    /// The name of a namespace.
    fn label(&mut self, key: &str, name: &str) {
        if name.contains('.') {
            self.no_name(key, name);
        } else {
            self.name(key, name);
        }
    }

    /// The name of an object.
    fn name(&mut self, key: &str, name: &str) {
        let inside =
            |of: char| of.is_ascii_lowercase() || of.is_ascii_digit() || matches!(of, '-' | '.');
        let ends = |of: char| of.is_ascii_lowercase() || of.is_ascii_digit();
        let valid = name.chars().all(inside)
            && name.starts_with(ends)
            && name.ends_with(ends)
            && name.len() <= 63;
        if !valid {
            self.no_name(key, name);
        }
    }

    fn no_name(&mut self, key: &str, name: &str) {
        self.add(
            key,
            format!(
                "`{}` is no name; expected lower-case letters, digits and `-`, at most 63",
                excerpt(name)
            ),
        );
    }

    /// A single word is a level. As a directive it would be a target, whatever it is.
    fn level(&mut self, key: &str, level: &str) {
        let one = !level.contains(['=', ',', '[']);
        let valid = if one {
            level.parse::<LevelFilter>().is_ok()
        } else {
            EnvFilter::builder().parse(level).is_ok()
        };
        if level.is_empty() || !valid {
            self.add(
                key,
                format!(
                    "`{}` is no level; expected off, error, warn, info, debug, trace, or \
                     directives such as info,trimtab=debug",
                    excerpt(level)
                ),
            );
        }
    }
}
