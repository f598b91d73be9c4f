//! VariantAutoscalings that the API server would refuse.

use super::{planned, rows, server};

fn told(spec: &str) -> Vec<(&'static str, String)> {
    let yaml = format!(
        "apiVersion: llmd.ai/v1alpha1\nkind: VariantAutoscaling\nmetadata: {{name: chat, namespace: \
         a}}\nspec: {spec}\n"
    );
    let plan = planned(&(yaml + &server("Deployment", "chat")));
    assert!(plan.documents.is_empty());
    rows(&plan, "VariantAutoscaling a/chat")
}

#[test]
fn what_the_api_server_refuses_is_told_and_not_printed() {
    let target = "scaleTargetRef: {kind: Deployment, name: chat}";
    for (spec, fault) in [
        (
            "{scaleTargetRef: {name: chat}, modelID: m}".to_owned(),
            "spec.scaleTargetRef: \"kind\" is a required property",
        ),
        (
            format!("{{{target}, modelID: m, minReplicas: '2'}}"),
            "spec.minReplicas: \"2\" is not of type \"integer\"",
        ),
        (
            format!("{{{target}, modelID: ''}}"),
            "spec.modelID: \"\" is shorter than 1 character",
        ),
        (
            format!("{{{target}, modelID: m, minReplicas: 3, maxReplicas: 2}}"),
            "spec.minReplicas: 3 is above maxReplicas (2)",
        ),
        (
            format!("{{{target}, modelID: m, variantCost: -1, sloClassRef: {{}}}}"),
            "spec.variantCost: \"-1\" does not match \"^\\d+(\\.\\d+)?$\"",
        ),
        (
            format!("{{{target}, modelID: m, maxReplicas: 3000000000}}"),
            "spec: 3000000000 replicas are more than 2147483647",
        ),
        (
            format!("{{{target}, modelID: m, maxReplicas: 0}}"),
            "spec.maxReplicas: 0 is less than the minimum of 1",
        ),
    ] {
        let why = format!("{fault}: the API server refuses that; correct it, and try again");
        assert_eq!(told(&spec), [("no equal", why)]);
    }
}

#[test]
fn what_the_api_server_takes_stays() {
    for more in [
        "",
        ", maxReplicas: null",
        ", minReplicas: 0, maxReplicas: 1",
    ] {
        let spec = format!("{{scaleTargetRef: {{kind: K, name: chat}}, modelID: m{more}}}");
        let stays = ("stays", "WVA's schema is read as it is".to_owned());
        assert_eq!(told(&spec), [stays]);
    }
}
