//! Guests whose answers no compiler would write: the bytes of the component ABI are laid out here
//! by hand. An answer costs the host no more than its limit, whatever it claims.

use trimtab_core::policies::{CallError, Fault, FaultKind};
use trimtab_sandbox::{Limits, LoadError, Policy, Reason, Scaled};

use super::given::{GUEST, SANDBOX, analyze, fault};

/// Where the answer lies in the guest's memory; before it there are zeros: an empty descriptor.
const ANSWER: u32 = 1_024;
/// Where what the answer points to lies.
const DATA: u32 = 2_048;
/// Where arguments are put: above everything else.
const HEAP: u32 = 1 << 20;

/// An analyzer as a core module in text, with parts to replace.
pub(super) struct Layout {
    /// The bytes at [`ANSWER`]; empty is an empty analysis.
    answer: Vec<u8>,
    /// The bytes at [`DATA`].
    data: Vec<u8>,
    /// Body of `describe`, which returns a pointer.
    describe: String,
    /// Body of `analyze`, which returns a pointer.
    analyze: String,
    /// Body of the function that finds room for the arguments.
    realloc: String,
    /// Declarations besides.
    besides: String,
    pages: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            answer: Vec::new(),
            data: Vec::new(),
            describe: "i32.const 0".into(),
            analyze: format!("i32.const {ANSWER}"),
            // Bumps a pointer, to a multiple of eight.
            realloc: "global.get $heap
                (global.set $heap (i32.and
                    (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 7))
                    (i32.const -8)))"
                .into(),
            besides: String::new(),
            pages: 32,
        }
    }
}

