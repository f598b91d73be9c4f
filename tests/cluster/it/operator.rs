//! The binary under test is that of this workspace, with its log in reach.

use trimtab_cluster_tests::process::Signal;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Operator};

#[tokio::test]
async fn the_binary_runs_with_its_log_in_reach_and_can_be_run_again() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    let operator = Operator::start(plane, &["scenario", "print"], &[]).await?;
    operator.wait_for_log("name: built-in").await?;
    wait_until("it has ended", DEADLINE, async || {
        anyhow::ensure!(!operator.is_running().await, "it runs");
        Ok(())
    })
    .await?;
    let printed = operator.log(usize::MAX).await.len();
    assert!(operator.signal(Signal::TERM).await.is_err());
    operator.restart().await?;
    wait_until("it has printed again", DEADLINE, async || {
        let all = operator.log(usize::MAX).await.len();
        anyhow::ensure!(all >= 2 * printed, "{all} bytes");
        Ok(())
    })
    .await
}
