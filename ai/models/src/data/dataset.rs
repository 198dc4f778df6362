//! Examples as a model sees them.

use super::error::DataError;

/// What the examples of a data set are to be mapped to.
#[derive(Clone, Debug, PartialEq)]
pub enum DataTargets {
    /// One class per example, a place in `names`.
    Classes {
        /// The class of every example.
        labels: Vec<u32>,
        /// Names of the classes, those without an example included.
        names: Vec<String>,
    },
    /// One number per example.
    Values(Vec<f32>),
}

impl DataTargets {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// True without examples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The targets of the given examples.
    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { labels, names } => {
                let labels = rows.iter().map(|&row| labels[row]).collect();
                Self::Classes { labels, names: names.clone() }
            }
            Self::Values(values) => Self::Values(rows.iter().map(|&row| values[row]).collect()),
        }
    }
}

/// Examples: a row-major matrix of features, a target for each row, and a hash of the row that
/// each came from (see [`super::Table::row_hashes`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    width: usize,
    features: Vec<f32>,
    targets: DataTargets,
    row_hashes: Vec<u64>,
}

impl Dataset {
    /// A data set of `targets.len()` rows of `width` features.
    ///
    /// # Errors
    /// [`DataError::Shape`] if a length does not fit, `width` is 0 or a label is not below the
    /// number of classes.
    pub fn new(
        width: usize,
        features: Vec<f32>,
        targets: DataTargets,
        row_hashes: Vec<u64>,
    ) -> Result<Self, DataError> {
        let rows = targets.len();
        let mut sizes = vec![
            ("features", features.len(), rows * width),
            ("row hashes", row_hashes.len(), rows),
            ("features per row", width, width.max(1)),
        ];
        if let DataTargets::Classes { labels, names } = &targets {
            let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
            sizes.push(("classes", classes.max(names.len()), names.len()));
        }
        match sizes.into_iter().find(|(_, got, expected)| got != expected) {
            Some((what, got, expected)) => Err(DataError::Shape { what, got, expected }),
            None => Ok(Self::trusted(width, features, targets, row_hashes)),
        }
    }

    /// A data set whose lengths are known to fit.
    pub(super) fn trusted(
        width: usize,
        features: Vec<f32>,
        targets: DataTargets,
        row_hashes: Vec<u64>,
    ) -> Self {
        Self { width, features, targets, row_hashes }
    }

    /// Number of examples.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// Features of one example.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All features, example by example.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// The features of one example.
    ///
    /// # Panics
    /// If `row` is not below [`Dataset::rows`].
    pub fn row(&self, row: usize) -> &[f32] {
        &self.features[row * self.width..][..self.width]
    }

    /// What the examples are to be mapped to.
    pub fn targets(&self) -> &DataTargets {
        &self.targets
    }

    /// Number of classes; 0 if the targets are values.
    pub fn classes(&self) -> usize {
        match &self.targets {
            DataTargets::Classes { names, .. } => names.len(),
            DataTargets::Values(_) => 0,
        }
    }

    /// A hash of the row that each example came from: equal for equal rows.
    pub fn row_hashes(&self) -> &[u64] {
        &self.row_hashes
    }

    /// The examples of all `parts`, one part after the other.
    ///
    /// # Errors
    /// [`DataError::Shape`] without parts, or if they differ in width, in classes or in the kind
    /// of their targets.
    pub fn concat(parts: &[&Self]) -> Result<Self, DataError> {
        let shape = |what, got, expected| Err(DataError::Shape { what, got, expected });
        let Some(first) = parts.first() else { return shape("parts", 0, 1) };
        let mut targets = first.targets.select(&[]);
        for part in parts {
            if part.width != first.width {
                return shape("features per row", part.width, first.width);
            }
            match (&mut targets, &part.targets) {
                (
                    DataTargets::Classes { labels, names },
                    DataTargets::Classes { labels: more, names: same },
                ) if names == same => labels.extend(more),
                (DataTargets::Values(values), DataTargets::Values(more)) => values.extend(more),
                _ => return shape("classes", part.classes(), first.classes()),
            }
        }
        let features = parts.iter().flat_map(|part| &part.features).copied().collect();
        let row_hashes = parts.iter().flat_map(|part| &part.row_hashes).copied().collect();
        Ok(Self::trusted(first.width, features, targets, row_hashes))
    }

    /// The given examples in the given order; an example may come more than once.
    ///
    /// # Panics
    /// If a row is not below [`Dataset::rows`].
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            width: self.width,
            features: rows.iter().flat_map(|&row| self.row(row)).copied().collect(),
            targets: self.targets.select(rows),
            row_hashes: rows.iter().map(|&row| self.row_hashes[row]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(labels: &[u32]) -> DataTargets {
        let names = vec!["no".into(), "yes".into()];
        DataTargets::Classes { labels: labels.to_vec(), names }
    }

    #[test]
    fn rows_are_selected_whole() {
        let data = Dataset::new(2, vec![1., 2., 3., 4.], classes(&[0, 1]), vec![7, 8]).unwrap();
        let some = data.select(&[1, 1, 0]);
        assert_eq!(some.features(), [3., 4., 3., 4., 1., 2.]);
        assert_eq!(some.row(2), [1., 2.]);
        assert_eq!((some.targets(), some.row_hashes()), (&classes(&[1, 1, 0]), &[8, 8, 7][..]));
        let values = Dataset::new(1, vec![1., 2.], DataTargets::Values(vec![5., 6.]), vec![7, 8]);
        assert_eq!(values.unwrap().select(&[1]).targets(), &DataTargets::Values(vec![6.]));
        assert_eq!(data.select(&[]).rows(), 0);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let message = |width, features, labels: &[u32], hashes| {
            Dataset::new(width, features, classes(labels), hashes).unwrap_err().to_string()
        };
        assert_eq!(message(2, vec![1.; 3], &[0, 1], vec![7, 8]), "3 features, expected 4");
        assert_eq!(message(2, vec![1.; 4], &[0, 1], vec![7]), "1 row hashes, expected 2");
        assert_eq!(message(0, vec![], &[], vec![]), "0 features per row, expected 1");
        assert_eq!(message(1, vec![1.], &[2], vec![7]), "3 classes, expected 2");
    }
}
