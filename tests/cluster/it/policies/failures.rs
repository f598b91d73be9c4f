//! Objects that cannot be, and policies that cannot be had: each is said, and no pool is stranded.

use trimtab_cluster_tests::ControlPlane;
use trimtab_cluster_tests::in_namespace;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::scratch::Scratch;

use super::*;
use crate::decisions::{
    HEAVY, desired, install_own, metric, operate_with, reason, scrape, wait_for, with_chat,
};

/// A component that imports a function.
const IMPORTS: &str = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#;

async fn refused(namespace: &Namespace, kind: &str, spec: Value, says: &str) -> anyhow::Result<()> {
    let applied = apply(namespace, kind, "refused", spec.clone()).await;
    let said = match applied {
        Ok(_) => anyhow::bail!("{spec} is taken"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(said.contains(says), "{spec}: {said}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_the_api_server() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await?;
    install_own(plane).await?;
    in_namespace(plane, async |namespace| {
        let one = "exactly one of builtin, directory, configMap and oci must be set";
        for source in [
            json!({}),
            json!({"builtin": "a", "directory": {"file": "b"}}),
        ] {
            refused(namespace, "ScalingPolicy", json!({"source": source}), one).await?;
        }
        for (spec, says) in [
            (
                json!({"source": {"directory": {"file": "../x"}}}),
                "within the policy directory",
            ),
            (
                json!({"source": {"directory": {"file": "/x"}}}),
                "within the policy directory",
            ),
            (
                json!({"source": {"builtin": "a"}, "digest": "sha256:1"}),
                "spec.digest",
            ),
            (
                json!({"source": {"builtin": "a"}, "limits": {"memory": "much"}}),
                "spec.limits.memory",
            ),
            (
                json!({"source": {"builtin": "a"}, "limits": {"fuelFactor": 0}}),
                "spec.limits.fuelFactor",
            ),
        ] {
            refused(namespace, "ScalingPolicy", spec, says).await?;
        }
        let candidate = json!({"optimizer": {"settings": {}}});
        for (spec, says) in [
            (json!({"mode": "Sideways"}), "spec.mode"),
            (
                json!({"objective": {"percentile": 1.5}}),
                "spec.objective.percentile",
            ),
            (
                json!({"objective": {"ttftSeconds": 0}}),
                "spec.objective.ttftSeconds",
            ),
            (
                json!({"budget": {"costPerHour": -1}}),
                "spec.budget.costPerHour",
            ),
            (
                json!({"shadows": [{"name": "s"}]}),
                "a shadow needs analyzers or an optimizer",
            ),
            (
                json!({"shadows": [{"name": "S", "optimizer": {}}]}),
                "spec.shadows[0].name",
            ),
            (
                json!({"experiment": {"candidate": {}}}),
                "a candidate needs analyzers or an optimizer",
            ),
            (
                json!({"experiment": {"candidate": candidate, "slot": "5m"}}),
                "washout must be shorter than slot",
            ),
            (
                json!({"experiment": {"candidate": candidate, "slot": "30s", "washout": "1s"}}),
                "at least a minute",
            ),
        ] {
            refused(namespace, "PoolPolicy", spec, says).await?;
        }
        let twice =
            json!({"shadows": [{"name": "s", "optimizer": {}}, {"name": "s", "optimizer": {}}]});
        refused(namespace, "PoolPolicy", twice, "duplicate entries for key").await
    })
    .await
}

/// Objects of which each fails in a way of its own, and one that does not.
async fn have_reasons(namespace: &Namespace) -> anyhow::Result<()> {
    in_map(namespace, "text", b"#!/bin/sh").await?;
    in_map(namespace, "imports", &wat::parse_str(IMPORTS)?).await?;
    in_map(namespace, "good", &version(1)).await?;
    let source = json!({"configMap": {"name": "good"}});
    let other = digest(b"another");
    scaling_policy(
        namespace,
        "pinned",
        json!({"source": source, "digest": other}),
    )
    .await?;
    scaling_policy(
        namespace,
        "unfit",
        json!({"source": source, "settings": {"headrom": 1}}),
    )
    .await?;
    let absent = json!({"source": {"directory": {"file": "absent.wasm"}}});
    scaling_policy(namespace, "absent", absent).await?;
    scaling_policy(
        namespace,
        "unknown",
        json!({"source": {"builtin": "nobody"}}),
    )
    .await?;
    for (name, reason, says) in [
        ("text", "NotAComponent", "not WebAssembly"),
        ("imports", "ForbiddenImport", "wasi:clocks/wall-clock@0.2.0"),
        ("pinned", "DigestMismatch", other.as_str()),
        (
            "unfit",
            "SettingsInvalid",
            "spec.settings.headrom: `headrom` is not known",
        ),
        ("absent", "NotFound", "absent.wasm"),
        ("unknown", "NotFound", "nobody"),
        ("good", "Loaded", "loaded"),
    ] {
        let told = wait_for_reason(namespace, SCALING_POLICY, name, ("Ready", reason)).await?;
        ensure!(told.contains(says), "{name}: {told}");
    }
    Ok(())
}

/// A younger PoolPolicy for the pool comes, and goes.
async fn contest(namespace: &Namespace) -> anyhow::Result<()> {
    pool_policy(
        namespace,
        "rival",
        json!({"poolRef": {"name": "chat"}, "mode": "Paused"}),
    )
    .await?;
    let told = wait_for_reason(namespace, POOL_POLICY, "rival", ("Accepted", "Conflict")).await?;
    ensure!(told.contains("PoolPolicy chat"), "{told}");
    let told = wait_for_reason(namespace, POOL_POLICY, "chat", ("Accepted", "Contested")).await?;
    ensure!(told.contains("rival"), "{told}");
    delete(namespace, POOL_POLICY, "rival").await?;
    wait_for_reason(namespace, POOL_POLICY, "chat", ("Accepted", "Accepted")).await?;
    Ok(())
}

#[tokio::test]
async fn each_way_to_fail_has_its_reason() -> anyhow::Result<()> {
    let scratch = Scratch::new("policies")?;
    let directory = format!("--set=policies.directory={}", scratch.path().display());
    with_chat(async |plane, namespace, chat| {
        let flags = [directory.as_str(), "--listen-metrics=0"];
        let _operator = operate_with(plane, namespace, chat, &flags, &[]).await?;
        have_reasons(namespace).await
    })
    .await
}

#[tokio::test]
async fn a_policy_that_is_deleted_while_it_decides_strands_no_pool() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let port = free_port()?;
        let listen = format!("--listen-metrics=127.0.0.1:{port}");
        let _operator = operate_with(plane, namespace, chat, &[listen.as_str()], &[]).await?;
        chat.emulator.set_rate(0, HEAVY);
        let before = wait_for(namespace, "growth", |of| desired(of) > Some(1)).await?;

        in_map(namespace, "good", &version(1)).await?;
        bind(namespace, "chat", "good").await?;
        wait_for_analyzer(namespace, "chat", &digest(&version(1))).await?;
        wait_for_reason(namespace, POOL_POLICY, "chat", ("Bound", "Bound")).await?;
        contest(namespace).await?;
        // What decides is deleted under it, while there is less to do: it goes on, and takes nothing
        // away.
        delete(namespace, SCALING_POLICY, "good").await?;
        let told =
            wait_for_reason(namespace, POOL_POLICY, "chat", ("Bound", "PolicyNotFound")).await?;
        ensure!(told.contains("/good does not exist"), "{told}");
        let rung = ["trimtab_policy_rung", "role=\"analyzer\"", "pool=\"chat\""];
        wait_until(
            "the metric says that a stand-in decides",
            DEADLINE,
            async || {
                let rung = metric(&scrape(port).await?, &rung);
                ensure!(rung.is_some_and(|rung| rung >= 1.0), "{rung:?}");
                Ok(())
            },
        )
        .await?;
        let now = wait_for(namespace, "nothing falls", |of| {
            desired(of) >= desired(&before)
        })
        .await?;
        ensure!(desired(&now).is_some(), "{now}");
        wait_until(
            "an event says that a stand-in decides",
            DEADLINE,
            async || {
                let events: Api<k8s_openapi::api::events::v1::Event> = namespace.api();
                let events = events.list(&kube::api::ListParams::default()).await?;
                let told = events
                    .iter()
                    .any(|of| of.reason.as_deref() == Some("PolicyUnavailable"));
                ensure!(told, "{} events", events.items.len());
                Ok(())
            },
        )
        .await
    })
    .await
}

