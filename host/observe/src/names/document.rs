//! The table as the documentation shows it.

use super::{Name, Reading, Row, Source, rows};

/// The table in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from(
        "| query | quantity | read as | vLLM, llm-d's simulator | SGLang | endpoint picker |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows() {
        table.push_str(&line(row));
    }
    table
}

fn line(row: &Row) -> String {
    let of = |belongs: fn(Source) -> bool| {
        let metrics: Vec<String> = row
            .names
            .iter()
            .filter(|name| belongs(name.source))
            .map(shown)
            .collect();
        metrics.join(", ")
    };
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        row.topic.name(),
        row.meaning,
        reading(row.reading),
        of(|source| source == Source::Vllm),
        of(|source| source == Source::Sglang),
        of(|source| !matches!(source, Source::Vllm | Source::Sglang)),
    )
}

fn shown(name: &Name) -> String {
    let metric = name.metric;
    let short = metric.strip_prefix(&format!("{}:", name.source.label()));
    format!("`{}`", short.unwrap_or(metric))
}

fn reading(reading: Reading) -> &'static str {
    match reading {
        Reading::Timestamp => "instant",
        Reading::Largest => "largest, short",
        Reading::Last => "last, long",
        Reading::LastSum => "last, short",
        Reading::Information => "labels",
        Reading::Mean => "mean, short",
        Reading::RateShort => "rate, short",
        Reading::RateLong => "rate, long",
        Reading::Growth => "change, short",
        Reading::Buckets => "buckets, short",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

    #[test]
    fn the_readme_has_the_table_as_it_is() {
        let page = std::fs::read_to_string(README).unwrap();
        let start = page.find("| query |").unwrap();
        let length = page[start..].find("\n\n").unwrap() + 1;
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let updated = [&page[..start], &markdown(), &page[start + length..]].concat();
            std::fs::write(README, updated).unwrap();
            return;
        }
        assert!(
            page[start..start + length] == markdown(),
            "the table in host/observe/README.md is stale; run this test with UPDATE_GOLDEN=1"
        );
    }
}
