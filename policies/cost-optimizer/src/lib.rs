//! The least-cost mix of replicas that meets every floor, within GPUs and budget.
//!
//! Each role of each pool is a covering problem: whole replicas of several variants, at the least
//! cost, such that their supply meets the floor of every stage. Pending replicas count. Something
//! shrinks only while every ceiling is exceeded without it, by replicas that serve. What runs is
//! replaced only by what is cheaper by a set share. Where GPUs or money do not suffice for all,
//! priority decides, then need. The policy has no state: what is asked for now is its memory.

use trimtab_sdk::{
    Context, Descriptor, Limits, Optimizer, Plan, Refusal, Request, Target, export_optimizer,
};

use crate::allocate::allocate;
use crate::ask::Effort;
use crate::handover::hand_over;
use crate::notes::{notes, orphans};
use crate::problem::Problem;
use crate::purse::Purse;
use crate::settings::Settings;
use crate::story::Story;
use crate::worth::Scale;

mod aim;
mod allocate;
mod ask;
mod bars;
mod bound;
mod claim;
mod cover;
mod fair;
mod handover;
mod improve;
mod joint;
mod notes;
mod problem;
mod purse;
mod search;
mod settings;
mod story;
mod worth;

/// The policy; see the crate's documentation.
pub struct CostOptimizer;

export_optimizer!(CostOptimizer);

impl Optimizer for CostOptimizer {
    fn describe() -> Descriptor {
        Descriptor {
            name: "cost-optimizer".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "The least-cost mix of replicas that meets every floor".into(),
            settings_schema: trimtab_sdk::settings::schema::<Settings>(),
            state_format: "none".into(),
        }
    }

    fn optimize(context: &Context, requests: &[Request], limits: &Limits) -> Result<Plan, Refusal> {
        let settings = Settings::read(&context.settings)?;
        let mut purse = Purse::new(limits);
        let problems: Vec<Problem> = (0..)
            .zip(requests)
            .flat_map(|(number, request)| Problem::of_request(number, request, &purse))
            .collect();
        let overdrafts = purse.set_aside(&problems, limits.budget);
        let effort = Effort {
            scale: Scale {
                switch_saving_percent: settings.switch_saving_percent,
            },
            steps: settings.steps_each(problems.len()),
        };
        let allocation = allocate(&problems, &mut purse, effort);
        let mut plan = Plan {
            targets: Vec::new(),
            notes: notes(allocation.method, problems.len(), &overdrafts),
            state: Vec::new(),
        };
        for (problem, mix) in problems.iter().zip(&allocation.mixes) {
            let story = Story::new(problem, &mix.counts);
            plan.targets
                .extend(targets(problem, &mix.counts, &story, &purse));
            plan.notes.extend(story.warning(&purse));
        }
        plan.targets
            .sort_by_key(|target| (target.request, target.variant));
        plan.notes.extend(orphans(requests));
        Ok(plan)
    }
}

fn targets<'a>(
    problem: &'a Problem,
    aim: &'a [u32],
    story: &'a Story,
    left: &'a Purse,
) -> impl Iterator<Item = Target> + 'a {
    let counts = hand_over(problem, aim);
    problem
        .choices
        .iter()
        .zip(counts)
        .zip(aim)
        .map(|((choice, replicas), wanted)| Target {
            request: problem.request,
            variant: choice.position,
            replicas,
            reason: story.reason(choice, replicas, *wanted, left),
        })
}