#[tokio::test]
async fn a_version_that_faults_at_once_makes_room_for_the_last_good_one() -> anyhow::Result<()> {
    let scratch = Scratch::new("policies")?;
    let directory = scratch.path().to_owned();
    with_chat(async |plane, namespace, chat| {
        put(&directory, "chat.wasm", &version(1))?;
        let directory_flag = format!("--set=policies.directory={}", directory.display());
        let flags = [directory_flag.as_str(), "--listen-metrics=0"];
        let _operator = operate_with(plane, namespace, chat, &flags, &[]).await?;
        let file = json!({"source": {"directory": {"file": "chat.wasm"}}});
        scaling_policy(namespace, "mine", file.clone()).await?;
        bind(namespace, "chat", "mine").await?;
        wait_for_analyzer(namespace, "chat", &digest(&version(1))).await?;
        // One that only refused so far, for want of measurements, is not good yet.
        let ready = |of: &Value| {
            reason(of, "OptimizationReady").as_deref() == Some("OptimizationSucceeded")
        };
        wait_for(namespace, "an accepted decision", ready).await?;
        let held = desired(&crate::decisions::status(namespace).await?);

        put(&directory, "chat.wasm", BROKEN)?;
        let told =
            wait_for_reason(namespace, SCALING_POLICY, "mine", ("Ready", "Quarantined")).await?;
        ensure!(told.contains(&digest(&version(1))), "{told}");
        let told = wait_for_reason(namespace, POOL_POLICY, "chat", ("Bound", "RolledBack")).await?;
        ensure!(told.contains("ScalingPolicy"), "{told}");
        wait_for_analyzer(namespace, "chat", &digest(&version(1))).await?;
        ensure!(
            desired(&crate::decisions::status(namespace).await?) >= held,
            "it fell"
        );

        // Put back, nothing is told of it any more.
        put(&directory, "chat.wasm", &version(1))?;
        wait_for_reason(namespace, SCALING_POLICY, "mine", ("Ready", "Loaded")).await?;
        wait_for_reason(namespace, POOL_POLICY, "chat", ("Bound", "Bound")).await?;
        wait_for_analyzer(namespace, "chat", &digest(&version(1)))
            .await
            .map(drop)
    })
    .await
}

/// A version of which each call panics.
const BROKEN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trimtab-broken-guest.wasm"));
