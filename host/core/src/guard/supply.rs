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

use trimtab_contract::Variant;

use crate::decision::{Rule, condition};
use crate::draft::PoolDraft;
use crate::snapshot::{Mode, Snapshot};

mod bid;
mod ledger;
mod report;

use bid::Bid;
use ledger::{Ledger, Price, Shortage};

/// Growth of one variant beyond what is settled.
struct Claim<'a> {
    /// Position of its pool.
    pool: usize,
    /// Position in its pool.
    position: usize,
    variant: &'a Variant,
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
    report::report(&ledger, pools);
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
        for (position, draft) in pool.variants.iter().enumerate() {
            let settled = draft.previous().max(draft.floor);
            if draft.desired() > settled {
                claims.push(Claim {
                    pool: index,
                    position,
                    variant: draft.variant,
                    settled,
                    granted: settled,
                    wanted: draft.desired(),
                    price: ledger.price(index, draft.variant),
                    shortage: None,
                });
            }
        }
    }
    claims
}

/// Grants whole claims where all of them fit together, else one replica at a time.
fn grant<'a>(pools: &[PoolDraft<'_>], claims: &mut [Claim<'a>], ledger: &mut Ledger<'a>) {
    let asked = claims.iter();
    if ledger.covers(asked.map(|claim| (claim.price, claim.gpu_replicas(), claim.growth()))) {
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
        match ledger.take(claim.price, claim.next_needs_gpus()) {
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

    /// Replicas still wanted that do not hold GPUs already.
    fn gpu_replicas(&self) -> u32 {
        let held = self.granted.max(self.variant.current_replicas);
        self.wanted.saturating_sub(held)
    }

    fn next_needs_gpus(&self) -> bool {
        self.granted >= self.variant.current_replicas
    }
}

/// Writes a claim's outcome into the draft.
fn settle(pools: &mut [PoolDraft<'_>], claim: &Claim<'_>, ledger: &Ledger<'_>) {
    let pool = pools.get_mut(claim.pool);
    let Some((pool, shortage)) = pool.zip(claim.shortage) else {
        return;
    };
    let (rule, reason) = match shortage {
        Shortage::Gpus => (Rule::Gpus, condition::GPUS_SHORT),
        Shortage::Money | Shortage::PoolMoney => (Rule::Budget, condition::BUDGET_REACHED),
    };
    let why = ledger.explain(shortage, claim.pool, claim.variant);
    let (granted, wanted) = (claim.granted - claim.settled, claim.wanted - claim.settled);
    let name = &claim.variant.name;
    let message = format!("`{name}`: {granted} of {wanted} more replicas granted; {why}");
    if let Some(draft) = pool.variants.get_mut(claim.position) {
        draft.set(rule, claim.granted, why);
    }
    pool.condition(reason, message);
}
