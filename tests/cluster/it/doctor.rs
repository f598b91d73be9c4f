//! `trimtab doctor` and `trimtab migrate` on a real cluster.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use trimtab_cluster_tests::fixtures::scalers::hpa;
use trimtab_cluster_tests::operator::ask;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Namespace};

use crate::decisions::{DEADLINE, operate, wait_for_reason, with_chat};
use crate::rights::documented;
use crate::scenario::Chat;

/// What the doctor says, and whether it found nothing that failed.
pub(crate) struct Diagnosis {
    well: bool,
    checks: Vec<Value>,
}

impl Diagnosis {
    pub(crate) async fn of(
        plane: &ControlPlane,
        namespace: &Namespace,
        chat: &Chat,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let flags = [
            format!("--namespace={}", namespace.name()),
            format!("--prometheus-url={}", chat.prometheus.url()),
            format!("--set=leaderElection.namespace={}", namespace.name()),
            format!("--set=prometheus.caFile={}", plane.authority().display()),
        ];
        let mut arguments = vec!["doctor", "--output=json"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.extend(["--interval=2s", "--set=prometheus.windowSeconds=6"]);
        arguments.extend(["--set=prometheus.longWindowSeconds=30"]);
        arguments.extend(more);
        let said = ask(plane, &arguments).await?;
        let answer: Value = serde_json::from_str(&said.stdout)
            .with_context(|| format!("{}{}", said.stdout, said.stderr))?;
        let checks = answer.get("checks").and_then(Value::as_array);
        Ok(Self {
            well: said.success,
            checks: checks.context("no checks")?.clone(),
        })
    }

    /// Whether a check of this level says all these words.
    #[track_caller]
    pub(crate) fn says(&self, level: &str, words: &[&str]) -> anyhow::Result<()> {
        let found = self.checks.iter().any(|check| {
            let text = check.to_string();
            check["level"] == level && words.iter().all(|word| text.contains(word))
        });
        ensure!(found, "no {level} with {words:?} in {:#?}", self.checks);
        Ok(())
    }
}

/// An HPA of the chat's workload.
fn scaled(metrics: &Value) -> Value {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-h100"});
    let mut object = hpa(json!({"name": "chat-h100"}), &target, (1, 12));
    if let Some(of_it) = object.pointer_mut("/spec/metrics") {
        of_it.clone_from(metrics);
    }
    object
}

/// The doctor is told by the API server what HPAs are told.
pub(crate) async fn hears_what_hpas_are_told(
    plane: &ControlPlane,
    namespace: &Namespace,
    chat: &Chat,
) -> anyhow::Result<()> {
    let seen = Diagnosis::of(plane, namespace, chat, &[]).await?;
    seen.says(
        "ok",
        &["external metrics", "trimtab-external-metrics serves them"],
    )?;
    seen.says("ok", &["answer for pool", "wva_desired_replicas is "])?;
    seen.says("ok", &["scaled by HorizontalPodAutoscaler"])
}

#[tokio::test]
async fn the_doctor_says_what_keeps_a_cluster_from_being_scaled() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let before = Diagnosis::of(plane, namespace, chat, &[]).await?;
        assert!(!before.well);
        before.says("ok", &["VariantAutoscaling", "our own schema"])?;
        before.says("failed", &["there is no Lease"])?;
        before.says("failed", &["no HPA and no ScaledObject scales"])?;

        let _operator = operate(plane, namespace, chat).await?;
        let measured = ("MetricsAvailable", "MetricsFound");
        wait_for_reason(namespace, "it is measured", measured).await?;
        let labels = json!({"variant_name": "chat-h100", "exported_namespace": namespace.name()});
        let metrics = json!([{
            "type": "External",
            "external": {
                "metric": {"name": "wva_desired_replicas", "selector": {"matchLabels": labels}},
                "target": {"type": "AverageValue", "averageValue": "1"},
            },
        }]);
        namespace.apply_json(scaled(&metrics)).await?;
        wait_until("the HPA is seen", DEADLINE, async || {
            let now =
                Diagnosis::of(plane, namespace, chat, &["--set=maxMetricsAgeSeconds=60"]).await?;
            now.says("ok", &["leader", "holds Lease"])?;
            now.says("warning", &["label of the leader", "no pod has it"])?;
            now.says("ok", &["series of pool", "of every replica"])?;
            now.says("ok", &["whoever runs this has all"])
        })
        .await
    })
    .await
}

#[tokio::test]
async fn rights_of_a_service_account_that_lack_are_named_until_they_are_granted()
-> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let account = format!("--as={}/trimtab", namespace.name());
        let patience = "--patience=5";
        let nobody = Diagnosis::of(plane, namespace, chat, &[&account, patience]).await?;
        nobody.says("failed", &["there is no service account"])?;
        let of = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trimtab"}});
        namespace.apply_json(of).await?;
        let without = Diagnosis::of(plane, namespace, chat, &[&account, patience]).await?;
        without.says("failed", &["right to deployments.apps", "lacks `list`, `watch`"])?;
        without.says("warning", &["right to events.events.k8s.io"])?;

        let client = plane.client().await?;
        let name = format!("trimtab-{}", namespace.name());
        let mut role = documented()?;
        role.metadata.name = Some(name.clone());
        let roles: Api<ClusterRole> = Api::all(client.clone());
        roles.create(&PostParams::default(), &role).await?;
        let binding: ClusterRoleBinding = serde_json::from_value(json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "trimtab", "namespace": namespace.name()}],
        }))?;
        let bindings: Api<ClusterRoleBinding> = Api::all(client);
        bindings.create(&PostParams::default(), &binding).await?;
        wait_until("the rights are known", DEADLINE, async || {
            let with = Diagnosis::of(plane, namespace, chat, &[&account, patience]).await?;
            with.says("ok", &["service account", "has all"])
        })
        .await?;
        bindings.delete(&name, &DeleteParams::default()).await?;
        roles.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_migrate_prints_is_taken_by_the_cluster() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, _| {
        let metrics = json!([{
            "type": "Pods",
            "pods": {
                "metric": {"name": "vllm_num_requests_waiting"},
                "target": {"type": "AverageValue", "averageValue": "5"},
            },
        }]);
        namespace.apply_json(scaled(&metrics)).await?;
        let of = format!("--namespace={}", namespace.name());
        let said = ask(plane, &["migrate", of.as_str()]).await?;
        ensure!(said.success, "{}", said.stderr);
        ensure!(
            said.stderr.contains("vllm_num_requests_waiting"),
            "{}",
            said.stderr
        );
        let scratch = Scratch::new("migrate")?;
        let file = scratch.path().join("objects.yaml");
        std::fs::write(&file, &said.stdout)?;
        let file = file.to_str().context("a path that is no text")?;
        plane.kubectl(&["apply", "-f", file]).await?;
        let hpas: Api<HorizontalPodAutoscaler> = namespace.api();
        let spec = hpas.get("chat-h100").await?.spec.context("no spec")?;
        let metric = spec.metrics.and_then(|metrics| metrics.into_iter().next());
        let external = metric
            .and_then(|metric| metric.external)
            .context("no metric")?;
        assert_eq!(external.metric.name, "wva_desired_replicas");
        assert_eq!((spec.min_replicas, spec.max_replicas), (Some(1), 12));
        let again = ask(plane, &["migrate", of.as_str()]).await?;
        ensure!(!again.stdout.contains("---"), "{}", again.stdout);
        Ok(())
    })
    .await
}
