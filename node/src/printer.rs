//! Where output goes: the result to standard output, everything else to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use anstream::ColorChoice;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

fn note_failure(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// `text` without control characters that could steer a terminal: names of files and pieces of
/// them may have been written by an enemy. Colours (`ESC [ digits m`) stay.
fn harmless(text: &str) -> String {
    let colour = |rest: &str| {
        let code = rest.strip_prefix("\u{1b}[")?;
        let end = code.find(|c: char| !c.is_ascii_digit() && c != ';')?;
        code[end..].starts_with('m').then_some(2 + end + 1)
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = colour(rest).unwrap_or(first.len_utf8());
        let keep = length > first.len_utf8() || first == '\n' || !first.is_control();
        clean.push_str(if keep { &rest[..length] } else { "\u{fffd}" });
        rest = &rest[length..];
    }
    clean
}

/// How much is said, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Printer {
    /// Whether the result is one JSON document.
    pub json: bool,
    /// 0: all; 1: no notes or progress; 2: no warnings either.
    pub quiet: u8,
    /// Whether progress bars are hidden.
    pub no_progress: bool,
}

impl Printer {
    /// Makes `color` hold for all of the process.
    pub fn set_color(color: Color) {
        match color {
            Color::Auto => {}
            Color::Always => ColorChoice::Always.write_global(),
            Color::Never => ColorChoice::Never.write_global(),
        }
    }

    /// Whether standard error may be coloured.
    pub fn colors_errors() -> bool {
        anstream::AutoStream::choice(&io::stderr()) != ColorChoice::Never
    }

    /// The first error of standard output, if there was one.
    pub fn failure() -> Option<io::Error> {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Prints the result. A reader that has gone away is no error.
    pub fn result(self, text: impl Display) {
        let mut out = anstream::stdout().lock();
        note_failure(write!(out, "{text}").and_then(|()| out.flush()));
    }

    /// Prints raw bytes as the result.
    pub fn result_bytes(self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        note_failure(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// Says something by the way.
    pub fn note(self, text: impl Display) {
        if self.quiet == 0 {
            let _ = writeln!(anstream::stderr().lock(), "{}", harmless(&text.to_string()));
        }
    }

    /// Warns.
    pub fn warn(self, text: impl Display) {
        use owo_colors::OwoColorize;
        if self.quiet < 2 {
            let text = harmless(&text.to_string());
            let _ = writeln!(anstream::stderr().lock(), "{} {text}", "warning:".yellow().bold());
        }
    }

    /// Says why the program stops.
    pub fn error(self, text: impl Display) {
        let _ = write!(anstream::stderr().lock(), "{}", harmless(&text.to_string()));
    }

    /// Whether a progress bar would be seen and is wanted.
    pub fn shows_progress(self) -> bool {
        self.quiet == 0 && !self.no_progress && io::stderr().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_everything_else_that_steers_goes() {
        assert_eq!(harmless("a\u{1b}[1;31mred\u{1b}[0m\n"), "a\u{1b}[1;31mred\u{1b}[0m\n");
        for hostile in ["\u{1b}]0;title\u{7}", "\u{1b}[2J", "\u{9b}2J", "\r", "\u{1b}", "\u{1b}[3"]
        {
            let clean = harmless(hostile);
            assert!(!clean.contains(|c: char| c.is_control()), "{hostile:?} {clean:?}");
        }
    }
}
