//! What the figures say, in sentences.

use super::{Meaning, Metrics, Summary, Task, count, number, percent};

/// What a run came to, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the outcome is meant.
    pub meaning: Meaning,
    /// The outcome in one sentence.
    pub headline: String,
    /// What it means against the baselines, a sentence each.
    pub sentences: Vec<String>,
}

impl Verdict {
    /// The verdict on a run.
    pub fn of(summary: &Summary) -> Self {
        let metrics = &summary.metrics;
        let measure = match summary.model.task {
            Task::Classification => metrics.test_accuracy,
            Task::Regression => metrics.mse,
        };
        match (summary.model.task, measure) {
            (_, None) => Self::unmeasured(summary.data.test_rows),
            (Task::Classification, Some(accuracy)) => Self::of_accuracy(accuracy, summary),
            (Task::Regression, Some(mse)) => Self::of_error(mse, metrics, summary.data.test_rows),
        }
    }

    fn unmeasured(test_rows: u64) -> Self {
        let headline = if test_rows == 0 {
            "The model was not measured: no rows were held back for a test.".to_owned()
        } else {
            "The model has no finite test figure: training diverged.".to_owned()
        };
        let advice = "A smaller learning rate is the first thing to try.".to_owned();
        let sentences = if test_rows == 0 { Vec::new() } else { vec![advice] };
        Self { meaning: Meaning::Bad, headline, sentences }
    }

    fn of_accuracy(accuracy: f64, summary: &Summary) -> Self {
        let (metrics, test_rows) = (&summary.metrics, summary.data.test_rows);
        let margin = margin(accuracy, test_rows);
        let mut verdict = Self {
            meaning: Meaning::Plain,
            headline: format!(
                "{} of {} test rows are classified right.",
                percent(accuracy),
                count(test_rows)
            ),
            sentences: Vec::new(),
        };
        if let Some(alone) = metrics.local_only_accuracy {
            let (tone, end) = against_alone(accuracy - alone, margin);
            verdict.add(
                tone,
                format!("Owners training alone reach {} on average: {end}", percent(alone)),
            );
        }
        if let Some(central) = metrics.central_accuracy {
            let (place, what) = match summary.privacy {
                None => ("All rows in one place", "keeping them apart"),
                Some(_) => ("All rows in one place, without noise,", "keeping them private"),
            };
            let (tone, end) = against_pooled(what, central - accuracy, margin);
            verdict.add(tone, format!("{place} give {}: {end}", percent(central)));
        }
        verdict
    }

    fn of_error(mse: f64, metrics: &Metrics, test_rows: u64) -> Self {
        let explained =
            metrics.r2.map(|r2| format!(", with R² {}", number(r2))).unwrap_or_default();
        let mut verdict = Self {
            meaning: Meaning::Plain,
            headline: format!(
                "The mean squared error on {} test rows is {}{explained}.",
                count(test_rows),
                number(mse)
            ),
            sentences: Vec::new(),
        };
        let baselines = [
            ("Owners training alone reach", " on average", metrics.local_only_mse),
            ("All rows in one place give", "", metrics.central_mse),
        ];
        for (start, end, baseline) in baselines {
            let Some(baseline) = baseline.filter(|baseline| *baseline > 0.0) else { continue };
            let tone = if mse <= 1.05 * baseline { Meaning::Good } else { Meaning::Warning };
            let ratio = mse / baseline;
            verdict.add(
                tone,
                format!(
                    "{start} {}{end}: this model's error is {ratio:.2} times that.",
                    number(baseline)
                ),
            );
        }
        verdict
    }

    /// Adds a sentence; one warning outweighs all praise.
    fn add(&mut self, meaning: Meaning, sentence: String) {
        if self.meaning != Meaning::Warning {
            self.meaning = meaning;
        }
        self.sentences.push(sentence);
    }
}

fn against_alone(gain: f64, margin: f64) -> (Meaning, String) {
    let size = format!("{:.1} points", gain.abs() * 100.0);
    if gain > margin {
        (Meaning::Good, format!("training together is worth {size}."))
    } else if gain < -margin {
        (Meaning::Warning, format!("training together costs {size} here."))
    } else {
        (
            Meaning::Plain,
            "on this many test rows, training together makes no clear difference.".to_owned(),
        )
    }
}

