//! Every layer, and what is refused in which words.

mod pools;

use serde_json::Value;

use super::layers::{KEYS, variable};
use super::*;

const URL: &str = "prometheus: {url: 'http://p:9090'}\n";

fn file(text: &str) -> Result<Config> {
    let text = format!("{URL}{text}");
    Config::load(&Sources {
        file: Some(("config.yaml", &text)),
        ..Sources::default()
    })
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let error = file(text).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

fn environment(variables: &[(&str, &str)]) -> Result<Config> {
    let environment = |name: &str| {
        let mut all = variables
            .iter()
            .chain(&[("TRIMTAB_PROMETHEUS_URL", "http://p:9090")]);
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::load(&Sources {
        environment: &environment,
        ..Sources::default()
    })
}

#[test]
fn a_file_that_says_nothing_is_the_defaults() {
    for text in ["", "# nothing\n", "{}"] {
        let sources = Sources {
            file: Some(("config.yaml", text)),
            flags: &[Setting::new(
                "--prometheus-url",
                "prometheus.url",
                "http://p",
            )],
            ..Sources::default()
        };
        let mut config = Config::load(&sources).unwrap();
        config.prometheus.url = None;
        assert_eq!(config, Config::default(), "{text}");
    }
}

#[test]
fn later_layers_win_key_by_key() {
    let text = "prometheus: {url: 'http://file', timeoutSeconds: 3}\nintervalSeconds: 20\n";
    let environment = |name: &str| match name {
        "PROMETHEUS_BASE_URL" => Some("http://wva-variable".to_owned()),
        "TRIMTAB_PROMETHEUS_URL" => Some("http://variable".to_owned()),
        "GLOBAL_OPT_INTERVAL" => Some("30s".to_owned()),
        _ => None,
    };
    let wva = [
        Setting::new("map", "intervalSeconds", "60s"),
        Setting::new("map", "nodeSelector", "gpu=true"),
    ];
    let flags = [Setting::new(
        "--prometheus-url",
        "prometheus.url",
        "http://flag",
    )];
    let load = |with_environment: bool, flags: &[Setting]| {
        let environment = |name: &str| environment(name).filter(|_| with_environment);
        Config::load(&Sources {
            wva: &wva,
            file: Some(("config.yaml", text)),
            environment: &environment,
            flags,
        })
        .unwrap()
    };
    let config = load(false, &[]);
    assert_eq!(config.prometheus.url.as_deref(), Some("http://file"));
    assert_eq!(config.interval_seconds, Seconds::new(20));
    assert_eq!(config.node_selector.as_deref(), Some("gpu=true"));
    let config = load(true, &[]);
    assert_eq!(config.prometheus.url.as_deref(), Some("http://variable"));
    assert_eq!(config.interval_seconds, Seconds::new(30));
    assert_eq!(config.prometheus.timeout_seconds, Seconds::new(3));
    let config = load(true, &flags);
    assert_eq!(config.prometheus.url.as_deref(), Some("http://flag"));
}

#[test]
fn an_interval_that_is_none_is_an_error_that_names_the_key() {
    // Situation 13.
    for wrong in ["0", "0s", "''", "soon", "-5", "null"] {
        refused(&format!("intervalSeconds: {wrong}"), &["intervalSeconds"]);
    }
    for wrong in ["", "0", "0s", "soon", "-1s"] {
        let error = environment(&[("GLOBAL_OPT_INTERVAL", wrong)]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("GLOBAL_OPT_INTERVAL"), "{wrong}: {error}");
        assert!(error.contains("intervalSeconds"), "{wrong}: {error}");
    }
}

#[test]
fn errors_of_a_file_name_the_key_and_the_line() {
    refused(
        "leaderElection:\n  leaseDurationSeconds: soon\n",
        &[
            "config.yaml: leaderElection.leaseDurationSeconds: ",
            "90s, 10m or 1h30m",
            "line 3",
        ],
    );
    refused(
        "objective:\n  ttft: 2\n",
        &["objective.ttft", "unknown field", "ttftSeconds", "line 3"],
    );
    refused(
        "pools:\n- mode: sometimes\n",
        &["pools[0].mode", "sometimes"],
    );
    refused("limitToInventory: 'yes'\n", &["limitToInventory"]);
    refused("listen: {metrics: '8080'}\n", &["listen.metrics", ":8080"]);
    refused(
        "intervalSeconds: 1\nintervalSeconds: 2\n",
        &["intervalSeconds"],
    );
    refused("pools: [\n", &["config.yaml: "]);
    refused(
        "mode: [enforce]\n",
        &["mode: ", "expected one of `enforce`, `observe`, `paused`"],
    );
}

#[test]
fn all_that_cannot_be_is_told_at_once() {
    let error = file(
        "leaderElection: {leaseDurationSeconds: 10, renewDeadlineSeconds: 10}\n\
         objective: {percentile: 1.5, priority: 0}\n\
         namespaces: [Not_A_Name]\n\
         nodeSelector: gpus>3\n\
         logging: {level: loud}\n\
         writesPerSecond: 0\n\
         pools: [{objective: {percentile: 95}}, {scaleToZero: {retention: 0}}]\n",
    )
    .unwrap_err()
    .to_string();
    for key in [
        "leaderElection.leaseDurationSeconds: 10s ends before the leader stands down",
        "objective.percentile: 1.5 cannot be",
        "objective.priority: 0 cannot be",
        "namespaces: `Not_A_Name` is no name",
        "nodeSelector: `gpus>3` is no requirement of a label selector",
        "logging.level: `loud` is no level",
        "writesPerSecond: 0 cannot be",
        "pools[0].objective.percentile: 95 cannot be",
        "pools[1].scaleToZero.retention: 0s cannot be",
    ] {
        assert!(error.contains(key), "`{key}` is not in: {error}");
    }
    assert_eq!(error.lines().count(), 9, "{error}");
}

#[test]
fn a_lease_lasts_longer_than_its_renewal_and_that_than_a_retry() {
    assert!(file("leaderElection: {renewDeadlineSeconds: 2s}").is_err());
    assert!(file("leaderElection: {renewDeadlineSeconds: 15s}").is_err());
    assert!(file("leaderElection: {leaseDurationSeconds: 15.5}").is_err());
    let longer = "{leaseDurationSeconds: 1m, renewDeadlineSeconds: 40s, retryPeriodSeconds: 5}";
    assert!(file(&format!("leaderElection: {longer}")).is_ok());
}

#[test]
fn a_cycle_may_not_take_so_long_that_the_loop_is_taken_for_dead() {
    assert!(file("intervalSeconds: 10\ntickTimeoutSeconds: 30\n").is_ok());
    refused(
        "intervalSeconds: 10\ntickTimeoutSeconds: 31\n",
        &["tickTimeoutSeconds: 31s cannot be; expected 1s to 30s"],
    );
}

#[test]
fn windows_are_whole_seconds_and_the_long_one_is_not_the_shorter() {
    let windows = |text: &str| {
        let text = format!("prometheus: {{url: 'http://p:9090', {text}}}");
        Config::load(&Sources {
            file: Some(("config.yaml", &text)),
            ..Sources::default()
        })
    };
    assert!(windows("windowSeconds: 2m, longWindowSeconds: 10m").is_ok());
    for (text, part) in [
        (
            "windowSeconds: 2.5",
            "prometheus.windowSeconds: 2.5s is not a whole",
        ),
        ("windowSeconds: 1", "prometheus.windowSeconds: 1s cannot be"),
        (
            "windowSeconds: 10m",
            "prometheus.longWindowSeconds: 300s is less than prometheus.windowSeconds, 600s",
        ),
    ] {
        let error = windows(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_client_certificate_and_its_key_come_together() {
    let error = environment(&[("PROMETHEUS_CLIENT_CERT_PATH", "/c.pem")]).unwrap_err();
    assert!(
        error.to_string().contains("prometheus.clientKeyFile"),
        "{error}"
    );
    let error = environment(&[("PROMETHEUS_CLIENT_KEY_PATH", "/k.pem")]).unwrap_err();
    assert!(
        error.to_string().contains("prometheus.clientCertFile"),
        "{error}"
    );
}

#[test]
fn what_wva_reads_from_the_environment_is_read_too() {
    let config = environment(&[
        ("PROMETHEUS_TOKEN_PATH", "/token"),
        ("PROMETHEUS_BEARER_TOKEN", "abc"),
        ("PROMETHEUS_CA_CERT_PATH", "/ca.pem"),
        ("PROMETHEUS_CLIENT_CERT_PATH", "/c.pem"),
        ("PROMETHEUS_CLIENT_KEY_PATH", "/k.pem"),
        ("PROMETHEUS_TLS_INSECURE_SKIP_VERIFY", "true"),
        ("GLOBAL_OPT_INTERVAL", "1m30s"),
        ("CONTROLLER_INSTANCE", "blue"),
        ("WATCH_NAMESPACE", "a, b"),
        ("POD_NAMESPACE", "system"),
        ("WVA_NODE_SELECTOR", "pool=gpu"),
        ("WVA_SCALE_TO_ZERO", "True"),
        ("WVA_LIMITED_MODE", "false"),
        ("LOG_LEVEL", "DEBUG"),
    ])
    .unwrap();
    assert_eq!(
        config.prometheus.bearer_token_file.as_deref(),
        Some("/token")
    );
    let header = &config.prometheus.headers["Authorization"];
    assert_eq!(header.0, "Bearer abc");
    assert_eq!(config.prometheus.ca_file.as_deref(), Some("/ca.pem"));
    assert!(config.prometheus.insecure_skip_verify);
    assert_eq!(config.interval_seconds, Seconds::new(90));
    assert_eq!(config.controller_instance.as_deref(), Some("blue"));
    assert_eq!(config.namespaces, ["a", "b"]);
    assert_eq!(config.leader_election.namespace.as_deref(), Some("system"));
    assert_eq!(config.node_selector.as_deref(), Some("pool=gpu"));
    assert!(config.scale_to_zero.enabled);
    assert!(!config.limit_to_inventory);
    assert_eq!(config.logging.level, "DEBUG");
}

#[test]
fn operators_of_different_instances_have_a_lease_each() {
    let name = |variables: &[(&str, &str)]| environment(variables).unwrap().lease_name();
    let instance = ("CONTROLLER_INSTANCE", "blue");
    assert_eq!(name(&[]), "trimtab");
    assert_eq!(name(&[instance]), "trimtab-blue");
    let given = ("TRIMTAB_LEADER_ELECTION_LEASE_NAME", "other");
    assert_eq!(name(&[instance, given]), "other");
    let error = environment(&[("CONTROLLER_INSTANCE", "Blue_1")]).unwrap_err();
    assert!(
        format!("{error:#}").contains("controllerInstance (set by CONTROLLER_INSTANCE)"),
        "{error:#}"
    );
}

#[test]
fn text_that_is_empty_in_the_environment_is_as_not_set() {
    let config = environment(&[
        ("CONTROLLER_INSTANCE", ""),
        ("WATCH_NAMESPACE", ""),
        ("PROMETHEUS_TOKEN_PATH", " "),
    ])
    .unwrap();
    assert_eq!(config.controller_instance, None);
    assert!(config.namespaces.is_empty());
    assert_eq!(config.prometheus.bearer_token_file, None);
}

#[test]
fn a_variable_that_is_no_boolean_is_refused() {
    let error = environment(&[("WVA_SCALE_TO_ZERO", "maybe")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("WVA_SCALE_TO_ZERO: `maybe` is not `true` or `false`"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_of_a_flag_is_told_the_nearest() {
    let flags = [
        Setting::new("--prometheus-url", "prometheus.url", "http://p"),
        Setting::new("--set", "intervalsSeconds", "5"),
    ];
    let error = Config::load(&Sources {
        flags: &flags,
        ..Sources::default()
    })
    .unwrap_err()
    .to_string();
    assert!(error.contains("nearest is `intervalSeconds`"), "{error}");
}

#[test]
fn variables_are_named_after_their_keys() {
    assert_eq!(
        variable("prometheus.bearerTokenFile"),
        "TRIMTAB_PROMETHEUS_BEARER_TOKEN_FILE"
    );
    assert_eq!(variable("intervalSeconds"), "TRIMTAB_INTERVAL_SECONDS");
}

#[test]
fn variables_that_set_nothing_are_told_with_the_nearest() {
    let set = KEYS.iter().map(|key| variable(key.path));
    let fine = [
        "TRIMTAB_CONFIG",
        "TRIMTAB_CACHE",
        "TRIMTABX",
        "PATH",
        // Of Services in the operator's namespace.
        "TRIMTAB_SERVICE_HOST",
        "TRIMTAB_SERVICE_PORT_METRICS",
        "TRIMTAB_PORT",
        "TRIMTAB_METRICS_PORT_8080_TCP_ADDR",
    ];
    let fine = fine.into_iter().map(str::to_owned).chain(set);
    assert_eq!(unknown_variables(fine), []);
    let wrong = ["TRIMTAB_PROMETEUS_URL", "TRIMTAB_INTERVAL"];
    assert_eq!(
        unknown_variables(wrong.map(str::to_owned)),
        [
            (wrong[0].to_owned(), "TRIMTAB_PROMETHEUS_URL".to_owned()),
            (wrong[1].to_owned(), "TRIMTAB_INTERVAL_SECONDS".to_owned()),
        ]
    );
}

/// Paths of all keys with one value; lists of entries and free maps have none.
fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !path.ends_with("settings") && !path.ends_with("headers") => {
            for (name, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{name}"), value, found);
            }
        }
        Value::Object(_) => {}
        _ if path == "pools" => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            found.push(path.to_owned());
        }
    }
}

#[test]
fn every_key_with_one_value_can_be_set_by_a_variable() {
    let mut keys = Vec::new();
    leaves(
        "",
        &serde_json::to_value(Config::default()).unwrap(),
        &mut keys,
    );
    keys.push("prometheus.headers.Authorization".to_owned());
    keys.sort();
    let mut known: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    known.sort_unstable();
    assert_eq!(known, keys);
}

#[test]
fn what_is_written_of_a_configuration_is_read_back() {
    let config = file(
        "intervalSeconds: 1m\nmode: observe\nlisten: {metrics: '0', health: '127.0.0.1:9'}\n\
         pools: [{model: m, objective: {ttftSeconds: null, itlSeconds: 50ms}}]\n",
    )
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    let read: Config = serde_json::from_value(written).unwrap();
    assert_eq!(read, config);
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let schema = jsonschema::validator_for(&Config::schema()).unwrap();
    let config = file(
        "intervalSeconds: 1m30s\nmode: paused\nbudgetPerHour: 12.5\n\
         policies: {analyzer: {settings: {headroom: 0.1}}}\n\
         listen: {metrics: '[::1]:80', health: ':9'}\n\
         pools: [{namespace: a, objective: {ttftSeconds: 0.5, priority: 1}, mode: observe}]\n",
    )
    .unwrap();
    let written = serde_json::to_value(&config).unwrap();
    let errors: Vec<String> = schema
        .iter_errors(&written)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    for wrong in [
        serde_json::json!({"intervalSeconds": "soon"}),
        serde_json::json!({"intervalSecond": 5}),
        serde_json::json!({"mode": "sometimes"}),
        serde_json::json!({"listen": {"metrics": "8080"}}),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
        assert!(serde_json::from_value::<Config>(wrong).is_err());
    }
}

#[test]
fn secrets_are_not_in_what_is_logged() {
    let config = environment(&[("PROMETHEUS_BEARER_TOKEN", "s3cret")]).unwrap();
    let logged = format!("{config:?}");
    assert!(logged.contains("Authorization"), "{logged}");
    assert!(!logged.contains("s3cret"), "{logged}");
}

#[test]
fn an_address_without_a_host_is_every_address() {
    let listens = file("listen: {metrics: ':8443', health: '0'}")
        .unwrap()
        .listen;
    let candidates: Vec<String> = listens
        .metrics
        .candidates()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(candidates, ["[::]:8443", "0.0.0.0:8443"]);
    assert!(listens.health.candidates().is_empty());
}

#[test]
fn a_cycle_may_take_as_long_as_the_interval_unless_told_otherwise() {
    assert_eq!(
        file("intervalSeconds: 40").unwrap().tick_timeout(),
        Seconds::new(40)
    );
    assert_eq!(
        file("tickTimeoutSeconds: 5").unwrap().tick_timeout(),
        Seconds::new(5)
    );
}
