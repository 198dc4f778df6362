//! What each owner got, and when it took part.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Baseline, Chart, Series, axis_of_places, rectangle, span, swatch};
use super::markup::{Attributes, Markup, Percent};
use super::tables::{Cell, NOTHING, table};
use crate::summary::{
    Dropped, OwnerMetrics, REASON, Round, Summary, Task, clip, count, name_list, number, percent,
    plural,
};

/// Up to this many owners get a named bar each; beyond it, one curve shows them all.
const NAMED: usize = 30;
/// Rows of the table of owners.
const TABLE: usize = 1000;
/// Rows and columns of the grid of participation.
const GRID: (usize, usize) = (40, 60);
/// Cells narrower than this, in percent of the grid, have no outline: it would fill them.
const NARROW: f64 = 3.0;
/// Characters of a name beside a plot.
const NAME: usize = 16;

/// A figure of each owner, against the same figure of the whole.
struct Figure<'a> {
    id: &'static str,
    title: &'static str,
    class: &'static str,
    value: fn(&OwnerMetrics) -> Option<f64>,
    whole: Baseline,
    /// Where the scale of the bars ends; `None` for the highest value.
    full: Option<f64>,
    format: fn(f64) -> String,
    owners: &'a [OwnerMetrics],
}

/// The section on the owners.
pub(super) fn section(page: &mut Markup, summary: &Summary) {
    let owners = summary.metrics.per_owner.as_slice();
    if owners.is_empty() {
        return;
    }
    page.tag("h2", &[], "Owners");
    page.element("div", &[("class", &"pair")], |page| {
        for figure in figures(summary) {
            if owners.iter().any(|owner| (figure.value)(owner).is_some()) {
                figure.draw(page);
            }
        }
    });
    page.element("details", &[], |page| {
        page.tag("summary", &[], format!("Table of {}", plural(owners.len() as u64, "owner")));
        if owners.len() > TABLE {
            page.tag("p", &[], format!("The first {TABLE}; summary.json has them all."));
        }
        let head = ["Owner", "Training rows", "Test rows", "Accuracy", "Squared error", "Alone"];
        table(page, "Owners", &head, owners.iter().take(TABLE).map(row));
    });
}

fn row(owner: &OwnerMetrics) -> Vec<Cell> {
    vec![
        Cell::text(&clip(&owner.name, REASON)),
        Cell::figure(count(owner.rows)),
        Cell::figure(count(owner.test_rows)),
        Cell::optional(owner.accuracy, percent),
        Cell::optional(owner.mse, number),
        Cell::optional(owner.local_only_accuracy, percent),
    ]
}

fn figures(summary: &Summary) -> Vec<Figure<'_>> {
    let (metrics, owners) = (&summary.metrics, summary.metrics.per_owner.as_slice());
    let whole = |value| Baseline { name: "all owners' test rows", class: "whole", value };
    match summary.model.task {
        Task::Classification => vec![
            Figure {
                id: "own",
                title: "The shared model on each owner's test rows",
                class: "test",
                value: |owner| owner.accuracy,
                whole: whole(metrics.test_accuracy),
                full: Some(1.0),
                format: percent,
                owners,
            },
            Figure {
                id: "alone",
                title: "What each owner reaches alone, on all test rows",
                class: "alone",
                value: |owner| owner.local_only_accuracy,
                whole: Baseline { name: "together", ..whole(metrics.test_accuracy) },
                full: Some(1.0),
                format: percent,
                owners,
            },
        ],
        Task::Regression => vec![Figure {
            id: "own",
            title: "Mean squared error on each owner's test rows",
            class: "test",
            value: |owner| owner.mse,
            whole: whole(metrics.mse),
            full: None,
            format: number,
            owners,
        }],
    }
}

