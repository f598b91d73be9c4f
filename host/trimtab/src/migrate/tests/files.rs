//! Files: how large they may be, and what is none.

use std::fmt::Write as _;

use super::super::sources;
use super::{hpa, planned, printed, server};

fn read(text: &str, lists: bool) -> Result<usize, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("given.yaml");
    fs_err::write(&path, text).unwrap();
    let mut paths = vec![path];
    if lists {
        let empty = directory.path().join("empty.yaml");
        fs_err::write(&empty, "apiVersion: v1\nkind: List\nitems: []\n").unwrap();
        paths.push(empty);
    }
    let found = sources::files(&paths, &[]).map_err(|error| error.to_string());
    found.map(|found| found.objects.len())
}

#[test]
fn a_list_of_thousands_is_read() {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for index in 0..3_000 {
        write!(
            text,
            "- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {{name: d{index}}}\n  spec:\n    \
             template: {{spec: {{containers: [{{name: a}}]}}}}\n  status: {{a: [{}]}}\n",
            "1, ".repeat(100)
        )
        .unwrap();
    }
    assert_eq!(read(&text, false), Ok(3_000));
}

#[test]
fn thousands_of_documents_are_read() {
    let text = "---\nkind: Pod\n".repeat(3_000);
    assert_eq!(read(&text, false), Ok(3_000));
    // As many events as a text can have.
    let text = format!("kind: Pod\na: [{}]\n", "{a},".repeat(200_000));
    assert_eq!(read(&text, false), Ok(1));
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "kind: Pod\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        let all = vec![alias; 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{all}]").unwrap();
    }
    // A long file leaves no more room for it.
    let padding = format!("# {}\n", "x".repeat(1_000)).repeat(2_000);
    for text in [text.clone(), padding + &text] {
        let error = read(&text, false).unwrap_err();
        assert!(error.contains("given.yaml: no YAML to read: "), "{error}");
    }
}

#[test]
fn a_file_without_objects_is_an_error_that_names_it() {
    for text in [
        "",
        "some plain words\n",
        "---\n",
        "# none\n",
        "a: 1\n",
        "[1, 2]\n",
    ] {
        let error = read(text, true).unwrap_err();
        let why = "given.yaml: no objects are in it: give what `kubectl get -o yaml` prints";
        assert!(error.ends_with(why), "{error}");
    }
}

#[test]
fn a_list_may_be_empty_where_another_is_not() {
    assert_eq!(read("apiVersion: v1\nkind: Pod\n", true), Ok(1));
    let error = read("kind: List\nitems: []\n", true).unwrap_err();
    assert!(error.contains("no objects are in it"), "{error}");
}

#[test]
fn a_namespace_that_was_not_said_is_not_written() {
    let yaml =
        server("Deployment", "chat") + &hpa("apps/v1", "Deployment", "chat", "maxReplicas: 4");
    let plan = planned(&yaml.replace(", namespace: a", ""));
    for (kind, name) in [
        ("VariantAutoscaling", "chat"),
        ("HorizontalPodAutoscaler", "chat-Deployment"),
    ] {
        let object = printed(&plan, kind, name);
        assert_eq!(object["metadata"].get("namespace"), None);
    }
    let comments = plan.documents.iter().flat_map(|of| &of.comments);
    let told = comments.filter(|of| of.contains("names no namespace"));
    assert_eq!(told.count(), 1);
}

#[test]
fn a_config_map_without_a_namespace_becomes_one() {
    let map = "
apiVersion: v1
kind: ConfigMap
metadata: {name: wva-variantautoscaling-config}
data: {GLOBAL_OPT_INTERVAL: 15s}
";
    let head = |yaml: &str| {
        let text = super::render::yaml(&planned(yaml)).unwrap();
        text.contains("  name: trimtab-config-from-wva\ndata:")
    };
    assert!(head(map));
    assert!(!head(&map.replace("{name", "{namespace: wva, name")));
}
