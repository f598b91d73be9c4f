//! What is to be thought of what was found. Nothing here asks anybody.

mod access;
mod scaling;
#[cfg(test)]
mod tests;

use serde::Serialize;
use trimtab_cluster::crd::Installed;
use trimtab_core::fleet::MetricsState;

use super::facts::{Facts, PoolFacts};

/// The most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Area {
    Cluster,
    Rights,
    Prometheus,
    Leader,
    ExternalMetrics,
    Variants,
    Scaling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) area: Area,
    pub(super) what: String,
    pub(super) level: Level,
    pub(super) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) todo: Option<String>,
}

impl Check {
    fn ok(area: Area, what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            area,
            what: what.into(),
            level: Level::Ok,
            found: found.into(),
            todo: None,
        }
    }

    fn warning(self, todo: impl Into<String>) -> Self {
        self.needs(Level::Warning, todo)
    }

    fn failed(self, todo: impl Into<String>) -> Self {
        self.needs(Level::Failed, todo)
    }

    fn needs(mut self, level: Level, todo: impl Into<String>) -> Self {
        self.level = level;
        self.todo = Some(todo.into());
        self
    }

    /// Something that could not be asked.
    fn unknown(area: Area, what: impl Into<String>, why: &str) -> Self {
        let todo = format!("let whoever runs this ask: {why}");
        Self::ok(area, what, format!("not known: {why}")).failed(todo)
    }
}

/// All checks, in the order of their areas.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    let mut checks = kinds(facts);
    checks.extend(known(facts));
    checks.extend(access::rights(facts));
    checks.extend(prometheus(facts));
    checks.extend(access::leader(facts));
    checks.extend(access::external_metrics(facts));
    checks.extend(scaling::variants(facts));
    checks.extend(scaling::scalers(facts));
    checks.sort_by_key(|check| check.area);
    checks
}

/// What to do, each once, the most important first.
pub(super) fn todo(checks: &[Check]) -> Vec<String> {
    let mut wanting: Vec<&Check> = checks.iter().filter(|of| of.level > Level::Ok).collect();
    wanting.sort_by_key(|check| (std::cmp::Reverse(check.level), check.area));
    let mut list = Vec::new();
    for check in wanting {
        let line = check
            .todo
            .as_ref()
            .map(|todo| format!("{}: {todo}", check.what));
        list.extend(line.filter(|line| !list.contains(line)));
    }
    list
}

fn kinds(facts: &Facts) -> Vec<Check> {
    let what = "VariantAutoscaling";
    let area = Area::Cluster;
    let definition = match &facts.definition {
        Err(why) => Check::unknown(area, what, why),
        Ok(Some(Installed::Ours)) => Check::ok(area, what, "installed, with our own schema"),
        Ok(Some(Installed::OfWva)) => Check::ok(
            area,
            what,
            "installed, with WVA's last schema, which is read as it is",
        ),
        Ok(Some(Installed::Older)) => Check::ok(area, what, "installed, with an old schema of WVA")
            .warning("`trimtab crds | kubectl apply -f -`, and `trimtab migrate` for the objects"),
        Ok(None) => Check::ok(area, what, "not installed").warning(
            "`trimtab crds | kubectl apply -f -`; none is needed where HPAs and ScaledObjects are \
             annotated",
        ),
    };
    let others = facts.kinds.iter().map(|(what, found)| match found {
        Ok(true) => Check::ok(area, *what, "installed"),
        Ok(false) => Check::ok(area, *what, "not installed; none is needed"),
        Err(why) => Check::unknown(area, *what, why),
    });
    [definition].into_iter().chain(others).collect()
}

fn known(facts: &Facts) -> Vec<Check> {
    let what = "the cluster";
    if facts.missing.is_empty() {
        let variants: usize = facts.pools.iter().map(|pool| pool.variants.len()).sum();
        let found = format!("pools: {}, variants: {variants}", facts.pools.len());
        let check = Check::ok(Area::Cluster, what, found);
        let nothing = facts.pools.is_empty() && facts.refused.is_empty();
        return vec![if nothing {
            check.warning(
                "nothing asks for scaling: make a VariantAutoscaling, or annotate an HPA or a \
                 ScaledObject with llm-d.ai/managed: \"true\"",
            )
        } else {
            check
        }];
    }
    let missing = facts.missing.iter();
    missing
        .map(|missing| {
            Check::ok(Area::Cluster, what, format!("not seen in time: {missing}")).failed(
                "let whoever runs this list and watch it; what comes of it is not looked at",
            )
        })
        .collect()
}

fn prometheus(facts: &Facts) -> Vec<Check> {
    let area = Area::Prometheus;
    if let Err(why) = &facts.prometheus {
        return vec![Check::ok(area, "Prometheus", why.as_str()).failed(
            "give an address that answers from here: --prometheus-url, with `kubectl port-forward` \
             where it is inside the cluster",
        )];
    }
    let answers = Check::ok(area, "Prometheus", "answers");
    let pools = facts.pools.iter().filter_map(measured);
    [answers].into_iter().chain(pools).collect()
}

fn measured(pool: &PoolFacts) -> Option<Check> {
    let what = format!("series of pool {}", pool.name);
    let found = |found: String| Check::ok(Area::Prometheus, what.clone(), found);
    Some(match pool.metrics.as_ref()? {
        MetricsState::Found => found("of every replica that serves".to_owned()),
        MetricsState::Missing(_) if pool.serving == 0 => {
            found("none, as no replica serves".to_owned())
        }
        MetricsState::Missing(which) => found(format!("missing: {which}")).failed(
            "let Prometheus scrape its pods, with the labels `namespace` and `pod`; until then no \
             count of it is lowered",
        ),
        MetricsState::Stale { age_seconds } => {
            found(format!("stale: the oldest is {age_seconds:.0} s old")).warning(
                "scrape all of its pods, at least every 15 s; until then no count of it is lowered",
            )
        }
        MetricsState::Unavailable(why) => found(format!("not known: {why}"))
            .failed("let Prometheus answer; until then no count of it is lowered"),
    })
}
