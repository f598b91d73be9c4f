//! `wva-variantautoscaling-config`, whose keys are also WVA's variables.

use super::report::{Line, Verdict};
use super::{Data, Map, Translation};
use crate::run::config::{Setting, wva_key};

pub(super) fn read(data: &Data, out: &mut Translation) {
    for (name, text) in data {
        let verdict = key(name, text, out);
        out.report.push(Line {
            map: Map::Process,
            namespace: None,
            entry: name.clone(),
            key: None,
            verdict,
        });
    }
}

fn key(name: &str, text: &str, out: &mut Translation) -> Verdict {
    let Some(key) = wva_key(name) else {
        return Verdict::ignored(reason(name));
    };
    let origin = format!("{}, {name}", Map::Process.name());
    let setting = Setting::new(&origin, key, text);
    match setting.problem() {
        Some(problem) => Verdict::Invalid(problem),
        None if text.trim().is_empty() => Verdict::ignored("it is empty"),
        None => {
            out.settings.push(setting);
            Verdict::honoured(key)
        }
    }
}

fn reason(name: &str) -> &'static str {
    match name {
        "PROMETHEUS_SERVER_NAME" => {
            "the certificate is held against the host of prometheus.url, which is to be its name"
        }
        "EPP_METRIC_READER_BEARER_TOKEN" => {
            "endpoint pickers are read through Prometheus, not asked themselves"
        }
        "SCALE_FROM_ZERO_ENGINE_MAX_CONCURRENCY" => "waking pools has no such bound",
        cache if cache.starts_with("PROMETHEUS_METRICS_CACHE_") => {
            "nothing is cached: each cycle asks anew, in a constant number of queries; \
             maxMetricsAgeSeconds says what is stale"
        }
        _ => "WVA has no such key, or none that means anything here",
    }
}
