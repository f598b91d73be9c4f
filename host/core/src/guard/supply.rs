//! GPUs and money: growth is granted from what is free this tick. What a shrinking variant frees is
//! granted when it is free, in a later tick.
//!
//! What was desired before and what the floors demand is never taken away here; it is counted as
//! spent first, also where its replicas do not exist yet, so that two ticks do not grant the same
//! GPU. Replicas that exist hold their GPUs. The rest goes replica by replica to the claim that is
//! first by priority, then by unmet need relative to demand, then by cost, then by the share of its plan
//! that is outstanding, then by name: whole replicas, and nothing is lost in rounding. Pools in
//! observe mode come last and so take nothing from those whose counts are published.

use std::collections::BinaryHeap;

use super::PoolDraft;
use crate::decision::{Rule, condition};
use crate::snapshot::{Mode, Snapshot};

mod bid;
mod ledger;

use bid::Bid;
use ledger::{Ledger, Price, Shortage};

/// Growth of one variant beyond what is settled.
struct Claim<'a> {
    pool: usize,
    variant: usize,
    /// Replicas that need no grant: desired before, or demanded by a floor.
    settled: u32,
    granted: u32,
    wanted: u32,
    /// What the next replicas cost.
    price: Price<'a>,
    /// What ended the granting.
    shortage: Option<Shortage>,
}

pub(super) fn apply<'a>(snapshot: &'a Snapshot, pools: &mut [PoolDraft<'a>]) {
    let mut ledger = Ledger::open(snapshot, pools);
    ledger.report(pools);
    let mut claims = claims(pools, &ledger);
    grant(pools, &mut claims, &mut ledger);
    for claim in &claims {
        settle(pools, claim, &ledger);
    }
}

fn claims<'a>(pools: &[PoolDraft<'a>], ledger: &Ledger<'a>) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        if pool.seen.rules.mode == Mode::Paused {
            continue;
        }
        for (variant, draft) in pool.variants.iter().enumerate() {
            let settled = draft.previous().max(draft.floor);
            if draft.desired() > settled {
                claims.push(Claim {
                    pool: index,
                    variant,
                    settled,
                    granted: settled,
                    wanted: draft.desired(),
                    price: ledger.price(draft.variant),
                    shortage: None,
                });
            }
        }
    }
    claims
}

/// Grants whole claims where all of them fit together, else one replica at a time.
fn grant<'a>(pools: &[PoolDraft<'_>], claims: &mut [Claim<'a>], ledger: &mut Ledger<'a>) {
    if ledger.covers(
        claims
            .iter()
            .map(|claim| (claim.price, claim.gpu_replicas(pools), claim.growth())),
    ) {
        claims
            .iter_mut()
            .for_each(|claim| claim.granted = claim.wanted);
        return;
    }
    let mut need = bid::Need::new(pools, claims);
    let mut bids: BinaryHeap<Bid> = claims
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| need.bid(pools, claim, index))
        .collect();
    while let Some(bid) = bids.pop() {
        let Some(claim) = claims.get_mut(bid.claim) else {
            continue;
        };
        // A replica of a sibling may have met the need since this bid was made.
        if let Some(fresh) = need
            .bid(pools, claim, bid.claim)
            .filter(|fresh| *fresh < bid)
        {
            bids.push(fresh);
            continue;
        }
        match ledger.take(claim.price, claim.next_needs_gpus(pools)) {
            Ok(()) => {
                claim.granted += 1;
                need.grant(claim);
                if claim.granted < claim.wanted {
                    bids.extend(need.bid(pools, claim, bid.claim));
                }
            }
            Err(shortage) => claim.shortage = Some(shortage),
        }
    }
}

impl Claim<'_> {
    fn growth(&self) -> u32 {
        self.wanted - self.granted
    }

    fn current(&self, pools: &[PoolDraft<'_>]) -> u32 {
        pools
            .get(self.pool)
            .and_then(|pool| pool.variants.get(self.variant))
            .map_or(0, |draft| draft.variant.current_replicas)
    }

    /// Replicas still wanted that do not hold GPUs already.
    fn gpu_replicas(&self, pools: &[PoolDraft<'_>]) -> u32 {
        self.wanted
            .saturating_sub(self.granted.max(self.current(pools)))
    }

    fn next_needs_gpus(&self, pools: &[PoolDraft<'_>]) -> bool {
        self.granted >= self.current(pools)
    }
}

/// Writes a claim's outcome into the draft.
fn settle(pools: &mut [PoolDraft<'_>], claim: &Claim<'_>, ledger: &Ledger<'_>) {
    let Some(shortage) = claim.shortage else {
        return;
    };
    let Some(pool) = pools.get_mut(claim.pool) else {
        return;
    };
    let Some(draft) = pool.variants.get_mut(claim.variant) else {
        return;
    };
    let (rule, reason) = match shortage {
        Shortage::Gpus => (Rule::Gpus, condition::GPUS_SHORT),
        Shortage::Money => (Rule::Budget, condition::BUDGET_REACHED),
    };
    let why = ledger.explain(shortage, draft.variant);
    draft.set(rule, claim.granted, why.clone());
    let name = &draft.variant.name;
    let (granted, wanted) = (claim.granted - claim.settled, claim.wanted - claim.settled);
    let message = format!("`{name}`: {granted} of {wanted} more replicas granted; {why}");
    pool.condition(reason, message);
}
