//! Reads YAML that people write: every error names the field, what is wrong with it, the line and
//! the column, in words of the format instead of the parser's.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::Error;

use crate::excerpt::{excerpt, message};

/// What a count is.
const WHOLE: &str = "a plausible whole number of 0 or more";

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the bad field; empty where the whole is meant.
    pub path: String,
    pub problem: String,
}

/// Reads a document whose format has a JSON Schema.
///
/// # Errors
/// The document is not YAML, or not of the format.
pub fn read<T: DeserializeOwned>(text: &str, schema: fn() -> Value) -> Result<T, Problem> {
    let mut path = Vec::new();
    let options = serde_saphyr::options! {
        // Text that reads as a number is one to every other reader, and to the schema.
        no_schema: true,
        strict_booleans: true,
    };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| {
        serde_path_to_error::deserialize(from).map_err(|error| {
            path = segments(error.path());
            error.into_inner()
        })
    });
    // Without the excerpt of the file: an error is one line.
    let document =
        read.map_err(|error: Error| explain(&mut path, error.without_snippet(), schema))?;
    // YAML takes a quoted number for a number; JSON, and with it the schema, does not. A number
    // that JSON does not have is out of bounds wherever it stands.
    if let Ok(value) = serde_saphyr::from_str(text) {
        of_value::<T>(&value)?;
    }
    Ok(document)
}

/// What a document says, and nothing that is taken where it says nothing.
///
/// # Errors
/// It is not YAML, or has what JSON cannot say.
pub fn value(text: &str) -> Result<Value, Problem> {
    serde_saphyr::from_str(text).map_err(|error| Problem {
        path: String::new(),
        problem: message(&error.without_snippet().to_string()),
    })
}

/// Reads what a document says.
///
/// # Errors
/// It is not of the format.
pub fn of_value<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| Problem {
        path: written(&segments(error.path())),
        problem: message(&error.into_inner().to_string())
            .replace("expected u32", &format!("expected {WHOLE}")),
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
fn explain(path: &mut Vec<Segment>, error: &Error, schema: fn() -> Value) -> Problem {
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
            format!("expected one of {}", kinds(path, &schema()))
        }
        Error::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            path.pop();
            let kinds = kinds(path, &schema());
            format!("has several keys; expected only one of {kinds}")
        }
        // These say where themselves.
        other => {
            return Problem {
                path: written(path),
                problem: message(&other.to_string()),
            };
        }
    };
    let place = error.location().map_or_else(String::new, |at| {
        format!(" at line {}, column {}", at.line(), at.column())
    });
    Problem {
        path: written(path),
        problem: problem + &place,
    }
}

/// What a scalar of the parser's name is.
fn expected(scalar: &str) -> String {
    match scalar {
        "u32" | "u64" => WHOLE.to_owned(),
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

/// The keys or words of which a place has one, as the schema says.
fn kinds(path: &[Segment], root: &Value) -> String {
    let mut node = Some(root);
    for part in path {
        let children = node.into_iter().flat_map(|node| alternatives(root, node));
        node = children.into_iter().find_map(|child| match part {
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                child.get("properties")?.get(name)
            }
            Segment::Seq { .. } => child.get("items"),
            Segment::Unknown => None,
        });
    }
    let ends = node.into_iter().flat_map(|node| alternatives(root, node));
    let kinds: Vec<String> = ends
        .flat_map(of_one)
        .map(|kind| format!("`{kind}`"))
        .collect();
    kinds.join(", ")
}

fn of_one(end: &Value) -> Vec<&str> {
    let key = || end.get("properties")?.as_object()?.keys().next();
    let word = end.get("const").into_iter();
    let words = end.get("enum").and_then(Value::as_array);
    let words = word.chain(words.into_iter().flatten());
    let words = words.filter_map(Value::as_str);
    key().map(String::as_str).into_iter().chain(words).collect()
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
