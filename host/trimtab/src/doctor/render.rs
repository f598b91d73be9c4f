//! Checks as text, and as JSON.

use anyhow::Result;
use serde_json::json;

use super::checks::{Check, Level, todo};
use crate::output::visible;

pub(super) fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let level = match check.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Failed => "FAILED ",
        };
        text += &format!(
            "{level}  {}: {}\n",
            visible(&check.what),
            one_line(&check.found)
        );
    }
    let todo = todo(checks);
    if todo.is_empty() {
        return text + "\nNothing is to be done.\n";
    }
    text += "\nWhat to do, the most important first:\n";
    for (position, line) in todo.iter().enumerate() {
        text += &format!("{:>3}. {}\n", position + 1, one_line(line));
    }
    text
}

/// What was read may have any number of lines.
fn one_line(text: &str) -> String {
    visible(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

pub(super) fn json(checks: &[Check]) -> Result<String> {
    let value = json!({"checks": checks, "todo": todo(checks)});
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
