//! Foreign text in an error message: short, and without what a terminal would act on.

/// Longest excerpt of a value, in characters.
const VALUE: usize = 60;

/// Longest message of a library or a policy, in characters.
const MESSAGE: usize = 400;

/// The start of a value, with control characters written as escapes.
#[must_use]
pub fn excerpt(text: &str) -> String {
    start(text, VALUE)
}

/// A message of a library or a policy, which may quote a value in full.
#[must_use]
pub fn message(text: &str) -> String {
    start(text, MESSAGE)
}

fn start(text: &str, longest: usize) -> String {
    let visible = |c: char| -> String {
        if c.is_control() || is_invisible(c) {
            c.escape_default().collect()
        } else {
            c.to_string()
        }
    };
    let start: String = text.chars().take(longest).map(visible).collect();
    if text.chars().nth(longest).is_some() {
        format!("{start}…")
    } else {
        start
    }
}

/// Marks without a width, and those that turn the direction of the text after them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number as short as it can be told.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size > 0.0 && !(1e-6..1e15).contains(&size) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut() {
        assert_eq!(excerpt("a\u{1b}[31m\0"), "a\\u{1b}[31m\\u{0}");
        assert_eq!(excerpt("grün"), "grün");
        assert_eq!(excerpt(&"9".repeat(300)), format!("{}…", "9".repeat(60)));
    }

    #[test]
    fn huge_and_tiny_numbers_are_short() {
        assert_eq!(number(1e308), "1e308");
        assert_eq!(number(-2.5e-300), "-2.5e-300");
        assert_eq!(number(31_622_400.0), "31622400");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(f64::INFINITY), "inf");
    }
}