impl Figure<'_> {
    fn draw(self, page: &mut Markup) {
        if self.owners.len() > NAMED { self.curve(page) } else { self.bars(page) }
    }

    /// All owners from the lowest to the highest value.
    fn curve(self, page: &mut Markup) {
        let mut values: Vec<f64> = self.owners.iter().filter_map(self.value).collect();
        values.sort_by(f64::total_cmp);
        let values = values.into_iter().map(Some).collect();
        let name = "owners from the lowest, up to";
        let chart = Chart {
            id: self.id,
            title: self.title,
            place: "owner",
            series: vec![Series { name, class: self.class, values }],
            baselines: vec![self.whole],
            include: Vec::new(),
            format: self.format,
        };
        chart.lines(page);
    }

    /// A horizontal bar for each owner.
    fn bars(&self, page: &mut Markup) {
        let values: Vec<_> = self.owners.iter().map(self.value).collect();
        let highest = values.iter().copied().flatten().chain(self.whole.value).fold(0.0, f64::max);
        let full = self.full.unwrap_or(highest).max(f64::MIN_POSITIVE);
        let height = 24 * self.owners.len() + 12;
        let label = format!("{}: the table below has the figures.", self.title);
        page.element("figure", &[("class", &"panel")], |page| {
            page.tag("h3", &[], self.title);
            page.element("ul", &[("class", &"key")], |page| {
                let Some(whole) = self.whole.value else { return };
                page.element("li", &[], |page| {
                    swatch(page, &format!("line dashed {}", self.whole.class));
                    page.text(self.whole.name);
                    page.text(" ");
                    page.tag("b", &[], (self.format)(whole));
                });
            });
            let class = format!("named {}", margin(self.owners.iter().map(|owner| &owner.name)));
            let attributes: Attributes<'_> =
                &[("class", &class), ("role", &"img"), ("height", &height), ("aria-label", &label)];
            page.element("svg", attributes, |page| {
                for (place, (owner, value)) in self.owners.iter().zip(values).enumerate() {
                    let slot = 100.0 / self.owners.len() as f64;
                    let top = place as f64 * slot;
                    name(page, &owner.name, top + slot / 2.0);
                    rectangle(page, "track", [0.0, top + 0.15 * slot, 100.0, 0.7 * slot], None);
                    let Some(value) = value else { continue };
                    let length = 100.0 * (value / full).clamp(0.0, 1.0);
                    let place = [0.0, top + 0.15 * slot, length, 0.7 * slot];
                    rectangle(page, self.class, place, None);
                    let y = Percent(top + slot / 2.0);
                    let attributes: Attributes<'_> =
                        &[("x", &"100%"), ("dx", &6), ("y", &y), ("dy", &4)];
                    page.tag("text", attributes, (self.format)(value));
                }
                if let Some(whole) = self.whole.value {
                    let x = Percent(100.0 * (whole / full).clamp(0.0, 1.0));
                    let class = format!("line dashed {}", self.whole.class);
                    page.leaf(
                        "line",
                        &[("class", &class), ("x1", &x), ("x2", &x), ("y2", &"100%")],
                    );
                }
            });
        });
    }
}

/// The class that leaves room for `names` beside a plot.
fn margin<'a>(mut names: impl Iterator<Item = &'a String>) -> &'static str {
    if names.all(|name| name.chars().count() <= NAME / 2) { "short" } else { "long" }
}

/// An owner's name beside its row of a plot.
fn name(page: &mut Markup, name: &str, y: f64) {
    let full = clip(name, REASON);
    let short = shortened(&full);
    let y = Percent(y);
    page.element("text", &[("class", &"end"), ("x", &-8), ("y", &y), ("dy", &4)], |page| {
        page.tag("title", &[], &full);
        page.text(short);
    });
}

/// `name` without its middle where it is long: names often differ at their end.
fn shortened(name: &str) -> String {
    const END: usize = 6;
    let length = name.chars().count();
    if length <= NAME {
        return name.to_owned();
    }
    let start = name.chars().take(NAME - 1 - END);
    start.chain(['…']).chain(name.chars().skip(length - END)).collect()
}

/// What an owner did in a span of rounds.
#[derive(Debug, Default)]
struct Presence<'a> {
    used: usize,
    late: usize,
    dropped: Vec<&'a Dropped>,
}

