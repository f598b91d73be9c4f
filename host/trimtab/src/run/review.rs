//! The API server's word on who asks us and what they may.

use std::collections::BTreeMap;
use std::fmt::Display;

use k8s_openapi::api::authentication::v1::UserInfo;
use kube::core::SelectorExt as _;
use trimtab_cluster::config::selector;
use trimtab_cluster::delegation::{self, Attributes};
use trimtab_cluster::refusal::explained;
use trimtab_publish::external_metrics::{Asked, Reviewer, User};

/// Asks it.
pub(super) struct ApiServer(pub(super) kube::Client);

#[async_trait::async_trait]
impl Reviewer for ApiServer {
    async fn whose(&self, token: &str) -> Result<Option<User>, String> {
        let whose = delegation::whose(&self.0, token).await;
        let whose = whose.map_err(|error| explained(&error, delegation::TOKEN_RIGHTS))?;
        Ok(whose.map(|user| User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }))
    }

    async fn may(&self, user: &User, asked: &Asked) -> Result<bool, String> {
        let user = UserInfo {
            username: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
        };
        let (attributes, verb) = match asked {
            Asked::Metric {
                namespace,
                metric,
                verb,
            } => (Attributes::Metric { namespace, metric }, verb),
            Asked::Path { path, verb } => (Attributes::Path(path), verb),
        };
        let may = delegation::may(&self.0, &user, verb, attributes).await;
        may.map_err(|error| explained(&error, delegation::ACCESS_RIGHTS))
    }

    fn selects(&self, text: &str, labels: &BTreeMap<&'static str, String>) -> Result<bool, String> {
        let selector = selector(text).map_err(display)?;
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), value.clone()));
        Ok(selector.matches(&labels.collect()))
    }
}

fn display(error: impl Display) -> String {
    error.to_string()
}
