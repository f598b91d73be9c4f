//! The control plane starts, and survives what it is killed for.

use std::collections::BTreeMap;

use anyhow::ensure;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchParams};
use serde_json::json;
use trimtab_cluster_tests::control_plane::audit::{Audited, Event};
use trimtab_cluster_tests::control_plane::client_of;
use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Namespace as TestNamespace, Options, in_namespace};

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
    let client = client_of(&user).await?;
    let error = Api::<ConfigMap>::namespaced(client, "default")
        .list(&Default::default())
        .await
        .unwrap_err();
    ensure!(error.to_string().contains("forbidden"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_an_audited_user_asks_is_known_and_what_others_ask_is_not() -> anyhow::Result<()> {
    let asker = "system:serviceaccount:default:asker";
    let options = Options {
        audited: Audited::Users(vec![asker.to_owned()]),
        ..Options::default()
    };
    let plane = ControlPlane::start(options).await?;
    let client = client_of(&plane.kubeconfig_of(asker, &[])?).await?;
    let config_maps = Api::<ConfigMap>::namespaced(client, "kube-system");
    assert!(config_maps.list(&ListParams::default()).await.is_err());
    let watched = config_maps.watch(&WatchParams::default(), "0").await;
    assert!(watched.is_err());
    assert!(config_maps.get("kept").await.is_err());
    let event = |verb: &str, name: &str| Event {
        user: asker.to_owned(),
        verb: verb.to_owned(),
        resource: "configmaps".to_owned(),
        namespace: "kube-system".to_owned(),
        name: name.to_owned(),
        code: 403,
        ..Event::default()
    };
    let asked = [event("list", ""), event("watch", ""), event("get", "kept")];
    wait_until("the requests are in the audit", DEADLINE, async || {
        let events = plane.audit()?;
        ensure!(events == asked, "{events:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_audits_nobody_is_told_how_to() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let error = format!("{:#}", plane.audit().unwrap_err());
    ensure!(error.starts_with("is `Options::audited` set?"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_is_behind_a_feature_gate_is_kept_where_the_gate_is_open() -> anyhow::Result<()> {
    let gates = ["HPAConfigurableTolerance=true", "HPAScaleToZero=true"];
    let options = Options {
        feature_gates: gates.map(str::to_owned).into(),
        ..Options::default()
    };
    let open = ControlPlane::start(options).await?;
    in_namespace(&open, async |namespace| {
        assert_eq!(tolerance(namespace, 0).await?.as_deref(), Some("10m"));
        Ok(())
    })
    .await?;
    in_namespace(ControlPlane::shared().await?, async |namespace| {
        assert_eq!(tolerance(namespace, 1).await?, None);
        let error = format!("{:#}", tolerance(namespace, 0).await.unwrap_err());
        ensure!(error.contains("spec.minReplicas"), "{error}");
        Ok(())
    })
    .await
}

/// What is kept of the tolerance of 0.01 in an HPA that goes down to `min`.
async fn tolerance(namespace: &TestNamespace, min: u32) -> anyhow::Result<Option<String>> {
    let hpa = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
            "minReplicas": min,
            "maxReplicas": 3,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "desired"},
                "target": {"type": "AverageValue", "averageValue": "1"},
            }}],
            "behavior": {"scaleUp": {"tolerance": "0.01"}},
        },
    });
    let hpa: HorizontalPodAutoscaler = serde_json::from_value(hpa)?;
    let spec = namespace.apply(&hpa).await?.spec;
    let scale_up = spec.and_then(|spec| spec.behavior?.scale_up);
    Ok(scale_up.and_then(|rules| Some(rules.tolerance?.0)))
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
