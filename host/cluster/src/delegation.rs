//! What an API server of the aggregation layer asks of the one in front of it: who somebody is,
//! what they may, how they are passed on, and who serves the API.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;

/// What must be granted for each.
pub const TOKEN_RIGHTS: &str = "`create` of tokenreviews";
pub const ACCESS_RIGHTS: &str = "`create` of subjectaccessreviews";
pub const FRONT_PROXY_RIGHTS: &str =
    "the role extension-apiserver-authentication-reader in kube-system";
pub const API_SERVICE_RIGHTS: &str = "`get` and `patch` of apiservices";
pub const SECRET_RIGHTS: &str = "`get`, `create` and `update` of secrets";

const GROUP: &str = "external.metrics.k8s.io";
/// The APIService of external metrics.
pub const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
pub(crate) const FRONT_PROXY: &str = "extension-apiserver-authentication";

/// Whose token this is; `None` where it is nobody's.
///
/// # Errors
/// The API server does not say.
pub async fn whose(client: &Client, token: &str) -> Result<Option<UserInfo>, Error> {
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: Some(token.to_owned()),
            ..TokenReviewSpec::default()
        },
        ..TokenReview::default()
    };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    let status = answer.status.unwrap_or_default();
    let known = status.authenticated.unwrap_or(false);
    Ok(status.user.filter(|_| known))
}

/// What somebody asks of the API that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes<'a> {
    /// A metric of a namespace.
    Metric {
        namespace: &'a str,
        metric: &'a str,
    },
    Path(&'a str),
}

/// Whether somebody may.
///
/// # Errors
/// The API server does not say.
pub async fn may(
    client: &Client,
    user: &UserInfo,
    verb: &str,
    asked: Attributes<'_>,
) -> Result<bool, Error> {
    let verb = Some(verb.to_owned());
    let (resource, path) = match asked {
        Attributes::Metric { namespace, metric } => {
            let resource = ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                group: Some(GROUP.to_owned()),
                version: Some("v1beta1".to_owned()),
                resource: Some(metric.to_owned()),
                verb,
                ..ResourceAttributes::default()
            };
            (Some(resource), None)
        }
        Attributes::Path(path) => {
            let path = Some(path.to_owned());
            (None, Some(NonResourceAttributes { path, verb }))
        }
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: resource,
            non_resource_attributes: path,
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// How the API server passes on who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontProxy {
    /// PEM; `None` where it passes on nobody.
    pub ca: Option<String>,
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

/// What the API server publishes of it.
///
/// # Errors
/// It does not answer.
pub async fn front_proxy(client: &Client) -> Result<FrontProxy, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let map = maps.get(FRONT_PROXY).await?;
    Ok(FrontProxy::of(&map.data.unwrap_or_default()))
}

impl FrontProxy {
    fn of(data: &BTreeMap<String, String>) -> Self {
        let list = |key: &str| -> Vec<String> {
            let written = data.get(key).map(|list| serde_json::from_str(list));
            written.and_then(Result::ok).unwrap_or_default()
        };
        let ca = data.get("requestheader-client-ca-file");
        Self {
            ca: ca.filter(|ca| !ca.trim().is_empty()).cloned(),
            allowed_names: list("requestheader-allowed-names"),
            username_headers: list("requestheader-username-headers"),
            group_headers: list("requestheader-group-headers"),
            uid_headers: list("requestheader-uid-headers"),
            extra_header_prefixes: list("requestheader-extra-headers-prefix"),
        }
    }
}

/// Who serves external metrics in this cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody: there is no APIService.
    Nobody,
    /// The Service that was asked about. The bundle is PEM; empty where it has none.
    Ours { ca_bundle: String, unverified: bool },
    /// Another Service, `namespace/name`.
    Other(String),
}

/// Whose APIService of external metrics it is; `service` is namespace and name of ours.
///
/// # Errors
/// The API server does not say.
pub async fn owner(client: &Client, service: (&str, &str)) -> Result<Owner, Error> {
    let services: Api<APIService> = Api::all(client.clone());
    Ok(match services.get_opt(API_SERVICE).await? {
        Some(found) => Owner::of(found, service),
        None => Owner::Nobody,
    })
}

