//! The label by which Services find the leader among several replicas.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Error, ResourceExt as _};
use serde_json::json;

/// Its value is the name of the Lease: there may be several leaders in a namespace.
pub const LEADER: &str = "trimtab.dev/leader";
/// What must be granted.
pub const RIGHTS: &str = "`list` and `patch` of pods in its own namespace";

/// The pod that we run in.
#[derive(Clone)]
pub struct OwnPod {
    client: Client,
    namespace: String,
    name: String,
    lease: String,
}

/// Pods that are labelled as the leader of a Lease.
///
/// # Errors
/// The API server does not say.
pub async fn labelled(client: &Client, namespace: &str, lease: &str) -> Result<Vec<String>, Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let of_lease = ListParams::default().labels(&format!("{LEADER}={lease}"));
    let pods = pods.list_metadata(&of_lease).await?;
    Ok(pods.iter().map(|pod| pod.name_any()).collect())
}

impl OwnPod {
    #[must_use]
    pub fn new(client: Client, namespace: String, name: String, lease: String) -> Self {
        Self {
            client,
            namespace,
            name,
            lease,
        }
    }

    /// Makes the label what it should be: on this pod where it leads, and then on no other.
    ///
    /// # Errors
    /// It cannot be; also where the pod does not exist.
    pub async fn label(&self, leads: bool) -> Result<(), Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let labelled = ListParams::default().labels(&format!("{LEADER}={}", self.lease));
        let labelled = pods.list_metadata(&labelled).await?;
        let name = |pod: &PartialObjectMeta<Pod>| pod.name_any();
        let names: Vec<String> = labelled.iter().map(name).collect();
        for other in names.iter().filter(|of| leads && **of != self.name) {
            self.patch(&pods, other, None).await?;
        }
        let is = names.contains(&self.name);
        if is != leads {
            let value = leads.then_some(self.lease.as_str());
            self.patch(&pods, &self.name, value).await?;
        }
        Ok(())
    }

    async fn patch(&self, pods: &Api<Pod>, name: &str, value: Option<&str>) -> Result<(), Error> {
        let patch = Patch::Merge(json!({"metadata": {"labels": {LEADER: value}}}));
        let parameters = PatchParams::default();
        let patched = pods.patch_metadata(name, &parameters, &patch);
        match patched.await {
            // One that is gone has no label.
            Err(Error::Api(status)) if status.code == 404 && value.is_none() => Ok(()),
            patched => patched.map(drop),
        }
    }
}