/// The section on who took part in which round.
pub(super) fn participation(page: &mut Markup, summary: &Summary) {
    if summary.rounds.is_empty() || summary.data.owners.is_empty() {
        return;
    }
    page.tag("h2", &[], "Participation");
    page.element("figure", &[("class", &"panel")], |page| {
        page.tag("h3", &[], "Whose updates are in the model, by round");
        page.element("ul", &[("class", &"key")], |page| {
            for (class, meaning) in [
                ("used", "in the model"),
                ("late", "too late"),
                ("missing", "missing"),
                ("idle", "not asked"),
            ] {
                page.element("li", &[], |page| {
                    page.element(
                        "svg",
                        &[("class", &"swatch"), ("aria-hidden", &"true")],
                        |page| {
                            mark(page, class, [10.0, 0.0, 60.0, 100.0], None);
                        },
                    );
                    page.text(meaning);
                });
            }
        });
        grid(page, summary);
    });
    reasons(page, summary);
}

/// The owners to show: all, or those that missed most.
fn shown(summary: &Summary) -> Vec<u32> {
    let mut owners: Vec<u32> = summary.data.owners.iter().map(|owner| owner.owner).collect();
    if owners.len() > GRID.0 {
        let mut missed = BTreeMap::<u32, usize>::new();
        for dropped in summary.rounds.iter().flat_map(|round| &round.dropped) {
            *missed.entry(dropped.owner).or_default() += 1;
        }
        owners.sort_by_key(|owner| std::cmp::Reverse(missed.get(owner).copied().unwrap_or(0)));
        owners.truncate(GRID.0);
    }
    owners
}

fn grid(page: &mut Markup, summary: &Summary) {
    let (owners, names) = (shown(summary), summary.names());
    let together = summary.rounds.len().div_ceil(GRID.1);
    let columns = summary.rounds.len().div_ceil(together);
    let (slot, width) = (100.0 / owners.len() as f64, 100.0 / columns as f64);
    let presences = presences(&summary.rounds, &owners, together);
    let height = 20 * owners.len() + 34;
    let label = "Participation by owner and round; the tables below have the figures.";
    let class =
        format!("named wide {}", margin(owners.iter().filter_map(|owner| names.get(owner))));
    let attributes: Attributes<'_> =
        &[("class", &class), ("role", &"img"), ("height", &height), ("aria-label", &label)];
    page.element("svg", attributes, |page| {
        axis_of_places(page, summary.rounds.len(), |round| {
            ((round / together) as f64 + 0.5) * width
        });
        for (row, owner) in owners.iter().enumerate() {
            let owner_name = names.get(owner).map_or("", String::as_str);
            name(page, owner_name, (row as f64 + 0.5) * slot);
            for (column, presences) in presences.iter().enumerate() {
                let first = column * together;
                let rounds = span("round", first, together.min(summary.rounds.len() - first));
                let place = inset([column as f64 * width, row as f64 * slot, width, slot]);
                cell(page, &presences[row], place, &format!("{owner_name}, {rounds}"));
            }
        }
    });
    if owners.len() < summary.data.owners.len() {
        let note = format!(
            "The {} owners that missed most, of {}.",
            owners.len(),
            summary.data.owners.len()
        );
        page.tag("p", &[("class", &"faint")], note);
    }
    if together > 1 {
        let note =
            format!("Each column is {together} rounds; how far it is filled is the share of them.");
        page.tag("p", &[("class", &"faint")], note);
    }
}

/// What each of `owners` did in each column of `together` rounds.
fn presences<'a>(rounds: &'a [Round], owners: &[u32], together: usize) -> Vec<Vec<Presence<'a>>> {
    let rows: BTreeMap<u32, usize> = owners.iter().copied().zip(0..).collect();
    let columns = rounds.chunks(together).map(|rounds| {
        let mut column: Vec<_> = owners.iter().map(|_| Presence::default()).collect();
        for (row, state) in rounds.iter().flat_map(|round| states(round, &rows)) {
            let Some(presence) = column.get_mut(row) else { continue };
            match state {
                State::Used => presence.used += 1,
                State::Late => presence.late += 1,
                State::Dropped(dropped) => presence.dropped.push(dropped),
            }
        }
        column
    });
    columns.collect()
}

