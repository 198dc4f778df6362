//! Colours by meaning. They are stripped where nobody would see them.

use owo_colors::OwoColorize;

use crate::summary::Meaning;

/// `text` in the colour of its meaning.
pub(super) fn paint(meaning: Meaning, text: &str) -> String {
    match meaning {
        Meaning::Plain => text.to_owned(),
        Meaning::Strong => text.bold().to_string(),
        Meaning::Name => text.cyan().to_string(),
        Meaning::Faint => text.dimmed().to_string(),
        Meaning::Good => text.green().to_string(),
        Meaning::Warning => text.yellow().to_string(),
        Meaning::Bad => text.red().to_string(),
    }
}

/// Columns that a text for a person may fill.
pub(super) fn columns() -> usize {
    const WIDEST: usize = 100;
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(80).min(WIDEST)
}
