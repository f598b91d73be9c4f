//! HPAs and ScaledObjects: what is read of them, and what is lost with what they read.

use super::{hpa, planned, printed, rows, server};

const NO_EQUAL: &str = "no equal";

/// A ScaledObject of Deployment `chat`.
fn scaled(more: &str) -> String {
    format!(
        "---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: chat, namespace: \
         a}}\nspec: {{scaleTargetRef: {{name: chat}}, {more}}}\n"
    )
}

fn told(workload: &str, scaler: &str) -> Vec<(&'static str, String)> {
    let plan = planned(&format!("{workload}{scaler}"));
    let kind = if scaler.contains("keda.sh") {
        "ScaledObject a/chat"
    } else {
        "HorizontalPodAutoscaler a/chat-Deployment"
    };
    rows(&plan, kind)
}

#[test]
fn an_hpa_of_v1_is_asked_for_as_v2() {
    let server = server("Deployment", "chat");
    let v1 = hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4");
    let v1 = v1.replace("autoscaling/v2", "autoscaling/v1");
    assert!(planned(&format!("{server}{v1}")).documents.is_empty());
    let why = "autoscaling/v1 does not say all of its behavior and metrics: give it as `kubectl get \
               horizontalpodautoscalers.v2.autoscaling chat-Deployment -n a -o yaml` prints it";
    assert_eq!(told(&server, &v1), [(NO_EQUAL, why.to_owned())]);
}

#[test]
fn what_is_given_twice_is_told_once_by_its_later_version() {
    let v2 = hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4");
    let v1 = v2.replace("autoscaling/v2", "autoscaling/v1");
    let replaced = "it reads wva_desired_replicas of variant chat".to_owned();
    for twice in [format!("{v1}{v2}"), format!("{v2}{v1}{v2}")] {
        let told = told(&server("Deployment", "chat"), &twice);
        assert_eq!(told, [("replaced", replaced.clone())]);
    }
}

#[test]
fn the_idle_count_is_the_least_of_the_variant() {
    let scaled = scaled(
        "idleReplicaCount: 0, minReplicaCount: 2, triggers: [{type: cpu, metadata: {value: '60'}}]",
    );
    let plan = planned(&(server("Deployment", "chat") + &scaled));
    let made = printed(&plan, "VariantAutoscaling", "chat");
    assert_eq!(made["spec"]["minReplicas"], 0);
    let kept = printed(&plan, "ScaledObject", "chat");
    assert_eq!(kept["spec"]["minReplicaCount"], 2);
    let told = "minReplicas is idleReplicaCount (0), the fewest that may be there; while it is not \
                idle, KEDA keeps 2 all the same.";
    assert!(plan.documents[0].comments.contains(&told.to_owned()));
    let variant = "
---
apiVersion: llmd.ai/v1alpha1
kind: VariantAutoscaling
metadata: {name: chat, namespace: a}
spec: {scaleTargetRef: {kind: Deployment, name: chat}, modelID: m, minReplicas: 0}
";
    let plan = planned(&(scaled + variant));
    let told = plan.documents[0].comments.last().unwrap();
    assert!(
        told.starts_with("It becomes idle only where its variant may:"),
        "{told}"
    );
}

#[test]
fn what_a_replaced_trigger_had_besides_its_threshold_is_told() {
    let scaled = scaled(
        "triggers: [{type: prometheus, authenticationRef: {name: prom}, metadata: {query: \
         'vllm:num_requests_waiting', threshold: '2', activationThreshold: '5'}}]",
    );
    let told = told(&server("Deployment", "chat"), &scaled);
    let signal = "trigger prometheus on vllm:num_requests_waiting";
    let lost = [
        "activationThreshold 5: Trimtab tells KEDA when the workload is to run; there is no \
         threshold for that",
        "authenticationRef prom: it was for what that trigger asked; where KEDA is to show Trimtab \
         a certificate, give the new trigger one of its own",
    ];
    for lost in lost {
        assert!(
            told.contains(&(NO_EQUAL, format!("{signal}: {lost}"))),
            "{told:?}"
        );
    }
}

