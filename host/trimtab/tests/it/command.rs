//! Runs the command and reads what it says.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Asserts that the command failed in an orderly way, with all of `parts` in its message.
    #[track_caller]
    pub(crate) fn failed_with(self, parts: &[&str]) {
        assert_eq!(
            self.code,
            Some(1),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        assert_eq!(self.stdout, "", "a failed command prints no answer");
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`{part}` is not in:\n{}",
                self.stderr
            );
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// The command in `directory`, with a cache that all tests share.
pub(crate) fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimtab"));
    command
        .current_dir(directory)
        .env(
            "TRIMTAB_CACHE",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"),
        )
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs the command with these arguments until it ends.
pub(crate) fn trimtab(directory: &Path, arguments: &[&str]) -> Ended {
    let output = command(directory).args(arguments).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
