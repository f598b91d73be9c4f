//! What the queries are: constant, valid, and free of names.

use promql_parser::parser;

use super::*;

#[test]
fn a_tick_takes_at_most_sixteen_queries() {
    assert!(Queries::new(Windows::default()).iter().len() <= 16);
}

#[test]
fn every_query_is_valid_promql() {
    for query in Queries::new(Windows::default()).iter() {
        if let Err(error) = parser::parse(&query.promql) {
            panic!("{}: {error}\n{}", query.topic.name(), query.promql);
        }
    }
}

#[test]
fn windows_are_those_of_the_configuration() {
    let windows = Windows {
        short_seconds: 4,
        long_seconds: 9,
    };
    for query in Queries::new(windows).iter() {
        for span in query.promql.split('[').skip(1) {
            assert!(
                span.starts_with("4s]") || span.starts_with("9s]"),
                "{}",
                query.promql
            );
        }
    }
}

#[test]
fn old_and_new_names_of_one_instance_never_add_up() {
    let load = promql(Topic::Load, Windows::default());
    let new = load.find("vllm:kv_cache_usage_perc").unwrap();
    let old = load.find("vllm:gpu_cache_usage_perc").unwrap();
    assert!(new < old);
    assert_eq!(load[new..old].matches(" or max by (").count(), 1);
    assert!(!load.contains("sum"));
}

#[test]
fn hits_and_queries_of_a_cache_are_asked_for_without_the_label_that_only_hits_have() {
    // Situation 34.
    let prefix = promql(Topic::Prefix, Windows::default());
    for metric in [
        "vllm:prefix_cache_hits_total",
        "vllm:prefix_cache_queries_total",
    ] {
        let of_scrape = format!("(sum without ({PARTS}) (rate({metric}[300s])))");
        assert!(prefix.contains(&of_scrape), "{prefix}");
    }
    assert!(PARTS.contains("cache_source") && !INSTANCE.contains("cache_source"));
}

#[test]
fn cache_sizes_are_asked_for_without_the_models_name() {
    // Situation 1: the series has no `model_name`, and a matcher would lose it.
    let capacity = promql(Topic::Capacity, Windows::default());
    assert!(capacity.contains("(vllm:cache_config_info)"));
    assert!(!capacity.contains("model_name="));
}
