//! What was asked of the API server, as its audit log has it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// Whose requests are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Audited {
    #[default]
    Nobody,
    Everybody,
    /// Only these. A service account is `system:serviceaccount:NAMESPACE:NAME`.
    Users(Vec<String>),
}

/// A request that was answered; a watch, as soon as it began. What a request lacks is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub user: String,
    pub verb: String,
    pub api_group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// The status, e.g. 403.
    pub code: u16,
}

/// A line of the log.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "auditID")]
    id: String,
    verb: String,
    user: User,
    #[serde(rename = "objectRef", default)]
    object: Reference,
    #[serde(rename = "responseStatus", default)]
    status: Status,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reference {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

/// The policy by which the API server writes, or `None` where it writes nothing.
pub(super) fn policy(audited: &Audited) -> Option<Value> {
    let users: &[String] = match audited {
        Audited::Nobody => return None,
        Audited::Everybody => &[], // a rule without users is everybody's
        Audited::Users(users) => users,
    };
    Some(json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": users}, {"level": "None"}],
    }))
}

/// Reads the log. Each request is in it once, in the order in which they were answered.
pub(super) fn read(log: &Path) -> anyhow::Result<Vec<Event>> {
    let text = fs_err::read_to_string(log).context("is `Options::audited` set?")?;
    Ok(events(&text))
}

/// A watch is logged when it begins and when it ends. The last line may be half written.
fn events(log: &str) -> Vec<Event> {
    let mut seen = BTreeSet::new();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        .filter(|line| seen.insert(line.id.clone()))
        .map(event)
        .collect()
}

fn event(line: Line) -> Event {
    let Line {
        verb,
        user,
        object,
        status,
        ..
    } = line;
    Event {
        user: user.username,
        verb,
        api_group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: status.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_once_and_half_a_line_not_at_all() {
        let line = |stage: &str| {
            json!({
                "auditID": "7f",
                "stage": stage,
                "verb": "watch",
                "user": {"username": "trimtab"},
                "objectRef": {"resource": "deployments", "namespace": "a", "apiGroup": "apps"},
                "responseStatus": {"code": 200},
            })
        };
        let log = format!(
            "{}\n{}\n{{\"aud",
            line("ResponseStarted"),
            line("ResponseComplete")
        );
        let watch = Event {
            user: "trimtab".to_owned(),
            verb: "watch".to_owned(),
            api_group: "apps".to_owned(),
            resource: "deployments".to_owned(),
            namespace: "a".to_owned(),
            code: 200,
            ..Event::default()
        };
        assert_eq!(events(&log), [watch]);
    }

    #[test]
    fn nobody_is_audited_by_default() {
        assert_eq!(policy(&Audited::default()), None);
    }
}
