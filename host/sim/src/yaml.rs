//! Reads scenario files: every error names the field, what is wrong with it, the line and the
//! column, in words of the format instead of the parser's.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::Error;

use super::file::ScenarioFile;
use super::schema::schema;
use crate::excerpt::{excerpt, message};

/// The path of a bad field, and what is wrong with it.
pub(super) type Problem = (String, String);

pub(super) fn read(yaml: &str) -> Result<ScenarioFile, Problem> {
    let mut path = Vec::new();
    let options = serde_saphyr::options! {
        // Text that reads as a number is one to every other reader, and to the schema.
        no_schema: true,
        strict_booleans: true,
    };
    let read = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |from| {
        serde_path_to_error::deserialize(from).map_err(|error| {
            path = segments(error.path());
            error.into_inner()
        })
    });
    // Without the excerpt of the file: an error is one line.
    let file = read.map_err(|error: Error| explain(&mut path, error.without_snippet()))?;
    strictly(yaml)?;
    Ok(file)
}

/// YAML takes a quoted number for a number; JSON, and with it the schema, does not.
fn strictly(yaml: &str) -> Result<(), Problem> {
    let Ok(value) = serde_saphyr::from_str::<Value>(yaml) else {
        // A number that JSON does not have: out of bounds wherever it stands.
        return Ok(());
    };
    let read = serde_path_to_error::deserialize::<_, ScenarioFile>(value);
    read.map(|_| ()).map_err(|error| {
        let path = written(&segments(error.path()));
        (path, message(&error.into_inner().to_string()))
    })
}

/// What is known of the path.
fn segments(path: &Path) -> Vec<Segment> {
    let known = path.iter().filter(|part| !matches!(part, Segment::Unknown));
    known.cloned().collect()
}

fn written(path: &[Segment]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&excerpt(name));
            }
            Segment::Unknown => {}
        }
    }
    text
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's other errors speak for themselves"
)]
fn explain(path: &mut Vec<Segment>, error: &Error) -> Problem {
    let problem = match error {
        Error::InvalidScalar { ty, .. } => format!("not {}", expected(ty)),
        Error::NullIntoString { .. } => "nothing is given; expected text".to_owned(),
        Error::QuotingRequired { value, .. } => format!(
            "`{0}` is not text; expected text, in quotes where it looks like something else: \
             \"{0}\"",
            excerpt(value)
        ),
        Error::Unexpected { expected, .. } => format!("expected {}", structure(expected)),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            path.push(Segment::Map { key: key.clone() });
            "the key stands here twice; expected it once".to_owned()
        }
        Error::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => {
            format!("expected one of {}", kinds(path).join(", "))
        }
        Error::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            path.pop();
            format!(
                "has several keys; expected only one of {}",
                kinds(path).join(", ")
            )
        }
        // These say where themselves.
        other => return (written(path), message(&other.to_string())),
    };
    let place = error.location().map_or_else(String::new, |at| {
        format!(" at line {}, column {}", at.line(), at.column())
    });
    (written(path), problem + &place)
}

/// What a scalar of the parser's name is.
fn expected(scalar: &str) -> String {
    match scalar {
        "u32" | "u64" => "a plausible whole number of 0 or more".to_owned(),
        "floating point" => "a number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        other => format!("a value of type {other}"),
    }
}

/// What the parser's events are to who writes YAML.
fn structure(event: &str) -> &str {
    match event {
        "mapping start" => "keys with values",
        "sequence start" => "a list",
        "string scalar" | "scalar" => "a single value",
        other => other,
    }
}

/// The keys of which an object in this place has one, as the schema says.
fn kinds(path: &[Segment]) -> Vec<String> {
    let root = schema();
    let mut node = Some(&root);
    for part in path {
        let children = node.into_iter().flat_map(|node| alternatives(&root, node));
        node = children.into_iter().find_map(|child| match part {
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                child.get("properties")?.get(name)
            }
            Segment::Seq { .. } => child.get("items"),
            Segment::Unknown => None,
        });
    }
    let ends = node.into_iter().flat_map(|node| alternatives(&root, node));
    let keys = ends.filter_map(|end| end.get("properties")?.as_object()?.keys().next());
    keys.map(|key| format!("`{key}`")).collect()
}

/// What a schema stands for: what it refers to, or each thing that it can be.
fn alternatives<'a>(root: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    let reference = node.get("$ref").and_then(Value::as_str);
    let target = reference.and_then(|target| root.pointer(target.trim_start_matches('#')));
    let node = target.unwrap_or(node);
    match node.get("oneOf").and_then(Value::as_array) {
        Some(kinds) => kinds.iter().collect(),
        None => vec![node],
    }
}
