//! A container's command lines as words, with what Kubernetes and a shell would have made of them.

use super::script;
use crate::objects::template::Container;

/// Command and arguments; where they run a script in a shell, each of the script's commands.
pub(super) fn of(container: &Container) -> Vec<Vec<String>> {
    let line = container.command.iter().chain(&container.args);
    let line: Vec<String> = line
        .map(|word| expand(word, container, Syntax::Kubernetes))
        .collect();
    match script(&line) {
        Some(script) => {
            let script = expand(script, container, Syntax::Shell);
            // A line that goes on in the next one.
            let script = script.replace("\\\n", "");
            let commands = script::commands(&script).into_iter();
            // A script with an open quote is not one that runs; its words are still worth a look.
            let words = |command: &str| {
                shlex::split(command)
                    .unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect())
            };
            commands.map(words).collect()
        }
        None => vec![line],
    }
}

/// The script of `sh -c script`, wherever in the line that stands.
fn script(line: &[String]) -> Option<&String> {
    let shell = line.iter().position(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        matches!(name, "sh" | "bash" | "ash" | "dash")
    })?;
    let rest = line.get(shell + 1..)?;
    let flag = rest
        .iter()
        .position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
    rest.get(flag + 1)
}

#[derive(Clone, Copy)]
enum Syntax {
    /// `$(NAME)`, and `$$(` for a literal one.
    Kubernetes,
    /// `$NAME`, `${NAME}` and `${NAME:-otherwise}`.
    Shell,
}

/// Puts in the variables that the container sets literally; others stay as they are written.
fn expand(text: &str, container: &Container, syntax: Syntax) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, found) = rest.split_at(at);
        expanded.push_str(before);
        if let (Syntax::Kubernetes, Some(literal)) = (syntax, found.strip_prefix("$$")) {
            expanded.push('$');
            rest = literal;
            continue;
        }
        match variable(found, syntax) {
            Some(Variable {
                name,
                otherwise,
                after,
            }) if container.variable(name).or(otherwise).is_some() => {
                expanded.push_str(container.variable(name).or(otherwise).unwrap_or_default());
                rest = after;
            }
            _ => {
                expanded.push('$');
                rest = found.strip_prefix('$').unwrap_or_default();
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

struct Variable<'a> {
    name: &'a str,
    otherwise: Option<&'a str>,
    after: &'a str,
}

fn variable(text: &str, syntax: Syntax) -> Option<Variable<'_>> {
    let rest = text.strip_prefix('$')?;
    let (open, close) = match syntax {
        Syntax::Kubernetes => ('(', ')'),
        Syntax::Shell => ('{', '}'),
    };
    if let Some(inner) = rest.strip_prefix(open) {
        let (inner, after) = inner.split_once(close)?;
        let (name, otherwise) = match (syntax, inner.split_once(":-")) {
            (Syntax::Shell, Some((name, otherwise))) => (name, Some(otherwise)),
            _ => (inner, None),
        };
        return Some(Variable {
            name,
            otherwise,
            after,
        });
    }
    if matches!(syntax, Syntax::Kubernetes) {
        return None;
    }
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    (!name.is_empty()).then_some(Variable {
        name,
        otherwise: None,
        after,
    })
}
