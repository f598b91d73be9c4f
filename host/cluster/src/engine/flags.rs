//! Flags of a command line: `--name value`, `--name=value`, `-n value`; dashes and underscores are
//! the same, and the last one counts.

use std::collections::BTreeMap;

/// Flags by name, without leading dashes and with dashes inside.
#[derive(Debug)]
pub(super) struct Flags<'a>(BTreeMap<String, Option<&'a str>>);

impl<'a> Flags<'a> {
    pub(super) fn read(words: &'a [String]) -> Self {
        let mut flags = BTreeMap::new();
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let Some(written) = flag(word) else { continue };
            let (name, value) = match written.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (written, words.next_if(|next| flag(next).is_none())),
            };
            flags.insert(name.replace('_', "-"), value);
        }
        Self(flags)
    }

    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        self.value(names).map(str::to_owned)
    }

    /// A positive whole number, also as `8k` (8,000) or `8K` (8,192).
    pub(super) fn count(&self, names: &[&str]) -> Option<u32> {
        self.value(names).and_then(count)
    }

    pub(super) fn signed(&self, names: &[&str]) -> Option<i64> {
        self.value(names)?.trim().parse().ok()
    }

    /// A number above 0 and at most 1.
    pub(super) fn share(&self, names: &[&str]) -> Option<f64> {
        let value: f64 = self.value(names)?.trim().parse().ok()?;
        (value > 0.0 && value <= 1.0).then_some(value)
    }

    /// `--name`, `--no-name`, `--name true`, `--name=False`.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        let off = format!("no-{name}");
        if self.0.contains_key(&off) {
            return Some(false);
        }
        let value = self.0.get(name)?;
        Some(!value.is_some_and(|value| value.eq_ignore_ascii_case("false") || value == "0"))
    }

    fn value(&self, names: &[&str]) -> Option<&'a str> {
        names
            .iter()
            .find_map(|name| self.0.get(*name).copied().flatten())
    }
}

/// A word's flag without its dashes; negative numbers are values.
fn flag(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(name)
}

fn count(text: &str) -> Option<u32> {
    let text = text.trim();
    let unit = |letter| match letter {
        'k' => Some(1e3),
        'm' => Some(1e6),
        'K' => Some(1024.0),
        'M' => Some(1024.0 * 1024.0),
        _ => None,
    };
    let last = text.chars().next_back()?;
    let number: f64 = match unit(last) {
        Some(unit) => text.strip_suffix(last)?.parse::<f64>().ok()? * unit,
        None => text.parse().ok()?,
    };
    let whole = number >= 1.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0;
    whole.then_some(number as u32)
}
