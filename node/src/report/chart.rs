//! Plots as inline SVG.
//!
//! Places are percentages of the plot and sizes are pixels, so a plot takes any width while its
//! text stays as large as the page's. The room for axis labels is the SVG's CSS padding. Looks
//! come from classes, which is how dark mode and print get their own colours.

use std::fmt::Write as _;

use super::markup::{Markup, Percent};
use super::scale::{Scale, places};
use crate::summary::finite;

/// Marks on a value axis, about.
const VALUE_MARKS: u32 = 6;
/// Marks on an axis of rounds that fit on a phone.
const PLACE_MARKS: usize = 8;
/// More points than this are thinned: a wide screen has not many more pixels to show them.
const POINTS: usize = 600;
/// Up to this many points get a dot each.
const DOTS: usize = 40;
/// Up to this many places get bars of their own; beyond it, bars stand for several.
const BARS: usize = 60;

/// A row of values, one for each place on the horizontal axis.
#[derive(Debug)]
pub(super) struct Series {
    /// What it is.
    pub(super) name: &'static str,
    /// The class that colours it.
    pub(super) class: &'static str,
    /// The values; what is missing leaves a gap.
    pub(super) values: Vec<Option<f64>>,
}

/// A value to compare with, drawn as a dashed line.
#[derive(Debug)]
pub(super) struct Baseline {
    /// What it is.
    pub(super) name: &'static str,
    /// The class that colours it.
    pub(super) class: &'static str,
    /// Its value.
    pub(super) value: Option<f64>,
}

/// What is plotted, and how it is called.
#[derive(Debug)]
pub(super) struct Chart {
    /// Unique in the page.
    pub(super) id: &'static str,
    /// The heading.
    pub(super) title: &'static str,
    /// What the horizontal axis counts from 1: `round`.
    pub(super) place: &'static str,
    /// The values.
    pub(super) series: Vec<Series>,
    /// What they are compared with.
    pub(super) baselines: Vec<Baseline>,
    /// Values that the vertical axis has to include.
    pub(super) include: Vec<f64>,
    /// How a value is written.
    pub(super) format: fn(f64) -> String,
}

impl Chart {
    /// Draws the values as lines.
    pub(super) fn lines(&self, page: &mut Markup) {
        let scale = self.scale(self.values());
        let length = self.length();
        self.figure(page, |page| {
            self.value_axis(page, &scale);
            axis_of_places(page, length, |place| middle_of_point(place, length));
            page.element("svg", STRETCHED, |page| {
                for baseline in &self.baselines {
                    if let Some(value) = baseline.value {
                        let y = scale.down_to(value);
                        let points = format!("0,{y:.2} 100,{y:.2}");
                        path(page, &format!("line dashed {}", baseline.class), &points);
                    }
                }
                for series in &self.series {
                    for points in runs(&series.values, &scale) {
                        path(page, &format!("line {}", series.class), &points);
                    }
                }
            });
            for series in &self.series {
                self.dots(page, series, &scale);
            }
        });
    }

    /// Draws the values as bars that stand on zero, all series of a place on top of each other.
    /// Many places share a bar, which then shows their mean.
    pub(super) fn bars(&self, page: &mut Markup) {
        let (length, together) = (self.length(), self.length().div_ceil(BARS).max(1));
        let stacked: Vec<Vec<f64>> =
            stack(self.series.iter().map(|it| means(&it.values, together)));
        let scale = self.scale(stacked.iter().flatten().copied().chain([0.0]));
        let slot = 100.0 / length.div_ceil(together).max(1) as f64;
        let width = (0.7 * slot).min(6.0);
        self.figure(page, |page| {
            self.value_axis(page, &scale);
            axis_of_places(page, length, |place| ((place / together) as f64 + 0.5) * slot);
            let mut below = vec![0.0; length.div_ceil(together)];
            for (series, tops) in self.series.iter().zip(stacked) {
                for (place, (top, bottom)) in tops.iter().zip(&below).enumerate() {
                    let first = place * together;
                    let places = span(self.place, first, together.min(length - first));
                    let value = (self.format)(top - bottom);
                    let (y, end) = (scale.down_to(*top), scale.down_to(*bottom));
                    let bar = [(place as f64 + 0.5) * slot - width / 2.0, y, width, end - y];
                    let label = format!("{}, {places}: {value}", series.name);
                    rectangle(page, series.class, bar, Some(&label));
                }
                below = tops;
            }
        });
        if together > 1 {
            let note = format!("Each bar is the mean of {together} {}s.", self.place);
            page.tag("p", &[("class", &"faint")], note);
        }
    }

    /// Whether there is anything to draw.
    pub(super) fn has_values(&self) -> bool {
        self.values().next().is_some()
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.series.iter().flat_map(|series| series.values.iter().copied().flatten())
    }

    fn length(&self) -> usize {
        self.series.iter().map(|series| series.values.len()).max().unwrap_or(0)
    }

