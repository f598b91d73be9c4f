//! What an object says of itself, for those who have objects and no cluster: whether a workload
//! serves a model, and which pods an InferencePool selects.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::index::target::Target;
use crate::objects::pool::InferencePool;
use crate::objects::workload::Workload;

/// What a workload's template says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Whether a container of it is an engine.
    pub engine: bool,
    /// The name under which that serves.
    pub model: Option<String>,
    /// Labels of its pods.
    pub labels: BTreeMap<String, String>,
}

/// Of a Deployment, a StatefulSet or a LeaderWorkerSet; `None` where it cannot be read.
#[must_use]
pub fn serving(object: &Value) -> Option<Serving> {
    let workload: Workload = serde_json::from_str(&object.to_string()).ok()?;
    let target = Target::of(workload);
    Some(Serving {
        engine: target.engine.is_some(),
        model: target.engine.and_then(|engine| engine.model),
        labels: target.labels,
    })
}

/// Labels that an InferencePool of either version selects; none where it cannot be read.
#[must_use]
pub fn selected(pool: &Value) -> BTreeMap<String, String> {
    let pool: Option<InferencePool> = serde_json::from_str(&pool.to_string()).ok();
    pool.map(|pool| pool.spec.selector).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::index::testing::deployment;

    #[test]
    fn a_workload_says_what_it_serves_and_a_pool_what_it_selects() {
        let serving = serving(&deployment("a/chat", 1)).unwrap();
        assert!(serving.engine);
        assert_eq!(serving.model.as_deref(), Some("m"));
        let labels = BTreeMap::from([("app".to_owned(), "chat".to_owned())]);
        assert_eq!(serving.labels, labels);
        for selector in [
            json!({"matchLabels": {"app": "chat"}}),
            json!({"app": "chat"}),
        ] {
            assert_eq!(selected(&json!({"spec": {"selector": selector}})), labels);
        }
    }
}
