//! `report.html`: a run on one page, for a colleague.
//!
//! The page needs nothing but itself: no script, no image, no font, no address outside, which its
//! content security policy forbids besides. Plots are inline SVG, each with its figures in a
//! table; it reads on a phone and on paper, in light and dark.
//!
//! # Threat model
//!
//! Names, reasons and warnings may have been written by an enemy. All of them pass through one
//! writer that escapes markup and takes out control and direction characters, so the page says
//! what the summary says and does nothing else.

pub mod audit;
mod chart;
mod markup;
mod owners;
mod privacy;
mod scale;
mod secure;
mod tables;

#[cfg(test)]
mod tests;

use chart::{Baseline, Chart, Series};
use markup::Markup;
use tables::Cell;

use crate::summary::{
    Meaning, Privacy, Round, SecureSum, Summary, Verdict, bytes, clean, count, interval, number,
    percent, plural, seconds,
};

/// Only styles written in the page itself; no script, image, font, frame, form or request.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What a report says besides the summary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// The command that repeats the run.
    pub command: &'a str,
    /// The job, as TOML with its defaults filled in.
    pub job_file: Option<&'a str>,
    /// When the run ended, as text.
    pub finished: Option<&'a str>,
    /// The machine it ran on, in words.
    pub machine: Option<&'a str>,
}

/// The page on a run.
///
/// Its size is bounded, a few megabytes for any number of owners, rounds and classes and any
/// length of what owners say; where a plot or table leaves something out, it says so.
pub fn html(summary: &Summary, extra: &Extra<'_>) -> String {
    let mut page = Markup::default();
    page.literal("<!DOCTYPE html>\n");
    page.element("html", &[("lang", &"en")], |page| {
        head(page, &summary.job);
        page.element("body", &[], |page| {
            page.element("main", &[], |page| {
                header(page, summary, extra);
                cards(page, summary);
                warnings(page, summary);
                learning(page, summary);
                owners::section(page, summary);
                owners::participation(page, summary);
                traffic(page, summary);
                if let Some(confusion) = &summary.metrics.confusion {
                    tables::confusion(page, confusion);
                }
                tables::rounds(page, summary);
                trust(page, summary);
                privacy::section(page, summary);
                secure::section(page, summary);
                reproduce(page, summary, extra);
            });
        });
    });
    page.literal("\n");
    page.finish()
}

