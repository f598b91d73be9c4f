//! Metrics of endpoint pickers. A picker exports old spellings beside the new: see [`Source`].

use super::Source::{
    InferenceExtension, InferenceModel, InferenceObjective, InferencePool, LlmDEpp,
};
use super::engines::RUNNING;
use super::{Detail, Name, Quantity, Reading, Row, Topic, picker};

pub(super) const ROWS: &[Row] = &[
    row(
        Quantity::Arrivals,
        Topic::PickerRequests,
        Reading::RateShort,
        "requests that arrive per second",
        &[
            picker(LlmDEpp, "llm_d_epp_request_total"),
            picker(InferenceObjective, "inference_objective_request_total"),
            // Gateway API inference extension 1.0 and 1.1.
            picker(InferenceModel, "inference_model_request_total"),
        ],
    ),
    row(
        Quantity::QueuedRequests,
        Topic::PickerQueue,
        Reading::LastSum,
        "requests in the flow-control queue",
        &[
            picker(LlmDEpp, "llm_d_epp_flow_control_queue_size"),
            picker(
                InferenceExtension,
                "inference_extension_flow_control_queue_size",
            ),
        ],
    ),
    row(
        Quantity::QueuedBytes,
        Topic::PickerQueue,
        Reading::LastSum,
        "bytes of prompt in the flow-control queue",
        &[
            picker(LlmDEpp, "llm_d_epp_flow_control_queue_bytes"),
            picker(
                InferenceExtension,
                "inference_extension_flow_control_queue_bytes",
            ),
        ],
    ),
    // Its value is not used: a passive picker reports 1.
    row(
        Quantity::Saturation,
        Topic::PickerQueue,
        Reading::LastSum,
        "there where flow control is on: then no queue series means an empty queue",
        &[
            picker(LlmDEpp, "llm_d_epp_flow_control_pool_saturation"),
            picker(
                InferenceExtension,
                "inference_extension_flow_control_pool_saturation",
            ),
        ],
    ),
    row(
        Quantity::ReadyEndpoints,
        Topic::PickerQueue,
        Reading::LastSum,
        "names the pool that a picker pod serves",
        &[
            picker(LlmDEpp, "llm_d_epp_ready_endpoints"),
            picker(InferencePool, "inference_pool_ready_pods"),
        ],
    ),
    // A request that does not stream has no first token of its own: there it is the whole answer.
    row(
        Quantity::PickerTtftSum,
        Topic::PickerLatency,
        Reading::RateShort,
        "seconds to first tokens, the picker's queue included, per second",
        &[picker(
            LlmDEpp,
            r#"llm_d_epp_request_ttft_seconds_sum{streaming!="false"}"#,
        )],
    ),
    row(
        Quantity::PickerTtftCount,
        Topic::PickerLatency,
        Reading::RateShort,
        "first tokens per second",
        &[picker(
            LlmDEpp,
            r#"llm_d_epp_request_ttft_seconds_count{streaming!="false"}"#,
        )],
    ),
    row(
        Quantity::PickerTtftBucket,
        Topic::PickerLatency,
        Reading::Buckets,
        "distribution of the time to first token, in seconds",
        &[picker(
            LlmDEpp,
            r#"llm_d_epp_request_ttft_seconds_bucket{streaming!="false"}"#,
        )],
    ),
    row(
        Quantity::PickerItlBucket,
        Topic::PickerLatency,
        Reading::Buckets,
        "distribution over requests of their mean time between tokens, in seconds",
        &[picker(
            LlmDEpp,
            "llm_d_epp_request_streaming_tpot_seconds_bucket",
        )],
    ),
    row(
        Quantity::InFlight,
        Topic::PickerInFlight,
        Reading::Mean,
        "requests that the picker has sent to engines and has no end of yet",
        &[
            picker(LlmDEpp, "llm_d_epp_request_running"),
            picker(InferenceObjective, "inference_objective_running_requests"),
            picker(InferenceModel, "inference_model_running_requests"),
        ],
    ),
    // To hold against the picker's count: pods on their way out are in both.
    Row {
        quantity: Quantity::EnginesRunning,
        topic: Topic::PickerInFlight,
        reading: Reading::Mean,
        detail: Detail::Model,
        meaning: "requests in the running batches of a model's engines",
        names: RUNNING,
    },
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
        detail: Detail::Picker,
        meaning,
        names,
    }
}
