//! What is asked of a table: each question has a vector for a row, of a norm that is known.

use nexus_models::data::{Cell, Column, Table};
use nexus_privacy::mechanisms::MechanismError;
use nexus_privacy::mechanisms::clip::{Clip, MARGIN};
use nexus_privacy::mechanisms::statistics::{Bounds, Histogram, Moment, Moments, Quantiles};

use super::DescribeError;

/// 64 cells between the bounds.
const LEVELS: u32 = 6;
/// Between quartiles there is a quarter of the rows.
const QUARTILES: [f64; 3] = [0.25, 0.5, 0.75];

/// A question about one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Of a column of numbers: how many there are, their mean and deviation, perhaps quartiles. What
    /// is beyond the bounds counts as if it were at them.
    Number {
        /// The column.
        column: String,
        /// Public bounds of its values, the lower first.
        bounds: [f64; 2],
        /// Whether to find quartiles.
        quartiles: bool,
    },
    /// How often each of these values occurs.
    Choice {
        /// The column.
        column: String,
        /// The values, which are public.
        values: Vec<String>,
    },
}

/// The answer to a question, noise included.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Of a column of numbers.
    Number {
        /// How many rows have a number.
        count: f64,
        /// Their mean and deviation.
        moment: Moment,
        /// The quartiles, if they were asked for.
        quartiles: Option<[f64; 3]>,
    },
    /// Each value, and how often it occurs.
    Choice(Vec<(String, f64)>),
}

impl Question {
    /// The column it is about.
    pub fn column(&self) -> &str {
        match self {
            Self::Number { column, .. } | Self::Choice { column, .. } => column,
        }
    }

    pub(super) fn part(&self) -> Result<Part, MechanismError> {
        match self {
            Self::Number { bounds: [low, high], quartiles, .. } => {
                let bounds = Bounds::new(*low, *high)?;
                let tree = quartiles.then(|| Quantiles::new(bounds, LEVELS)).transpose()?;
                Ok(Part::Number { moments: Moments::new(vec![bounds], within(2.0)?)?, tree })
            }
            Self::Choice { values, .. } => Ok(Part::Choice {
                values: values.clone(),
                histogram: Histogram::new(values.len())?,
            }),
        }
    }
}

/// A clipping norm that no vector of this squared norm is shortened by.
pub(super) fn within(norm_sq: f64) -> Result<Clip, MechanismError> {
    Clip::new(norm_sq.sqrt() / MARGIN * (1.0 + 1e-6))
}

/// A question's part of the vector of a row.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// 1, x and x², then the tree of cells.
    Number { moments: Moments, tree: Option<Quantiles> },
    /// 1 at its value.
    Choice { values: Vec<String>, histogram: Histogram },
}

impl Part {
    pub(super) fn dimension(&self) -> usize {
        match self {
            Self::Number { moments, tree } => {
                1 + moments.dimension() + tree.as_ref().map_or(0, Quantiles::dimension)
            }
            Self::Choice { histogram, .. } => histogram.dimension(),
        }
    }

    /// The square of the norm of a row's vector, at most.
    pub(super) fn norm_sq(&self) -> f64 {
        match self {
            Self::Number { tree, .. } => {
                3.0 + tree.as_ref().map_or(0.0, |tree| tree.norm().powi(2))
            }
            Self::Choice { .. } => Histogram::NORM,
        }
    }

    /// Adds a row's vector. A cell that is no number, or none of the values, adds nothing.
    pub(super) fn add(&self, cell: Cell<'_>, sums: &mut [f64]) -> Result<(), MechanismError> {
        match self {
            Self::Number { moments, tree } => {
                let Cell::Number(value) = cell else { return Ok(()) };
                let [count, rest @ ..] = sums else { return Ok(()) };
                let (sums, cells) = rest.split_at_mut(moments.dimension());
                *count += 1.0;
                moments.add(&[value], sums)?;
                tree.as_ref().map_or(Ok(()), |tree| tree.add(value, cells))
            }
            Self::Choice { values, histogram } => {
                let text = cell.text();
                if let Some(bin) = values.iter().position(|value| *value == *text) {
                    histogram.add(bin, sums);
                }
                Ok(())
            }
        }
    }

    pub(super) fn answer(&self, noisy: &[f64]) -> Result<Answer, MechanismError> {
        match self {
            Self::Number { moments, tree } => {
                let (count, rest) = (noisy[0].max(0.0), &noisy[1..]);
                let (sums, cells) = rest.split_at(moments.dimension());
                let moment = moments.moments(sums, count.max(1.0))?[0];
                let quartiles = tree.as_ref().map(|tree| {
                    let [low, middle, high] = QUARTILES.map(|rank| tree.quantile(cells, rank));
                    Ok::<_, MechanismError>([low?, middle?, high?])
                });
                Ok(Answer::Number { count, moment, quartiles: quartiles.transpose()? })
            }
            Self::Choice { values, histogram } => {
                let counts = histogram.counts(noisy);
                Ok(Answer::Choice(values.iter().cloned().zip(counts).collect()))
            }
        }
    }
}

/// The columns that the questions are about.
pub(super) fn columns<'a>(
    table: &'a Table,
    questions: &[Question],
) -> Result<Vec<&'a Column>, DescribeError> {
    let find = |question: &Question| {
        table.column(question.column()).ok_or_else(|| DescribeError::NoColumn {
            table: table.name().to_owned(),
            column: question.column().to_owned(),
            known: table.columns().iter().map(|column| column.name().to_owned()).collect(),
        })
    };
    questions.iter().map(find).collect()
}
