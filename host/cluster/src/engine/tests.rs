//! Command lines as they are found in the field, and what they mean.

mod lines;

use super::*;
use crate::objects::template::Variable;

fn container(image: &str, command: &[&str], args: &[&str]) -> Container {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Container {
        image: Some(image.to_owned()),
        command: words(command),
        args: words(args),
        ..Container::default()
    }
}

fn with(mut container: Container, variables: &[(&str, &str)]) -> Container {
    container.env = variables
        .iter()
        .map(|(name, value)| Variable {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        })
        .collect();
    container
}

fn engine_on(accelerator: &str, containers: &[Container]) -> Engine {
    read(containers).unwrap().on(accelerator)
}

#[test]
fn both_forms_of_a_flag_and_both_spellings_of_its_name_are_read() {
    let line = container(
        "vllm/vllm-openai:v0.11.0",
        &["vllm", "serve", "meta-llama/Llama-3.1-8B"],
        &[
            "--max-num-batched-tokens=4096",
            "--max_num_seqs",
            "128",
            "-tp",
            "2",
            "--gpu-memory-utilization",
            "0.85",
            "--block-size=32",
            "--kv-cache-dtype",
            "fp8",
            "--max-model-len",
            "8k",
            "--num-gpu-blocks-override",
            "5000",
        ],
    );
    assert_eq!(
        read(std::slice::from_ref(&line)).unwrap().model.as_deref(),
        Some("meta-llama/Llama-3.1-8B")
    );
    assert_eq!(
        engine_on("NVIDIA-H100-80GB-HBM3", &[line]),
        Engine {
            max_batched_tokens: 4096,
            max_sequences: 128,
            max_model_length: Some(8000),
            tensor_parallel: 2,
            block_size: 32,
            gpu_blocks: Some(5000),
            gpu_memory_utilization: 0.85,
            kv_cache_dtype: "fp8".to_owned(),
            chunked_prefill: true,
        }
    );
}

#[test]
fn defaults_are_those_of_the_card() {
    let line = [container("vllm/vllm-openai", &["vllm", "serve", "m"], &[])];
    let limits = |card| {
        let engine = engine_on(card, &line);
        (engine.max_batched_tokens, engine.max_sequences)
    };
    assert_eq!(limits("NVIDIA-H100-80GB-HBM3"), (8192, 1024));
    assert_eq!(limits("AMD_Instinct_MI300X_OAM"), (8192, 1024));
    assert_eq!(limits("NVIDIA-A100-SXM4-80GB"), (2048, 256));
    assert_eq!(limits("unresolved"), (2048, 256));
}

#[test]
fn without_chunks_a_whole_prompt_fits_into_an_iteration() {
    let line = |flag| {
        let words = ["--model", "m", "--max-model-len", "32K", flag];
        engine_on("L40S", &[container("vllm", &[], &words)])
    };
    let whole = line("--no-enable-chunked-prefill");
    assert_eq!(
        (whole.chunked_prefill, whole.max_batched_tokens),
        (false, 32_768)
    );
    let chunked = line("--enable-chunked-prefill");
    assert_eq!(
        (chunked.chunked_prefill, chunked.max_batched_tokens),
        (true, 2048)
    );
}

#[test]
fn the_old_engine_does_not_split_prompts_unless_told_to() {
    let old = |args: &[&str]| {
        let line = with(
            container("vllm", &["vllm", "serve", "m"], args),
            &[("VLLM_USE_V1", "0")],
        );
        read(&[line]).unwrap().chunked_prefill
    };
    assert!(!old(&[]));
    assert!(old(&["--enable-chunked-prefill"]));
}

