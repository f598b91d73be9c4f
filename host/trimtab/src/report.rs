//! `report.html`: one page that shows what a simulation did. It needs no network and no script.

mod arms;
mod axis;
mod chart;
mod comparison;
mod conditions;
mod decisions;
mod events;
mod faults;
mod header;
mod ink;
mod pool;
mod series;
mod tried;

use anyhow::Result;
use maud::{DOCTYPE, PreEscaped, html};
use trimtab_sim::run::START_MS;
use trimtab_sim::spec::{PoolSpec, Spec};

use crate::summary::{Run, Summary};
use chart::Frame;
use ink::Ink;
use tried::OfPool;

/// The page. Its plots of pools and its decisions are those of the first run.
pub(crate) fn render(spec: &Spec, runs: &[Run], summary: &Summary<'_>) -> Result<String> {
    let frame = Frame {
        duration: duration(spec, runs),
        arriving: spec.duration_seconds,
        marks: Vec::new(),
        bands: Vec::new(),
    };
    let shown = runs.first();
    let pools = shown.map_or(&[][..], |run| &run.outcome.pools);
    let sections = spec.pools.iter().zip(pools).enumerate();
    let sections = sections.map(|(position, (pool, series))| {
        let mishaps = faults::of_pool(&spec.faults, position, pool);
        let tried = shown
            .zip(summary.runs.first())
            .map(|(run, told)| OfPool::new((position, pool), &run.outcome.tried, told));
        let mut tried = tried.unwrap_or_default();
        let gone_wrong = mishaps.iter().flat_map(|mishap| &mishap.marks);
        let gone_wrong = gone_wrong.map(|at| (*at, Ink::Mishap));
        let around = Frame {
            marks: gone_wrong.chain(tried.marks()).collect(),
            bands: std::mem::take(&mut tried.bands),
            ..frame
        };
        pool::section(pool, series, (&mishaps, &tried), &around)
    });
    let sections = sections.collect::<Result<Vec<_>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Trimtab: simulation of " (spec.name) }
                style { (PreEscaped(ink::stylesheet())) (PreEscaped(include_str!("report/style.css"))) }
            }
            body {
                main {
                    (header::section(spec, summary))
                    (comparison::section(spec, runs, &frame)?)
                    @for section in sections { (section) }
                    @if let Some(run) = shown { (decisions::section(&run.outcome.decisions, START_MS)) }
                    (footer(runs))
                }
            }
        }
    };
    Ok(page.into_string())
}

/// The share of all requests that would meet their objective if each pool just kept its own.
fn wanted(spec: &Spec) -> Option<f64> {
    let arrivals = |pool: &PoolSpec| u32::try_from(pool.arrivals.len()).map_or(0.0, f64::from);
    let all: f64 = spec.pools.iter().map(arrivals).sum();
    let meet = spec
        .pools
        .iter()
        .map(|pool| pool.objective.percentile * arrivals(pool));
    (all > 0.0).then(|| meet.sum::<f64>() / all)
}

/// Seconds until the last sample of any run: requests may be served after the last has arrived.
fn duration(spec: &Spec, runs: &[Run]) -> f64 {
    let samples = runs
        .iter()
        .flat_map(|run| &run.outcome.pools)
        .flat_map(|pool| &pool.samples);
    samples
        .map(|sample| sample.at_seconds)
        .fold(spec.duration_seconds, f64::max)
}

