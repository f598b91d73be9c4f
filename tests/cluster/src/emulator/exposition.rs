//! The text that vLLM (V1, 0.12 and later) and the endpoint picker of llm-d export.
//!
//! By hand: client libraries refuse the colons in vLLM's names.

use std::fmt::Write as _;

use trimtab_sim::live::{EngineReading, Histogram, PickerReading};
use trimtab_sim::spec::VariantSpec;

/// A vLLM server's metrics.
pub(super) fn engine(model: &str, variant: &VariantSpec, reading: &EngineReading) -> String {
    let mut page = Page::new(&[("engine", "0"), ("model_name", model)]);
    page.gauge("vllm:num_requests_running", reading.running as f64);
    page.gauge("vllm:num_requests_waiting", reading.waiting as f64);
    page.gauge("vllm:kv_cache_usage_perc", reading.kv_usage);
    page.counter("vllm:prompt_tokens", reading.prompt_tokens);
    page.counter("vllm:generation_tokens", reading.generated_tokens);
    page.counter("vllm:num_preemptions", reading.preemptions);
    page.counter("vllm:prefix_cache_queries", reading.prompt_tokens);
    page.counter("vllm:prefix_cache_hits", reading.cached_tokens);
    page.kind("vllm:request_success_total", "counter");
    for (reason, count) in [("abort", 0), ("length", 0), ("stop", reading.finished)] {
        let reason = format!("finished_reason=\"{reason}\"");
        page.sample("vllm:request_success_total", Some(&reason), count as f64);
    }
    let of = &reading.distributions;
    for (name, histogram) in [
        ("vllm:time_to_first_token_seconds", &of.ttft),
        ("vllm:inter_token_latency_seconds", &of.itl),
        (
            "vllm:request_time_per_output_token_seconds",
            &of.request_itl,
        ),
        ("vllm:e2e_request_latency_seconds", &of.end_to_end),
        ("vllm:request_queue_time_seconds", &of.queue_time),
        ("vllm:request_prompt_tokens", &of.input_tokens),
        ("vllm:request_generation_tokens", &of.output_tokens),
    ] {
        page.histogram(name, histogram);
    }
    page.text + &cache_config(variant)
}

/// The KV cache as labels; the model is not among them.
fn cache_config(variant: &VariantSpec) -> String {
    let engine = &variant.engine;
    let block_size = engine.block_size.max(1);
    let blocks = variant.kv_capacity_tokens / u64::from(block_size);
    let chosen = engine
        .gpu_blocks
        .map_or_else(|| "None".to_owned(), |blocks| blocks.to_string());
    let mut page = Page::new(&[
        ("block_size", &block_size.to_string()),
        ("cache_dtype", &engine.kv_cache_dtype),
        ("enable_prefix_caching", "True"),
        ("engine", "0"),
        (
            "gpu_memory_utilization",
            &engine.gpu_memory_utilization.to_string(),
        ),
        ("num_gpu_blocks", &blocks.to_string()),
        ("num_gpu_blocks_override", &chosen),
        ("sliding_window", "None"),
    ]);
    page.gauge("vllm:cache_config_info", 1.0);
    page.text
}

/// An endpoint picker's metrics, with flow control on.
pub(super) fn picker(pool: &str, model: &str, reading: &PickerReading) -> String {
    let of_pool = Page::new(&[("name", pool)]);
    let of_requests = Page::new(&[
        ("fairness_id", "default-flow"),
        ("model_name", model),
        ("priority", "0"),
        ("target_model_name", model),
    ]);
    let of_queue = Page::new(&[
        ("fairness_id", "default-flow"),
        ("inference_pool", pool),
        ("model_name", model),
        ("priority", "0"),
        ("target_model_name", model),
    ]);
    let mut page = of_pool;
    page.gauge("llm_d_epp_ready_endpoints", reading.endpoints as f64);
    if let Some(mean) = reading.mean {
        page.gauge("llm_d_epp_average_running_requests", mean.running);
        page.gauge("llm_d_epp_average_queue_size", mean.waiting);
        page.gauge("llm_d_epp_average_kv_cache_utilization", mean.kv_usage);
    }
    let mut requests = of_requests;
    requests.counter("llm_d_epp_request", reading.requests);
    requests.gauge("llm_d_epp_request_running", reading.open as f64);
    requests.histogram("llm_d_epp_request_ttft_seconds", &reading.ttft);
    let mut queue = of_queue;
    queue.gauge(
        "llm_d_epp_flow_control_queue_size",
        reading.queued_requests as f64,
    );
    queue.gauge(
        "llm_d_epp_flow_control_queue_bytes",
        reading.queued_bytes as f64,
    );
    page.text + &requests.text + &queue.text
}

