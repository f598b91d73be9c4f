//! A plan as YAML with comments, and as a table.

use anyhow::Result;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Map, json};

use super::plan::{Body, Document, Fate, Plan};
use crate::output::visible;

const STYLE: TableStyle = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());
/// Of a line of comment, and of the table.
const WIDTH: usize = 100;
/// ConfigMap in which the settings are shown.
const CONFIG_MAP: &str = "trimtab-config-from-wva";

/// All documents, with what has no equal at the top.
pub(super) fn yaml(plan: &Plan) -> Result<String> {
    let mut text = String::new();
    comment(
        &mut text,
        "",
        "Made by `trimtab migrate`. Nothing was changed in the cluster.",
    );
    comment(
        &mut text,
        "",
        "First let Trimtab look on (config.mode=observe) and compare; stop WVA before it publishes. \
         Then apply this.",
    );
    for (fate, title) in [
        (Fate::NoEqual, "What has no equal:"),
        (Fate::Stays, "What stays as it is:"),
    ] {
        let mut rows = plan.rows.iter().filter(|row| row.fate == fate).peekable();
        if rows.peek().is_some() {
            text.push_str("#\n");
            comment(&mut text, "", title);
        }
        for row in rows {
            comment(&mut text, "- ", &format!("{}: {}", row.of, row.why));
        }
    }
    for document in &plan.documents {
        write(&mut text, document)?;
    }
    Ok(text)
}

fn write(text: &mut String, document: &Document) -> Result<()> {
    text.push_str("---\n");
    for line in &document.comments {
        comment(text, "", line);
    }
    match &document.body {
        Body::Object(object) => text.push_str(&serde_saphyr::to_string(object)?),
        Body::File { namespace, file } => {
            let mut metadata = Map::new();
            metadata.insert("name".to_owned(), CONFIG_MAP.into());
            let namespace = namespace.clone();
            metadata.extend(namespace.map(|of| ("namespace".to_owned(), of.into())));
            let head = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
            text.push_str(&serde_saphyr::to_string(&head)?);
            text.push_str("data:\n  config.yaml: |\n");
            for line in serde_saphyr::to_string(file)?.lines() {
                text.push_str(&format!("    {line}\n"));
            }
        }
    }
    Ok(())
}

/// Lines of comment, broken between words. Nothing that was read can end the comment.
fn comment(text: &mut String, bullet: &str, said: &str) {
    let said = visible(said);
    let mut line = format!("# {bullet}");
    let mut full = false;
    for word in said.split_whitespace() {
        if full && line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = format!("# {}", " ".repeat(bullet.len()));
            full = false;
        }
        if full {
            line.push(' ');
        }
        line.push_str(word);
        full = true;
    }
    text.push_str(&line);
    text.push('\n');
}

/// A row for each thing that was found, and for each that has no equal.
pub(super) fn table(plan: &Plan) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_header(["what", "becomes", "why, and what to do"])
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(140);
    for row in &plan.rows {
        let cells = [&row.of, row.fate.word(), &row.why].map(visible);
        table.add_row(cells);
    }
    format!("{table}\n")
}
