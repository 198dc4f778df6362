//! The summary a terminal shows.

use std::fmt::Write as _;

use super::absence::name_list;
use super::verdict::interval;
use super::{
    Metrics, NAME, Summary, Verdict, bytes, clean, clip, count, member_list, number, percent,
    plural, seconds,
};

/// How a span of text is meant; what it looks like is up to whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing special.
    Plain,
    /// A heading or the figure that matters.
    Strong,
    /// A name of something.
    Name,
    /// Labels and remarks.
    Faint,
    /// Good news.
    Good,
    /// Something to look at.
    Warning,
    /// Bad news.
    Bad,
}

/// Columns of the labels.
const LABEL: usize = 15;
/// The narrowest column of text.
const NARROWEST: usize = 30;
/// Reasons and names that a line lists at most; the report has them all.
const LISTED: usize = 6;

impl Summary {
    /// The summary for a terminal `width` columns wide. `paint` dresses a span by its meaning;
    /// `|_, text| text.to_owned()` leaves it plain. `report` names the file that says more.
    ///
    /// Text that came from outside is free of control characters, so a hostile owner's name
    /// cannot steer the terminal.
    pub fn text(
        &self,
        width: usize,
        report: Option<&str>,
        paint: &dyn Fn(Meaning, &str) -> String,
    ) -> String {
        let mut page = Page { text: String::new(), width, paint };
        self.title(&mut page);
        let verdict = Verdict::of(self);
        page.paragraph(verdict.meaning, &verdict.headline);
        for sentence in &verdict.sentences {
            page.paragraph(Meaning::Plain, sentence);
        }
        page.text.push('\n');
        self.quality(&mut page);
        self.course(&mut page);
        self.trust(&mut page);
        if let Some(report) = report {
            page.line("report", Meaning::Name, &clean(report));
        }
        page.text
    }

    fn title(&self, page: &mut Page<'_>) {
        page.paragraph(Meaning::Strong, &clean(&self.job));
        let what = format!(
            "{} {} ({}), {}, {}, {}, {}, {}",
            self.model.kind,
            self.model.shape,
            plural(self.model.parameters, "parameter"),
            self.strategy,
            self.rule,
            plural(self.rounds.len() as u64, "round"),
            plural(self.data.owners.len() as u64, "owner"),
            plural(self.data.rows, "training row"),
        );
        page.paragraph(Meaning::Faint, &clean(&what));
        page.text.push('\n');
    }

    fn quality(&self, page: &mut Page<'_>) {
        let metrics = &self.metrics;
        if let Some(accuracy) = metrics.test_accuracy {
            let range = interval(accuracy, self.data.test_rows)
                .map(|(low, high)| {
                    format!("  (95 % interval {} to {})", percent(low), percent(high))
                })
                .unwrap_or_default();
            page.line("test accuracy", Meaning::Strong, &(percent(accuracy) + &range));
        }
        if let Some(mse) = metrics.mse {
            page.line("test error", Meaning::Strong, &format!("{} (mean squared)", number(mse)));
        }
        let (pooled, alone) = baselines(metrics);
        if let Some(pooled) = pooled {
            page.line("pooled", Meaning::Plain, &format!("{pooled}  all rows in one place"));
        }
        if let Some(alone) = alone {
            page.line(
                "alone",
                Meaning::Plain,
                &format!("{alone}  each owner by itself, on average"),
            );
        }
        if let Some(range) = self.owner_range() {
            page.line("per owner", Meaning::Plain, &range);
        }
    }

    /// The worst and the best owner by accuracy, from two owners on.
    fn owner_range(&self) -> Option<String> {
        let mut owners: Vec<(f64, String)> = self
            .metrics
            .per_owner
            .iter()
            .filter_map(|owner| Some((owner.accuracy?, clip(&owner.name, NAME))))
            .collect();
        owners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [(worst, last), .., (best, first)] = owners.as_slice() else { return None };
        Some(format!("{} ({last}) to {} ({first})", percent(*worst), percent(*best)))
    }

    fn course(&self, page: &mut Page<'_>) {
        let (used, asked) = self.answers();
        let absences = self.absences();
        let meaning = if absences.is_empty() { Meaning::Plain } else { Meaning::Warning };
        page.line("updates", meaning, &format!("{} of {} used", count(used), count(asked)));
        let names = self.names();
        for absence in absences.iter().take(LISTED) {
            let who = name_list(&absence.owners, &names, LISTED);
            page.line("  missing", Meaning::Plain, &format!("{who}: {}", absence.words()));
        }
        if absences.len() > LISTED {
            let more =
                format!("and for {} more", plural((absences.len() - LISTED) as u64, "reason"));
            page.line("", Meaning::Faint, &more);
        }
        let (up, down) = self.traffic();
        page.line("traffic", Meaning::Plain, &format!("{} up, {} down", bytes(up), bytes(down)));
        let memory = self
            .peak_rss_bytes
            .map(|peak| format!(", {} of memory", bytes(peak)))
            .unwrap_or_default();
        let time = format!(
            "{}, {} of processor{memory}",
            seconds(self.time.wall_s),
            seconds(self.time.cpu_s)
        );
        page.line("time", Meaning::Plain, &time);
    }

