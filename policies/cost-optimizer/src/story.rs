//! What is said of one problem: a reason for each target, and a warning where floors are not met.

use trimtab_sdk::{Level, Note};

use crate::notes::{figure, note, role_name};
use crate::problem::{Bar, Choice, Kept, MICROS, Problem};
use crate::purse::Purse;

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
    shortfall: Option<Shortfall>,
}

/// A floor that is not met.
struct Shortfall {
    /// Position of the bar.
    bar: usize,
    /// E.g. "floor 118 requests/s, 96 can be had".
    text: String,
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
            shortfall: Shortfall::of(problem, aim),
        }
    }

    /// Why `count` replicas of a choice are asked for. `left` is what nobody took.
    pub(crate) fn reason(&self, choice: &Choice, count: u32, wanted: u32, left: &Purse) -> String {
        let desired = choice.variant.desired_replicas;
        if wanted == choice.start && desired < choice.start {
            return format!("min-replicas {}", choice.min);
        }
        if wanted == choice.start && desired > choice.start {
            return format!("max-replicas {}", choice.max);
        }
        let (Some(bar), None) = (self.bar, &self.problem.kept) else {
            return self.reason_to_keep();
        };
        let (unit, mix) = (&bar.stage.unit, &self.mix);
        if let Some(shortfall) = &self.shortfall {
            return format!(
                "{}: {}",
                shortfall.text,
                obstacle(choice, count, shortfall.bar, left)
            );
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
                format!("kept: no analyzer judges {}", role_name(self.problem.role))
            }
            Some(Kept::BadStage(stage)) => format!("kept: no valid bounds in {}", stage.unit),
            Some(Kept::BadCost(variant)) => format!("kept: no valid cost of {}", variant.name),
        }
    }

    /// What the operator should know. `left` is what nobody took.
    pub(crate) fn warning(&self, left: &Purse) -> Option<Note> {
        let problem = self.problem;
        let what = match (&problem.kept, &self.shortfall) {
            (Some(Kept::BadStage(_) | Kept::BadCost(_)), _) => self.reason_to_keep(),
            (Some(Kept::NoStage), _) | (None, None) => return None,
            (None, Some(shortfall)) => {
                let obstacles: Vec<String> = problem
                    .choices
                    .iter()
                    .zip(self.aim)
                    .map(|(choice, count)| obstacle(choice, *count, shortfall.bar, left))
                    .collect();
                format!("{}: {}", shortfall.text, obstacles.join(", "))
            }
        };
        let (pool, role) = (problem.pool, role_name(problem.role));
        Some(note(
            Level::Warning,
            format!("{}/{} {role}: {what}", pool.namespace, pool.name),
        ))
    }
}

impl Shortfall {
    fn of(problem: &Problem, aim: &[u32]) -> Option<Self> {
        let bars = problem.bars.iter().zip(problem.supply(aim)).enumerate();
        let mut missed = bars.filter(|(_, (bar, supply))| *supply < bar.floor);
        let (number, (bar, supply)) = missed.next()?;
        let (floor, unit) = (figure(bar.stage.floor), &bar.stage.unit);
        let text = format!("floor {floor} {unit}, {} can be had", figure(supply));
        Some(Self { bar: number, text })
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
        format!("no more {} for {name}", choice.variant.accelerator)
    } else if left.room(choice) == 0 {
        format!("{name} is over the budget")
    } else {
        format!("{name} was not found to help")
    }
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