/// Families that share their labels.
struct Page {
    labels: String,
    text: String,
}

impl Page {
    fn new(labels: &[(&str, &str)]) -> Self {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        Self {
            labels: labels.collect::<Vec<String>>().join(","),
            text: String::new(),
        }
    }

    fn gauge(&mut self, name: &str, value: f64) {
        self.kind(name, "gauge");
        self.sample(name, None, value);
    }

    /// The name is without the `_total` of its series.
    fn counter(&mut self, name: &str, value: u64) {
        let name = format!("{name}_total");
        self.kind(&name, "counter");
        self.sample(&name, None, value as f64);
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram) {
        self.kind(name, "histogram");
        let bucket = format!("{name}_bucket");
        for (bound, count) in histogram.cumulative() {
            let bound = format!("le=\"{}\"", number(bound));
            self.sample(&bucket, Some(&bound), count as f64);
        }
        self.sample(&format!("{name}_count"), None, histogram.count as f64);
        self.sample(&format!("{name}_sum"), None, histogram.sum);
    }

    fn kind(&mut self, name: &str, kind: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, label: Option<&str>, value: f64) {
        let comma = if label.is_some() { "," } else { "" };
        let (labels, label, value) = (&self.labels, label.unwrap_or_default(), number(value));
        let _ = writeln!(self.text, "{name}{{{labels}{comma}{label}}} {value}");
    }
}

/// As Python's client writes it: `1.0`, `0.025`, `+Inf`.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        format!("{value:?}")
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use trimtab_sim::live::{Arena, Live};

    use super::*;
    use crate::emulator::spec;
    use crate::fixtures::scenario::chat;

    fn pages() -> (String, String) {
        let spec = spec(&chat(5.0), 1.0).unwrap();
        let arena = Arena::default();
        let mut live = Live::new(&spec, &arena);
        live.set_replicas(0, 0, &BTreeSet::from(["pod".to_owned()]));
        live.advance(30.0);
        let pool = &spec.pools[0];
        let reading = live.engine(0, 0, "pod").unwrap();
        (
            engine(&pool.model, &pool.variants[0], &reading),
            picker(&pool.name, &pool.model, &live.picker(0).unwrap()),
        )
    }

    fn value(page: &str, series: &str) -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in\n{page}"))
            .trim()
            .parse()
            .unwrap()
    }

    #[test]
    fn series_have_vllms_names_and_labels() {
        let (page, _) = pages();
        let own = r#"{engine="0",model_name="Llama-3.1-8B"}"#;
        let finished = r#"vllm:request_success_total{engine="0",model_name="Llama-3.1-8B",finished_reason="stop"}"#;
        assert!(value(&page, finished) > 50.0);
        assert_eq!(
            value(
                &page,
                &format!("vllm:e2e_request_latency_seconds_count{own}")
            ),
            value(&page, finished)
        );
        let prompts = value(&page, &format!("vllm:request_prompt_tokens_sum{own}"));
        assert!(prompts > 50.0 * 300.0, "{prompts}");
        let last = r#"vllm:time_to_first_token_seconds_bucket{engine="0",model_name="Llama-3.1-8B",le="+Inf"}"#;
        assert!(value(&page, last) >= value(&page, finished));
        assert!(page.contains(r#"vllm:cache_config_info{block_size="16",cache_dtype="auto""#));
        assert!(page.contains(r#"le="0.001"} "#) && page.contains(r#"le="2560.0"} "#));
    }

    #[test]
    fn the_picker_counts_what_came_and_what_waits() {
        let (_, page) = pages();
        assert_eq!(
            value(&page, r#"llm_d_epp_ready_endpoints{name="chat"}"#),
            1.0
        );
        let requests = r#"llm_d_epp_request_total{fairness_id="default-flow",model_name="Llama-3.1-8B",priority="0",target_model_name="Llama-3.1-8B"}"#;
        assert!(value(&page, requests) > 100.0);
        let queue = r#"llm_d_epp_flow_control_queue_size{fairness_id="default-flow",inference_pool="chat",model_name="Llama-3.1-8B",priority="0",target_model_name="Llama-3.1-8B"}"#;
        assert_eq!(value(&page, queue), 0.0);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