    fn trust(&self, page: &mut Page<'_>) {
        if let Some(round) = self.resumed_from {
            page.line("resumed", Meaning::Plain, &format!("after round {round}"));
        }
        if let Some(faults) = &self.faults {
            page.line(
                "faults",
                Meaning::Warning,
                &format!("injected on purpose, from {}", clean(faults)),
            );
        }
        let simulated = &self.simulated;
        let any = simulated.network
            || simulated.committee == Some(true)
            || simulated.enclave == Some(true);
        let label = if any { "simulated" } else { "parties" };
        page.line(
            label,
            if any { Meaning::Warning } else { Meaning::Plain },
            &clean(&simulated.note),
        );
        if let Some(encrypted) = &self.encrypted_training {
            page.line("encrypted rows", Meaning::Good, &encrypted.line());
            page.line("  who sees", Meaning::Plain, &clean(&encrypted.note));
        }
        self.secure_sums(page);
        self.promise(page);
        for warning in &self.warnings {
            page.line("warning", Meaning::Warning, &clean(warning));
        }
    }

    fn promise(&self, page: &mut Page<'_>) {
        let Some(privacy) = &self.privacy else {
            let note = "none promised: the model itself can tell about single rows";
            return page.line("row privacy", Meaning::Warning, note);
        };
        page.line("row privacy", Meaning::Good, &privacy.line());
        page.line("  in words", Meaning::Plain, &clean(&privacy.note));
    }

    fn secure_sums(&self, page: &mut Page<'_>) {
        let note = clean(&self.aggregation_note);
        let Some(sums) = &self.secure_sum else {
            return page.line("who sees what", Meaning::Warning, &note);
        };
        page.line("updates hidden", Meaning::Good, &sums.line());
        page.line("who sees what", Meaning::Plain, &note);
        if sums.clipped_updates > 0 {
            let what = plural(sums.clipped_updates, "update");
            let clipped = format!("{what} longer than {}, scaled down", sums.clip);
            page.line("  clipped", Meaning::Plain, &clipped);
        }
        let Some(committee) = &sums.committee else { return };
        for (label, meaning, members) in [
            ("  odd shares", Meaning::Warning, &committee.disputed),
            ("  silent", Meaning::Warning, &committee.silent),
        ] {
            if !members.is_empty() {
                page.line(label, meaning, &member_list(members, LISTED));
            }
        }
    }
}

/// What pooled data and owners alone reach, in the measure of the task.
fn baselines(metrics: &Metrics) -> (Option<String>, Option<String>) {
    (
        metrics.central_accuracy.map(percent).or(metrics.central_mse.map(number)),
        metrics.local_only_accuracy.map(percent).or(metrics.local_only_mse.map(number)),
    )
}

/// Text in two columns.
struct Page<'a> {
    text: String,
    width: usize,
    paint: &'a dyn Fn(Meaning, &str) -> String,
}

impl Page<'_> {
    fn paragraph(&mut self, meaning: Meaning, text: &str) {
        for line in wrap(text, self.width.max(NARROWEST)) {
            let _ = writeln!(self.text, "{}", (self.paint)(meaning, &line));
        }
    }

    fn line(&mut self, label: &str, meaning: Meaning, text: &str) {
        let width = self.width.saturating_sub(LABEL).max(NARROWEST);
        for (number, line) in wrap(text, width).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let label = (self.paint)(Meaning::Faint, &format!("{label:<LABEL$}"));
            let _ = writeln!(self.text, "{label}{}", (self.paint)(meaning, line));
        }
    }
}

/// Breaks `text` at single spaces into lines of at most `width` characters; a word longer than
/// that keeps its line for itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::summary::example;

    fn plain(summary: &Summary, width: usize) -> String {
        summary.text(width, Some("runs/demo/report.html"), &|_, text| text.to_owned())
    }

    #[test]
    fn it_says_what_matters() {
        let text = plain(&example::digits(), 80);
        for needle in [
            "95.8 %",
            "96.4 %",
            "81.3 %",
            "91.7 % (site-3) to 100.0 % (site-8)",
            "47 of 50 used",
            "site-2 ×2: no answer within 30 s (injected: crash)",
            "Every party is this process",
            "The coordinator sees each owner's update",
            "runs/demo/report.html",
        ] {
            assert!(text.replace("\n               ", " ").contains(needle), "{needle}\n{text}");
        }
    }

    #[test]
    fn it_says_how_updates_are_hidden() {
        let flat = |summary: &Summary| plain(summary, 80).replace("\n               ", " ");
        let text = flat(&example::masked());
        for needle in [
            "updates hidden nx: committee of 4, 3 answer; sums over at least 5 owners",
            "opens only their sum, once per round",
            "  clipped      3 updates longer than 16, scaled down",
            "  odd shares   member-2",
            "  silent       member-1 ×2, member-3",
            "The committee is this machine: whoever runs it could open any owner's update",
        ] {
            assert!(text.contains(needle), "{needle}\n{text}");
        }
        let text = flat(&example::pairwise());
        assert!(text.contains("updates hidden secagg-plus: pairwise masks, 10.0 % corrupt"));
        assert!(!flat(&example::digits()).contains("updates hidden"));
    }

    #[test]
    fn a_hostile_name_cannot_steer_the_terminal() {
        let text = plain(&example::hostile(), 80);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }

    #[test]
    fn paint_sees_the_meanings() {
        let text =
            example::digits().text(80, None, &|meaning, text| format!("<{meaning:?}>{text}"));
        assert!(text.contains("<Good>95.8 % of 360 test rows"), "{text}");
        assert!(text.contains("<Warning>47 of 50 used"), "{text}");
    }

    proptest! {
        #[test]
        fn lines_fit_unless_a_word_does_not(text in "[a-zé ]{0,80}", width in 1usize..20) {
            for line in wrap(&text, width) {
                prop_assert!(line.chars().count() <= width || !line.trim().contains(' '));
            }
        }

        #[test]
        fn wrapping_loses_no_word(text in "[a-zé]{1,9}( [a-zé]{1,9}){0,9}", width in 1usize..20) {
            prop_assert_eq!(wrap(&text, width).join(" "), text);
        }
    }
}