/// What one owner did in one round.
enum State<'a> {
    Used,
    Late,
    Dropped(&'a Dropped),
}

/// What the owners of `rows` did in a round, by row; that an answer came late explains why its
/// owner was dropped.
fn states<'a>(round: &'a Round, rows: &BTreeMap<u32, usize>) -> BTreeMap<usize, State<'a>> {
    let dropped = round.dropped.iter().map(|dropped| (dropped.owner, State::Dropped(dropped)));
    let late = round.late.iter().map(|owner| (*owner, State::Late));
    let used = round.participants.iter().map(|owner| (*owner, State::Used));
    let states = dropped.chain(late).chain(used);
    states.filter_map(|(owner, state)| Some((*rows.get(&owner)?, state))).collect()
}

/// Leaves a gap around a cell.
fn inset([x, y, width, height]: [f64; 4]) -> [f64; 4] {
    let gap = (0.06 * width).min(0.25);
    [x + gap, y + 0.08 * height, width - 2.0 * gap, 0.84 * height]
}

/// One cell: hollow where something is missing, filled from below by what is there. Form and
/// colour say the same.
fn cell(page: &mut Markup, presence: &Presence<'_>, [x, y, width, height]: [f64; 4], label: &str) {
    let asked = presence.used + presence.late + presence.dropped.len();
    if asked == 0 {
        return mark(page, "idle", [x, y, width, height], None);
    }
    let filled = height * presence.used as f64 / asked as f64;
    if presence.used < asked {
        let class = match (presence.dropped.is_empty(), width < NARROW) {
            (true, _) => "late",
            (false, false) => "missing",
            (false, true) => "missing narrow",
        };
        let label = format!("{label}: {}", words(presence));
        mark(page, class, [x, y, width, height], Some(&label));
    }
    if presence.used > 0 {
        mark(page, "used", [x, y + height - filled, width, filled], None);
    }
}

fn mark(page: &mut Markup, class: &str, [x, y, width, height]: [f64; 4], label: Option<&str>) {
    match class {
        "late" => rectangle(page, class, [x, y + height / 2.0, width, height / 2.0], label),
        "idle" => rectangle(page, class, [x, y + 0.45 * height, width, 0.1 * height], label),
        _ => rectangle(page, class, [x, y, width, height], label),
    }
}

fn words(presence: &Presence<'_>) -> String {
    let mut words = Vec::new();
    if presence.used > 0 {
        words.push(format!("{} in the model", presence.used));
    }
    if presence.late > 0 {
        words.push(format!("{} too late", presence.late));
    }
    let reasons: BTreeSet<&str> = presence.dropped.iter().map(|it| it.reason.as_str()).collect();
    if !presence.dropped.is_empty() {
        let reasons: Vec<String> = reasons.into_iter().take(3).map(|it| clip(it, REASON)).collect();
        words.push(format!("{} missing ({})", presence.dropped.len(), reasons.join("; ")));
    }
    words.join(", ")
}

fn reasons(page: &mut Markup, summary: &Summary) {
    let (absences, names) = (summary.absences(), summary.names());
    let (used, asked) = summary.answers();
    let share = format!("{} of {} updates asked for are in the model.", count(used), count(asked));
    page.tag("p", &[], share);
    if absences.is_empty() {
        return;
    }
    let rows = absences.iter().take(50).map(|absence| {
        vec![
            Cell::text(&absence.reason),
            Cell::text(absence.cause.as_deref().unwrap_or(NOTHING)),
            Cell::figure(count(absence.total())),
            Cell::text(&name_list(&absence.owners, &names, 12)),
        ]
    });
    let head = ["Why updates are missing", "Injected fault", "Updates", "Owners"];
    table(page, "Missing updates", &head, rows);
}
