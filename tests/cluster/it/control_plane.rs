//! The control plane starts, and survives what it is killed for.

use std::collections::BTreeMap;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Options};

#[tokio::test]
async fn the_control_plane_is_up_with_the_version_that_was_built() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let version = plane.client().await?.apiserver_version().await?;
    assert_eq!(version.git_version, "v1.34.4");
    Ok(())
}

#[tokio::test]
async fn a_killed_api_server_comes_back_with_its_data() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let config_maps = Api::<ConfigMap>::namespaced(plane.client().await?, "default");
    let kept = ConfigMap {
        metadata: ObjectMeta {
            name: Some("kept".to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("key".to_owned(), "value".to_owned())])),
        ..ConfigMap::default()
    };
    config_maps.create(&PostParams::default(), &kept).await?;

    plane.kill("kube-apiserver").await?;
    assert!(config_maps.get("kept").await.is_err());
    plane.restart("kube-apiserver").await?;

    let found = wait_until("the ConfigMap is there", DEADLINE, async || {
        Ok(config_maps.get("kept").await?)
    });
    assert_eq!(found.await?.data, kept.data);
    Ok(())
}

#[tokio::test]
async fn the_controllers_outlive_a_restart_of_both_servers() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    plane.kill("kube-apiserver").await?;
    plane.signal("etcd", Signal::TERM).await?;
    for name in ["etcd", "kube-apiserver"] {
        plane.restart(name).await?;
    }
    let client = plane.client().await?;
    let new = Namespace {
        metadata: ObjectMeta {
            name: Some("after".to_owned()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    Api::all(client.clone())
        .create(&PostParams::default(), &new)
        .await?;
    let accounts = Api::<ServiceAccount>::namespaced(client, "after");
    wait_until("the controllers make its account", DEADLINE, async || {
        Ok(accounts.get("default").await?)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_user_without_a_role_is_refused() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let user = plane.kubeconfig_of("system:serviceaccount:default:nobody", &[])?;
    let client = trimtab_cluster_tests::control_plane::client_of(&user).await?;
    let error = Api::<ConfigMap>::namespaced(client, "default")
        .list(&Default::default())
        .await
        .unwrap_err();
    ensure!(error.to_string().contains("forbidden"), "{error}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_process_is_told_which_there_are() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let error = plane.kill("kubelet").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the control plane has no process `kubelet`; it has etcd, kube-apiserver, \
         kube-controller-manager, kube-scheduler, kwok"
    );
    Ok(())
}
