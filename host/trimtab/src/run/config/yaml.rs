//! Reads the configuration file: an error names the key, what is wrong with it, and where it
//! stands.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::Error;
use trimtab_sim::excerpt::{excerpt, message};

use super::{Config, Problem};

/// What a count is.
const WHOLE: &str = "a whole number of 0 or more";

/// What the file sets, and nothing else.
pub(super) fn read(text: &str) -> Result<Value, Problem> {
    let options = serde_saphyr::options! {
        // Text that reads as a number is one to every other reader, and to the schema.
        no_schema: true,
        strict_booleans: true,
    };
    if is_empty(text) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let mut key = String::new();
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| {
        serde_path_to_error::deserialize::<_, Config>(from).map_err(|error| {
            key = written(error.path());
            error.into_inner()
        })
    });
    if let Err(error) = read {
        // Without the excerpt of the file: an error is one line.
        let problem = explain(error.without_snippet());
        return Err(Problem { key, problem });
    }
    // YAML takes a quoted number for a number; JSON, and with it the schema, does not.
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Problem {
        key: String::new(),
        problem: message(&error.without_snippet().to_string()),
    })?;
    whole(&value).map(|_| value)
}

/// The configuration that a document is.
pub(super) fn whole(value: &Value) -> Result<Config, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| Problem {
        key: written(error.path()),
        problem: message(&error.into_inner().to_string())
            .replace("expected u32", &format!("expected {WHOLE}")),
    })
}

/// What is wrong, in words of the format instead of the parser's.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's other errors speak for themselves"
)]
fn explain(error: &Error) -> String {
    let problem = match error {
        Error::InvalidScalar { ty, .. } if matches!(*ty, "u32" | "u64") => {
            format!("expected {WHOLE}")
        }
        Error::InvalidScalar { ty, .. } => format!("expected a value of type {ty}"),
        Error::Unexpected { expected, .. } => match *expected {
            "sequence start" => "expected a list".to_owned(),
            "mapping start" => "expected keys with values".to_owned(),
            other => format!("expected a {other}"),
        },
        Error::QuotingRequired { value, .. } => {
            let value = excerpt(value);
            format!("`{value}` is not text; expected text, in quotes here: \"{value}\"")
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            let key = excerpt(key);
            format!("the key `{key}` stands here twice; expected it once")
        }
        other => return message(&other.to_string()),
    };
    match error.location() {
        Some(at) => format!("{problem} at line {}, column {}", at.line(), at.column()),
        None => problem,
    }
}

/// A file that says nothing, as a template gives where there is nothing to say.
fn is_empty(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn written(path: &Path) -> String {
    let mut text = String::new();
    for part in path.iter() {
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