#[test]
fn a_kind_of_another_group_is_read_from_its_own_template() {
    let rollout = server("Rollout", "chat");
    let of = |version: &str| hpa(version, "Rollout", "chat", "maxReplicas: 4");
    let plan = planned(&(rollout.clone() + &of("argoproj.io/v1alpha1")));
    let made = printed(&plan, "VariantAutoscaling", "chat");
    assert_eq!(made["spec"]["modelID"], "m");
    assert_eq!(
        made["spec"]["scaleTargetRef"]["apiVersion"],
        "argoproj.io/v1alpha1"
    );
    // Another group's is another thing.
    assert!(
        planned(&(rollout + &of("example.org/v1")))
            .documents
            .is_empty()
    );
}

#[test]
fn a_kind_without_a_template_is_written_by_hand_and_then_taken() {
    let rollout = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: chat, namespace: a}
spec: {workloadRef: {name: chat}}
";
    let hpa = hpa("argoproj.io/v1alpha1", "Rollout", "chat", "maxReplicas: 4");
    let plan = planned(&format!("{rollout}{hpa}"));
    let why = "Rollout chat has no pod template of its own (spec.template) that would name its \
               model: write its VariantAutoscaling by hand, with spec.modelID, and try again with it";
    assert_eq!(
        rows(&plan, "HorizontalPodAutoscaler a/chat-Rollout"),
        [(NO_EQUAL, why.to_owned())]
    );
    let written = "
---
apiVersion: llmd.ai/v1alpha1
kind: VariantAutoscaling
metadata: {name: mine, namespace: a}
spec:
  scaleTargetRef: {apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: chat}
  modelID: m
";
    let plan = planned(&format!("{rollout}{hpa}{written}"));
    assert_eq!(
        rows(&plan, "HorizontalPodAutoscaler a/chat-Rollout"),
        [(
            "replaced",
            "it reads wva_desired_replicas of variant mine".to_owned()
        )]
    );
}

#[test]
fn triggers_on_servers_and_pickers_are_replaced() {
    let server = server("Deployment", "chat");
    for (kind, key, series) in [
        ("prometheus", "query", "sum(vllm_num_requests_waiting)"),
        ("prometheus", "query", "sglang_num_queue_reqs"),
        (
            "metrics-api",
            "valueLocation",
            "inference_pool_average_queue_size",
        ),
        (
            "metrics-api",
            "valueLocation",
            "llm_d_epp_flow_control_queue_size",
        ),
    ] {
        let scaled = scaled(&format!(
            "triggers: [{{type: {kind}, metadata: {{{key}: {series}, targetValue: '5'}}}}]"
        ));
        let told = told(&server, &scaled);
        assert_eq!(told[0].0, "replaced", "{series}");
        let lost = format!("trigger {kind} on {series} at 5: ");
        assert!(told[1].1.starts_with(&lost), "{told:?}");
    }
}

#[test]
fn an_hpa_on_a_servers_metric_scales_a_server() {
    // Started by a script of the image, which says nothing.
    let server = server("Deployment", "chat").replace("vllm, serve, m", "./start");
    let of = |metric: &str| {
        let more = format!(
            "maxReplicas: 4, metrics: [{{type: Pods, pods: {{metric: {{name: {metric}}}}}}}]"
        );
        told(&server, &hpa("apps/v1", "Deployment", "chat", &more))
    };
    assert!(
        of("vllm_num_requests_waiting")[0]
            .1
            .contains("annotate this object")
    );
    assert_eq!(of("requests")[0].0, "left alone");
}

