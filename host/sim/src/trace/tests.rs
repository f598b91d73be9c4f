//! Trace files of each format, and what a bad line is told.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<Trace, String> {
    parse(Path::new("t.csv"), text.as_bytes()).map_err(|error| error.to_string())
}

fn times(trace: &Trace) -> Vec<f64> {
    trace
        .requests
        .iter()
        .map(|r| (r.at_seconds * 1e6).round() / 1e6)
        .collect()
}

fn lengths(trace: &Trace) -> Vec<(u32, u32)> {
    trace
        .requests
        .iter()
        .map(|r| (r.input_tokens, r.output_tokens))
        .collect()
}

const BURST_GPT: &str = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n";

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

#[test]
fn azure_wall_clock_starts_at_zero() {
    let trace = parsed(&format!(
        "{AZURE}2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8"
    ))
    .unwrap();
    assert_eq!(times(&trace), [0.0, 0.052]);
    assert_eq!(lengths(&trace), [(4808, 10), (3180, 8)]);
    assert!(
        (trace.duration_seconds - 0.104).abs() < 1e-6,
        "{}",
        trace.duration_seconds
    );
}

#[test]
fn azure_of_2024_has_a_zone() {
    let trace = parsed(&format!(
        "\u{feff}{AZURE}2024-05-10 00:00:00.009930+00:00,2162,5\r\n2024-05-10 00:00:01.5+00:00,2399,6\r\n"
    ))
    .unwrap();
    assert_eq!(times(&trace), [0.0, 1.49007]);
}

#[test]
fn unsorted_requests_are_put_in_order() {
    let trace = parsed(&format!(
        "{AZURE}2023-11-16 18:00:02,2,2\n2023-11-16 18:00:01,1,1\n2023-11-16 18:00:03,3,3\n"
    ))
    .unwrap();
    assert_eq!(times(&trace), [0.0, 1.0, 2.0]);
    assert_eq!(lengths(&trace), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(trace.duration_seconds, 3.0);
}

#[test]
fn lengths_of_zero_become_one_token() {
    let trace = parsed(&format!(
        "{AZURE}2023-11-16 18:00:02,0,2\n2023-11-16 18:00:03,5,0\n"
    ))
    .unwrap();
    assert_eq!(lengths(&trace), [(1, 2), (5, 1)]);
}

#[test]
fn burst_gpt_failures_are_skipped_and_counted() {
    let trace = parsed(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
         5,ChatGPT,472,18,490,Conversation log\n\
         45,ChatGPT,1087,0,1087,Conversation log\n\
         118.5,GPT-4,417,276,693,API log\n",
    )
    .unwrap();
    assert_eq!(times(&trace), [0.0, 113.5]);
    assert_eq!(lengths(&trace), [(472, 18), (417, 276)]);
    assert_eq!(trace.skipped, 1);
}

#[test]
fn mooncake_bins_are_spread_evenly() {
    let line = |at: u32, blocks: &str| {
        format!(
            "{{\"timestamp\": {at}, \"input_length\": 9, \"output_length\": 3, \"hash_ids\": [{blocks}]}}\n"
        )
    };
    let text = [
        line(3000, "0, 7"),
        line(3000, ""),
        line(3001, "1"),
        line(8999, ""),
    ]
    .concat();
    let trace = parsed(&text).unwrap();
    assert_eq!(times(&trace), [0.5, 1.5, 2.5, 7.5]);
    assert_eq!(*trace.requests[0].prefix_blocks, [0, 7]);
    assert_eq!(trace.duration_seconds, 9.0);
}

#[test]
fn finer_mooncake_timestamps_stay_as_they_are() {
    let trace = parsed(
        "{\"timestamp\": 100, \"input_length\": 9, \"output_length\": 3}\n\n\
         {\"timestamp\": 600, \"input_length\": 9, \"output_length\": 3}",
    )
    .unwrap();
    assert_eq!(times(&trace), [0.0, 0.5]);
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(parsed(text).unwrap_err(), message);
}

#[test]
fn a_bad_line_names_file_line_and_column() {
    let expected = "expected `TIMESTAMP,ContextTokens,GeneratedTokens`, e.g. \
                    `2023-11-16 18:17:03.9799600,4808,10`";
    let azure = |line: &str, problem: &str| {
        let text = format!("{AZURE}2023-11-16 18:00:02,2,2\n{line}\n");
        refused(&text, &format!("t.csv:3: {problem}; {expected}"));
    };
    azure(
        "yesterday,1,1",
        "`TIMESTAMP` is `yesterday`, not a date and time",
    );
    azure(
        "2023-11-16 18:00:02,1.5,1",
        "`ContextTokens` is `1.5`, not a whole number of tokens up to 10000000",
    );
    azure(
        "2023-11-16 18:00:02,1,-3",
        "`GeneratedTokens` is `-3`, not a whole number of tokens up to 10000000",
    );
    azure(
        "2023-11-16 18:00:02,1",
        "the line ends before column `GeneratedTokens`",
    );
    refused(
        "TIMESTAMP,ContextTokens\n2023-11-16 18:00:02,1\n",
        &format!("t.csv:1: no column `GeneratedTokens` in the header; {expected}"),
    );
    refused(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\nNaN,x,1,1,2,y\n",
        "t.csv:2: `Timestamp` is `NaN`, not seconds; expected `Timestamp,Model,Request tokens,\
         Response tokens,Total tokens,Log Type`, e.g. `5,ChatGPT,472,18,490,Conversation log`",
    );
}

#[test]
fn a_bad_json_line_names_file_line_and_column() {
    let good = "{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 3}\n";
    let error = parsed(&format!(
        "{good}\n{{\"timestamp\": 0, \"input_length\": 9}}"
    ))
    .unwrap_err();
    assert!(
        error.starts_with("t.csv:3: missing field `output_length` at column 35; expected e.g."),
        "{error}"
    );
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let mut text = format!("{AZURE}2023-11-16 18:00:02,2,").into_bytes();
    text.extend(b"\xff\xfe\n");
    let error = parse(Path::new("t.csv"), &text[..])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("t.csv:2: not UTF-8 text; expected"),
        "{error}"
    );
    let error = parse(Path::new("t.csv"), &b"{}\n\xff"[..])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("t.csv:1: missing field `timestamp`"),
        "{error}"
    );
    let good = "{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 3}\n".as_bytes();
    let error = parse(Path::new("t.csv"), &[good, b"\xff"].concat()[..])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("t.csv:2: not UTF-8 text; expected"),
        "{error}"
    );
}

