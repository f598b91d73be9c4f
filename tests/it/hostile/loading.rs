//! Components that are not admitted: each says why, and the next one is.

use trimtab_core::policies::FaultKind;
use trimtab_sandbox::{LoadError, Reason, Sandbox, SandboxConfig};

use super::given::{GUEST, HOSTILE, SANDBOX, analyze};
use super::layouts::Layout;

#[track_caller]
fn refused(bytes: &[u8]) -> LoadError {
    let error = match SANDBOX.load(bytes) {
        Err(error) => error,
        Ok(policy) => panic!("{policy:?} was admitted"),
    };
    assert!(analyze(&GUEST, "{}").answer.is_ok(), "after {error}");
    error
}

#[track_caller]
fn refused_text(component: &str) -> LoadError {
    refused(&wat::parse_str(component).expect("the test's component is well formed"))
}

#[test]
fn an_imported_function_is_refused_by_name() {
    let error = refused_text(r#"(component (import "read-clock" (func (result u64))))"#);
    assert_eq!(
        error,
        LoadError::Imports {
            imports: vec!["read-clock".into()]
        }
    );
    assert!(
        error
            .to_string()
            .ends_with("this component imports read-clock"),
        "{error}"
    );
}

#[test]
fn imports_from_wasi_are_refused_by_name() {
    let error = refused_text(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.0" (instance
                (export "now" (func (result u64)))))
            (import "wasi:random/random@0.2.0" (instance
                (export "get-random-u64" (func (result u64))))))"#,
    );
    assert_eq!(error.reason(), Reason::ForbiddenImport);
    let message = error.to_string();
    assert!(
        message.contains("wasi:clocks/monotonic-clock@0.2.0"),
        "{message}"
    );
    assert!(message.contains("wasi:random/random@0.2.0"), "{message}");
}

#[test]
fn a_component_that_is_no_policy_is_refused() {
    let error = refused_text("(component)");
    assert_eq!(error, LoadError::NoPolicy { exports: vec![] });
    let error = refused_text(
        r#"(component (instance $i) (export "some:other/thing@1.0.0" (instance $i)))"#,
    );
    assert_eq!(error.reason(), Reason::WrongContract);
    assert!(
        error.to_string().contains("some:other/thing@1.0.0"),
        "{error}"
    );
}

#[test]
fn another_version_of_the_contract_is_refused() {
    for version in ["0.2.0", "0.1.1", "1.0.0"] {
        let offered = format!("trimtab:policy/analyzer@{version}");
        let text = format!(r#"(component (instance $i) (export "{offered}" (instance $i)))"#);
        let error = refused_text(&text);
        assert_eq!(
            error,
            LoadError::WrongContract {
                offered: vec![offered.clone()]
            }
        );
        let message = error.to_string();
        assert!(message.contains(&offered), "{message}");
        assert!(
            message.contains("trimtab:policy/analyzer@0.1.0"),
            "{message}"
        );
    }
}

#[test]
fn a_role_without_its_functions_is_refused() {
    let error = refused_text(
        r#"(component (instance $i) (export "trimtab:policy/optimizer@0.1.0" (instance $i)))"#,
    );
    assert_eq!(error.reason(), Reason::WrongContract);
    assert!(error.to_string().contains("`describe`"), "{error}");
}

/// `describe` and `analyze` of the contract's names and of no type that it has.
const WRONG_TYPES: &str = r#"(component
    (core module $m (func (export "f") (result i32) i32.const 1))
    (core instance $c (instantiate $m))
    (func $f (result u32) (canon lift (core func $c "f")))
    (instance $i (export "describe" (func $f)) (export "analyze" (func $f)))
    (export "trimtab:policy/analyzer@0.1.0" (instance $i)))"#;

