//! Asking the API server what somebody may.

use std::fmt;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Error};

use super::Right;

/// Whom it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever asks.
    Oneself,
    ServiceAccount {
        namespace: String,
        name: String,
    },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oneself => f.write_str("whoever runs this"),
            Self::ServiceAccount { namespace, name } => {
                write!(f, "service account {namespace}/{name}")
            }
        }
    }
}

/// Whether somebody may do this to one object, or without a name to all; without a namespace, in all
/// of them.
///
/// # Errors
/// The API server does not say.
pub async fn allowed(
    client: &Client,
    who: &Who,
    (right, verb): (&Right, &str),
    (namespace, object): (Option<&str>, Option<&str>),
) -> Result<bool, Error> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource, None),
    };
    let asked = Some(ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(right.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        name: object.map(str::to_owned),
        ..ResourceAttributes::default()
    });
    let parameters = PostParams::default();
    let status = match who {
        Who::Oneself => {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: asked,
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            reviews.create(&parameters, &review).await?.status
        }
        Who::ServiceAccount { namespace, name } => {
            let groups = [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ];
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(format!("system:serviceaccount:{namespace}:{name}")),
                    groups: Some(groups.into()),
                    resource_attributes: asked,
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
            reviews.create(&parameters, &review).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}
