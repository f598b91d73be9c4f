//! Whole command lines, as charts and guides write them.

use super::*;
use crate::objects::template::Container;
use serde_json::{Value, json};

fn containers(containers: Value) -> Vec<Container> {
    serde_json::from_value(containers).unwrap()
}

fn script(script: &str) -> Vec<Container> {
    containers(json!([{"image": "registry/mirror", "command": ["sh", "-c"], "args": [script]}]))
}

fn model_of(containers: &[Container]) -> Option<String> {
    read(containers)?.model
}

#[test]
fn the_line_of_llm_ds_model_service_chart() {
    let line = containers(json!([{
        "name": "vllm",
        "image": "ghcr.io/llm-d/llm-d-cuda:v0.4.0",
        "command": ["vllm", "serve"],
        "args": [
            "Qwen/Qwen3-32B",
            "--port", "8200",
            "--served-model-name", "Qwen/Qwen3-32B",
            "--tensor-parallel-size", "2",
            "--block-size=128",
            "--kv-transfer-config",
            "{\"kv_connector\":\"NixlConnector\", \"kv_role\":\"kv_both\"}",
            "--disable-log-requests",
            "--disable-uvicorn-access-log",
            "--max-model-len", "32000",
        ],
        "env": [
            {"name": "VLLM_NIXL_SIDE_CHANNEL_HOST",
             "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "VLLM_LOGGING_LEVEL", "value": "INFO"},
        ],
    }]));
    let settings = read(&line).unwrap();
    assert_eq!(settings.model.as_deref(), Some("Qwen/Qwen3-32B"));
    let engine = settings.on("NVIDIA-H100-80GB-HBM3");
    assert_eq!((engine.tensor_parallel, engine.block_size), (2, 128));
    assert_eq!(engine.max_model_length, Some(32_000));
}

#[test]
fn the_script_of_llm_ds_wide_expert_parallelism() {
    let line = containers(json!([{
        "name": "vllm",
        "image": "ghcr.io/llm-d/llm-d-cuda:v0.4.0",
        "command": ["/bin/bash", "-c"],
        "args": ["source /opt/vllm/bin/activate\n\
            # it's the first rank of this pod; the leader's is 0\n\
            START_RANK=$(( ${LWS_WORKER_INDEX:-0} * DP_SIZE_LOCAL ))\n\
            if [ \"${LWS_WORKER_INDEX:-0}\" -eq 0 ]; then echo 'I am; the leader'; fi\n\
            exec vllm serve \\\n  deepseek-ai/DeepSeek-R1-0528 \\\n  --port 8200 \\\n  \
            --data-parallel-size $((LWS_GROUP_SIZE * DP_SIZE_LOCAL)) \\\n  \
            --data-parallel-start-rank $START_RANK \\\n  \
            --kv-transfer-config '{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\"}' \
            \\\n  --tensor-parallel-size ${TP_SIZE} \\\n  --max-num-seqs 512 2>&1 | tee /log\n"],
        "env": [{"name": "TP_SIZE", "value": "8"}, {"name": "DP_SIZE_LOCAL", "value": "1"}],
    }]));
    let settings = read(&line).unwrap();
    assert_eq!(
        settings.model.as_deref(),
        Some("deepseek-ai/DeepSeek-R1-0528")
    );
    let engine = settings.on("NVIDIA-H200");
    assert_eq!((engine.tensor_parallel, engine.max_sequences), (8, 512));
}

#[test]
fn the_modules_of_python_are_engines_too() {
    let line = containers(json!([{"image": "registry/mirror", "command": [
        "python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "org/m",
        "--max-num-seqs", "64", "--enforce-eager",
    ]}]));
    assert_eq!(model_of(&line).as_deref(), Some("org/m"));
    assert_eq!(engine_on("L4", &line).max_sequences, 64);
}

#[test]
fn images_that_start_the_engine_themselves_need_only_arguments() {
    let arguments =
        |args: Value| containers(json!([{"image": "vllm/vllm-openai:v0.12.0", "args": args}]));
    let model = |args: Value| model_of(&arguments(args));
    assert_eq!(model(json!(["--model", "org/m"])).as_deref(), Some("org/m"));
    assert_eq!(model(json!(["--model=org/m"])).as_deref(), Some("org/m"));
    let positional = json!(["org/m", "--max-model-len", "8192"]);
    assert_eq!(model(positional).as_deref(), Some("org/m"));
    assert_eq!(model(json!(["serve", "org/m"])).as_deref(), Some("org/m"));
    assert_eq!(model(json!(["--port", "8000"])), None);
    assert_eq!(model(json!([])), None);
}

#[test]
fn variables_before_a_command_are_not_part_of_it() {
    let line = script("VLLM_USE_DEEP_GEMM=1 HF_HOME=/cache exec vllm serve org/m -tp 4");
    assert_eq!(model_of(&line).as_deref(), Some("org/m"));
    assert_eq!(engine_on("L4", &line).tensor_parallel, 4);
}

#[test]
fn only_the_engines_own_command_is_read() {
    for line in [
        "huggingface-cli download --model other --max-num-seqs 1 && vllm serve org/m \
         --max-num-seqs 7",
        "cd /x; vllm serve org/m --max-num-seqs 7; sleep 1; curl --max-num-seqs 3",
        "vllm serve org/m --max-num-seqs 7 & wait",
        "vllm serve org/m --max-num-seqs 7;",
        "(vllm-warm --max-num-seqs 2) || true\nvllm serve org/m --max-num-seqs 7 > /log 2>&1",
        "# vllm serve other --max-num-seqs 1; don't\nvllm serve org/m --max-num-seqs 7 &>/log",
        "echo \"vllm; serve 'other'\" | tee /log\nexec vllm serve org/m --max-num-seqs 7",
    ] {
        let read = read(&script(line)).unwrap();
        assert_eq!(read.model.as_deref(), Some("org/m"), "{line}");
        assert_eq!(read.on("L4").max_sequences, 7, "{line}");
    }
}

#[test]
fn a_script_may_come_after_any_options_of_its_shell() {
    for shell in [
        json!(["/bin/bash", "--norc", "-ec"]),
        json!(["bash", "-o", "pipefail", "-lc"]),
        json!(["/usr/bin/env", "bash", "-c"]),
        json!(["tini", "--", "/bin/sh", "-euxc"]),
    ] {
        let line = containers(json!([
            {"image": "registry/mirror", "command": shell, "args": ["vllm serve org/m"]},
        ]));
        assert_eq!(model_of(&line).as_deref(), Some("org/m"));
    }
}

#[test]
fn a_script_with_an_open_quote_is_read_as_far_as_it_goes() {
    let line = script("vllm serve org/m --max-num-seqs 7 --chat-template 'x");
    assert_eq!(engine_on("L4", &line).max_sequences, 7);
}

#[test]
fn a_name_that_is_in_no_object_is_none() {
    for line in [
        "vllm serve $MODEL",
        "vllm serve ${MODEL}",
        "vllm serve $(cat /model)",
    ] {
        let settings = read(&script(line)).unwrap();
        assert_eq!(settings.model, None, "{line}");
    }
    let from = json!({"configMapKeyRef": {"name": "c", "key": "model"}});
    let line = containers(json!([{
        "image": "vllm/vllm-openai", "args": ["--model", "$(MODEL)"],
        "env": [{"name": "MODEL", "valueFrom": from}],
    }]));
    assert_eq!(model_of(&line), None);
}

#[test]
fn two_dollars_stand_for_one_and_no_variable() {
    let line = containers(json!([{
        "image": "vllm/vllm-openai", "args": ["--model=m", "--max-num-seqs=$$(SEQS)"],
        "env": [{"name": "SEQS", "value": "7"}],
    }]));
    assert_eq!(engine_on("L4", &line).max_sequences, 256);
}

#[test]
fn sidecars_before_and_after_hide_nothing() {
    let engine = json!({
        "image": "vllm/vllm-openai:v0.11.0", "args": ["--model", "org/m", "--max-num-seqs", "9"],
    });
    let proxy = json!({
        "image": "ghcr.io/llm-d/llm-d-routing-sidecar:v0.3.0",
        "args": ["--port=8000", "--vllm-port=8200", "--connector=nixlv2"],
    });
    let exporter = json!({"image": "registry/vllm-exporter:1", "args": ["--port", "9100"]});
    for line in [
        json!([proxy, engine]),
        json!([engine, proxy]),
        json!([exporter, engine]),
        json!([engine, exporter]),
        json!([proxy, exporter, engine, exporter, proxy]),
    ] {
        let line = containers(line);
        assert_eq!(model_of(&line).as_deref(), Some("org/m"));
        assert_eq!(engine_on("L4", &line).max_sequences, 9);
    }
}

#[test]
fn of_several_names_the_first_is_that_of_the_metrics() {
    let line = script("vllm serve org/m --served-model-name first second --port 80");
    assert_eq!(model_of(&line).as_deref(), Some("first"));
}

#[test]
fn lengths_are_read_with_their_units() {
    let length = |written: &str| {
        let line = script(&format!("vllm serve m --max-model-len {written}"));
        engine_on("L4", &line).max_model_length
    };
    assert_eq!(length("8k"), Some(8_000));
    assert_eq!(length("8K"), Some(8_192));
    assert_eq!(length("25.6k"), Some(25_600));
    assert_eq!(length("1m"), Some(1_000_000));
    for none in [
        "auto",
        "-1",
        "0",
        "99999999999999",
        "8kk",
        "1e999",
        "k",
        "K8",
    ] {
        assert_eq!(length(none), None, "{none}");
    }
}

#[test]
fn settings_of_an_iteration_are_no_more_than_its_requests_may_have() {
    let line = script("vllm serve m --max-model-len 100 --max-num-seqs 4");
    assert_eq!(engine_on("NVIDIA-H100-NVL", &line).max_batched_tokens, 400);
}

#[test]
fn a_part_of_a_large_card_is_a_small_one() {
    let line = script("vllm serve m");
    let batched = |card: &str| engine_on(card, &line).max_batched_tokens;
    assert_eq!(batched("NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"), 2048);
    assert_eq!(batched("NVIDIA-H100-80GB-HBM3-MIG-7g.80gb"), 8192);
    assert_eq!(batched("NVIDIA-A100-SXM4-80GB-MIG-7g.80gb"), 2048);
    assert_eq!(batched("nvidia-h100-80gb"), 8192);
}

#[test]
fn sglang_and_the_simulator_are_known_by_their_programs_too() {
    let sglang =
        script("python3 -m sglang.launch_server --model-path org/m --tp-size=2 --page-size 16");
    let settings = read(&sglang).unwrap();
    assert_eq!(
        (settings.kind, settings.model.as_deref()),
        (Kind::Sglang, Some("org/m"))
    );
    let engine = settings.on("L4");
    assert_eq!((engine.tensor_parallel, engine.block_size), (2, 16));
    let simulator = containers(json!([{
        "image": "registry/mirror", "command": ["/app/llm-d-inference-sim"],
        "args": ["--model", "m", "--max-num-seqs", "8"],
    }]));
    assert_eq!(read(&simulator).unwrap().kind, Kind::Simulator);
    assert_eq!(engine_on("L4", &simulator).max_sequences, 8);
}

#[test]
fn flags_without_values_do_not_swallow_others() {
    let words = "vllm serve org/m --enforce-eager --no-enable-chunked-prefill --trust-remote-code \
                 --rope-scaling -1 --max-num-seqs 3 --max-num-seqs 5";
    let engine = engine_on("L4", &script(words));
    assert_eq!((engine.chunked_prefill, engine.max_sequences), (false, 5));
}