#[test]
fn scripts_in_a_shell_are_read_with_quotes_newlines_and_variables() {
    let script = "set -e\nexec vllm serve \"$MODEL\" \\\n  --served-model-name 'my model' \\\n  \
                  --max-num-seqs ${SEQS} --tensor-parallel-size ${TP:-4} # --max-num-seqs 1";
    let line = with(
        container("some/mirror", &["/bin/bash", "-ec"], &[script]),
        &[("MODEL", "org/m"), ("SEQS", "64")],
    );
    let settings = read(&[line]).unwrap();
    assert_eq!(settings.model.as_deref(), Some("my model"));
    let engine = settings.on("L4");
    assert_eq!((engine.max_sequences, engine.tensor_parallel), (64, 4));
}

#[test]
fn variables_of_kubernetes_are_put_in() {
    let line = with(
        container(
            "vllm",
            &["vllm", "serve"],
            &["$(MODEL)", "--max-num-seqs=$(SEQS)", "--x=$$(Y)"],
        ),
        &[("MODEL", "org/m"), ("SEQS", "7")],
    );
    let settings = read(&[line]).unwrap();
    assert_eq!(settings.model.as_deref(), Some("org/m"));
    assert_eq!(settings.on("L4").max_sequences, 7);
}

#[test]
fn sglang_speaks_its_own_flags() {
    let line = |more: &[&str]| {
        let mut words = vec![
            "-m",
            "sglang.launch_server",
            "--model-path",
            "org/m",
            "--tp",
            "2",
        ];
        words.extend(more);
        [container("lmsysorg/sglang:v0.5", &["python3"], &words)]
    };
    let engine = engine_on(
        "NVIDIA-H100-80GB-HBM3",
        &line(&[
            "--mem-fraction-static",
            "0.8",
            "--chunked-prefill-size",
            "4096",
            "--max-running-requests",
            "48",
            "--max-total-tokens",
            "100000",
        ]),
    );
    assert_eq!(
        engine,
        Engine {
            max_batched_tokens: 4096,
            max_sequences: 48,
            max_model_length: None,
            tensor_parallel: 2,
            block_size: 1,
            gpu_blocks: Some(100_000),
            gpu_memory_utilization: 0.8,
            kv_cache_dtype: "auto".to_owned(),
            chunked_prefill: true,
        }
    );
    let whole = engine_on("L40S", &line(&["--chunked-prefill-size", "-1"]));
    assert_eq!(
        (whole.chunked_prefill, whole.max_batched_tokens),
        (false, 16_384)
    );
}

#[test]
fn the_simulator_has_its_own_defaults() {
    let line = [container(
        "ghcr.io/llm-d/llm-d-inference-sim:v0.6",
        &[],
        &["--model", "m"],
    )];
    let engine = engine_on("unresolved", &line);
    assert_eq!((engine.max_sequences, engine.gpu_blocks), (5, Some(1024)));
    assert_eq!(engine.max_model_length, Some(1024));
}

#[test]
fn a_container_without_an_engine_says_nothing_and_hides_nobody() {
    let sidecar = container("envoyproxy/envoy", &["envoy"], &["-c", "/etc/envoy.yaml"]);
    assert_eq!(read(std::slice::from_ref(&sidecar)), None);
    let engine = container("vllm/vllm-openai", &[], &["--model=m", "--max-num-seqs=9"]);
    assert_eq!(engine_on("L4", &[engine, sidecar]).max_sequences, 9);
}

#[test]
fn numbers_that_are_none_leave_the_default() {
    let line = [container(
        "vllm",
        &[],
        &[
            "--model",
            "m",
            "--max-num-seqs",
            "many",
            "--block-size",
            "-3",
            "--gpu-memory-utilization",
            "1.7",
            "--tensor-parallel-size",
            "0",
            "--max-model-len",
            "-1",
        ],
    )];
    let engine = engine_on("L4", &line);
    assert_eq!((engine.max_sequences, engine.block_size), (256, 16));
    assert_eq!(
        (engine.gpu_memory_utilization, engine.tensor_parallel),
        (0.9, 1)
    );
    assert_eq!(engine.max_model_length, None);
}
