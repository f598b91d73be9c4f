//! WVA's ConfigMaps, read for those who move over, and what became of each of their keys.

use std::collections::BTreeSet;

use kube::Error;
use trimtab_cluster::config_maps::{self, Found};

use super::config::Config;
use super::wva::{ConfigMaps, Map, NamespaceMaps, Translation, Verdict};
use crate::binding::ANALYZER;

/// WVA takes maps of other namespaces than its own only with this label.
pub(crate) const LABEL: (&str, &str) = ("app.kubernetes.io/name", "workload-variant-autoscaler");

/// Where they are sought, and for whom.
#[derive(Debug, Default)]
pub(super) struct Sought {
    /// The operator's own namespace, whose maps hold everywhere.
    pub(super) system: String,
    /// The others; none are all.
    pub(super) namespaces: BTreeSet<String>,
    /// Whether the analyzer is the built-in one.
    pub(super) built_in: bool,
}

impl Sought {
    /// `namespace` is that of the kubeconfig, or the pod's own.
    pub(super) fn of(config: &Config, namespace: &str) -> Self {
        Self {
            system: config.own_namespace(namespace),
            namespaces: config.namespaces.iter().cloned().collect(),
            built_in: config.policies.analyzer.policy == format!("builtin:{ANALYZER}"),
        }
    }
}

/// Reads them all. With what they say comes why some could not be read, where that is so.
///
/// # Errors
/// They cannot be read.
pub(super) async fn read(
    client: &kube::Client,
    sought: &Sought,
) -> Result<(Translation, Option<Error>), Error> {
    let mut refused = None;
    let mut namespaces = sought.namespaces.clone();
    if !namespaces.is_empty() {
        namespaces.insert(sought.system.clone());
    }
    let mut maps = ConfigMaps::default();
    for map in Map::ALL {
        let named = config_maps::named(client, map.name(), &namespaces).await?;
        refused = refused.or(named.refused);
        for found in named.found {
            take(&mut maps, map, found, &sought.system);
        }
    }
    Ok((maps.translate(sought.built_in), refused))
}

/// Puts one where it belongs; `system` is the namespace whose maps hold everywhere.
pub(crate) fn take(maps: &mut ConfigMaps, map: Map, found: Found, system: &str) {
    let labelled = found
        .labels
        .get(LABEL.0)
        .is_some_and(|value| value == LABEL.1);
    let of: &mut NamespaceMaps = if found.namespace == system {
        &mut maps.global
    } else if labelled {
        maps.local.entry(found.namespace.clone()).or_default()
    } else {
        let why = format!(
            "WVA takes it from {system} alone, or with the label {}={}",
            LABEL.0, LABEL.1
        );
        maps.left_out.push((map, found.namespace, why));
        return;
    };
    match map {
        Map::Process if found.namespace == system => maps.process = found.data,
        Map::Process => {
            let why = format!("WVA takes it from its own namespace alone, here {system}");
            maps.left_out.push((map, found.namespace, why));
        }
        Map::Saturation => of.saturation = found.data,
        Map::ScaleToZero => of.scale_to_zero = found.data,
        Map::Queueing => of.queueing = found.data,
    }
}

/// A line of the log for each key.
pub(super) fn tell(translation: &Translation) {
    for line in &translation.report {
        match line.verdict {
            Verdict::Honoured(_) => tracing::info!(%line, "WVA's ConfigMap"),
            Verdict::Ignored(_) | Verdict::Invalid(_) => {
                tracing::warn!(%line, "WVA's ConfigMap");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn found(namespace: &str, label: Option<&str>) -> Found {
        let labels = label.map(|label| (LABEL.0.to_owned(), label.to_owned()));
        Found {
            namespace: namespace.to_owned(),
            labels: labels.into_iter().collect(),
            data: BTreeMap::from([("default".to_owned(), namespace.to_owned())]),
        }
    }

    #[test]
    fn maps_of_other_namespaces_need_wvas_label() {
        let mut maps = ConfigMaps::default();
        for of in [
            found("system", None),
            found("a", Some(LABEL.1)),
            found("b", None),
            found("c", Some("other")),
        ] {
            take(&mut maps, Map::Saturation, of.clone(), "system");
            take(&mut maps, Map::Process, of, "system");
        }
        let default = |data: &BTreeMap<String, String>| data.get("default").cloned();
        assert_eq!(default(&maps.global.saturation).as_deref(), Some("system"));
        assert_eq!(default(&maps.process).as_deref(), Some("system"));
        let local: Vec<&String> = maps.local.keys().collect();
        assert_eq!(local, ["a"]);
        let report = maps.translate(true).report;
        let left_out = report.iter().map(ToString::to_string);
        let left_out: Vec<String> = left_out
            .filter(|line| line.contains("WVA takes it"))
            .collect();
        assert_eq!(left_out.len(), 5, "{left_out:#?}");
        assert!(left_out.iter().any(|line| line.contains("in namespace b")));
    }
}
