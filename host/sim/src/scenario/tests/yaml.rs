//! What is said of YAML that is not of the format.

use super::*;

#[test]
fn a_key_that_stands_twice_is_named() {
    refused(
        "model: Llama-3.1-8B",
        "model: Llama-3.1-8B\n    model: Mistral-7B",
        "s.yaml: pools[0].model: the key stands here twice; expected it once at line 7, column 5",
    );
    refused(
        "name: small",
        "name: small\nname: large",
        "s.yaml: name: the key stands here twice; expected it once at line 2, column 1",
    );
}

#[test]
fn counts_and_numbers_that_are_none_are_told_what_would_be_right() {
    let count = "s.yaml: pools[0].variants[1].min-replicas: not a plausible whole number of 0 or \
                 more at line 16, column 55";
    for wrong in ["-1", "1.5", "99999999999", "many", "~"] {
        refused("min-replicas: 1", &format!("min-replicas: {wrong}"), count);
    }
    refused(
        "rate: 30",
        "rate: many",
        "s.yaml: pools[0].workload.generate.arrivals[0].poisson.rate: not a number at line 10, \
         column 36",
    );
    let digits = "9".repeat(300);
    let error = resolved(&SMALL.replace("rate: 30", &format!("rate: {digits}"))).unwrap_err();
    assert!(error.len() < 200, "{error}");
    let error = resolved(&SMALL.replace("min-replicas", &digits)).unwrap_err();
    assert!(error.len() < 900, "{error}");
}

#[test]
fn text_that_looks_like_a_number_has_to_be_quoted() {
    refused(
        "name: small",
        "name: 5",
        "s.yaml: name: `5` is not text; expected text, in quotes where it looks like something \
         else: \"5\" at line 1, column 7",
    );
    resolved(&SMALL.replace("name: small", "name: \"5\"")).unwrap();
    refused(
        "rate: 30",
        "rate: \"30\"",
        "s.yaml: pools[0].workload.generate.arrivals[0].poisson.rate: invalid type: string \"30\", \
         expected f64",
    );
    refused(
        "name: small",
        "name: ~",
        "s.yaml: name: nothing is given; expected text at line 1, column 7",
    );
}

#[test]
fn a_thing_of_several_kinds_has_exactly_one() {
    let workload = |text: &str| {
        let (head, tail) = SMALL.split_once("    workload:").unwrap();
        let variants = tail.split_once("    variants:").unwrap().1;
        let yaml = format!("{head}    workload: {text}\n    variants:{variants}");
        resolved(&yaml).unwrap_err()
    };
    assert_eq!(
        workload("{}"),
        "s.yaml: pools[0].workload: expected one of `trace`, `generate` at line 8, column 16"
    );
    assert_eq!(
        workload("{trace: {file: x.csv}, generate: {}}"),
        "s.yaml: pools[0].workload: has several keys; expected only one of `trace`, `generate` at \
         line 8, column 38"
    );
    let error = resolved(&SMALL.replace("poisson: {rate: 30}", "{}")).unwrap_err();
    assert!(
        error.starts_with(
            "s.yaml: pools[0].workload.generate.arrivals[0]: expected one of `poisson`, `bursts`, \
             `daily-cycle`, `ramp`, `step` at line"
        ),
        "{error}"
    );
}

#[test]
fn structures_are_told_apart_in_words() {
    refused(
        "{ttft-seconds: 1, itl-seconds: 0.05}",
        "[1, 0.05]",
        "s.yaml: pools[0].objective: expected keys with values at line 7, column 16",
    );
    refused(
        "name: small",
        "name: small\npolicies: {analyzer: {settings: [1]}}",
        "s.yaml: policies.analyzer.settings: expected keys with values at line 2, column 33",
    );
}

#[test]
fn names_cannot_steer_a_terminal() {
    refused(
        "name: small",
        "name: \"a\\e[31m\"",
        "s.yaml: name: is `a\\u{1b}[31m`; expected a name without control characters",
    );
    refused(
        "name: a100",
        "name: \"\\0\"",
        "s.yaml: pools[0].variants[1].name: is `\\u{0}`; expected a name without control characters",
    );
}
