//! Names of variants: none is given twice.

use super::{hpa, planned, printed, rows, server};

const TAKEN: &str = "
apiVersion: llmd.ai/v1alpha1
kind: VariantAutoscaling
metadata: {name: chat, namespace: a}
spec: {scaleTargetRef: {kind: Deployment, name: other}, modelID: m}
";

fn selected(hpa: &serde_json::Value) -> &serde_json::Value {
    &hpa["spec"]["metrics"][0]["external"]["metric"]["selector"]["matchLabels"]["variant_name"]
}

#[test]
fn a_variant_of_another_workload_keeps_its_name() {
    let yaml = [
        TAKEN,
        &server("Deployment", "chat"),
        &hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4"),
    ];
    let plan = planned(&yaml.concat());
    let made = printed(&plan, "VariantAutoscaling", "chat-deployment");
    assert_eq!(made["spec"]["scaleTargetRef"]["name"], "chat");
    let hpa = printed(&plan, "HorizontalPodAutoscaler", "chat-Deployment");
    assert_eq!(selected(hpa), "chat-deployment");
    assert_eq!(plan.documents.len(), 2);
}

#[test]
fn a_trigger_carries_the_name_that_was_free() {
    let scaled = "
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: chat, namespace: a}
spec: {scaleTargetRef: {name: chat}, triggers: [{type: cpu, metadata: {value: '60'}}]}
";
    let plan = planned(&[TAKEN, &server("Deployment", "chat"), scaled].concat());
    printed(&plan, "VariantAutoscaling", "chat-deployment");
    let scaled = printed(&plan, "ScaledObject", "chat");
    let trigger = &scaled["spec"]["triggers"][0];
    assert_eq!(trigger["metadata"]["variantName"], "chat-deployment");
}

#[test]
fn two_workloads_of_one_name_become_two_variants() {
    let yaml = ["Deployment", "StatefulSet"]
        .map(|kind| server(kind, "chat") + &hpa("apps/v1", kind, "chat", "maxReplicas: 4"));
    let plan = planned(&yaml.concat());
    for (kind, named) in [("Deployment", "chat"), ("StatefulSet", "chat-statefulset")] {
        let made = printed(&plan, "VariantAutoscaling", named);
        assert_eq!(made["spec"]["scaleTargetRef"]["kind"], kind);
        let hpa = printed(&plan, "HorizontalPodAutoscaler", &format!("chat-{kind}"));
        assert_eq!(selected(hpa), named);
    }
}

#[test]
fn where_no_name_is_free_nothing_is_printed() {
    let both = TAKEN.replace("name: chat,", "name: chat-deployment,");
    let yaml = [
        TAKEN,
        "---",
        &both.replace("other", "third"),
        &server("Deployment", "chat"),
        &hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4"),
    ];
    let plan = planned(&yaml.concat());
    assert!(plan.documents.is_empty());
    let why = "chat and chat-deployment are names of other variants: write a VariantAutoscaling of \
               another name for Deployment chat, and try again with it";
    assert_eq!(
        rows(&plan, "HorizontalPodAutoscaler a/chat-Deployment"),
        [("no equal", why.to_owned())]
    );
}

#[test]
fn what_claims_its_workload_cannot_take_another_name() {
    let hpa = hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4");
    let hpa = hpa.replace(
        "namespace: a",
        "namespace: a, annotations: {llm-d.ai/managed: 'true'}",
    );
    let plan = planned(&[TAKEN, &server("Deployment", "chat"), &hpa].concat());
    assert!(plan.documents.is_empty());
    let told = rows(&plan, "HorizontalPodAutoscaler a/chat-Deployment");
    assert!(
        told[0]
            .1
            .starts_with("by its annotation llm-d.ai/managed it makes a variant chat,")
    );
}
