//! A shell script cut into its commands.

/// The commands of a script: what stands between newlines, `;`, `&`, `|` and their doubles outside
/// of quotes, substitutions and comments.
pub(super) fn commands(script: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut from = 0;
    let mut scanner = Scanner::default();
    for (at, c) in script.char_indices() {
        let next = script.get(at + c.len_utf8()..).unwrap_or_default();
        if scanner.ends_command(c, next) {
            commands.extend(script.get(from..at));
            from = at + c.len_utf8();
        }
    }
    commands.extend(script.get(from..));
    commands.retain(|command| !command.trim().is_empty());
    commands
}

/// Where in a script one is.
#[derive(Default)]
struct Scanner {
    quote: Option<char>,
    escaped: bool,
    comment: bool,
    /// Of `$(...)`, `$((...))` and `(...)`.
    depth: u32,
    before: Option<char>,
}

impl Scanner {
    /// Whether `c`, with `next` behind it, ends a command.
    fn ends_command(&mut self, c: char, next: &str) -> bool {
        let before = self.before.replace(c);
        if self.comment {
            self.comment = c != '\n';
            return c == '\n' && self.depth == 0;
        }
        if std::mem::take(&mut self.escaped) {
            return false;
        }
        match (self.quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => self.quote = None,
            (None, '\'' | '"') => self.quote = Some(c),
            (None | Some('"'), '\\') => self.escaped = true,
            (Some(_), _) => {}
            (None, '(') => self.depth = self.depth.saturating_add(1),
            (None, ')') => self.depth = self.depth.saturating_sub(1),
            (None, '#') => self.comment = before.is_none_or(char::is_whitespace),
            // `2>&1` and `&> file` redirect.
            (None, '&') => {
                let redirects = before == Some('>') || next.starts_with('>');
                return self.depth == 0 && !redirects;
            }
            (None, '\n' | ';' | '|') => return self.depth == 0,
            (None, _) => {}
        }
        false
    }
}
