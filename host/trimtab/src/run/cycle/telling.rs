//! What a cycle tells people: in the log, in statuses and in events.

use std::collections::BTreeMap;
use std::time::Duration;

use trimtab_cluster::actuation::Finding;
use trimtab_cluster::status::{self, Wanted};
use trimtab_cluster::view::View;
use trimtab_cluster::{Key, policy_status};
use trimtab_core::decision::PoolDecision;
use trimtab_observe::Answers;
use trimtab_publish::metrics::Published;

use super::Cycle;
use crate::run::policies::statuses;

/// Share of what is left of a cycle's time in which statuses and events may be written: a cycle is to
/// come to its end by itself.
const WRITING_SHARE: f64 = 0.9;

impl Cycle {
    /// What Prometheus does not answer is told when it begins, when the reason changes, and when it
    /// is over.
    pub(super) fn tell_of_unanswered(&mut self, answers: &Answers) {
        let mut failed = answers.by_topic.values().filter_map(|of| of.as_ref().err());
        let reason = failed.next().map(ToString::to_string);
        match (&self.unanswered, &reason) {
            (before, Some(error)) if before.as_ref() != Some(error) => {
                let queries = 1 + failed.count();
                tracing::warn!(error, queries, "Prometheus does not answer");
            }
            (Some(_), None) => tracing::info!("Prometheus answers again"),
            _ => {}
        }
        self.unanswered = reason;
    }

    /// A line for each variant whose count changes; the rest only when asked for. Tells whether any
    /// does.
    pub(super) fn log(&self, view: &View, decisions: &[PoolDecision]) -> bool {
        let mut any = false;
        for (seen, pool) in view.pools.iter().zip(decisions) {
            let span = tracing::info_span!(
                "pool",
                namespace = pool.namespace,
                pool = pool.pool,
                model = seen.fleet.pool.model
            );
            let _within = span.enter();
            for told in &pool.conditions {
                tracing::debug!(reason = told.reason, message = told.message, "condition");
            }
            for (of, decided) in seen.variants.iter().zip(&pool.variants) {
                let (previous, desired) = (decided.previous, decided.desired);
                let variant = &decided.variant;
                let why = decided.why();
                if self.news.is_change(&of.claimant, decided) {
                    any = true;
                    tracing::info!(variant, previous, desired, why, "decided");
                } else {
                    tracing::debug!(variant, previous, desired, why, "holds");
                }
            }
        }
        any
    }

    /// Status and events, as long as this process leads and before its cycle is over. `spent` are
    /// the seconds of it that have passed.
    pub(super) async fn write(
        &mut self,
        view: &View,
        told: &Published,
        findings: &[Vec<Option<Finding>>],
        spent: f64,
    ) {
        let Some(leads_for) = self.leadership.left() else {
            return;
        };
        let pools = view.pools.iter().zip(&told.decisions);
        let mut wanted: Vec<Wanted> = pools
            .clone()
            .zip(told.pools.iter().zip(findings))
            .flat_map(|((pool, decision), (metrics, findings))| {
                status::of_pool(pool, decision, &metrics.state, findings)
            })
            .collect();
        wanted.extend(view.refused.iter().map(status::of_refused));
        let news = self.news.of_tick(pools, &view.refused, told.now_ms);
        for told in news.iter().filter(|told| told.warning) {
            let (object, reason, note) = (&told.claimant, &told.reason, &told.note);
            tracing::warn!(%object, reason, note, "something is wrong");
        }
        self.speaker.hear(news, told.now_ms);
        let of_policies = self.of_pool_policies(view, told);
        let writing = async {
            let report = self.writer.write(wanted, told.now_ms).await;
            for failed in self.policy_writer.write(of_policies, told.now_ms).await {
                tracing::warn!(failed, "status not written; trying again");
                self.registry.error("status", "write");
            }
            self.speaker.tell().await;
            report
        };
        let left = self.config.tick_timeout().seconds() - spent;
        let limit = Duration::from_secs_f64((left * WRITING_SHARE).max(0.0)).min(leads_for);
        let Ok(report) = tokio::time::timeout(limit, writing).await else {
            let seconds = limit.as_secs_f64();
            tracing::warn!(
                seconds,
                "statuses and events not written in time; trying again"
            );
            return self.registry.error("status", "timeout");
        };
        for failed in &report.failed {
            tracing::warn!(failed, "status not written; trying again");
            self.registry.error("status", "write");
        }
        if report.deferred > 0 {
            tracing::info!(deferred = report.deferred, "statuses wait for their turn");
        }
    }

    /// What PoolPolicies should say of themselves.
    fn of_pool_policies(&self, view: &View, told: &Published) -> Vec<policy_status::Wanted> {
        let policies = &view.policies;
        let mut decisions: BTreeMap<&Key, Vec<&PoolDecision>> = BTreeMap::new();
        for (pool, decision) in view.pools.iter().zip(&told.decisions) {
            if let Some((key, _)) = policies.of_pool(&pool.fleet) {
                decisions.entry(key).or_default().push(decision);
            }
        }
        let catalogue = self.policies.catalogue();
        let all = policies.pool_policies.iter();
        all.map(|(key, stored)| {
            let binding = statuses::Binding {
                key,
                stored,
                verdict: policies.verdicts.get(key),
                resolved: catalogue.pool_policies.get(key).map(|of| &**of),
                decisions: decisions.remove(key).unwrap_or_default(),
                memory: &self.memory,
            };
            statuses::of_pool_policy(&binding, told.now_ms)
        })
        .collect()
    }
}