#[test]
fn functions_of_another_type_are_refused() {
    let error = refused_text(WRONG_TYPES);
    let LoadError::Describe { fault, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(fault.kind, FaultKind::Broken);
}

#[test]
fn a_core_module_is_not_a_component() {
    let error = refused(&wat::parse_str("(module)").unwrap());
    assert_eq!(error.reason(), Reason::NotAComponent);
    assert!(error.to_string().contains("core module"), "{error}");
}

#[test]
fn truncated_components_are_refused_wherever_they_end() {
    let step = HOSTILE.len() / 97;
    for length in (0..HOSTILE.len())
        .step_by(step)
        .chain([1, 7, 8, 9, HOSTILE.len() - 1])
    {
        let error = SANDBOX
            .load(&HOSTILE[..length])
            .expect_err("a part is no component");
        let reason = error.reason();
        assert!(
            [Reason::NotAComponent, Reason::WrongContract].contains(&reason),
            "{length}: {error}"
        );
    }
    assert!(analyze(&GUEST, "{}").answer.is_ok());
}

#[test]
fn random_bytes_are_refused() {
    let mut random = Random(7);
    for length in [1, 8, 100, 10_000] {
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let reason = refused(&bytes).reason();
        assert_eq!(reason, Reason::NotAComponent);
        let headed = [&b"\0asm\x0d\0\x01\0"[..], &bytes].concat();
        assert!(matches!(refused(&headed), LoadError::Invalid { .. }));
    }
}

#[test]
fn a_component_with_random_damage_is_refused_or_contained() {
    let mut random = Random(11);
    let whole = Layout::default().component();
    let mut admitted = 0;
    for _ in 0..300 {
        let mut damaged = whole.clone();
        let position = random.below(damaged.len());
        damaged[position] = random.byte();
        if let Ok(policy) = SANDBOX.load(&damaged) {
            admitted += 1;
            let _ = analyze(&policy, "{}").answer;
        }
    }
    assert!(
        admitted > 0,
        "the damage never reached what a component may contain"
    );
    assert!(analyze(&GUEST, "{}").answer.is_ok());
}

#[test]
fn exports_beside_the_contract_are_ignored() {
    // An export section: one export, of that name, of instance 0, without a type.
    let name = b"some:other/thing@1.0.0";
    let mut section = vec![1, 0, name.len() as u8];
    section.extend_from_slice(name);
    section.extend_from_slice(&[5, 0, 0]);
    let extended = [HOSTILE, &[11, section.len() as u8], &section].concat();
    let policy = SANDBOX.load(&extended).unwrap();
    assert!(policy.roles().analyzer && policy.roles().optimizer);
    assert_ne!(policy.digest(), GUEST.digest());
    assert!(analyze(&policy, "{}").answer.is_ok());
}

#[test]
fn a_policy_says_what_it_is() {
    assert_eq!(GUEST.descriptor().name, "hostile");
    assert_eq!(GUEST.size(), HOSTILE.len());
    assert!(GUEST.analyzer().is_some() && GUEST.optimizer().is_some());
    let digest = &GUEST.digest().0;
    assert!(
        digest.starts_with("sha256:") && digest.len() == "sha256:".len() + 64,
        "{digest}"
    );
    let analyzer = SANDBOX.load(&Layout::default().component()).unwrap();
    assert!(analyzer.analyzer().is_some() && analyzer.optimizer().is_none());
}

#[test]
fn a_policy_from_the_cache_answers_as_the_compiled_one() {
    let directory = tempfile::tempdir().unwrap();
    let config = || SandboxConfig {
        cache_directory: Some(directory.path().join("policies")),
        ..SandboxConfig::default()
    };
    let compiled = Sandbox::new(config()).unwrap().load(HOSTILE).unwrap();
    let second = Sandbox::new(config()).unwrap();
    let cached = second.load(HOSTILE).unwrap();
    assert_eq!(second.cache_counts().unwrap().hits, 1);
    let calls = [analyze(&compiled, "{}"), analyze(&cached, "{}")];
    assert_eq!(calls[0].answer, calls[1].answer);
    assert_eq!(calls[0].stats.fuel, calls[1].stats.fuel);
}

#[test]
fn what_is_refused_does_not_reach_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(SandboxConfig {
        cache_directory: Some(directory.path().to_owned()),
        ..SandboxConfig::default()
    })
    .unwrap();
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    let before = files();
    let importing = wat::parse_str(r#"(component (import "f" (func)))"#).unwrap();
    assert!(sandbox.load(&importing).is_err());
    assert_eq!(files(), before);
}

/// A small generator (xorshift): the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}