impl Layout {
    pub(super) fn component(&self) -> Vec<u8> {
        let Self {
            describe,
            analyze,
            realloc,
            besides,
            pages,
            ..
        } = self;
        let (answer, data) = (escaped(&self.answer), escaped(&self.data));
        let text = format!(
            r#"(module
                (memory (export "memory") {pages})
                (global $heap (mut i32) (i32.const {HEAP}))
                (data (i32.const {ANSWER}) "{answer}")
                (data (i32.const {DATA}) "{data}")
                {besides}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "trimtab:policy/analyzer@0.1.0#describe") (result i32) {describe})
                (func (export "trimtab:policy/analyzer@0.1.0#analyze") (param i32) (result i32)
                    {analyze}))"#
        );
        let module = wat::parse_str(text).expect("the test's module is well formed");
        trimtab_componentize::encode(&module).expect("the test's module is a policy")
    }

    fn policy(&self) -> Policy {
        let limits = Limits {
            fuel: Scaled::new(10_000_000, 0, 0),
            ..Limits::default()
        };
        SANDBOX
            .load(&self.component())
            .expect("it describes itself")
            .with_limits(limits)
    }

    /// The fault of `analyze`.
    #[track_caller]
    fn fails(&self, kind: FaultKind) -> Fault {
        let fault = fault(analyze(&self.policy(), "{}"));
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(analyze(&GUEST, "{}").answer.is_ok());
        fault
    }

    /// The fault of `describe`, for which the policy is not admitted.
    #[track_caller]
    fn is_not_admitted(&self, kind: FaultKind) {
        let Err(LoadError::Describe { fault, .. }) = SANDBOX.load(&self.component()) else {
            panic!("`describe` was to fail with {kind:?}");
        };
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(analyze(&GUEST, "{}").answer.is_ok());
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An `ok` analysis: the lists of stages, knowledge and notes, and the state, each as pointer and
/// length.
fn analysis(stages: [u32; 2], learned: [u32; 2], notes: [u32; 2], state: [u32; 2]) -> Vec<u8> {
    words(&[&[0], &stages[..], &learned, &notes, &state].concat())
}

const NONE: [u32; 2] = [0, 0];

/// A stage of 64 bytes: all zero but its list of capacities.
fn stage(capacities: [u32; 2]) -> Vec<u8> {
    let mut bytes = vec![0; 56];
    bytes.extend(words(&capacities));
    bytes
}

#[test]
fn a_guest_laid_out_by_hand_answers() {
    let one = Layout {
        answer: analysis([DATA, 1], NONE, NONE, [DATA, 3]),
        data: stage([DATA, 0]),
        ..Layout::default()
    };
    for layout in [Layout::default(), one] {
        let analysis = analyze(&layout.policy(), "{}")
            .answer
            .expect("a right answer");
        assert_eq!(analysis.stages.len(), layout.data.len() / 64);
    }
}

#[test]
fn stages_that_share_one_list_do_not_multiply_it() {
    // A guest of 3 MiB claims an answer of a gigabyte.
    let (zeros, capacities) = (HEAP + (1 << 20), (1 << 20) / 56);
    let layout = Layout {
        answer: analysis([DATA, 1_000], NONE, NONE, NONE),
        data: stage([zeros, capacities]).repeat(1_000),
        pages: 48,
        ..Layout::default()
    };
    layout.fails(FaultKind::OversizedResult);
}

#[test]
fn a_list_inside_itself_ends_at_its_limit() {
    // The notes' texts are the list of notes itself, which is a text: zeros and small numbers.
    let note = words(&[0, 0, 0, DATA, 20 * 1_000]);
    let layout = Layout {
        answer: analysis(NONE, NONE, [DATA, 1_000], NONE),
        data: note.repeat(1_000),
        ..Layout::default()
    };
    layout.fails(FaultKind::OversizedResult);
}

#[test]
fn lists_beyond_the_memory_are_not_read() {
    for list in [
        [DATA, u32::MAX],
        [u32::MAX, 1],
        [u32::MAX - 7, u32::MAX],
        [32 << 16, 1],
    ] {
        for answer in [
            analysis([list[0] & !7, list[1]], NONE, NONE, NONE),
            analysis(NONE, NONE, NONE, list),
        ] {
            let fault = Layout {
                answer,
                ..Layout::default()
            }
            .fails(FaultKind::Broken);
            assert!(fault.message.contains("out of bounds"), "{fault}");
        }
    }
}

#[test]
fn an_answer_beyond_the_memory_is_not_read() {
    for pointer in ["-4", "2097152", "2097148"] {
        let analyze = format!("i32.const {pointer}");
        Layout {
            analyze,
            ..Layout::default()
        }
        .fails(FaultKind::Broken);
    }
}

#[test]
fn values_that_the_abi_does_not_have_break_the_call() {
    let note = |level: u32, text: [u32; 2]| words(&[level, 0, 0, text[0], text[1]]);
    let mut not_utf8 = note(0, [DATA + 20, 1]);
    not_utf8.push(0xff);
    let mut unknown_role = stage(NONE);
    unknown_role[0] = 9;
    let cases = [
        (
            "unknown level",
            analysis(NONE, NONE, [DATA, 1], NONE),
            note(7, NONE),
        ),
        ("not UTF-8", analysis(NONE, NONE, [DATA, 1], NONE), not_utf8),
        (
            "unknown role",
            analysis([DATA, 1], NONE, NONE, NONE),
            unknown_role,
        ),
        ("neither ok nor error", words(&[2]), Vec::new()),
        ("unknown refusal", words(&[1, 3]), Vec::new()),
    ];
    for (what, answer, data) in cases {
        let fault = Layout {
            answer,
            data,
            ..Layout::default()
        }
        .fails(FaultKind::Broken);
        assert!(!fault.message.is_empty(), "{what}");
    }
    let analyze = format!("i32.const {}", ANSWER + 1);
    Layout {
        analyze,
        ..Layout::default()
    }
    .fails(FaultKind::Broken);
}

#[test]
fn room_for_the_arguments_outside_the_memory_is_not_used() {
    for realloc in ["i32.const -8", "i32.const 2097144", "i32.const 3"] {
        Layout {
            realloc: realloc.into(),
            ..Layout::default()
        }
        .fails(FaultKind::Broken);
    }
}

#[test]
fn arguments_laid_over_each_other_harm_only_the_guest() {
    let layout = Layout {
        realloc: format!("i32.const {HEAP}"),
        ..Layout::default()
    };
    assert!(analyze(&layout.policy(), "{}").answer.is_ok());
}

#[test]
fn a_loop_outside_the_function_runs_out_of_fuel_too() {
    let endless = "(loop br 0) unreachable";
    Layout {
        realloc: endless.into(),
        ..Layout::default()
    }
    .fails(FaultKind::OutOfFuel);
    let besides = format!(
        r#"(func (export "cabi_post_trimtab:policy/analyzer@0.1.0#analyze") (param i32) {endless})"#
    );
    Layout {
        besides,
        ..Layout::default()
    }
    .fails(FaultKind::OutOfFuel);
    Layout {
        describe: endless.into(),
        ..Layout::default()
    }
    .is_not_admitted(FaultKind::OutOfFuel);
    let besides = "(func $start (loop br 0)) (start $start)".into();
    Layout {
        besides,
        ..Layout::default()
    }
    .is_not_admitted(FaultKind::OutOfFuel);
}

#[test]
fn a_trap_outside_the_function_is_a_trap_too() {
    Layout {
        realloc: "unreachable".into(),
        ..Layout::default()
    }
    .fails(FaultKind::Trap);
    Layout {
        describe: "unreachable".into(),
        ..Layout::default()
    }
    .is_not_admitted(FaultKind::Trap);
    let besides = "(func $start unreachable) (start $start)".into();
    Layout {
        besides,
        ..Layout::default()
    }
    .is_not_admitted(FaultKind::Trap);
}

#[test]
fn memory_and_tables_that_are_too_large_from_the_start_are_refused() {
    Layout {
        pages: 4_096,
        ..Layout::default()
    }
    .is_not_admitted(FaultKind::OutOfMemory);
    let table = Layout {
        besides: "(table 100000000 funcref)".into(),
        ..Layout::default()
    };
    // It fits into no place; where none are kept ready, it is out of memory.
    let reason = SANDBOX.load(&table.component()).unwrap_err().reason();
    let admissible = [Reason::NotAComponent, Reason::DescribeFailed];
    assert!(admissible.contains(&reason), "{reason}");
}

#[test]
fn a_table_that_grows_counts_as_memory() {
    let layout = Layout {
        besides: "(table $t 1 funcref)".into(),
        // Traps where the table was not grown.
        analyze: format!(
            "(if (i32.eq (i32.const -1) (table.grow $t (ref.null func) (i32.const 100000000)))
                (then unreachable))
            i32.const {ANSWER}"
        ),
        ..Layout::default()
    };
    let policy = layout.policy().with_limits(Limits {
        fuel: Scaled::new(1_000_000_000, 0, 0),
        ..Limits::default()
    });
    assert_eq!(fault(analyze(&policy, "{}")).kind, FaultKind::OutOfMemory);
}

#[test]
fn memory_moved_in_bulk_uses_fuel() {
    let layout = Layout {
        analyze: format!(
            "(loop (memory.fill (i32.const {HEAP}) (i32.const 1) (i32.const 100000)) br 0)
            unreachable"
        ),
        ..Layout::default()
    };
    layout.fails(FaultKind::OutOfFuel);
}

#[test]
fn a_refusal_by_hand_is_a_refusal() {
    let layout = Layout {
        answer: words(&[1, 2, DATA, 3]),
        data: b"why".into(),
        ..Layout::default()
    };
    let refused = analyze(&layout.policy(), "{}").answer;
    let Err(CallError::Refused(refusal)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal, trimtab_contract::Refusal::Internal("why".into()));
}
