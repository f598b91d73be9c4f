//! The list against what is documented, and against what the chart grants.

use std::collections::BTreeSet;

use super::*;

const DOCUMENTED: &str = include_str!("../../README.md");
const CHART: &str = include_str!("../../../../deploy/chart/templates/_rules.tpl");

/// Group, resource and verb.
type Granted = (String, String, String);

fn expand(groups: &[String], resources: &[String], verbs: &[String]) -> Vec<Granted> {
    let mut granted = Vec::new();
    for group in groups {
        for resource in resources {
            for verb in verbs {
                granted.push((group.clone(), resource.clone(), verb.clone()));
            }
        }
    }
    granted
}

fn listed(wanted: impl Fn(&Right) -> bool) -> BTreeSet<Granted> {
    let owned = |words: &[&str]| -> Vec<String> { words.iter().map(ToString::to_string).collect() };
    let rights = RIGHTS.iter().filter(|right| wanted(right));
    rights
        .flat_map(|right| {
            let (group, resource) = (owned(&[right.group]), owned(&[right.resource]));
            expand(&group, &resource, &owned(right.verbs))
        })
        .collect()
}

/// The items of a flow sequence after a key, with the template's own words taken out.
fn sequence(text: &str, key: &str) -> Option<Vec<String>> {
    let (_, rest) = text.split_once(&format!("{key}:"))?;
    let (_, rest) = rest.split_once('[')?;
    let (items, _) = rest.split_once(']')?;
    let items = items.split(',').map(|item| item.trim().trim_matches('"'));
    Some(items.map(str::to_owned).collect())
}

fn without_templates(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once("}}").map_or("", |(_, rest)| rest));
    }
    plain
}

/// Rules in a text, each of which begins with its groups.
fn rules(text: &str) -> BTreeSet<Granted> {
    let rules = text.split("apiGroups:").skip(1);
    rules
        .filter_map(|rule| {
            let rule = format!("apiGroups:{rule}");
            let groups = sequence(&rule, "apiGroups")?;
            // One of another kind of target, which the values name.
            let resources = sequence(&rule, "resources")?;
            Some(expand(&groups, &resources, &sequence(&rule, "verbs")?))
        })
        .flatten()
        .collect()
}

/// What the chart grants in one of its lists.
fn of_chart(list: &str) -> BTreeSet<Granted> {
    let begin = format!("define \"trimtab.{list}\"");
    let (_, rest) = CHART.split_once(&begin).unwrap();
    let (body, _) = rest.split_once("define \"").unwrap_or((rest, ""));
    // Those that the values name have no text of their own.
    let body = body.replace("{{ toJson .apiGroups }}", "NAMED");
    let body = without_templates(&body);
    let own: Vec<&str> = body.split("- apiGroups:").collect();
    let own = own.iter().filter(|rule| !rule.contains("NAMED"));
    let own = own.map(|rule| rule.to_string()).collect::<Vec<_>>();
    rules(&own.join("apiGroups:"))
}

#[test]
fn the_documented_role_grants_each_right_and_no_other() {
    let (_, rest) = DOCUMENTED.split_once("```yaml\n").unwrap();
    let (yaml, _) = rest.split_once("```").unwrap();
    assert_eq!(rules(yaml), listed(|_| true));
}

#[test]
fn the_chart_grants_each_right_where_it_is_needed_and_no_other() {
    let by = |scope: Scope| listed(move |right| right.scope == scope);
    assert_eq!(of_chart("rulesOfNamespaces"), by(Scope::Watched));
    assert_eq!(of_chart("rulesOfCluster"), by(Scope::Cluster));
    let mut own = of_chart("rulesOfState");
    own.extend(of_chart("rulesOfOwn"));
    assert_eq!(own, by(Scope::Own));
}
