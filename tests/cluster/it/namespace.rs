//! Each test has a namespace of its own.

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::Api;
use trimtab_cluster_tests::fixtures::nodes::GpuNode;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, in_namespace};

use crate::scenario::H100;

#[tokio::test]
async fn the_namespace_of_a_failed_test_goes_with_its_nodes_and_the_failure_stays()
-> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let (mut name, mut node) = (String::new(), String::new());
    let outcome = in_namespace(plane, async |namespace| {
        name = namespace.name().to_owned();
        node = GpuNode::new("h100", H100, 8).create(namespace).await?;
        anyhow::bail!("as intended")
    })
    .await;
    assert_eq!(outcome.unwrap_err().to_string(), "as intended");
    let client = plane.client().await?;
    let (namespaces, nodes) = (
        Api::<Namespace>::all(client.clone()),
        Api::<Node>::all(client),
    );
    wait_until("both are gone", DEADLINE, async || {
        anyhow::ensure!(namespaces.get_opt(&name).await?.is_none(), "{name}");
        anyhow::ensure!(nodes.get_opt(&node).await?.is_none(), "{node}");
        Ok(())
    })
    .await
}
