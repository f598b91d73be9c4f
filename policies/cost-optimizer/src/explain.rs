//! Reasons for targets, and notes for the operator.

use trimtab_sdk::{Level, Note, Request, Role};

use crate::allocate::Method;
use crate::problem::{Bar, Choice, Kept, MICROS, Problem};
use crate::purse::{Overdraft, Purse};

/// What is said of one problem.
pub(crate) struct Story<'a> {
    problem: &'a Problem<'a>,
    aim: &'a [u32],
    /// E.g. "8 × h100 + 2 × l40s".
    mix: String,
    /// The bar that is the hardest to meet.
    bar: Option<&'a Bar<'a>>,
    /// E.g. "8 × h100 + 2 × l40s supplies 126, floor 118 requests/s".
    balance: String,
    in_need: bool,
}

impl<'a> Story<'a> {
    pub(crate) fn new(problem: &'a Problem<'a>, aim: &'a [u32]) -> Self {
        let start = problem.start();
        let now = problem.supply(&start);
        let hardest = problem
            .bars
            .iter()
            .zip(now.iter().zip(problem.supply(aim)))
            .min_by(|(one, (now, _)), (other, (other_now, _))| {
                (*now / one.ceiling).total_cmp(&(*other_now / other.ceiling))
            });
        let mix = describe(problem, aim);
        let balance = hardest.map_or_else(String::new, |(bar, (_, supply))| {
            let (supply, floor) = (figure(supply), figure(bar.stage.floor));
            format!("{mix} supplies {supply}, floor {floor} {}", bar.stage.unit)
        });
        Self {
            problem,
            aim,
            mix,
            bar: hardest.map(|(bar, _)| bar),
            balance,
            in_need: !problem.meets(&start, &problem.floors()),
        }
    }

    /// Why `count` replicas of a choice are asked for.
    pub(crate) fn reason(&self, choice: &Choice, count: u32, wanted: u32) -> String {
        let variant = choice.variant;
        let (Some(bar), None) = (self.bar, &self.problem.kept) else {
            return self.reason_to_keep();
        };
        let (unit, mix) = (&bar.stage.unit, &self.mix);
        if wanted == choice.start && variant.desired_replicas < choice.start {
            return format!("min-replicas {}", choice.min);
        }
        if wanted == choice.start && variant.desired_replicas > choice.start {
            return format!("max-replicas {}", choice.max);
        }
        if count > wanted {
            return format!("kept until {mix} serves");
        }
        if count < choice.start {
            return format!("ceiling {} {unit} needs {mix}", figure(bar.stage.ceiling));
        }
        let pending = match choice.start - choice.serving {
            0 => String::new(),
            pending => format!("; {pending} pending"),
        };
        if count == choice.start {
            return format!("{}{pending}", self.balance);
        }
        match self.in_need {
            true => format!(
                "floor {} {unit} needs {mix}{pending}",
                figure(bar.stage.floor)
            ),
            false => format!("{mix} saves {} an hour{pending}", figure(self.saving())),
        }
    }

    fn saving(&self) -> f64 {
        let costs = self.problem.choices.iter().zip(self.aim);
        costs
            .map(|(choice, count)| {
                choice.cost as f64 / MICROS * (f64::from(choice.start) - f64::from(*count))
            })
            .sum()
    }

    fn reason_to_keep(&self) -> String {
        match &self.problem.kept {
            None | Some(Kept::NoStage) => {
                format!("kept: no analyzer judges {}", role(self.problem.role))
            }
            Some(Kept::BadStage(stage)) => format!("kept: no valid bounds in {}", stage.unit),
            Some(Kept::BadCost(variant)) => format!("kept: no valid cost of {}", variant.name),
        }
    }

    /// What the operator should know.
    pub(crate) fn warning(&self, left: &Purse) -> Option<Note> {
        let problem = self.problem;
        let of = format!(
            "{}/{} {}",
            problem.pool.namespace,
            problem.pool.name,
            role(problem.role)
        );
        match &problem.kept {
            Some(Kept::NoStage) => return None,
            Some(Kept::BadStage(_) | Kept::BadCost(_)) => {
                return Some(note(
                    Level::Warning,
                    format!("{of} is {}", self.reason_to_keep()),
                ));
            }
            None => {}
        }
        let supplies = problem.supply(self.aim);
        let (index, (bar, supply)) = problem
            .bars
            .iter()
            .zip(supplies)
            .enumerate()
            .find(|(_, (bar, supply))| *supply < bar.floor)?;
        let obstacles: Vec<String> = problem
            .choices
            .iter()
            .zip(self.aim)
            .map(|(choice, count)| obstacle(choice, *count, index, left))
            .collect();
        let text = format!(
            "{of}: floor {} {}, {} can be had: {}",
            figure(bar.stage.floor),
            bar.stage.unit,
            figure(supply),
            obstacles.join(", ")
        );
        Some(note(Level::Warning, text))
    }
}

