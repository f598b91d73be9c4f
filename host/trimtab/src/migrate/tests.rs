//! What becomes of WVA's objects, HPAs and ScaledObjects: a fixture, the documents and the table.

mod files;
mod names;
mod scalers;
mod variants;

use std::path::Path;

use serde_json::Value;

use super::plan::{Body, Found, Plan, Wishes};
use super::{render, sources};
use crate::run::config::{Config, Sources};

/// `NAME.yaml` becomes `NAME.out.yaml` and `NAME.out.txt`.
#[track_caller]
fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrate/tests");
    let found = sources::files(&[directory.join(format!("{name}.yaml"))], &[]).unwrap();
    let plan = plan(&found);
    golden(
        &directory.join(format!("{name}.out.yaml")),
        &render::yaml(&plan).unwrap(),
    );
    golden(
        &directory.join(format!("{name}.out.txt")),
        &render::table(&plan),
    );
}

fn plan(found: &Found) -> Plan {
    let wishes = Wishes {
        wva_namespace: None,
        scaler_address: "trimtab-external-scaler.trimtab-system.svc:50051".to_owned(),
    };
    Plan::of(found, &wishes).unwrap()
}

/// Of objects as they are written.
#[track_caller]
fn planned(yaml: &str) -> Plan {
    plan(&Found {
        objects: serde_saphyr::from_multiple(yaml).unwrap(),
        unread: Vec::new(),
    })
}

/// The object of a kind that is printed, by its name.
#[track_caller]
fn printed<'a>(plan: &'a Plan, kind: &str, name: &str) -> &'a Value {
    let objects = plan.documents.iter().filter_map(|of| match &of.body {
        Body::Object(object) => Some(object),
        Body::File { .. } => None,
    });
    let mut objects = objects.filter(|of| of["kind"] == kind && of["metadata"]["name"] == name);
    objects.next().expect("it is printed")
}

/// Fates and reasons of what is told of an object.
fn rows(plan: &Plan, of: &str) -> Vec<(&'static str, String)> {
    let rows = plan.rows.iter().filter(|row| row.of == of);
    rows.map(|row| (row.fate.word(), row.why.clone())).collect()
}

/// A workload of `kind` that starts vLLM.
fn server(kind: &str, name: &str) -> String {
    let version = match kind {
        "Rollout" => "argoproj.io/v1alpha1",
        _ => "apps/v1",
    };
    format!(
        "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  \
         template: {{spec: {{containers: [{{name: v, command: [vllm, serve, m]}}]}}}}\n"
    )
}

/// An HPA of the workload's own name, with more in its spec.
fn hpa(version: &str, kind: &str, name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: \
         {name}-{kind}, namespace: a}}\nspec: {{scaleTargetRef: {{apiVersion: {version}, kind: \
         {kind}, name: {name}}}, {more}}}\n"
    )
}

#[track_caller]
fn golden(path: &Path, is: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs_err::write(path, is).unwrap();
    }
    let expected = fs_err::read_to_string(path).unwrap_or_default();
    assert_eq!(is, expected, "UPDATE_GOLDEN=1 writes {}", path.display());
}

#[test]
fn variants_of_wva_stay_and_its_config_maps_become_a_configuration() {
    check("wva");
}

#[test]
fn hpas_on_model_servers_read_the_count_and_others_are_left_alone() {
    check("hpa");
}

#[test]
fn scaled_objects_ask_for_the_count_and_keep_all_else() {
    check("keda");
}

#[test]
fn the_configuration_is_one_that_the_operator_takes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrate/tests");
    let found = sources::files(&[directory.join("wva.yaml")], &[]).unwrap();
    let documents = plan(&found).documents;
    let mut files = documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::File { file, .. } => Some(serde_saphyr::to_string(file).unwrap()),
            Body::Object(_) => None,
        });
    let text = files.next().unwrap();
    let config = Config::load(&Sources {
        file: Some(("config.yaml", &text)),
        ..Sources::default()
    });
    assert_eq!(config.unwrap().interval_seconds.seconds(), 15.0);
}

#[test]
fn what_is_printed_is_read_again_and_changes_no_more() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrate/tests");
    for name in ["hpa", "keda"] {
        let files = [".yaml", ".out.yaml"].map(|end| directory.join(format!("{name}{end}")));
        let before = sources::files(&files[..1], &[]).unwrap();
        let after = sources::files(&files[1..], &[]).unwrap();
        let replaced = |object: &serde_json::Value| {
            let same = |new: &serde_json::Value| {
                ["/kind", "/metadata/name"]
                    .iter()
                    .all(|key| new.pointer(key) == object.pointer(key))
            };
            after.objects.iter().any(same)
        };
        let mut objects = before.objects;
        objects.retain(|object| !replaced(object));
        objects.extend(after.objects.clone());
        let again = plan(&Found {
            objects,
            unread: Vec::new(),
        });
        assert!(again.documents.is_empty(), "{:?}", again.documents);
    }
}

#[test]
fn the_order_of_what_is_read_does_not_matter() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrate/tests");
    let files = ["wva", "hpa", "keda"].map(|name| directory.join(format!("{name}.yaml")));
    let mut found = sources::files(&files, &[]).unwrap();
    let one = render::yaml(&plan(&found)).unwrap();
    found.objects.reverse();
    assert_eq!(render::yaml(&plan(&found)).unwrap(), one);
}

#[test]
fn only_namespaces_that_are_named_are_read_but_for_wvas_settings() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrate/tests");
    let files = ["wva", "hpa"].map(|name| directory.join(format!("{name}.yaml")));
    let found = sources::files(&files, &["shop".to_owned()]).unwrap();
    let rows = plan(&found).rows;
    assert!(rows.iter().any(|row| row.of.contains("shop/web")));
    assert!(rows.iter().any(|row| row.of.starts_with("wva-")));
    assert!(!rows.iter().any(|row| row.of.contains("chat/qwen")));
}
