//! What of a cluster is looked at.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector};

/// The part of the cluster that this operator is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Only objects labelled with it are taken; `None` takes all.
    pub controller_instance: Option<String>,
    /// Namespaces that are left alone.
    pub excluded_namespaces: BTreeSet<String>,
    /// Labels that a node must have for its accelerators to count.
    pub node_selector: Selector,
}

/// Why a text is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no requirement of a label selector; expected `key`, `!key`, `key=value`, \
     `key!=value`, `key in (a,b)` or `key notin (a,b)`"
)]
pub struct NoRequirement(String);

/// Reads a label selector as kubectl takes it. An empty one selects everything.
///
/// # Errors
/// Where a part of it is no requirement; names the first.
pub fn selector(text: &str) -> Result<Selector, NoRequirement> {
    let parts = requirements(text).into_iter();
    let read = |part: &str| requirement(part).ok_or_else(|| NoRequirement(part.to_owned()));
    parts.map(read).collect()
}

/// Commas part requirements, except within brackets.
fn requirements(text: &str) -> Vec<&str> {
    let mut within = false;
    let parts = text.split(|of: char| {
        within = (within || of == '(') && of != ')';
        of == ',' && !within
    });
    let parts = parts.map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Option<Expression> {
    if let Some((head, values)) = text.split_once('(') {
        let values = values.strip_suffix(')')?.split(',');
        let values: Option<BTreeSet<String>> = values.map(value).collect();
        let (name, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Expression::In(key(name)?, values?)),
            "notin" => Some(Expression::NotIn(key(name)?, values?)),
            _ => None,
        };
    }
    if let Some((name, text)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key(name)?, value(text)?));
    }
    if let Some((name, text)) = text.split_once('=') {
        let text = text.strip_prefix('=').unwrap_or(text);
        return Some(Expression::Equal(key(name)?, value(text)?));
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Expression::DoesNotExist(key(name)?)),
        None => Some(Expression::Exists(key(text)?)),
    }
}

fn key(text: &str) -> Option<String> {
    let name = value(&text.replacen('/', "", 1))?;
    (!name.is_empty()).then(|| text.trim().to_owned())
}

fn value(text: &str) -> Option<String> {
    let allowed = |of: char| of.is_ascii_alphanumeric() || matches!(of, '-' | '_' | '.');
    let text = text.trim();
    text.chars().all(allowed).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use kube::core::SelectorExt as _;

    #[test]
    fn a_selector_is_as_kubectl_takes_it() {
        let nodes = ["pool=gpu zone=a", "pool=gpu zone=b", "pool=cpu", ""];
        let selected = |text: &str| {
            let selector = selector(text).unwrap();
            nodes.map(|labels| {
                let labels = labels
                    .split_whitespace()
                    .filter_map(|one| one.split_once('='));
                let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
                u8::from(selector.matches(&labels.collect::<BTreeMap<_, _>>()))
            })
        };
        assert_eq!(selected(""), [1, 1, 1, 1]);
        assert_eq!(selected("pool=gpu, zone==a,"), [1, 0, 0, 0]);
        assert_eq!(selected("pool!=gpu"), [0, 0, 1, 1]);
        assert_eq!(selected("zone"), [1, 1, 0, 0]);
        assert_eq!(selected("! zone,pool"), [0, 0, 1, 0]);
        assert_eq!(selected("zone in (b, c),pool = gpu"), [0, 1, 0, 0]);
        assert_eq!(selected("pool in(gpu)"), [1, 1, 0, 0]);
        assert_eq!(selected("zone notin (a),pool notin (cpu)"), [0, 1, 0, 1]);
        assert_eq!(selected("pool="), [0, 0, 0, 0]);
    }

    #[test]
    fn keys_may_have_a_prefix() {
        let exists = |key: &str| Selector::from(Expression::Exists(key.to_owned()));
        let prefixed = "nvidia.com/gpu.product";
        assert_eq!(selector(prefixed), Ok(exists(prefixed)));
    }

    #[test]
    fn what_is_no_requirement_is_named() {
        for wrong in [
            "=a",
            "!",
            "gpus>3",
            "zone in a",
            "zone in (a",
            "in (a)",
            "zone among (a)",
            "zone=a b",
            "a/b/c",
            "zone=a/b",
            "zone in (a)(b)",
            "zone)",
        ] {
            let error = selector(&format!("pool=gpu,{wrong}")).unwrap_err();
            assert_eq!(error, NoRequirement(wrong.to_owned()));
        }
    }
}
