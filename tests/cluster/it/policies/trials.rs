//! Candidates in shadow, and an experiment: seen, and harmless.

use trimtab_cluster_tests::operator::ask;
use trimtab_cluster_tests::ports::free_port;

use super::*;
use crate::decisions::{HEAVY, metric, operate_with, scrape, with_chat};

#[tokio::test]
async fn a_shadow_is_compared_in_metrics_in_the_status_and_on_the_command_line()
-> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let _operator = operate_with(plane, namespace, chat, &[listen.as_str()], &[]).await?;
        let spec = json!({
            "poolRef": {"name": "chat"},
            "shadows": [
                {"name": "generous", "analyzers": [{"settings": {"headroom": 0.9}}]},
                {"name": "same", "analyzers": [{"settings": {}}]},
            ],
        });
        pool_policy(namespace, "chat", spec).await?;
        chat.emulator.set_rate(0, HEAVY);
        let of = |candidate: &str| format!("candidate=\"{candidate}\"");
        wait_until("the metrics show both", DEADLINE, async || {
            let text = scrape(port).await?;
            for candidate in ["generous", "same"] {
                let words = [
                    "trimtab_shadow_desired_replicas",
                    "pool=\"chat\"",
                    &of(candidate),
                ];
                ensure!(metric(&text, &words).is_some(), "{candidate} is not there");
            }
            // How far they are apart depends on the load.
            let words = ["trimtab_shadow_disagreement_ratio", &of("generous")];
            ensure!(metric(&text, &words).is_some(), "no rate yet");
            Ok(())
        })
        .await?;
        let flag = format!("--namespace={}", namespace.name());
        wait_until("the command shows both", DEADLINE, async || {
            let said = ask(plane, &["shadow", &flag, "chat"]).await?;
            ensure!(said.success, "{}", said.stderr);
            let row = said.stdout.lines().find(|line| line.contains("generous"));
            let row = row.with_context(|| said.stdout.clone())?;
            let words: Vec<&str> = row.split_whitespace().collect();
            let [pool, _, ticks, ..] = words[..] else {
                anyhow::bail!("{row}")
            };
            let asked: u64 = ticks.parse()?;
            ensure!(pool.ends_with("/chat") && asked > 0, "{row}");
            ensure!(said.stdout.contains("same"), "{}", said.stdout);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn an_experiment_runs_says_which_arm_decides_and_ends_with_its_rules() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let operator = operate_with(plane, namespace, chat, &[listen.as_str()], &[]).await?;
        let experiment = |seed: u32| {
            json!({
                "poolRef": {"name": "chat"},
                "experiment": {
                    "candidate": {"analyzers": [{"settings": {"headroom": 0.5}}]},
                    "slot": "1m",
                    "washout": "10s",
                    "seed": seed,
                    "maxSlots": 2,
                },
            })
        };
        pool_policy(namespace, "chat", experiment(1)).await?;
        let phase = async |wanted: &str| {
            wait_until(&format!("it is {wanted}"), DEADLINE * 2, async || {
                let of_pool = pool_status(namespace, "chat").await?;
                let phase = &of_pool["experiment"]["phase"];
                ensure!(phase == wanted, "{of_pool}");
                Ok(of_pool)
            })
            .await
        };
        phase("Running").await?;
        let arms = ["control", "candidate"];
        let deciding = async || {
            let text = scrape(port).await?;
            let decides = |arm: &&&str| {
                let arm = format!("arm=\"{arm}\"");
                metric(&text, &["trimtab_experiment_arm", &arm]) == Some(1.0)
            };
            anyhow::Ok(arms.iter().find(decides).map(|arm| (*arm).to_owned()))
        };
        let first = wait_until("an arm decides", DEADLINE, async || {
            deciding().await?.context("none")
        })
        .await?;
        // A leader that takes over goes on with the same slot.
        operator.kill().await?;
        operator.restart().await?;
        wait_until("the other arm decides", DEADLINE, async || {
            let now = deciding().await?.context("none")?;
            ensure!(now != first, "{now} still");
            Ok(())
        })
        .await?;
        let done = phase("Done").await?;
        let slots = |arm: &str| done["experiment"][arm]["slots"].as_u64();
        ensure!(
            slots("control").is_some() && slots("candidate").is_some(),
            "{done}"
        );
        pool_policy(namespace, "chat", experiment(2)).await?;
        phase("Running").await.map(drop)
    })
    .await
}
