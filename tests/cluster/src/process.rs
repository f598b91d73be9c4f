//! Child processes that write their logs to a file, can be killed and started again, and die with
//! the test process, however that ends.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context as _, ensure};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(20);

/// Lines of its log that a process leaves behind.
const LAST_LINES: usize = 50;

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// What errors, logs and [`crate::ControlPlane::kill`] call it.
    pub name: String,
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    /// Standard output and standard error are appended to this file.
    pub log: PathBuf,
}

impl Program {
    /// A program without arguments.
    #[must_use]
    pub fn new(name: &str, path: PathBuf, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            path,
            arguments: Vec::new(),
            environment: Vec::new(),
            log,
        }
    }

    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// `--name value`.
    #[must_use]
    pub fn flag(self, name: &str, value: impl Into<OsString>) -> Self {
        self.argument(format!("--{name}")).argument(value)
    }

    /// `--name=true` or `--name=false`: Go's flags take no separate value for these.
    #[must_use]
    pub fn switch(self, name: &str, on: bool) -> Self {
        self.argument(format!("--{name}={on}"))
    }
}

/// A program, running or not.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Option<Child>,
}

impl Process {
    /// # Errors
    /// Where the program is not there, or `setpriv` is not.
    pub fn start(program: Program) -> anyhow::Result<Self> {
        let mut process = Self {
            program,
            child: None,
        };
        process.restart()?;
        Ok(process)
    }

    /// Starts it again, with the same arguments.
    ///
    /// # Errors
    /// Where it still runs, or cannot be started.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let is_running = self.is_running();
        let name = &self.program.name;
        ensure!(!is_running, "{name} still runs: kill it first");
        let path = &self.program.path;
        ensure!(path.is_file(), "{name}: there is no {}", path.display());
        let log = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.program.log)?;
        // The kernel sends it SIGKILL when the thread that started it is gone.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(path)
            .args(&self.program.arguments)
            .envs(self.program.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.file().try_clone()?)
            .stderr(log.into_file());
        self.child = Some(spawn(command).with_context(|| {
            format!("cannot start {name} through `setpriv`: install util-linux")
        })?);
        Ok(())
    }

    /// Sends a signal, and after SIGKILL or SIGTERM waits until the process is gone.
    ///
    /// # Errors
    /// Where it does not run, or is not gone in 20 s.
    pub async fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        let name = self.program.name.clone();
        let id = self
            .process_id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.with_context(|| format!("{name} does not run"))?;
        kill_process(id, signal).with_context(|| format!("cannot signal {name}"))?;
        if signal != Signal::KILL && signal != Signal::TERM {
            return Ok(());
        }
        let gone = tokio::time::timeout(GRACE, self.gone()).await;
        gone.with_context(|| format!("{name} is not gone {GRACE:?} after {signal:?}"))?;
        Ok(())
    }

    /// Starts it again where it has ended by itself, as a kubelet does with its pods.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn revive(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() && !self.is_running() {
            self.restart()?;
        }
        Ok(())
    }

    pub fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// `None` while it does not run.
    pub fn process_id(&mut self) -> Option<u32> {
        let is_running = self.is_running();
        self.child.as_ref().filter(|_| is_running).map(Child::id)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs_err::read(&self.program.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        let last = all.get(all.len().saturating_sub(lines)..);
        last.unwrap_or_default().join("\n")
    }

    async fn gone(&mut self) {
        while self.is_running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.child = None;
    }
}

impl Drop for Process {
    /// Kills it, and keeps how its log ends: its directory may go before its test is judged.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only where it is gone.
            let _ = child.kill();
            let _ = child.wait();
        }
        let words = format!("--- {}\n{}\n", self.program.name, self.log_tail(LAST_LINES));
        LAST_WORDS.with_borrow_mut(|all| all.push_str(&words));
    }
}

thread_local! {
    /// How the logs of the processes end that were dropped on this thread.
    static LAST_WORDS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How the logs end of those that were dropped on this thread since this was last asked.
pub(crate) fn take_last_words() -> String {
    LAST_WORDS.take()
}

/// Starts a program from a thread that lives as long as this process. The kernel ties a child to
/// the thread that started it, and a test's thread ends with its test.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static ORDERS: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever asked may have gone.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    let (answer, answered) = mpsc::channel();
    ORDERS
        .send((command, answer))
        .map_err(|_| gone(mpsc::RecvError))?;
    answered.recv().map_err(gone)?
}
