//! Tables: every figure a plot shows, as text.

use super::markup::Markup;
use crate::summary::{
    Confusion, Dropped, REASON, Round, Summary, bytes, clean, clip, count, name_list, number,
    percent, plural, seconds,
};

/// Rounds that a table shows at most; `rounds.jsonl` has them all.
pub(super) const ROUNDS: usize = 500;
/// Classes up to which the whole matrix is shown.
const CLASSES: usize = 30;
/// Pairs of classes listed instead.
const PAIRS: usize = 20;

/// The columns of the table of rounds.
const ROUND: [&str; 13] = [
    "Round",
    "Accuracy",
    "Test loss",
    "Training loss",
    "Updates",
    "Clipped",
    "Change",
    "Epsilon",
    "Up",
    "Down",
    "Tries",
    "Took",
    "Missing or late",
];

/// One cell of a table.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    class: &'static str,
}

impl Cell {
    /// Words, flush left.
    pub(super) fn text(text: &str) -> Self {
        Self { text: clean(text), class: "words" }
    }

    /// A figure, flush right.
    pub(super) fn figure(text: impl Into<String>) -> Self {
        Self { text: text.into(), class: "figure" }
    }

    /// A figure that may be missing.
    pub(super) fn optional(value: Option<f64>, format: fn(f64) -> String) -> Self {
        Self::figure(value.map_or_else(|| NOTHING.to_owned(), format))
    }
}

/// What a cell says that has no value.
pub(super) const NOTHING: &str = "–";

/// A table whose first column names its rows; columns without any value are left out. It scrolls
/// by itself where the screen is narrow.
pub(super) fn table(
    page: &mut Markup,
    caption: &str,
    head: &[&str],
    rows: impl Iterator<Item = Vec<Cell>>,
) {
    let rows: Vec<Vec<Cell>> = rows.collect();
    let has_value =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).any(|it| it.text != NOTHING);
    let columns: Vec<usize> = (0..head.len()).filter(|it| has_value(*it)).collect();
    scrolling(page, caption, |page| {
        page.element("table", &[], |page| {
            page.tag("caption", &[], caption);
            page.element("thead", &[], |page| {
                page.element("tr", &[], |page| {
                    for column in &columns {
                        let cell = rows.first().and_then(|row| row.get(*column));
                        let class = cell.map_or("", |cell| cell.class);
                        page.tag("th", &[("scope", &"col"), ("class", &class)], head[*column]);
                    }
                });
            });
            page.element("tbody", &[], |page| {
                for row in &rows {
                    page.element("tr", &[], |page| {
                        for (column, cell) in
                            columns.iter().filter_map(|it| Some((it, row.get(*it)?)))
                        {
                            table_cell(page, *column == 0, cell);
                        }
                    });
                }
            });
        });
    });
}

fn table_cell(page: &mut Markup, names_row: bool, cell: &Cell) {
    if names_row {
        page.tag("th", &[("scope", &"row"), ("class", &cell.class)], &cell.text);
    } else {
        page.tag("td", &[("class", &cell.class)], &cell.text);
    }
}

fn scrolling(page: &mut Markup, label: &str, inside: impl FnOnce(&mut Markup)) {
    page.element(
        "div",
        &[("class", &"scroll"), ("tabindex", &0), ("role", &"region"), ("aria-label", &label)],
        inside,
    );
}

/// The section on which classes are taken for which.
pub(super) fn confusion(page: &mut Markup, confusion: &Confusion) {
    page.tag("h2", &[], "Mistakes");
    if confusion.classes.len() <= CLASSES {
        page.tag("p", &[], "Rows are what a test row is, columns what the model takes it for.");
        matrix(page, confusion);
    } else {
        pairs(page, confusion);
    }
}

fn matrix(page: &mut Markup, confusion: &Confusion) {
    let worst = mistakes(confusion).map(|(_, _, count)| count).max().unwrap_or(0);
    let classes: Vec<String> = confusion.classes.iter().map(|class| clip(class, REASON)).collect();
    scrolling(page, "Confusion matrix", |page| {
        page.element("table", &[("class", &"matrix")], |page| {
            page.tag("caption", &[], "Confusion matrix");
            page.element("thead", &[], |page| {
                page.element("tr", &[], |page| {
                    page.tag("th", &[("scope", &"col")], "Class");
                    for class in &classes {
                        page.tag("th", &[("scope", &"col")], class);
                    }
                    page.tag("th", &[("scope", &"col")], "Found");
                });
            });
            page.element("tbody", &[], |page| {
                for (truth, (class, row)) in classes.iter().zip(&confusion.counts).enumerate() {
                    page.element("tr", &[], |page| {
                        page.tag("th", &[("scope", &"row")], class);
                        for (taken, times) in row.iter().enumerate() {
                            let class = heat(truth == taken, *times, worst);
                            page.tag("td", &[("class", &class)], count(*times));
                        }
                        let total: u64 = row.iter().sum();
                        let right = row.get(truth).copied().unwrap_or(0);
                        let found = (total > 0).then(|| right as f64 / total as f64);
                        table_cell(page, false, &Cell::optional(found, percent));
                    });
                }
            });
        });
    });
}