fn against_pooled(what: &str, price: f64, margin: f64) -> (Meaning, String) {
    let size = format!("{:.1} points", price.abs() * 100.0);
    if price <= -margin {
        (Meaning::Good, format!("this model is {size} better."))
    } else if price <= margin {
        (Meaning::Good, format!("{what} costs nothing that this many test rows could show."))
    } else if price <= 0.05 {
        (Meaning::Good, format!("{what} costs {size}."))
    } else {
        (Meaning::Warning, format!("{what} costs {size}."))
    }
}

/// Two standard errors of a share `p` of `n` trials: smaller differences may be chance.
fn margin(p: f64, n: u64) -> f64 {
    2.0 * (p * (1.0 - p) / (n.max(1) as f64)).max(0.0).sqrt()
}

/// The 95 % interval of a share `p` of `n` trials (Wilson 1927, J. Am. Stat. Assoc. 22:209,
/// equation for the roots); `None` without trials.
pub(crate) fn interval(p: f64, n: u64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959_964;
    if n == 0 {
        return None;
    }
    let n = n as f64;
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).max(0.0).sqrt();
    let scale = 1.0 + Z * Z / n;
    Some((((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::summary::example;

    #[test]
    fn the_example_is_praised() {
        let verdict = Verdict::of(&example::digits());
        assert_eq!(verdict.meaning, Meaning::Good);
        assert_eq!(verdict.headline, "95.8 % of 360 test rows are classified right.");
        assert_eq!(
            verdict.sentences,
            [
                "Owners training alone reach 81.3 % on average: training together is worth \
                 14.5 points.",
                "All rows in one place give 96.4 %: keeping them apart costs nothing that this \
                 many test rows could show."
            ]
        );
    }

    #[test]
    fn losing_to_an_owner_alone_is_a_warning_whatever_the_rest_says() {
        let mut summary = example::digits();
        summary.metrics.test_accuracy = Some(0.5);
        summary.metrics.central_accuracy = Some(0.4);
        let verdict = Verdict::of(&summary);
        assert_eq!(verdict.meaning, Meaning::Warning);
        assert!(verdict.sentences[0].ends_with("training together costs 31.3 points here."));
    }

    #[test]
    fn no_baselines_no_comparison() {
        let mut summary = example::digits();
        summary.metrics.central_accuracy = None;
        summary.metrics.local_only_accuracy = None;
        let verdict = Verdict::of(&summary);
        assert_eq!((verdict.meaning, verdict.sentences.len()), (Meaning::Plain, 0));
    }

    #[test]
    fn what_cannot_be_measured_is_said() {
        assert_eq!(Verdict::of(&example::diverged()).meaning, Meaning::Bad);
        let mut summary = example::diverged();
        summary.data.test_rows = 0;
        assert!(Verdict::of(&summary).headline.contains("no rows were held back"));
    }

    #[test]
    fn errors_are_compared_by_their_ratio() {
        let verdict = Verdict::of(&example::regression());
        assert!(verdict.headline.contains("is 0.2150, with R² 0.7850"), "{}", verdict.headline);
        assert!(verdict.sentences[0].ends_with("this model's error is 0.43 times that."));
    }

    /// Known answer: 0 of 10 gives 0 to 0.2775 (Brown et al. 2001, Statistical Science 16:101).
    #[test]
    fn wilson() {
        let (low, high) = interval(0.0, 10).unwrap();
        assert!(low.abs() < 1e-12 && (high - 0.2775).abs() < 1e-4, "{low} {high}");
        assert_eq!(interval(0.5, 0), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share(p in 0.0..=1.0f64, n in 1u64..1_000_000) {
            let (low, high) = interval(p, n).unwrap();
            prop_assert!(0.0 <= low && low <= p + 1e-12 && p <= high + 1e-12 && high <= 1.0);
        }
    }
}