#[test]
fn the_ratio_of_wva_is_read_on() {
    let metrics = "maxReplicas: 4, metrics: [{type: External, external: {metric: {name: \
                   wva_desired_ratio}}}]";
    let why = "it reads wva_desired_ratio, which has the same name and labels; from an adapter that \
               goes on serving it: Trimtab's own API serves wva_desired_replicas alone";
    let server = server("Deployment", "chat");
    let hpa = hpa("apps/v1", "Deployment", "chat", metrics);
    assert_eq!(told(&server, &hpa), [("stays", why.to_owned())]);
    let trigger = "triggers: [{type: prometheus, metadata: {query: 'max(wva_desired_ratio)', \
                   ignoreNullValues: 'false'}}]";
    let why = "it reads wva_desired_ratio".to_owned();
    assert_eq!(told(&server, &scaled(trigger)), [("stays", why)]);
}

#[test]
fn a_tolerance_that_swallows_one_is_told_from_ten_on() {
    let warns = |more: &str| {
        let hpa = hpa("apps/v1", "Deployment", "chat", more);
        let plan = planned(&(server("Deployment", "chat") + &hpa));
        let mut comments = plan.documents.iter().flat_map(|of| &of.comments);
        comments.any(|of| of.starts_with("From 10 replicas on"))
    };
    assert!(!warns("maxReplicas: 9"));
    assert!(warns("maxReplicas: 10"));
    let [up, down] = ["scaleUp", "scaleDown"].map(|of| format!("{of}: {{tolerance: '0'}}"));
    assert!(warns(&format!("maxReplicas: 20, behavior: {{{up}}}")));
    assert!(!warns(&format!(
        "maxReplicas: 20, behavior: {{{up}, {down}}}"
    )));
}

#[test]
fn bounds_that_would_be_refused_are_told_and_not_printed() {
    let server = server("Deployment", "chat");
    let range = "and must be a whole number from 0 to 2147483647";
    let trigger = "triggers: [{type: cpu, metadata: {value: '60'}}]";
    for (scaler, fault) in [
        (
            hpa("apps/v1", "Deployment", "chat", "minReplicas: 1"),
            "spec.maxReplicas is missing".to_owned(),
        ),
        (
            hpa("apps/v1", "Deployment", "chat", "maxReplicas: '4'"),
            format!("spec.maxReplicas is \"4\", {range}"),
        ),
        (
            hpa(
                "apps/v1",
                "Deployment",
                "chat",
                "minReplicas: 5, maxReplicas: 4",
            ),
            "spec.maxReplicas is 4, and must be 1 or more, and not below minReplicas (5)"
                .to_owned(),
        ),
        (
            scaled(&format!("minReplicaCount: -1, {trigger}")),
            format!("spec.minReplicaCount is -1, {range}"),
        ),
        (
            scaled(&format!(
                "idleReplicaCount: 2, minReplicaCount: 2, {trigger}"
            )),
            "spec.idleReplicaCount is 2, and must be below minReplicaCount (2)".to_owned(),
        ),
    ] {
        assert!(planned(&format!("{server}{scaler}")).documents.is_empty());
        let why = format!("{fault}: correct it, and try again");
        assert_eq!(told(&server, &scaler), [(NO_EQUAL, why)]);
    }
}

#[test]
fn a_scaler_without_names_is_told() {
    let nameless = scaled("triggers: []").replace("name: chat}", "other: chat}");
    let plan = planned(&nameless.replace("name: chat,", ""));
    let why = ["metadata.name", "spec.scaleTargetRef.name"].map(|field| {
        (
            NO_EQUAL,
            format!("{field} is missing: correct it, and try again"),
        )
    });
    assert_eq!(rows(&plan, "ScaledObject a/"), why);
}

#[test]
fn kinds_that_are_not_listed_are_asked_for_once_each() {
    let yaml = ["Rollout", "Deployment"].map(|kind| {
        let version = if kind == "Rollout" {
            "argoproj.io/v1alpha1"
        } else {
            "apps/v1"
        };
        hpa(version, kind, "chat", "maxReplicas: 4")
    });
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(&yaml.concat()).unwrap();
    let unlisted = super::sources::unlisted(&objects);
    let rollout = ["argoproj.io", "v1alpha1", "Rollout"].map(str::to_owned);
    let chat = ("a".to_owned(), "chat".to_owned());
    assert_eq!(unlisted, [(rollout, [chat].into())].into());
}
