//! Waiting for a state of the world, with a deadline.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

/// Long enough for anything that the control plane does, on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Looks again and again, with growing pauses, until `look` succeeds, and gives what it gave. Its
/// errors say what is not yet so; the last one is the reason of the error after the deadline.
///
/// # Errors
/// Where that did not come to be before the deadline.
pub async fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        let not_yet = match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(not_yet)) => not_yet,
            Err(_) => anyhow::anyhow!("the last look did not end"),
        };
        if Instant::now() + pause >= end {
            return Err(not_yet).with_context(|| format!("not within {deadline:?}: {what}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    const HALF_A_MINUTE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_be_before_the_deadline_is_given() {
        let mut looks = 0;
        let look = async || {
            looks += 1;
            ensure!(looks > 3, "{looks} looks");
            Ok(looks)
        };
        let given = wait_until("four looks", HALF_A_MINUTE, look).await;
        assert_eq!(given.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_reason_is_in_the_error() {
        let look = async || -> anyhow::Result<()> { anyhow::bail!("2 of 3 ready") };
        let error = wait_until("three replicas", HALF_A_MINUTE, look).await;
        let error = format!("{:#}", error.unwrap_err());
        assert_eq!(error, "not within 30s: three replicas: 2 of 3 ready");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_ends_with_the_deadline() {
        let look = async || std::future::pending::<anyhow::Result<()>>().await;
        let error = wait_until("anything", HALF_A_MINUTE, look).await;
        let error = format!("{:#}", error.unwrap_err());
        assert_eq!(error, "not within 30s: anything: the last look did not end");
    }
}