/// How dark a cell is: right answers in one tone, mistakes by how many they are.
fn heat(right: bool, times: u64, worst: u64) -> &'static str {
    match (right, times) {
        (_, 0) => "none",
        (true, _) => "right",
        (false, times) if 3 * times <= worst => "wrong few",
        (false, times) if 3 * times <= 2 * worst => "wrong some",
        _ => "wrong many",
    }
}

/// Class, class it is taken for, and how often.
fn mistakes(confusion: &Confusion) -> impl Iterator<Item = (usize, usize, u64)> {
    confusion.counts.iter().enumerate().flat_map(|(truth, row)| {
        row.iter()
            .enumerate()
            .filter(move |(taken, times)| *taken != truth && **times > 0)
            .map(move |(taken, times)| (truth, taken, *times))
    })
}

fn pairs(page: &mut Markup, confusion: &Confusion) {
    let mut mistakes: Vec<_> = mistakes(confusion).collect();
    mistakes.sort_by_key(|(_, _, times)| std::cmp::Reverse(*times));
    mistakes.truncate(PAIRS);
    let class = |number: usize| {
        confusion.classes.get(number).map_or_else(String::new, |class| clip(class, REASON))
    };
    let rows = mistakes.into_iter().map(|(truth, taken, times)| {
        vec![Cell::text(&class(truth)), Cell::text(&class(taken)), Cell::figure(count(times))]
    });
    table(page, "The most frequent mistakes", &["A row that is", "is taken for", "Times"], rows);
}

/// The section with all figures of the rounds.
pub(super) fn rounds(page: &mut Markup, summary: &Summary) {
    if summary.rounds.is_empty() {
        return;
    }
    page.tag("h2", &[], "Rounds");
    let skipped = summary.rounds.len().saturating_sub(ROUNDS);
    if skipped > 0 {
        let note =
            format!("The last {ROUNDS} rounds; rounds.jsonl has all {}.", summary.rounds.len());
        page.tag("p", &[], note);
    }
    let names = summary.names();
    let rows = summary.rounds.iter().skip(skipped).map(|round| {
        let asked = round.participants.len() + round.dropped.len();
        vec![
            Cell::figure(round.round.to_string()),
            Cell::optional(round.test_accuracy, percent),
            Cell::optional(round.test_loss, number),
            Cell::optional(round.train_loss, number),
            Cell::figure(format!("{} of {asked}", round.participants.len())),
            Cell::figure(if round.clipped > 0 {
                round.clipped.to_string()
            } else {
                NOTHING.into()
            }),
            Cell::optional(round.update_norm, number),
            Cell::optional(round.epsilon, number),
            Cell::figure(bytes(round.bytes_up)),
            Cell::figure(bytes(round.bytes_down)),
            Cell::figure(round.attempts.to_string()),
            Cell::figure(seconds(round.closed_ms.saturating_sub(round.opened_ms) as f64 / 1000.0)),
            Cell::text(&troubles(round, &names)),
        ]
    });
    table(page, "All figures by round", &ROUND, rows);
}

/// Who is missing from a round and why, who was late, what came twice.
fn troubles(round: &Round, names: &std::collections::BTreeMap<u32, String>) -> String {
    const NAMES: usize = 8;
    const REASONS: usize = 6;
    let mut reasons = std::collections::BTreeMap::<&str, Vec<&Dropped>>::new();
    for dropped in &round.dropped {
        reasons.entry(&dropped.reason).or_default().push(dropped);
    }
    let more = reasons.len().saturating_sub(REASONS);
    let mut words: Vec<String> = reasons
        .into_iter()
        .take(REASONS)
        .map(|(reason, dropped)| {
            let owners = dropped.iter().map(|it| (it.owner, 1)).collect();
            format!("{}: {}", name_list(&owners, names, NAMES), clip(reason, REASON))
        })
        .collect();
    if more > 0 {
        words.push(format!("others for {}", plural(more as u64, "more reason")));
    }
    if !round.late.is_empty() {
        let late = round.late.iter().map(|owner| (*owner, 1)).collect();
        words.push(format!("too late: {}", name_list(&late, names, NAMES)));
    }
    if round.duplicates > 0 {
        words.push(format!("{} received twice", round.duplicates));
    }
    if words.is_empty() { NOTHING.to_owned() } else { words.join("; ") }
}