fn head(page: &mut Markup, title: &str) {
    page.element("head", &[], |page| {
        page.leaf("meta", &[("charset", &"utf-8")]);
        page.leaf("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
        page.leaf(
            "meta",
            &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")],
        );
        page.leaf("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
        page.leaf("meta", &[("name", &"referrer"), ("content", &"no-referrer")]);
        page.tag("title", &[], format!("{title} · Cipher Nexus"));
        page.element("style", &[], |page| page.literal(include_str!("style.css")));
    });
}

fn header(page: &mut Markup, summary: &Summary, extra: &Extra<'_>) {
    let verdict = Verdict::of(summary);
    page.element("header", &[], |page| {
        let when = extra.finished.map(|when| format!(" · {when}")).unwrap_or_default();
        page.tag("p", &[("class", &"faint")], format!("Cipher Nexus run report{when}"));
        page.tag("h1", &[], &summary.job);
        page.tag(
            "p",
            &[("class", &"what")],
            format!(
                "{} {} with {}, trained by {} on {} in {} with {} and {} aggregation. Data: {}.",
                summary.model.kind,
                summary.model.shape,
                plural(summary.model.parameters, "parameter"),
                plural(summary.data.owners.len() as u64, "owner"),
                plural(summary.data.rows, "row"),
                plural(summary.rounds.len() as u64, "round"),
                summary.strategy,
                summary.rule,
                summary.data.source,
            ),
        );
        let class = format!("verdict {}", tone(verdict.meaning));
        page.element("div", &[("class", &class)], |page| {
            page.tag("p", &[("class", &"headline")], together(&verdict.headline));
            for sentence in &verdict.sentences {
                page.tag("p", &[], together(sentence));
            }
        });
        badges(page, summary);
    });
}

const fn tone(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Good => "good",
        Meaning::Warning => "warning",
        Meaning::Bad => "bad",
        Meaning::Plain | Meaning::Strong | Meaning::Name | Meaning::Faint => "plain",
    }
}

fn badges(page: &mut Markup, summary: &Summary) {
    let simulated = &summary.simulated;
    let mut badges = Vec::new();
    for (is, name) in [
        (simulated.network, "simulated network"),
        (simulated.committee == Some(true), "simulated committee"),
        (simulated.enclave == Some(true), "simulated enclave"),
        (summary.faults.is_some(), "injected faults"),
    ] {
        if is {
            badges.push(name);
        }
    }
    if summary.secure_sum.is_none() {
        badges.push("updates in clear");
    }
    badges.push(if summary.privacy.is_some() { "private" } else { "no privacy noise" });
    page.element("ul", &[("class", &"badges")], |page| {
        for badge in badges {
            page.element("li", &[], |page| page.tag("a", &[("href", &"#trust")], badge));
        }
    });
}

fn cards(page: &mut Markup, summary: &Summary) {
    page.element("dl", &[("class", &"cards")], |page| {
        for (name, value, note) in quality(summary).into_iter().chain(cost(summary)) {
            page.element("div", &[("class", &"card")], |page| {
                page.tag("dt", &[], name);
                page.tag("dd", &[("class", &"value")], value);
                page.tag("dd", &[("class", &"faint")], together(&note));
            });
        }
    });
}

type Card = (&'static str, String, String);

/// The figures on how good the model is; those that are missing have no card.
fn quality(summary: &Summary) -> Vec<Card> {
    let metrics = &summary.metrics;
    let range = metrics
        .test_accuracy
        .and_then(|accuracy| interval(accuracy, summary.data.test_rows))
        .map(|(low, high)| format!("95 % interval {} to {}", percent(low), percent(high)))
        .unwrap_or_default();
    let rows = format!("on {}", plural(summary.data.test_rows, "test row"));
    let pooled = || "all rows in one place".to_owned();
    let alone = || "each owner by itself, on average".to_owned();
    let cards = [
        ("Test accuracy", metrics.test_accuracy.map(percent), range),
        ("Mean squared error", metrics.mse.map(number), rows),
        (
            "Pooled",
            metrics.central_accuracy.map(percent).or(metrics.central_mse.map(number)),
            pooled(),
        ),
        (
            "Alone",
            metrics.local_only_accuracy.map(percent).or(metrics.local_only_mse.map(number)),
            alone(),
        ),
        ("R²", metrics.r2.map(number), "share of variance explained".to_owned()),
        ("F1", metrics.f1.map(number), "mean over the classes".to_owned()),
        ("AUC", metrics.auc.map(number), "area under the ROC curve".to_owned()),
        ("Log loss", metrics.log_loss.map(number), "on the test rows, in nats".to_owned()),
    ];
    cards.into_iter().filter_map(|(name, value, note)| Some((name, value?, note))).collect()
}

fn cost(summary: &Summary) -> Vec<Card> {
    let (up, down) = summary.traffic();
    let (used, asked) = summary.answers();
    let memory = summary
        .peak_rss_bytes
        .map_or_else(String::new, |peak| format!(", {} of memory", bytes(peak)));
    vec![
        (
            "Updates used",
            format!("{} of {}", count(used), count(asked)),
            format!("{} missing", count(asked.saturating_sub(used))),
        ),
        (
            "Traffic",
            bytes(up.saturating_add(down)),
            format!("{} up, {} down", bytes(up), bytes(down)),
        ),
        (
            "Time",
            seconds(summary.time.wall_s),
            format!("{} of processor{memory}", seconds(summary.time.cpu_s)),
        ),
    ]
}

fn warnings(page: &mut Markup, summary: &Summary) {
    if summary.warnings.is_empty() {
        return;
    }
    page.element("div", &[("class", &"verdict warning")], |page| {
        page.tag("p", &[("class", &"headline")], "Before you trust these figures");
        page.element("ul", &[], |page| {
            for warning in &summary.warnings {
                page.tag("li", &[], warning);
            }
        });
    });
}

fn learning(page: &mut Markup, summary: &Summary) {
    if summary.rounds.is_empty() {
        return;
    }
    page.tag("h2", &[], "Learning");
    let mut charts = vec![accuracy(summary), loss(summary)];
    charts.retain(Chart::has_values);
    if charts.is_empty() {
        page.tag("p", &[], "No round has a finite figure.");
    }
    page.element("div", &[("class", &"pair")], |page| {
        for chart in charts {
            chart.lines(page);
        }
    });
}

fn accuracy(summary: &Summary) -> Chart {
    let metrics = &summary.metrics;
    Chart {
        id: "accuracy",
        title: "Accuracy on the test rows, by round",
        place: "round",
        series: vec![by_round(summary, "together", "test", |round| round.test_accuracy)],
        baselines: baselines(metrics.central_accuracy, metrics.local_only_accuracy),
        include: Vec::new(),
        format: percent,
    }
}

/// The losses; where the loss is the squared error, the baselines are losses, too.
fn loss(summary: &Summary) -> Chart {
    let metrics = &summary.metrics;
    Chart {
        id: "loss",
        title: "Loss, by round",
        place: "round",
        series: vec![
            by_round(summary, "test", "test", |round| round.test_loss),
            by_round(summary, "training", "train", |round| round.train_loss),
        ],
        baselines: baselines(metrics.central_mse, metrics.local_only_mse),
        include: vec![0.0],
        format: number,
    }
}

fn by_round(
    summary: &Summary,
    name: &'static str,
    class: &'static str,
    value: impl Fn(&Round) -> Option<f64>,
) -> Series {
    Series { name, class, values: summary.rounds.iter().map(value).collect() }
}

fn baselines(pooled: Option<f64>, alone: Option<f64>) -> Vec<Baseline> {
    vec![
        Baseline { name: "pooled", class: "pooled", value: pooled },
        Baseline { name: "alone", class: "alone", value: alone },
    ]
}

fn traffic(page: &mut Markup, summary: &Summary) {
    if summary.rounds.is_empty() {
        return;
    }
    page.tag("h2", &[], "Traffic");
    let chart = Chart {
        id: "traffic",
        title: "Bytes, by round",
        place: "round",
        series: vec![
            by_round(summary, "owners sent", "test", |round| Some(round.bytes_up as f64)),
            by_round(summary, "owners were sent", "train", |round| Some(round.bytes_down as f64)),
        ],
        baselines: Vec::new(),
        include: Vec::new(),
        format: float_bytes,
    };
    chart.bars(page);
}

fn trust(page: &mut Markup, summary: &Summary) {
    page.tag("h2", &[("id", &"trust")], "What is simulated, and who sees what");
    let state = |simulated: Option<bool>| match simulated {
        Some(true) => "simulated on this machine",
        Some(false) => "real",
        None => "takes no part",
    };
    let simulated = &summary.simulated;
    let rows = [
        ("Network", state(Some(simulated.network)).to_owned()),
        ("Committee", state(simulated.committee).to_owned()),
        ("Enclave", state(simulated.enclave).to_owned()),
        (
            "Updates",
            summary.secure_sum.as_ref().map_or_else(|| "in clear".to_owned(), SecureSum::line),
        ),
        (
            "Training",
            summary.encrypted_training.as_ref().map_or_else(
                || "by each owner itself".to_owned(),
                |it| format!("on encrypted rows: {}", it.line()),
            ),
        ),
        (
            "Privacy of rows",
            summary.privacy.as_ref().map_or_else(|| "none".to_owned(), Privacy::line),
        ),
        (
            "Faults",
            summary.faults.as_ref().map_or_else(
                || "none injected".to_owned(),
                |file| format!("injected on purpose, from {file}"),
            ),
        ),
    ];
    page.tag("p", &[], &simulated.note);
    if let Some(encrypted) = &summary.encrypted_training {
        page.tag("p", &[], &encrypted.note);
    }
    page.tag("p", &[], &summary.aggregation_note);
    let rows = rows.iter().map(|(name, value)| vec![Cell::text(name), Cell::text(value)]);
    tables::table(page, "Parties and protections", &["What", "In this run"], rows);
}

fn reproduce(page: &mut Markup, summary: &Summary, extra: &Extra<'_>) {
    page.tag("h2", &[], "Reproduce");
    let noisy = summary.privacy.is_some() || summary.encrypted_training.is_some();
    let how = if noisy { "but for noise that follows from no seed" } else { "byte for byte" };
    let promise = format!(
        "With the same version and data, on the same kind of processor, this gives the same model, \
         {how}:"
    );
    page.tag("p", &[], &promise);
    page.tag("pre", &[], clean(extra.command));
    let mut rows = vec![
        ("Seed", summary.seed.to_string()),
        ("Run", summary.run_id.clone()),
        ("Job hash", summary.job_hash.clone()),
        ("Model hash", summary.model_hash.clone()),
        ("Version", summary.version.clone()),
    ];
    rows.extend(extra.machine.map(|machine| ("Machine", machine.to_owned())));
    rows.extend(summary.resumed_from.map(|round| ("Resumed", format!("after round {round}"))));
    let rows = rows.iter().map(|(name, value)| vec![Cell::text(name), Cell::text(value)]);
    tables::table(page, "Identity of the run", &["What", "Value"], rows);
    if let Some(job) = extra.job_file {
        page.element("details", &[], |page| {
            page.tag("summary", &[], "The job, with its defaults");
            page.tag("pre", &[], job.replace('\t', "    "));
        });
    }
}

/// Keeps each number on one line with the unit or noun after it.
fn together(text: &str) -> String {
    let mut after_digit = false;
    let bound = text.chars().map(|c| {
        let bound = if c == ' ' && after_digit { '\u{a0}' } else { c };
        after_digit = c.is_ascii_digit();
        bound
    });
    bound.collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturation is fine, and counts of bytes are not negative"
)]
fn float_bytes(value: f64) -> String {
    bytes(value.round() as u64)
}