/// Why there are no more replicas of a choice.
fn obstacle(choice: &Choice, count: u32, bar: usize, left: &Purse) -> String {
    let name = &choice.variant.name;
    if choice.supply.get(bar).is_none_or(|supply| *supply <= 0.0) {
        format!("{name} cannot meet the objective")
    } else if count >= choice.max {
        format!("{name} has its max-replicas {}", choice.max)
    } else if left.lacks_gpus(choice) {
        format!("{name} lacks {}", choice.variant.accelerator)
    } else if left.room(choice) == 0 {
        format!("{name} is over the budget")
    } else {
        format!("{name} was not found to help")
    }
}

/// What the operator should know of the plan as a whole.
pub(crate) fn notes(method: Method, n_roles: usize, overdrafts: &[Overdraft]) -> Vec<Note> {
    let mut notes = vec![note(Level::Info, describe_method(method, n_roles))];
    notes.extend(overdrafts.iter().map(|overdraft| {
        let text = match overdraft {
            Overdraft::Gpus {
                accelerator,
                needed,
                free,
            } => format!(
                "minimum replicas need {needed} GPUs more of {accelerator} and {free} are free: \
                 they are asked for, nothing else grows there"
            ),
            Overdraft::Budget { spent, budget } => format!(
                "over budget: what is asked for costs {} an hour of {}, nothing grows",
                figure(*spent),
                figure(*budget)
            ),
        };
        note(Level::Warning, text)
    }));
    notes
}

fn describe_method(method: Method, n_roles: usize) -> String {
    match method {
        Method {
            n_unproven: 0,
            contended: false,
            ..
        } => {
            format!("exact: the least-cost mix for each of {n_roles} roles")
        }
        Method {
            n_unproven: 0,
            in_turn: false,
            n_short: 0,
            ..
        } => format!(
            "exact: what {n_roles} roles want cannot be had at once, all floors are met at the \
             least cost together"
        ),
        Method {
            contended: false,
            n_unproven,
            ..
        } => format!(
            "heuristic: for {n_unproven} of {n_roles} roles a better mix may exist than was found"
        ),
        Method {
            n_unproven,
            n_short,
            ..
        } => format!(
            "heuristic: what {n_roles} roles want cannot be had at once and was given by priority \
             and need; {n_short} get less than they want, for {n_unproven} a better mix may exist"
        ),
    }
}

/// Stages of roles that no variant of their pool has.
pub(crate) fn orphans(requests: &[Request]) -> impl Iterator<Item = Note> {
    requests.iter().flat_map(|request| {
        let has = |role| {
            request
                .pool
                .variants
                .iter()
                .any(|variant| variant.role == role)
        };
        let orphans = request.stages.iter().filter(move |stage| !has(stage.role));
        orphans.map(|stage| {
            let (pool, role) = (&request.pool, role(stage.role));
            let text = format!(
                "{}/{} has a {role} stage and no {role} variant",
                pool.namespace, pool.name
            );
            note(Level::Warning, text)
        })
    })
}

fn describe(problem: &Problem, counts: &[u32]) -> String {
    let mut text = String::new();
    for (choice, count) in problem
        .choices
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
    {
        let plus = if text.is_empty() { "" } else { " + " };
        text += &format!("{plus}{count} × {}", choice.variant.name);
    }
    if text.is_empty() {
        "nothing".into()
    } else {
        text
    }
}

fn note(level: Level, text: String) -> Note {
    Note {
        level,
        variant: None,
        text,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Both => "both",
        Role::Prefill => "prefill",
        Role::Decode => "decode",
    }
}

/// Three digits or more, without a tail of zeros that say nothing.
fn figure(amount: f64) -> String {
    match amount {
        large if large >= 100.0 => format!("{large:.0}"),
        medium if medium >= 10.0 => format!("{medium:.1}"),
        small => format!("{small:.2}"),
    }
}
