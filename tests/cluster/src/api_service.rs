//! An API group that a program on loopback serves for the API server.

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService as Object;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::ControlPlane;
use crate::namespace::MANAGER;
use crate::wait::{DEADLINE, wait_until};

/// Of External metrics there is one version, and of it one server in a cluster.
const NAME: &str = "v1beta1.external.metrics.k8s.io";

/// That requests for `external.metrics.k8s.io/v1beta1` go to a program. It stays until
/// [`Self::remove`].
#[derive(Clone, Debug)]
pub struct ApiService {
    api: Api<Object>,
}

impl ApiService {
    /// Routes External metrics to a port on loopback, by way of a Service of this name. The API
    /// server wants a certificate for `SERVICE.NAMESPACE.svc` of the authority in `ca_bundle`
    /// (PEM), or without one takes any. Who served them before is asked no more.
    ///
    /// # Errors
    /// Where the namespace is not there.
    pub async fn route(
        plane: &ControlPlane,
        namespace: &str,
        service: &str,
        port: u16,
        ca_bundle: Option<&str>,
    ) -> anyhow::Result<Self> {
        let client = plane.client().await?;
        let apply = PatchParams::apply(MANAGER).force();
        // A name: addresses of endpoints may not be on loopback.
        let by_name: Service = serde_json::from_value(json!({
            "metadata": {"name": service},
            "spec": {
                "type": "ExternalName",
                "externalName": "localhost",
                "ports": [{"port": port}],
            },
        }))?;
        Api::<Service>::namespaced(client.clone(), namespace)
            .patch(service, &apply, &Patch::Apply(&by_name))
            .await?;
        let ca_bundle = ca_bundle.map(|pem| ByteString(pem.as_bytes().to_vec()));
        let object: Object = serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"namespace": namespace, "name": service, "port": port},
                "insecureSkipTLSVerify": ca_bundle.is_none(),
                "caBundle": ca_bundle,
            },
        }))?;
        let api = Api::<Object>::all(client);
        let name = object.name_any();
        api.patch(&name, &apply, &Patch::Apply(&object)).await?;
        Ok(Self { api })
    }

    /// Waits until the API server reaches the program, or no longer does.
    ///
    /// # Errors
    /// Where that does not come to be; says what the API server says.
    pub async fn wait_for(&self, available: bool) -> anyhow::Result<()> {
        let wanted = if available { "True" } else { "False" };
        let what = format!("Available of {NAME} is {wanted}");
        wait_until(&what, DEADLINE, async || {
            let status = self.api.get(NAME).await?.status.unwrap_or_default();
            let mut conditions = status.conditions.into_iter().flatten();
            let condition = conditions.find(|of| of.type_ == "Available");
            let condition = condition.context("it has no word of it yet")?;
            ensure!(condition.status == wanted, "{condition:?}");
            Ok(())
        })
        .await
    }

    /// Takes it away: nobody serves External metrics then.
    ///
    /// # Errors
    /// Where it is not there.
    pub async fn remove(self) -> anyhow::Result<()> {
        self.api.delete(NAME, &DeleteParams::default()).await?;
        Ok(())
    }
}