    fn scale(&self, values: impl Iterator<Item = f64>) -> Scale {
        let baselines = self.baselines.iter().filter_map(|baseline| baseline.value);
        Scale::around(values.chain(baselines).chain(self.include.iter().copied()), VALUE_MARKS)
    }

    /// The frame of a plot: heading, key, title and description for who cannot see it.
    fn figure(&self, page: &mut Markup, inside: impl FnOnce(&mut Markup)) {
        page.element("figure", &[("class", &"panel")], |page| {
            page.tag("h3", &[], self.title);
            self.key(page);
            let (title, description) = (format!("{}-title", self.id), format!("{}-text", self.id));
            let names = format!("{title} {description}");
            let attributes: super::markup::Attributes<'_> =
                &[("class", &"plot"), ("role", &"img"), ("aria-labelledby", &names)];
            page.element("svg", attributes, |page| {
                page.tag("title", &[("id", &title)], self.title);
                page.tag("desc", &[("id", &description)], self.description());
                inside(page);
            });
        });
    }

    /// Names, colours and last values.
    fn key(&self, page: &mut Markup) {
        page.element("ul", &[("class", &"key")], |page| {
            let series = self.series.iter().map(|it| (it.name, it.class, "", last(&it.values)));
            let baselines = self
                .baselines
                .iter()
                .filter(|it| it.value.is_some())
                .map(|it| (it.name, it.class, " dashed", it.value));
            for (name, class, dashed, value) in series.chain(baselines) {
                page.element("li", &[], |page| {
                    swatch(page, &format!("line {class}{dashed}"));
                    page.text(name);
                    page.text(" ");
                    let value = value.map_or_else(|| "no value".to_owned(), self.format);
                    page.tag("b", &[], value);
                });
            }
        });
    }

    fn description(&self) -> String {
        let mut text = format!("{} {}s.", self.length(), self.place);
        for series in &self.series {
            let first = series.values.iter().copied().flatten().next();
            let (Some(first), Some(last)) = (first, last(&series.values)) else { continue };
            let _ = write!(
                text,
                " {}: from {} to {}.",
                series.name,
                (self.format)(first),
                (self.format)(last)
            );
        }
        for baseline in &self.baselines {
            if let Some(value) = baseline.value {
                let _ = write!(text, " {}: {}.", baseline.name, (self.format)(value));
            }
        }
        text
    }

    fn value_axis(&self, page: &mut Markup, scale: &Scale) {
        for mark in &scale.marks {
            let y = Percent(scale.down_to(*mark));
            page.leaf("line", &[("class", &"grid"), ("x2", &"100%"), ("y1", &y), ("y2", &y)]);
            // Adding zero turns the minus zero of a rounded mark into zero.
            let label = shortened(&(self.format)(mark + 0.0));
            page.tag("text", &[("class", &"end"), ("x", &-8), ("y", &y), ("dy", &4)], label);
        }
    }

    fn dots(&self, page: &mut Markup, series: &Series, scale: &Scale) {
        let length = series.values.len();
        for (place, value) in series.values.iter().enumerate() {
            let alone = |at: Option<usize>| {
                at.and_then(|at| series.values.get(at)).is_none_or(Option::is_none)
            };
            // A point between two gaps has no line that would show it.
            let wanted = length <= DOTS || (alone(place.checked_sub(1)) && alone(Some(place + 1)));
            let Some(value) = value.filter(|_| wanted) else { continue };
            let (x, y) = (Percent(middle_of_point(place, length)), Percent(scale.down_to(value)));
            page.element(
                "circle",
                &[("class", &series.class), ("cx", &x), ("cy", &y), ("r", &3)],
                |page| {
                    let label = format!(
                        "{}, {} {}: {}",
                        series.name,
                        self.place,
                        place + 1,
                        (self.format)(value)
                    );
                    page.tag("title", &[], label);
                },
            );
        }
    }
}

const STRETCHED: super::markup::Attributes<'static> = &[
    ("viewBox", &"0 0 100 100"),
    ("preserveAspectRatio", &"none"),
    ("width", &"100%"),
    ("height", &"100%"),
];

