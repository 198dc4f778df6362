//! One job, run once for each value of one of its keys.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::error::NodeError;
use crate::summary::Summary;

/// Most values of a sweep.
const MOST: usize = 64;

/// A key of the job and the values that it is to have.
#[derive(Clone, Debug)]
pub(super) struct Sweep {
    key: String,
    values: Vec<String>,
}

impl Sweep {
    /// Reads `section.key=value,value`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is not of the form section.key=value,value");
        let (key, values) = text.split_once('=').ok_or_else(problem)?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if key.split('.').any(str::is_empty) || values.iter().any(String::is_empty) {
            return Err(problem());
        }
        if values.len() > MOST {
            return Err(format!("{} values, at most {MOST} are possible", values.len()));
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    /// The job file's text with `value` at the key. A value that is no TOML is a text.
    pub(super) fn with(&self, job: &str, value: &str) -> Result<String, NodeError> {
        let refuse = |message: String| {
            NodeError::usage(message, "name a key of the job, such as privacy.epsilon")
        };
        let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {value}"));
        let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
        let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
        let mut root: toml::Table =
            toml::from_str(job).map_err(|error| refuse(error.message().to_owned()))?;
        let mut table = &mut root;
        let (folders, last) = self.key.rsplit_once('.').unwrap_or(("", &self.key));
        for folder in folders.split('.').filter(|folder| !folder.is_empty()) {
            let empty = || toml::Value::Table(toml::Table::new());
            let entry = table.entry(folder).or_insert_with(empty);
            table = entry
                .as_table_mut()
                .ok_or_else(|| refuse(format!("`{folder}` in `{}` is no section", self.key)))?;
        }
        table.insert(last.to_owned(), value);
        toml::to_string(&root).map_err(|error| refuse(error.to_string()))
    }

    /// The result for programs.
    pub(super) fn document(&self, points: &[(String, Summary)]) -> Value {
        let points = points.iter().map(|(value, summary)| {
            json!({
                "value": value,
                "run_id": summary.run_id,
                "test_accuracy": summary.metrics.test_accuracy,
                "mse": summary.metrics.mse,
                "epsilon": summary.privacy.as_ref().map(|privacy| privacy.epsilon),
                "spent": summary.privacy.as_ref().map(|privacy| privacy.spent),
                "cpu_s": summary.time.cpu_s,
            })
        });
        json!({ "key": self.key, "points": points.collect::<Vec<_>>() })
    }

    /// The result for people: a table with a bar for each figure.
    pub(super) fn text(&self, points: &[(String, Summary)], columns: usize) -> String {
        let named = points.iter().map(|(value, _)| value.len());
        let wide = named.max().unwrap_or_default().max(self.key.len());
        let room = columns.saturating_sub(wide + 34).clamp(10, 60);
        let figures = points.iter().map(|(_, summary)| figure(summary)).collect::<Vec<_>>();
        let known = || figures.iter().copied().flatten();
        let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(0.0, f64::max));
        // Bars begin a little below the worst: differences are what one looks for.
        let floor = (low - 0.25 * (high - low)).max(0.0);
        let what = if points.iter().any(|(_, it)| it.metrics.test_accuracy.is_some()) {
            "accuracy"
        } else {
            "error"
        };
        let mut text = format!("{:>wide$}  {what:>8}  {:>9}\n", self.key, "spent");
        for ((value, summary), figure) in points.iter().zip(&figures) {
            let spent = summary.privacy.as_ref();
            let spent = spent.map_or_else(|| "-".to_owned(), |it| format!("{:.3}", it.spent));
            let (shown, bar) = match figure {
                Some(figure) => (format!("{figure:.4}"), bar(*figure, (floor, high), room)),
                None => ("-".to_owned(), String::new()),
            };
            let _ = writeln!(text, "{value:>wide$}  {shown:>8}  {spent:>9}  {bar}");
        }
        text
    }
}

fn figure(summary: &Summary) -> Option<f64> {
    summary.metrics.test_accuracy.or(summary.metrics.mse)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 60")]
fn bar(figure: f64, (floor, high): (f64, f64), room: usize) -> String {
    let share = if high > floor { (figure - floor) / (high - floor) } else { 1.0 };
    "█".repeat((share.clamp(0.0, 1.0) * room as f64).round() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_each_value() {
        let sweep = Sweep::parse("privacy.epsilon=1, 2.5,8").unwrap();
        assert_eq!(sweep.values().collect::<Vec<_>>(), ["1", "2.5", "8"]);
        let job = "[data]\nbuiltin = 'digits'\n[privacy]\nepsilon = 3.0\nclip = 0.5\n";
        let text = sweep.with(job, "2.5").unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["privacy"]["epsilon"].as_float(), Some(2.5));
        assert_eq!(table["privacy"]["clip"].as_float(), Some(0.5));
        // A section that is not there is made, and what is no TOML is a text.
        let sweep = Sweep::parse("aggregation.suite=nx").unwrap();
        let table: toml::Table = toml::from_str(&sweep.with(job, "nx").unwrap()).unwrap();
        assert_eq!(table["aggregation"]["suite"].as_str(), Some("nx"));
    }

    #[test]
    fn what_is_no_sweep_is_refused() {
        for text in ["", "privacy.epsilon", "=1", "privacy.=1", "privacy.epsilon=", "a=1,,2"] {
            assert!(Sweep::parse(text).is_err(), "{text}");
        }
        assert!(Sweep::parse(&format!("a=1{}", ",1".repeat(MOST))).is_err());
        let deep = Sweep::parse("data.builtin.more=1").unwrap();
        assert!(deep.with("[data]\nbuiltin = 'digits'\n", "1").is_err());
    }

    #[test]
    fn bars_show_differences() {
        let bars = [0.90, 0.95, 1.0].map(|figure| bar(figure, (0.88, 1.0), 10).chars().count());
        assert_eq!(bars, [2, 6, 10]);
    }
}