fn footer(runs: &[Run]) -> maud::Markup {
    let longest = runs
        .iter()
        .flat_map(|run| &run.outcome.pools)
        .map(|pool| pool.samples.len())
        .max();
    let ticks = series::ticks_per_point(longest.unwrap_or(0));
    html! {
        footer {
            @if ticks > 1 {
                p {
                    "A point of a plot stands for " (ticks) " ticks: the largest of them where latency "
                    "and queues are shown, their mean elsewhere. Replica counts are exact."
                }
            }
            p { "Trimtab " (env!("CARGO_PKG_VERSION")) ". Costs are in the scenario's currency." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn page() -> String {
        let spec = fixture::spec();
        let runs = fixture::runs(&spec);
        render(&spec, &runs, &Summary::new(&spec, &runs, 1.0)).unwrap()
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let page = page().replace("http://www.w3.org/2000/svg", "");
        for outside in [
            "http:", "https:", "//", "<script", "<link", "@import", "url(",
        ] {
            assert!(!page.contains(outside), "the page has `{outside}`");
        }
    }

    /// In a narrow window what is wide scrolls in a box of its own; the page itself does not.
    #[test]
    fn what_is_wide_scrolls_in_its_own_box() {
        let page = page();
        for (wide, boxes) in [
            ("<table", &["wide", "decisions"][..]),
            ("<svg", &["plot"][..]),
        ] {
            for (position, _) in page.match_indices(wide) {
                let around = page[..position].rfind("<div class=\"").unwrap();
                let class = page[around + 12..].split('"').next().unwrap();
                assert!(boxes.contains(&class), "{wide} in `{class}`");
            }
        }
        let style = include_str!("report/style.css");
        for class in ["wide", "decisions", "plot"] {
            let rule = style
                .lines()
                .find(|line| line.starts_with(&format!(".{class} {{")));
            let rule = rule.unwrap();
            assert!(
                rule.contains("overflow: auto") || rule.contains("overflow-x: auto"),
                "{rule}"
            );
        }
    }

    #[test]
    fn every_pool_and_run_is_on_the_page() {
        let page = page();
        let spec = fixture::spec();
        for pool in &spec.pools {
            assert!(page.contains(&format!("Pool {}/{}", pool.namespace, pool.name)));
            for variant in &pool.variants {
                assert!(page.contains(&variant.name));
            }
        }
        for run in fixture::runs(&spec) {
            assert!(page.contains(&format!("Cost / {}", run.name)) || page.contains(&run.name));
        }
        // Six plots for each pool, and four of the whole fleet.
        assert_eq!(page.matches("<svg").count(), 6 * spec.pools.len() + 4);
    }

    #[test]
    fn what_was_tried_has_its_sections_and_nothing_else_does() {
        let spec = fixture::spec();
        let tried = fixture::tried(&spec);
        let page = render(&spec, &tried, &Summary::new(&spec, &tried, 1.0)).unwrap();
        let sections = [
            "<h3>Shadows</h3>",
            "<h3>Experiment</h3>",
            "At the same load the candidate cost 9.8 % less (95 % interval 7.1 % to 12.4 % less)",
            "Swapped at 1:00:00: other settings for cost-optimizer 0.1.0",
            "Its own policies at the beginning",
            "candidate decides",
            "<strong>thrifty</strong>: queueing-analyzer 0.1.0",
            "<strong>candidate</strong>: other settings for cost-optimizer 0.1.0",
            "−1.24 to −0.71",
        ];
        let plain = self::page();
        for section in sections {
            assert_eq!(page.matches(section).count(), 1, "`{section}`");
            assert!(!plain.contains(section), "`{section}`");
        }
        // One plot more, for the pool with a shadow; a mark of the swap in each of the other's six.
        assert_eq!(
            page.matches("<svg").count(),
            plain.matches("<svg").count() + 1
        );
        let (swap, band) = ("stroke=\"#0A0010\"", "fill=\"#0C0110\"");
        assert_eq!(page.matches(swap).count() - plain.matches(swap).count(), 6);
        // Twelve turns of the candidate above each of seven plots.
        assert_eq!(
            page.matches(band).count() - plain.matches(band).count(),
            12 * 7
        );
    }

    #[test]
    fn an_objective_out_of_reach_is_on_the_page() {
        let spec = fixture::spec();
        let mut runs = fixture::runs(&spec);
        runs[3].outcome.out_of_reach = vec![trimtab_sim::outcome::OutOfReach {
            pool: "code".to_owned(),
            wanted: 0.99,
            attained: 0.95,
        }];
        let page = render(&spec, &runs, &Summary::new(&spec, &runs, 1.0)).unwrap();
        assert!(page.contains("oracle: the objective of pool `code`, 99 % of requests"));
    }

    #[test]
    fn pools_weigh_by_their_requests() {
        let mut spec = fixture::spec();
        spec.pools[0].objective.percentile = 0.95;
        spec.pools[0].arrivals.truncate(1800);
        let expected = (0.95 * 1800.0 + 0.99 * 7200.0) / 9000.0;
        assert!((wanted(&spec).unwrap() - expected).abs() < 1e-12);
        spec.pools.clear();
        assert_eq!(wanted(&spec), None);
    }

    #[test]
    fn a_run_without_samples_still_has_a_page() {
        let spec = fixture::spec();
        let runs = vec![Run {
            name: "trimtab".to_owned(),
            policies: None,
            outcome: trimtab_sim::outcome::Outcome::default(),
        }];
        let page = render(&spec, &runs, &Summary::new(&spec, &runs, 1.0)).unwrap();
        assert!(page.contains("</html>"));
    }
}