/// A rectangle at `[x, y, width, height]`, in percent.
pub(super) fn rectangle(page: &mut Markup, class: &str, place: [f64; 4], label: Option<&str>) {
    let [x, y, width, height] = place.map(Percent);
    let attributes: super::markup::Attributes<'_> =
        &[("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
    match label {
        Some(label) => page.element("rect", attributes, |page| page.tag("title", &[], label)),
        None => page.leaf("rect", attributes),
    }
}

/// A bit of line in the looks of `class`, for a key.
pub(super) fn swatch(page: &mut Markup, class: &str) {
    page.element("svg", &[("class", &"swatch"), ("aria-hidden", &"true")], |page| {
        page.leaf("line", &[("class", &class), ("x2", &"100%"), ("y1", &"50%"), ("y2", &"50%")]);
    });
}

/// The horizontal axis: round numbers of places, of which `x` says where they are.
pub(super) fn axis_of_places(page: &mut Markup, length: usize, x: impl Fn(usize) -> f64) {
    for place in places(length, PLACE_MARKS) {
        let x = Percent(x(place));
        let attributes: super::markup::Attributes<'_> =
            &[("class", &"middle"), ("x", &x), ("y", &"100%"), ("dy", &18)];
        page.tag("text", attributes, place + 1);
    }
}

/// `round 4`, or `rounds 4 to 9`.
pub(super) fn span(name: &str, first: usize, length: usize) -> String {
    if length == 1 {
        format!("{name} {}", first + 1)
    } else {
        format!("{name}s {} to {}", first + 1, first + length)
    }
}

/// A figure without the zeros that end its fraction: `0.5000` is `0.5`, `20.0 kB` is `20 kB`.
fn shortened(figure: &str) -> String {
    let end =
        figure.find(|c: char| !matches!(c, '0'..='9' | '.' | ',' | '-')).unwrap_or(figure.len());
    let (digits, unit) = figure.split_at(end);
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.').to_owned() + unit
    } else {
        figure.to_owned()
    }
}

fn path(page: &mut Markup, class: &str, points: &str) {
    page.leaf("polyline", &[("class", &class), ("points", &points)]);
}

fn last(values: &[Option<f64>]) -> Option<f64> {
    values.last().copied().flatten()
}

/// Where the point of a place is: from the left edge to the right one.
fn middle_of_point(place: usize, length: usize) -> f64 {
    if length < 2 { 50.0 } else { 100.0 * place as f64 / (length - 1) as f64 }
}

/// The lines between gaps, as the points of a polyline in percent.
fn runs(values: &[Option<f64>], scale: &Scale) -> Vec<String> {
    let step = values.len().div_ceil(POINTS).max(1);
    let mut runs = Vec::new();
    let mut run = String::new();
    for (place, value) in values.iter().enumerate() {
        match value {
            Some(value) if place % step == 0 || place + 1 == values.len() => {
                let x = middle_of_point(place, values.len());
                let _ = write!(run, "{x:.2},{:.2} ", scale.down_to(*value));
            }
            Some(_) => {}
            None => runs.push(std::mem::take(&mut run)),
        }
    }
    runs.push(run);
    runs.retain(|run| run.matches(',').count() > 1);
    runs
}

/// The mean of every `together` values, of those that are there.
fn means(values: &[Option<f64>], together: usize) -> Vec<Option<f64>> {
    values
        .chunks(together)
        .map(|chunk| {
            let present: Vec<f64> = chunk.iter().copied().flatten().collect();
            finite(present.iter().sum::<f64>() / present.len() as f64)
        })
        .collect()
}

/// The tops of series that stand on each other; what is missing has no height.
fn stack(series: impl Iterator<Item = Vec<Option<f64>>>) -> Vec<Vec<f64>> {
    let mut tops: Vec<Vec<f64>> = Vec::new();
    for values in series {
        let below = |place: usize| tops.last().and_then(|it| it.get(place)).copied().unwrap_or(0.0);
        let heights = values.into_iter().map(|value| value.unwrap_or(0.0)).enumerate();
        let top = heights.map(|(place, height)| below(place) + height).collect();
        tops.push(top);
    }
    tops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_split_a_line() {
        let scale = Scale::around([0.0, 1.0], 6);
        let values = [Some(0.0), Some(1.0), None, Some(0.5), None, Some(0.5), Some(0.5)];
        assert_eq!(runs(&values, &scale), ["0.00,100.00 16.67,0.00 ", "83.33,50.00 100.00,50.00 "]);
    }

    #[test]
    fn many_points_are_thinned_and_the_last_one_stays() {
        let values = vec![Some(1.0); 100_000];
        let runs = runs(&values, &Scale::around([0.0, 1.0], 6));
        let points: Vec<&str> = runs[0].split_whitespace().collect();
        assert!(points.len() <= POINTS + 1 && points.last() == Some(&"100.00,0.00"));
    }

    #[test]
    fn means_leave_out_what_is_missing() {
        let values = [Some(1.0), None, None, None, Some(4.0)];
        assert_eq!(means(&values, 2), [Some(1.0), None, Some(4.0)]);
    }

    #[test]
    fn bars_stand_on_each_other() {
        let series = [vec![Some(1.0), None], vec![Some(2.0), Some(3.0)]];
        assert_eq!(stack(series.into_iter()), [vec![1.0, 0.0], vec![3.0, 3.0]]);
    }

    #[test]
    fn marks_are_short() {
        assert_eq!(
            ["0.5000", "0.0000", "20.0 kB", "95.0 %", "1.50e-7", "100", "-10.0"].map(shortened),
            ["0.5", "0", "20 kB", "95 %", "1.5e-7", "100", "-10"]
        );
    }

    #[test]
    fn spans_read_well() {
        assert_eq!(
            (span("round", 3, 1), span("round", 3, 6)),
            ("round 4".into(), "rounds 4 to 9".into())
        );
    }
}
