//! What `deploy/` has, taken by a real API server: the chart's rights are enough and none is idle, and
//! manifests and examples are valid.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde::Deserialize as _;
use serde_json::{Value, json};
use trimtab_cluster_tests::api_service::ApiService;
use trimtab_cluster_tests::control_plane::audit::Audited;
use trimtab_cluster_tests::fixtures::crds::install_yaml;
use trimtab_cluster_tests::fixtures::groups::GroupController;
use trimtab_cluster_tests::fixtures::scalers::variant_autoscaling;
use trimtab_cluster_tests::fixtures::servers::ModelServer;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace, Options, in_namespace};

use crate::decisions::{DEADLINE, claim, grown, install_own, operate_everywhere};
use crate::doctor::Diagnosis;
use crate::policies::{bind, in_map, version};
use crate::scenario::Chat;

const EXTERNAL_METRICS: &str = "v1beta1.external.metrics.k8s.io";
const FLEET: &str = "fleets.example.com";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// What Helm says to a command on the chart, as a release `trimtab` in a namespace.
async fn helm(
    plane: &ControlPlane,
    command: &str,
    namespace: &str,
    more: &[&str],
) -> anyhow::Result<String> {
    let mut helm = std::process::Command::new(plane.built("helm"));
    helm.env("KUBECONFIG", plane.kubeconfig())
        .args([command, "trimtab", "--namespace", namespace])
        .arg(deploy().join("chart"))
        .args(["--set", "config.prometheus.url=http://prometheus:9090"])
        .args(more);
    let output = tokio::task::spawn_blocking(move || helm.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Objects of the chart, as a release `trimtab` in a namespace has them.
async fn rendered(
    plane: &ControlPlane,
    namespace: &str,
    values: &[&str],
) -> anyhow::Result<Vec<Value>> {
    let mut more = Vec::new();
    for value in values {
        more.extend(["--set-json", value]);
    }
    let text = helm(plane, "template", namespace, &more).await?;
    let documents = text.split("\n---").filter(|text| text.contains("kind:"));
    documents
        .map(|text| Ok(serde_saphyr::from_str::<Value>(text)?))
        .collect()
}

/// Rights, each as `verb group/resource`.
type Rights = BTreeSet<String>;

fn right(verb: &str, group: &str, resource: &str) -> String {
    format!("{verb} {group}/{resource}")
}

/// What the roles among these objects grant.
fn granted(objects: &[Value]) -> Rights {
    let words = |value: &Value| -> Vec<String> { Vec::deserialize(value).unwrap_or_default() };
    let mut rights = Rights::new();
    for object in objects {
        for rule in object["rules"].as_array().into_iter().flatten() {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    let verbs = words(&rule["verbs"]);
                    rights.extend(verbs.iter().map(|verb| right(verb, &group, &resource)));
                }
            }
        }
    }
    rights
}

fn is_of_rights(object: &&Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    kind.contains("Role") || kind == "ServiceAccount"
}

