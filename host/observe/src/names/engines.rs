//! Metrics of serving engines. Exposed names: counters with `_total`, histograms with their suffix.

use super::{Detail, Name, Quantity, Reading, Row, Topic, sglang, vllm};

const WAITING: &[Name] = &[
    vllm("vllm:num_requests_waiting"),
    sglang("sglang:num_queue_reqs"),
];

pub(super) const RUNNING: &[Name] = &[
    vllm("vllm:num_requests_running"),
    sglang("sglang:num_running_reqs"),
];

pub(super) const ROWS: &[Row] = &[
    // Any gauge that every engine has from its start serves.
    row(
        Quantity::ReportedAt,
        Topic::Instances,
        Reading::Timestamp,
        "instant of the last sample",
        RUNNING,
    ),
    row(
        Quantity::KvUsage,
        Topic::Load,
        Reading::Largest,
        "share of the KV cache in use, 0 to 1",
        &[
            vllm("vllm:kv_cache_usage_perc"),
            // Up to vLLM 0.11.
            vllm("vllm:gpu_cache_usage_perc"),
            sglang("sglang:token_usage"),
        ],
    ),
    row(
        Quantity::Waiting,
        Topic::Load,
        Reading::Largest,
        "requests that wait in the engine",
        WAITING,
    ),
    row(
        Quantity::Running,
        Topic::Load,
        Reading::Last,
        "requests in the running batch",
        RUNNING,
    ),
    row(
        Quantity::KvBlocks,
        Topic::Capacity,
        Reading::Information,
        "tokens that the KV cache holds, from labels: size in tokens, else blocks times their size",
        &[
            vllm("vllm:cache_config_info"),
            sglang("sglang:cache_config_info"),
        ],
    ),
    row(
        Quantity::KvTokens,
        Topic::Capacity,
        Reading::Last,
        "tokens that the KV cache holds",
        &[sglang("sglang:max_total_num_tokens")],
    ),
    row(
        Quantity::InputTokens,
        Topic::Tokens,
        Reading::RateLong,
        "prompt tokens of finished requests, per second",
        &[
            vllm("vllm:request_prompt_tokens_sum"),
            sglang("sglang:prompt_tokens_histogram_sum"),
            sglang("sglang:prompt_tokens_total"),
        ],
    ),
    row(
        Quantity::OutputTokens,
        Topic::Tokens,
        Reading::RateLong,
        "answer tokens of finished requests, per second",
        &[
            vllm("vllm:request_generation_tokens_sum"),
            sglang("sglang:generation_tokens_histogram_sum"),
            sglang("sglang:generation_tokens_total"),
        ],
    ),
    row(
        Quantity::CountedRequests,
        Topic::Tokens,
        Reading::RateLong,
        "requests whose tokens were counted, per second",
        &[
            vllm("vllm:request_prompt_tokens_count"),
            sglang("sglang:prompt_tokens_histogram_count"),
            sglang("sglang:num_requests_total"),
        ],
    ),
    row(
        Quantity::PrefixHits,
        Topic::Prefix,
        Reading::RateLong,
        "prompt tokens that the prefix cache answers, per second",
        &[
            vllm("vllm:prefix_cache_hits_total"),
            // vLLM 0.8, in blocks; so are its queries.
            vllm("vllm:gpu_prefix_cache_hits_total"),
            sglang(r#"sglang:cached_tokens_total{cache_source="total"}"#),
            sglang(r#"sglang:cached_tokens_total{cache_source!="total"}"#),
        ],
    ),
    row(
        Quantity::PrefixQueries,
        Topic::Prefix,
        Reading::RateLong,
        "prompt tokens that it was asked for, per second",
        &[
            vllm("vllm:prefix_cache_queries_total"),
            vllm("vllm:gpu_prefix_cache_queries_total"),
            sglang("sglang:prompt_tokens_total"),
        ],
    ),
    row(
        Quantity::Finished,
        Topic::Throughput,
        Reading::RateShort,
        "requests finished per second, for whatever reason",
        &[
            vllm("vllm:request_success_total"),
            sglang("sglang:num_requests_total"),
        ],
    ),
    row(
        Quantity::WaitingGrowth,
        Topic::Throughput,
        Reading::Growth,
        "requests by which the queue grows, per second",
        WAITING,
    ),
    row(
        Quantity::RunningGrowth,
        Topic::Throughput,
        Reading::Growth,
        "requests by which the running batch grows, per second",
        RUNNING,
    ),
    row(
        Quantity::TtftSum,
        Topic::Latency,
        Reading::RateShort,
        "seconds to first tokens, per second",
        &[
            vllm("vllm:time_to_first_token_seconds_sum"),
            sglang("sglang:time_to_first_token_seconds_sum"),
        ],
    ),
    row(
        Quantity::TtftCount,
        Topic::Latency,
        Reading::RateShort,
        "first tokens per second",
        &[
            vllm("vllm:time_to_first_token_seconds_count"),
            sglang("sglang:time_to_first_token_seconds_count"),
        ],
    ),
    row(
        Quantity::ItlSum,
        Topic::Latency,
        Reading::RateShort,
        "seconds between tokens, per second",
        &[
            vllm("vllm:inter_token_latency_seconds_sum"),
            vllm("vllm:time_per_output_token_seconds_sum"),
            sglang("sglang:inter_token_latency_seconds_sum"),
            sglang("sglang:time_per_output_token_seconds_sum"),
        ],
    ),
    row(
        Quantity::ItlCount,
        Topic::Latency,
        Reading::RateShort,
        "gaps between tokens, per second",
        &[
            vllm("vllm:inter_token_latency_seconds_count"),
            vllm("vllm:time_per_output_token_seconds_count"),
            sglang("sglang:inter_token_latency_seconds_count"),
            sglang("sglang:time_per_output_token_seconds_count"),
        ],
    ),
    buckets(
        Quantity::TtftBucket,
        Topic::TtftBuckets,
        "distribution of the time to first token, in seconds",
        &[
            vllm("vllm:time_to_first_token_seconds_bucket"),
            sglang("sglang:time_to_first_token_seconds_bucket"),
        ],
    ),
    buckets(
        Quantity::RequestItlBucket,
        Topic::ItlBuckets,
        "distribution over requests of their mean time between tokens, in seconds",
        &[vllm("vllm:request_time_per_output_token_seconds_bucket")],
    ),
    buckets(
        Quantity::TokenItlBucket,
        Topic::ItlBuckets,
        "distribution over tokens of the time between them, in seconds",
        &[
            vllm("vllm:inter_token_latency_seconds_bucket"),
            vllm("vllm:time_per_output_token_seconds_bucket"),
            sglang("sglang:inter_token_latency_seconds_bucket"),
            sglang("sglang:time_per_output_token_seconds_bucket"),
        ],
    ),
];

const fn row(
    quantity: Quantity,
    topic: Topic,
    reading: Reading,
    meaning: &'static str,
    names: &'static [Name],
) -> Row {
    Row {
        quantity,
        topic,
        reading,
        detail: Detail::Instance,
        meaning,
        names,
    }
}

const fn buckets(
    quantity: Quantity,
    topic: Topic,
    meaning: &'static str,
    names: &'static [Name],
) -> Row {
    Row {
        quantity,
        topic,
        reading: Reading::Buckets,
        detail: Detail::Model,
        meaning,
        names,
    }
}
