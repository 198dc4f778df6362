//! The section on what is promised about rows.

use super::chart::{Baseline, Chart};
use super::markup::Markup;
use super::tables::{Cell, table};
use super::{by_round, together};
use crate::summary::{Privacy, Summary, number, percent};

/// What was promised and what of it was spent, round by round; a sentence for a run without.
pub(super) fn section(page: &mut Markup, summary: &Summary) {
    page.tag("h2", &[("id", &"privacy")], "Privacy of rows");
    let Some(privacy) = &summary.privacy else {
        let none =
            "Nothing is promised: no noise was added, and the model can tell about single rows.";
        return page.tag("p", &[], none);
    };
    page.tag("p", &[], together(&privacy.note));
    let rows =
        facts(privacy).into_iter().map(|(name, value)| vec![Cell::text(name), Cell::text(&value)]);
    table(page, "The promise", &["What", "In this run"], rows);
    if summary.rounds.is_empty() {
        return;
    }
    let chart = Chart {
        id: "epsilon",
        title: "Epsilon, by round",
        place: "round",
        series: vec![by_round(summary, "spent", "test", |round| round.epsilon)],
        baselines: vec![Baseline { name: "limit", class: "pooled", value: Some(privacy.epsilon) }],
        include: vec![0.0],
        format: number,
    };
    chart.lines(page);
}

fn facts(privacy: &Privacy) -> [(&'static str, String); 10] {
    let trusted = if privacy.local { "nobody" } else { "the other owners and the committee" };
    let sampling = if privacy.sampling < 1.0 {
        format!(
            "each row with probability {}, by coins that only its owner sees; against its staff epsilon {}",
            privacy.sampling,
            number(privacy.staff_epsilon)
        )
    } else {
        "every row in every round: nothing is claimed for sampling".to_owned()
    };
    [
        ("Whose presence is hidden", privacy.unit.name().to_owned()),
        ("Limit", format!("epsilon {} at delta {:e}", privacy.epsilon, privacy.delta)),
        ("Spent", format!("epsilon {}, by {}", number(privacy.spent), privacy.accountant)),
        ("Against an owner's own contribution", format!("epsilon {}", number(privacy.own_epsilon))),
        ("Rows in a round", sampling),
        ("Noise of a round", format!("{} sensitivities", number(privacy.noise))),
        ("Largest contribution", format!("norm {}", number(privacy.clip))),
        (
            "Owners in a sum",
            format!("at least {}, of whom {} may collude", privacy.n_min, privacy.colluders),
        ),
        ("For the noise an owner trusts", trusted.to_owned()),
        ("Best odds of a membership test", percent(privacy.membership)),
    ]
}
