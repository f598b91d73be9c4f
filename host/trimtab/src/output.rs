//! What a command prints, and the code that it exits with.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Exit code of a call that the policy refused: neither an answer nor an error.
const REFUSED: u8 = 3;

/// Text for standard output.
pub(crate) struct Output {
    text: String,
    /// For standard error.
    aside: String,
    code: ExitCode,
}

impl Output {
    pub(crate) fn answer(text: String) -> Self {
        Self {
            text,
            aside: String::new(),
            code: ExitCode::SUCCESS,
        }
    }

    /// What is to be known beside it, for whoever sends the text elsewhere.
    pub(crate) fn beside(mut self, aside: String) -> Self {
        self.aside = aside;
        self
    }

    pub(crate) fn refusal(text: String) -> Self {
        Self {
            text,
            aside: String::new(),
            code: ExitCode::from(REFUSED),
        }
    }

    /// The text says what is wrong.
    pub(crate) fn failed(mut self) -> Self {
        self.code = ExitCode::FAILURE;
        self
    }

    /// Prints the text. A reader that has seen enough and went away is no error.
    pub(crate) fn print(self) -> io::Result<ExitCode> {
        // Where standard error is closed there is nobody to tell.
        let _ = io::stderr().lock().write_all(self.aside.as_bytes());
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(self.text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(self.code),
            result => result.map(|()| self.code),
        }
    }
}

/// Prints an error with what caused it, each once.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut said = visible(&error.to_string());
    let mut text = format!("error: {said}\n");
    for cause in error.chain().skip(1) {
        let cause = visible(&cause.to_string());
        // Some libraries' errors repeat their source.
        if !said.contains(&cause) {
            text.push_str(&format!("  caused by: {cause}\n"));
            said = cause;
        }
    }
    // Where standard error is closed there is nobody to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What is quoted in an error may come from anywhere: nothing in it may steer a terminal.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| {
        let steers = c.is_control() && c != '\n' && c != '\t';
        if steers {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_quotes_cannot_steer_a_terminal() {
        assert_eq!(
            visible("bad \u{1b}[31m\r\n  at 1"),
            "bad \\u{1b}[31m\\r\n  at 1"
        );
    }
}
