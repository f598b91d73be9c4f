//! The keys that are of the process.

use super::*;

#[test]
fn the_keys_of_the_process_are_the_weakest_layer() {
    let maps = ConfigMaps {
        process: data(&[
            ("GLOBAL_OPT_INTERVAL", "30s"),
            ("PROMETHEUS_BASE_URL", "https://p:9091"),
            ("PROMETHEUS_METRICS_CACHE_TTL", "30s"),
            ("PROMETHEUS_BEARER_TOKEN", "s3cret"),
            ("WVA_SCALE_TO_ZERO", "true"),
            ("WVA_LIMITED_MODE", "perhaps"),
            ("WVA_NODE_SELECTOR", ""),
            ("MINE", "1"),
        ]),
        ..ConfigMaps::default()
    };
    let settings = maps.translate(true).settings;
    let config = Config::load(&Sources {
        wva: &settings,
        file: Some(("config.yaml", "intervalSeconds: 20\n")),
        ..Sources::default()
    })
    .unwrap();
    assert_eq!(config.interval_seconds.seconds(), 20.0);
    assert_eq!(config.prometheus.url.as_deref(), Some("https://p:9091"));
    assert!(config.scale_to_zero.enabled);
    assert!(config.limit_to_inventory);
    reported(&maps, &["GLOBAL_OPT_INTERVAL: honoured as intervalSeconds"]);
    reported(
        &maps,
        &["PROMETHEUS_METRICS_CACHE_TTL: ignored", "nothing is cached"],
    );
    reported(&maps, &["WVA_LIMITED_MODE: invalid", "`true` or `false`"]);
    reported(&maps, &["WVA_NODE_SELECTOR: ignored: it is empty"]);
    reported(&maps, &["MINE: ignored"]);
    assert!(!lines(&maps).iter().any(|line| line.contains("s3cret")));
}

#[test]
fn an_interval_that_is_none_does_not_take_the_rest_with_it() {
    for wrong in ["0", "", "soon"] {
        let maps = ConfigMaps {
            process: data(&[
                ("GLOBAL_OPT_INTERVAL", wrong),
                ("PROMETHEUS_BASE_URL", "https://p:9091"),
            ]),
            ..ConfigMaps::default()
        };
        reported(&maps, &["GLOBAL_OPT_INTERVAL: invalid"]);
        let settings = maps.translate(true).settings;
        assert_eq!(settings.len(), 1, "{wrong}");
        assert_eq!(settings[0].key, "prometheus.url");
    }
}