#[test]
fn traces_without_a_span_of_time_are_refused() {
    refused(
        "",
        "t.csv: the file is empty; expected a trace of at least two requests",
    );
    let zero = |text: String, content: &str| {
        refused(
            &text,
            &format!(
                "t.csv: a trace of zero length: {content}; expected at least two requests at \
                 different times"
            ),
        );
    };
    zero(AZURE.to_owned(), "no line follows the header");
    zero(
        format!("{AZURE}2023-11-16 18:00:02,2,2\n"),
        "it has one request",
    );
    zero(
        format!("{AZURE}2023-11-16 18:00:02,2,2\n2023-11-16 18:00:02,2,2\n"),
        "it has 2 requests, all at one instant",
    );
    zero(
        format!("{BURST_GPT}5,ChatGPT,472,0,472,API log\n9,ChatGPT,472,0,472,API log\n"),
        "all of its requests failed (2), and failed ones are skipped",
    );
}

#[test]
fn times_that_no_trace_can_have_are_refused_with_their_line() {
    let starts = |text: &str, start: &str| {
        let error = parsed(text).unwrap_err();
        assert!(error.starts_with(start), "{error}");
    };
    let mooncake =
        |at: &str| format!("{{\"timestamp\": {at}, \"input_length\": 9, \"output_length\": 3}}\n");
    starts(
        &format!("{AZURE}2023-11-16 18:00:02,2,2\n9999-12-30 18:00:02,2,2\n"),
        "t.csv:3: the time is 253402192802 s from the clock's zero; at most 1e10 s",
    );
    starts(
        &format!("{BURST_GPT}5,ChatGPT,472,18,490,API log\n1e18,ChatGPT,472,18,490,API log\n"),
        "t.csv:3: the time is 1e18 s from the clock's zero; at most 1e10 s",
    );
    starts(
        &[mooncake("0"), mooncake("1e300")].concat(),
        "t.csv:2: the time is 1e297 s from the clock's zero; at most 1e10 s",
    );
    starts(
        &[mooncake("0"), mooncake("-1e300")].concat(),
        "t.csv:2: the time is -1e297 s from the clock's zero; at most 1e10 s",
    );
    starts(
        &format!(
            "{AZURE}2023-11-16 18:00:02,2,2\n2023-11-17 18:00:02,2,2\n2022-11-15 18:00:02,2,2\n"
        ),
        "t.csv:4: the time is 367 days away from that of line 3; at most 366 are possible",
    );
    let year = format!("{AZURE}2023-11-16 18:00:02,2,2\n2024-11-16 18:00:02,2,2\n");
    let duration = parsed(&year).unwrap().duration_seconds;
    assert_eq!(duration, 2.0 * 366.0 * 86_400.0);
}

#[test]
fn lengths_that_no_request_has_are_refused() {
    let error = parsed(&format!("{AZURE}2023-11-16 18:00:02,4000000000,2\n")).unwrap_err();
    let problem = "`ContextTokens` is `4000000000`, not a whole number of tokens up to 10000000";
    assert!(error.contains(problem), "{error}");
    let long = "{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 4000000000}";
    let error = parsed(long).unwrap_err();
    let problem = "t.csv:1: `output_length` is 4000000000, not a number of tokens up to 10000000";
    assert!(error.starts_with(problem), "{error}");
}

