//! Where output goes: the result to standard output, everything else to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

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

    /// Prints the result. A reader that has gone away is no error.
    pub fn result(self, text: impl Display) {
        let mut out = anstream::stdout().lock();
        let _ = write!(out, "{text}");
        let _ = out.flush();
    }

    /// Prints raw bytes as the result.
    pub fn result_bytes(self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(bytes);
        let _ = out.flush();
    }

    /// Says something by the way.
    pub fn note(self, text: impl Display) {
        if self.quiet == 0 {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// Warns.
    pub fn warn(self, text: impl Display) {
        use owo_colors::OwoColorize;
        if self.quiet < 2 {
            let _ = writeln!(anstream::stderr().lock(), "{} {text}", "warning:".yellow().bold());
        }
    }

    /// Says why the program stops.
    pub fn error(self, text: impl Display) {
        let _ = write!(anstream::stderr().lock(), "{text}");
    }

    /// Whether a progress bar would be seen and is wanted.
    pub fn shows_progress(self) -> bool {
        self.quiet == 0 && !self.no_progress && io::stderr().is_terminal()
    }
}
