//! The report of an audit: curves, and rows beside what was rebuilt of them.

use nexus_audit::leakage::{Leak, Picture};
use nexus_audit::{Report, Roc};

use super::head;
use super::markup::Markup;
use super::tables::{Cell, table};
use crate::summary::{number, percent};

/// Points of a curve that are drawn at most.
const POINTS: usize = 400;

/// The curves of a report, by attack.
pub fn rocs(report: &Report) -> Vec<(&'static str, &Roc)> {
    let membership = &report.membership;
    let always = [("loss threshold", &membership.loss_threshold), ("RMIA", &membership.rmia)];
    always.into_iter().chain(membership.lira.iter().map(|roc| ("LiRA", roc))).collect()
}

/// The report as a web page that needs nothing else.
pub fn html(job: &str, report: &Report) -> String {
    let mut page = Markup::default();
    page.literal("<!DOCTYPE html>\n");
    page.element("html", &[("lang", &"en")], |page| {
        head(page, job);
        page.element("body", &[], |page| {
            page.element("main", &[], |page| {
                page.tag("p", &[("class", &"faint")], "Cipher Nexus audit");
                page.tag("h1", &[], job);
                limits(page, report);
                membership(page, report);
                leakage(page, report);
                canaries(page, report);
            });
        });
    });
    page.literal("\n");
    page.finish()
}

fn limits(page: &mut Markup, report: &Report) {
    let claim = report.claim.map_or_else(
        || "The job adds no noise and claims nothing.".to_owned(),
        |claim| {
            format!(
                "Claimed: epsilon {} at delta {:e}. Then no membership test has an area above {}.",
                number(claim.epsilon()),
                claim.delta(),
                number(claim.auc())
            )
        },
    );
    page.tag("p", &[], claim);
    if report.verdicts.is_empty() {
        return;
    }
    let rows = report.verdicts.iter().map(|verdict| {
        vec![
            Cell::text(verdict.figure.name()),
            Cell::figure(number(verdict.measured)),
            Cell::figure(number(verdict.limit)),
            Cell::text(if verdict.kept { "kept" } else { "broken" }),
        ]
    });
    table(page, "Limits", &["Figure", "Measured", "At most", "Verdict"], rows);
}

fn membership(page: &mut Markup, report: &Report) {
    page.tag("h2", &[], "Was a row trained on?");
    let effort = report.membership.effort;
    let what = format!(
        "{} models, each trained on a random half of {} rows, were attacked with {} shadow models.",
        effort.targets, report.membership.pool, effort.shadows
    );
    page.tag("p", &[], what);
    let ceiling = report.ceiling.as_ref().map_or_else(String::new, |it| number(it.auc));
    let rows = rocs(report).into_iter().map(|(name, roc)| {
        vec![
            Cell::text(name),
            Cell::figure(format!("{} ± {}", number(roc.auc), number(2.0 * roc.auc_error))),
            Cell::figure(ceiling.clone()),
            Cell::figure(percent(roc.tpr_at_1_percent)),
            Cell::figure(percent(roc.tpr_at_01_percent)),
        ]
    });
    let head = ["Attack", "Area under the curve", "Claim allows", "Found at 1 % false", "At 0.1 %"];
    table(page, "Membership attacks", &head, rows);
    for (name, roc) in rocs(report) {
        curve(page, name, roc);
    }
}

/// The share of members found by the share of others taken for members.
fn curve(page: &mut Markup, name: &str, roc: &Roc) {
    let every = roc.curve.len().div_ceil(POINTS).max(1);
    let kept = roc.curve.iter().step_by(every).chain(roc.curve.last());
    let points: Vec<String> = kept
        .map(|(false_, true_)| format!("{:.2},{:.2}", 200.0 * false_, 200.0 * (1.0 - true_)))
        .collect();
    page.element("figure", &[], |page| {
        page.tag("figcaption", &[], format!("{name}: found, by falsely found"));
        let size: super::markup::Attributes<'_> =
            &[("viewBox", &"0 0 200 200"), ("width", &"240"), ("height", &"240")];
        page.element("svg", size, |page| {
            let guess: super::markup::Attributes<'_> =
                &[("class", &"line dashed pooled"), ("points", &"0,200 200,0"), ("fill", &"none")];
            page.leaf("polyline", guess);
            let points = points.join(" ");
            page.leaf(
                "polyline",
                &[("class", &"line test"), ("points", &points), ("fill", &"none")],
            );
        });
    });
}

fn leakage(page: &mut Markup, report: &Report) {
    page.tag("h2", &[], "What a step shows");
    let shown = |share: Option<f64>| share.map_or_else(|| "not tried".to_owned(), percent);
    let row = |name: &str, leak: &Leak| {
        vec![
            Cell::text(name),
            Cell::figure((leak.view.owners * leak.view.rows).to_string()),
            Cell::figure(shown(leak.closed)),
            Cell::figure(shown(leak.inverting)),
            Cell::figure(shown(leak.imprint)),
        ]
    };
    let rows = [row("A bare gradient", &report.bare), row("This job", &report.leakage)];
    let head = ["Seen", "Rows", "In closed form", "By search", "With an imprint layer"];
    table(page, "Rows rebuilt", &head, rows.into_iter());
    for (name, leak) in [("bare gradient", &report.bare), ("this job", &report.leakage)] {
        for picture in &leak.pictures {
            pair(page, name, picture);
        }
    }
}

/// A row beside what was rebuilt of it, where rows are square images.
fn pair(page: &mut Markup, name: &str, picture: &Picture) {
    let side = picture.original.len().isqrt();
    if side * side != picture.original.len() || picture.rebuilt.len() != picture.original.len() {
        return;
    }
    page.element("figure", &[], |page| {
        page.tag(
            "figcaption",
            &[],
            format!("{name}: a row and the nearest, {:.1} dB", picture.psnr),
        );
        image(page, side, &picture.original);
        image(page, side, &picture.rebuilt);
    });
}

fn image(page: &mut Markup, side: usize, pixels: &[f32]) {
    let span = side.to_string();
    let view = format!("0 0 {span} {span}");
    page.element("svg", &[("viewBox", &view), ("width", &"96"), ("height", &"96")], |page| {
        for (place, pixel) in pixels.iter().enumerate() {
            let (x, y) = (place % side, place / side);
            let dark = 100.0 * (1.0 - pixel.clamp(0.0, 1.0));
            let fill = format!("rgb({dark:.0}%,{dark:.0}%,{dark:.0}%)");
            let place: super::markup::Attributes<'_> =
                &[("x", &x), ("y", &y), ("width", &1), ("height", &1), ("fill", &fill)];
            page.leaf("rect", place);
        }
    });
}

fn canaries(page: &mut Markup, report: &Report) {
    let Some(canaries) = &report.canaries else { return };
    page.tag("h2", &[], "What canaries show");
    let rows = [
        ("Canaries", canaries.canaries.to_string()),
        ("Epsilon is at least (95 %)", number(canaries.estimate)),
        ("Epsilon is at least (99.9 %)", number(canaries.gate)),
        ("The most that so many can show", number(canaries.most)),
    ];
    let rows = rows.iter().map(|(name, value)| vec![Cell::text(name), Cell::text(value)]);
    table(page, "Lower bound of epsilon from one run", &["What", "Figure"], rows);
}