#[test]
fn lists_are_no_lines_of_mooncake() {
    let error =
        parsed("{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 3}\n[3000, 9, 3, []]\n");
    let error = error.unwrap_err();
    assert!(
        error.starts_with("t.csv:2: the line is not an object; expected"),
        "{error}"
    );
}

#[test]
fn compressed_files_are_told_so() {
    for (start, with) in [
        (&b"\x1f\x8b\x08\x00\n"[..], "gzip"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"PK\x03\x04\x14", "zip"),
    ] {
        let error = parse(Path::new("t.csv"), start).unwrap_err().to_string();
        let wanted = format!("t.csv: compressed with {with}; expected plain text: unpack it first");
        assert_eq!(error, wanted);
    }
}

#[test]
fn foreign_text_in_messages_is_short_and_visible() {
    let shown = |bytes: &[u8]| parse(Path::new("t.csv"), bytes).unwrap_err().to_string();
    let binary = shown(b"\x00\x1b[2J\x07,\x9b\xff\n");
    assert!(!binary.contains(char::is_control), "{binary:?}");
    assert!(binary.contains("`\\u{0}\\u{1b}[2J\\u{7},"), "{binary}");
    let digits = "9".repeat(300);
    for text in [
        format!("{AZURE}{digits},2,2\n"),
        format!("{AZURE}2023-11-16 18:00:02,{digits},2\n"),
        format!("{BURST_GPT}{digits}x,ChatGPT,472,0,472,API log\n"),
        format!("{{\"timestamp\": \"{digits}{digits}\"}}\n"),
        digits.clone(),
    ] {
        let error = shown(text.as_bytes());
        assert!(error.len() < 700, "{error}");
    }
}

#[test]
fn unknown_formats_name_the_known_ones() {
    let blank = parsed("\n\n").unwrap_err();
    assert!(
        blank.contains("its first line is blank; expected"),
        "{blank}"
    );
    let error = parsed("a,b,c\n1,2,3\n").unwrap_err();
    assert!(error.starts_with("t.csv: not a trace that is known here: its first line is `a,b,c`"));
    assert!(
        error.contains("(Azure)") && error.contains("(BurstGPT)") && error.contains("(Mooncake)")
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("no/such.csv")).unwrap_err();
    assert_eq!(error.to_string(), "trace no/such.csv cannot be read");
}

fn arrival(at_seconds: f64, block: u32) -> Arrival {
    Arrival {
        at_seconds,
        input_tokens: 10,
        output_tokens: 5,
        prefix_blocks: [block].into(),
    }
}

#[test]
fn repeats_follow_one_another() {
    let twice = repeat(&[arrival(1.0, 0), arrival(2.0, 0)], 2, 10.0);
    let at: Vec<f64> = twice.iter().map(|a| a.at_seconds).collect();
    assert_eq!(at, [1.0, 2.0, 11.0, 12.0]);
}

#[test]
fn copies_keep_their_prefix_blocks_apart() {
    let copies = rate_scale(&[arrival(1.0, 0), arrival(2.0, 4)], 2.0, 0.0, 1, 10.0);
    let mut blocks: Vec<u32> = copies.iter().map(|a| a.prefix_blocks[0]).collect();
    blocks.sort_unstable();
    assert_eq!(blocks, [0, 4, 5, 9]);
}

#[test]
fn a_fraction_thins_the_last_copy() {
    let whole: Vec<Arrival> = (0..10_000).map(|i| arrival(f64::from(i), 0)).collect();
    let scaled = rate_scale(&whole, 2.5, 300.0, 7, 10_000.0).len();
    assert!((24_800..25_200).contains(&scaled), "{scaled}");
    let thinned = rate_scale(&whole, 0.1, 300.0, 7, 10_000.0);
    assert!((900..1_100).contains(&thinned.len()), "{}", thinned.len());
    assert!(
        thinned.iter().all(|a| whole.contains(a)),
        "the first copy is not moved"
    );
}

proptest! {
    #[test]
    fn scaled_traces_stay_inside_their_duration_in_order(
        factor in 0.1..6.0f64,
        spread in 0.0..500.0f64,
        seed in any::<u64>(),
        at in prop::collection::vec(0.0..100.0f64, 1..50),
    ) {
        let mut arrivals: Vec<Arrival> = at.iter().map(|&at| arrival(at, 3)).collect();
        arrivals.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds));
        let scaled = rate_scale(&arrivals, factor, spread, seed, 100.0);
        prop_assert!(scaled.iter().all(|a| (0.0..100.0).contains(&a.at_seconds)));
        prop_assert!(scaled.is_sorted_by_key(|a| a.at_seconds));
        prop_assert!(scaled.len() >= arrivals.len() * factor.floor() as usize);
        prop_assert_eq!(&scaled, &rate_scale(&arrivals, factor, spread, seed, 100.0));
    }
}
