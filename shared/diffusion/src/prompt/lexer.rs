//! The pieces of a prompt: text, brackets, numbers that close a bracket, `BREAK`.

/// A kind of bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// `(` and `)`.
    Round,
    /// `[` and `]`.
    Square,
}

/// One piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lexeme<'a> {
    /// As it is meant: escapes are resolved.
    Text(&'a str),
    /// An opening bracket.
    Open(Bracket),
    /// A closing bracket, with the number before it if there is one.
    Close(Bracket, Option<f32>),
    /// The word `BREAK` with the white space around it.
    Break,
}

/// Characters that end plain text.
const SYNTAX: [char; 6] = ['\\', '(', ')', '[', ']', ':'];
const BREAK: &str = "BREAK";

/// The first piece of `text` and what follows it. A number counts only where a round bracket is `open`.
pub fn next(text: &str, open: bool) -> Option<(Lexeme<'_>, &str)> {
    let first = text.chars().next()?;
    let after = &text[first.len_utf8()..];
    Some(match first {
        '(' => (Lexeme::Open(Bracket::Round), after),
        '[' => (Lexeme::Open(Bracket::Square), after),
        ')' => (Lexeme::Close(Bracket::Round, None), after),
        ']' => (Lexeme::Close(Bracket::Square, None), after),
        '\\' => match after.chars().next() {
            Some(escaped) if SYNTAX.contains(&escaped) && escaped != ':' => {
                let (text, after) = after.split_at(escaped.len_utf8());
                (Lexeme::Text(text), after)
            }
            _ => (Lexeme::Text(&text[..1]), after),
        },
        ':' => match number(after).filter(|_| open) {
            Some((weight, after)) => (Lexeme::Close(Bracket::Round, Some(weight)), after),
            None => (Lexeme::Text(&text[..1]), after),
        },
        _ => plain(text),
    })
}

/// A number and the bracket that it closes: ` 1.3 )`.
fn number(text: &str) -> Option<(f32, &str)> {
    let text = text.trim_start();
    let signed = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = signed.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, after) = text.split_at(text.len() - signed.len() + end);
    let after = after.trim_start().strip_prefix(')')?;
    let weight: f32 = digits.parse().ok()?;
    weight.is_finite().then_some((weight, after))
}

/// Text up to the next syntax, or `BREAK`.
fn plain(text: &str) -> (Lexeme<'_>, &str) {
    let (plain, after) = text.split_at(text.find(SYNTAX).unwrap_or(text.len()));
    match find_break(plain) {
        None => (Lexeme::Text(plain), after),
        Some(at) => {
            let before = plain[..at].trim_end();
            let behind = plain[at + BREAK.len()..].trim_start();
            match before {
                "" => (Lexeme::Break, &text[plain.len() - behind.len()..]),
                // The white space goes with the break, which comes next.
                _ => (Lexeme::Text(before), &text[before.len()..]),
            }
        }
    }
}

/// Where the first `BREAK` stands that is a word of its own.
fn find_break(text: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |at: &usize| {
        let (before, after) = (&text[..*at], &text[*at + BREAK.len()..]);
        !before.chars().next_back().is_some_and(is_word) && !after.chars().next().is_some_and(is_word)
    };
    text.match_indices(BREAK).map(|(at, _)| at).find(alone)
}