/// Why the API server does not reach whoever serves external metrics, as the APIService says; `None`
/// where it does, or where there is no such APIService.
///
/// # Errors
/// The API server does not say.
pub async fn unavailable(client: &Client) -> Result<Option<String>, Error> {
    let services: Api<APIService> = Api::all(client.clone());
    let found = services.get_opt(API_SERVICE).await?;
    let status = found.and_then(|found| found.status).unwrap_or_default();
    let mut conditions = status.conditions.into_iter().flatten();
    let available = conditions.find(|of| of.type_ == "Available" && of.status != "True");
    Ok(available.map(|of| {
        let (reason, message) = (of.reason, of.message);
        format!(
            "{}: {}",
            reason.unwrap_or_default(),
            message.unwrap_or_default()
        )
    }))
}

/// What an HPA is told of a variant, through the API server; `None` where the answer has no value.
///
/// # Errors
/// It is told nothing.
pub async fn told(
    client: &Client,
    namespace: &str,
    metric: &str,
    variant: &str,
) -> Result<Option<String>, Error> {
    let path = format!(
        "/apis/{GROUP}/v1beta1/namespaces/{namespace}/{metric}?labelSelector=variant_name%3D{variant}"
    );
    let request = http::Request::get(path).body(Vec::new());
    let answer: serde_json::Value = client.request(request.map_err(Error::HttpError)?).await?;
    let value = answer
        .pointer("/items/0/value")
        .and_then(|value| value.as_str());
    Ok(value.map(str::to_owned))
}

impl Owner {
    fn of(found: APIService, (namespace, name): (&str, &str)) -> Self {
        let spec = found.spec.unwrap_or_default();
        let of = spec.service.unwrap_or_default();
        let (of_namespace, of_name) = (
            of.namespace.unwrap_or_default(),
            of.name.unwrap_or_default(),
        );
        if (of_namespace.as_str(), of_name.as_str()) != (namespace, name) {
            return Self::Other(format!("{of_namespace}/{of_name}"));
        }
        let ByteString(bundle) = spec.ca_bundle.unwrap_or_default();
        Self::Ours {
            ca_bundle: String::from_utf8_lossy(&bundle).into_owned(),
            unverified: spec.insecure_skip_tls_verify.unwrap_or(false),
        }
    }
}

/// Says by whom our certificate is vouched for.
///
/// # Errors
/// It is not written.
pub async fn set_ca_bundle(client: &Client, ca: &str) -> Result<(), Error> {
    let services: Api<APIService> = Api::all(client.clone());
    let bundle = ByteString(ca.as_bytes().to_vec());
    let patch = json!({"spec": {"caBundle": bundle, "insecureSkipTLSVerify": null}});
    let parameters = PatchParams::default();
    services
        .patch(API_SERVICE, &parameters, &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// A certificate that replicas share. PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// Whoever vouches for it, and for the one before it.
    pub ca: String,
    pub certificate: String,
    pub key: String,
    /// Of the Secret as it was read; `None` where there is none yet.
    pub version: Option<String>,
}

/// The Secret that has it; `None` where there is none.
///
/// # Errors
/// The API server does not say.
pub async fn shared(client: &Client, namespace: &str, name: &str) -> Result<Option<Shared>, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get_opt(name).await?;
    Ok(secret.map(|secret| {
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            let bytes = data.get(key).map(|ByteString(bytes)| bytes.as_slice());
            String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
        };
        Shared {
            ca: text("ca.crt"),
            certificate: text("tls.crt"),
            key: text("tls.key"),
            version: secret.metadata.resource_version,
        }
    }))
}

/// Puts it where it was read. False where another was first.
///
/// # Errors
/// It is not written.
pub async fn share(
    client: &Client,
    namespace: &str,
    name: &str,
    shared: &Shared,
) -> Result<bool, Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: shared.version.clone(),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            ("ca.crt".to_owned(), bytes(&shared.ca)),
            ("tls.crt".to_owned(), bytes(&shared.certificate)),
            ("tls.key".to_owned(), bytes(&shared.key)),
        ])),
        ..Secret::default()
    };
    let parameters = PostParams::default();
    let written = match &shared.version {
        Some(_) => secrets.replace(name, &parameters, &secret).await,
        None => secrets.create(&parameters, &secret).await,
    };
    match written {
        Ok(_) => Ok(true),
        Err(Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