/// Workloads of each kind that are to have two replicas, and have one.
async fn others(plane: &ControlPlane, namespace: &Namespace) -> anyhow::Result<GroupController> {
    let set = ModelServer::new("set", "Other");
    set.create_stateful_set(namespace).await?;
    let groups = ModelServer::new("groups", "Grouped");
    groups.create_leader_worker_set(namespace, 1).await?;
    let scale = json!({"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": FLEET},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Fleet", "plural": "fleets", "singular": "fleet"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"scale": scale},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    install_yaml(plane, &definition.to_string()).await?;
    namespace
        .apply_json(json!({
            "apiVersion": "example.com/v1", "kind": "Fleet",
            "metadata": {"name": "fleet"}, "spec": {"size": 1},
        }))
        .await?;
    for (name, version, kind) in [
        ("set", "apps/v1", "StatefulSet"),
        ("groups", "leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
        ("fleet", "example.com/v1", "Fleet"),
    ] {
        let mut claim = variant_autoscaling(name, &format!("model-of-{name}"), 4);
        if let Some(spec) = claim.get_mut("spec") {
            spec["minReplicas"] = json!(2);
            spec["scaleTargetRef"] = json!({"apiVersion": version, "kind": kind, "name": name});
        }
        namespace.apply_json(claim).await?;
    }
    Ok(GroupController::start(namespace))
}

/// Somebody asks the operator itself, with a token.
async fn ask_with_a_token(
    plane: &ControlPlane,
    namespace: &Namespace,
    port: u16,
) -> anyhow::Result<()> {
    let name = namespace.name();
    let token = plane
        .kubectl(&["create", "token", "default", "-n", name])
        .await?;
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let url = format!("https://127.0.0.1:{port}/apis/external.metrics.k8s.io/v1beta1");
    let answer = client.get(url).bearer_auth(token.trim()).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "{status}: {}", answer.text().await?);
    Ok(())
}

/// What is shared and remembered is damaged, and there is more than is needed.
async fn damage(namespace: &Namespace) -> anyhow::Result<()> {
    let secrets: Api<Secret> = namespace.api();
    let odd = Patch::Merge(json!({"stringData": {"tls.crt": "odd"}}));
    secrets
        .patch("trimtab-serving", &PatchParams::default(), &odd)
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_charts_rights_are_enough_and_none_of_them_is_idle() -> anyhow::Result<()> {
    let options = Options {
        audited: Audited::Everybody,
        ..Options::default()
    };
    let plane = ControlPlane::start(options).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        claim(namespace).await?;
        in_map(namespace, "analyzer", &version(1)).await?;
        bind(namespace, "chat", "analyzer").await?;
        let _controller = others(&plane, namespace).await?;
        let fleets =
            r#"rbac.extraScaleTargets=[{"apiGroups":["example.com"],"resources":["fleets"]}]"#;
        let chart = rendered(&plane, namespace.name(), &[fleets]).await?;
        let rights: Vec<Value> = chart.iter().filter(is_of_rights).cloned().collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": &rights});
        plane.apply_text(&list.to_string()).await?;

        let user = format!("system:serviceaccount:{}:trimtab", namespace.name());
        let kubeconfig = plane.kubeconfig_of(&user, &["system:authenticated"])?;
        let kubeconfig = kubeconfig.to_str().context("a path that is no text")?;
        let pods: Api<Pod> = namespace.api();
        let own = chat.picker.as_str();
        let environment = [
            ("KUBECONFIG", kubeconfig),
            ("POD_NAME", own),
            ("POD_NAMESPACE", namespace.name()),
        ];
        let port = free_port()?;
        let listen = format!("--set=listen.externalMetrics=127.0.0.1:{port}");
        let flags = ["--listen-metrics=0", "--set=actuation=direct", &listen];
        let surplus: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "trimtab-state-7", "labels": {"trimtab.dev/state": "trimtab"}},
        }))?;
        namespace.apply(&surplus).await?;
        let operator = operate_everywhere(&plane, namespace, &chat, &flags, &environment).await?;
        let name = "trimtab-external-metrics";
        let api = ApiService::route(&plane, namespace.name(), name, port, None).await?;
        api.wait_for(true).await?;
        grown(namespace, &chat).await?;
        ask_with_a_token(&plane, namespace, port).await?;
        damage(namespace).await?;
        wait_until("the leader is labelled", DEADLINE, async || {
            let labels = pods.get(own).await?;
            let label = labels.labels().get("trimtab.dev/leader").cloned();
            ensure!(label.as_deref() == Some("trimtab"), "{label:?}");
            Ok(())
        })
        .await?;

        let account = format!("--as={}/trimtab", namespace.name());
        let seen = Diagnosis::of(&plane, namespace, &chat, &[&account, "--patience=5"]).await?;
        seen.says("ok", &["service account", "has all"])?;

        let granted = granted(&rights);
        ensure!(granted.len() > 40, "these are not all: {granted:#?}");
        wait_until("every right is used", DEADLINE, async || {
            let mut used = Rights::new();
            for event in plane.audit()?.iter().filter(|event| event.user == user) {
                ensure!(event.code != 403, "refused: {event:?}");
                let resource = match event.subresource.as_str() {
                    "" => event.resource.clone(),
                    sub => format!("{}/{sub}", event.resource),
                };
                used.insert(right(&event.verb, &event.api_group, &resource));
            }
            let idle: Vec<_> = granted.difference(&used).collect();
            ensure!(idle.is_empty(), "idle: {idle:#?}");
            Ok(())
        })
        .await?;
        let log = operator.log(usize::MAX).await.to_lowercase();
        ensure!(!log.contains("forbidden"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn manifests_and_examples_are_taken() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let crds = plane.built("crds/keda");
    let crds = crds.to_str().context("a path that is no text")?;
    plane
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", crds])
        .await?;
    install_own(&plane).await?;
    for namespace in ["trimtab-system", "models"] {
        plane.kubectl(&["create", "namespace", namespace]).await?;
    }
    for directory in ["manifests", "examples"] {
        let directory = deploy().join(directory);
        let path = directory.to_str().context("a path that is no text")?;
        let flags = ["--dry-run=server", "--validate=strict", "-f", path];
        let arguments = ["apply"].iter().chain(&flags).copied().collect::<Vec<_>>();
        let said = wait_until("they are taken", DEADLINE, async || {
            plane.kubectl(&arguments).await
        })
        .await?;
        ensure!(said.lines().count() > 1, "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upgrade_leaves_external_metrics_to_whoever_took_them_over() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let name = namespace.name();
        let owner = async || {
            let service = "jsonpath={.spec.service.name}";
            let get = ["get", "apiservice", EXTERNAL_METRICS, "-o", service];
            plane.kubectl(&get).await
        };
        let said = helm(&plane, "install", name, &[]).await?;
        ensure!(
            said.contains("HPAs read wva_desired_replicas from here"),
            "{said}"
        );
        ensure!(owner().await? == "trimtab-external-metrics");

        plane
            .kubectl(&["delete", "apiservice", EXTERNAL_METRICS])
            .await?;
        let _theirs = ApiService::route(&plane, name, "keda-metrics", 1, None).await?;
        for create in ["auto", "false"] {
            let create = format!("externalMetrics.apiService.create={create}");
            let refused = helm(&plane, "upgrade", name, &["--set", &create]).await;
            let refused = format!("{:#}", refused.unwrap_err());
            let owned = format!("belongs to {name}/keda-metrics");
            for words in [owned.as_str(), "helm.sh/resource-policy=keep"] {
                ensure!(refused.contains(words), "{refused}");
            }
        }
        let keep = [
            "annotate",
            "apiservice",
            EXTERNAL_METRICS,
            "helm.sh/resource-policy=keep",
        ];
        plane.kubectl(&keep).await?;
        for _ in 0..2 {
            let said = helm(&plane, "upgrade", name, &[]).await?;
            ensure!(said.contains("was left alone"), "{said}");
            ensure!(owner().await? == "keda-metrics");
        }
        Ok(())
    })
    .await
}
