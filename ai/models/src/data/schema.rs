//! What the columns of a table mean, agreed on by all owners.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use nexus_types::Canonical;
use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::error::{DataError, shown};
use super::limits::{MAX_COLUMNS, MAX_LEVELS, MAX_WIDTH};
use super::table::Cell;

/// What a column of features holds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Finite numbers.
    Numeric,
    /// One of finitely many values.
    Categorical {
        /// The values, in the order of [`Schema`]'s documentation. None: the column holds no
        /// value at this owner, so it may still turn out to be numeric.
        levels: Vec<String>,
    },
}

/// A column of features.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// True if a value may be missing.
    pub nullable: bool,
}

impl Feature {
    /// Inputs that the column gives a model: a number is one, a category one for each level, and
    /// a column with missing values has one more that says "missing".
    pub fn width(&self) -> usize {
        let values = match &self.kind {
            Kind::Numeric => 1,
            Kind::Categorical { levels } => levels.len(),
        };
        values + usize::from(self.nullable)
    }
}

/// What the label column holds.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// A class: text or a whole number.
    Classes {
        /// The classes, in the order of [`Schema`]'s documentation; a label is a place in it.
        names: Vec<String>,
    },
    /// A number to be estimated.
    Value,
}

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Label {
    /// Name of the column.
    pub column: String,
    /// What it holds.
    pub kind: LabelKind,
}

/// What the columns of all owners' tables mean.
///
/// Levels and class names are ordered: numbers first, by value, then texts, by their bytes.
/// Columns that the table has and the schema does not are left out.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Schema {
    /// The features, in the order in which a model sees them.
    pub columns: Vec<Feature>,
    /// What is to be predicted.
    pub label: Label,
}

impl Canonical for Schema {
    const DOMAIN: &'static str = "nexus/models/schema";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 24;
}

impl Schema {
    /// Inputs that one row gives a model.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Feature::width).sum()
    }

    /// The numeric columns, in order.
    pub fn numeric(&self) -> impl Iterator<Item = &Feature> {
        self.columns.iter().filter(|feature| feature.kind == Kind::Numeric)
    }

    /// Number of classes; 0 if the label is a value.
    pub fn classes(&self) -> usize {
        match &self.label.kind {
            LabelKind::Classes { names } => names.len(),
            LabelKind::Value => 0,
        }
    }

    /// Refuses a schema that no data can fit, or that is not written in the one way it should be:
    /// to be asked of every schema from outside.
    ///
    /// # Errors
    /// [`DataError::BadSchema`], [`DataError::NoValues`], [`DataError::TooLarge`],
    /// [`DataError::OneClass`].
    pub fn check(&self) -> Result<(), DataError> {
        let bad =
            |column: &str, problem| Err(DataError::BadSchema { column: shown(column), problem });
        if self.columns.is_empty() {
            return bad(&self.label.column, "there is no column to learn from");
        }
        let mut names = BTreeSet::from([&*self.label.column]);
        for Feature { name, kind, .. } in &self.columns {
            if !names.insert(name) {
                return bad(name, "the column is there twice");
            }
            if let Kind::Categorical { levels } = kind {
                if levels.is_empty() {
                    return Err(DataError::NoValues { column: shown(name) });
                }
                if !in_order(levels) {
                    return bad(name, "its levels are not in order");
                }
            }
        }
        match &self.label.kind {
            LabelKind::Classes { names } if !in_order(names) => {
                return bad(&self.label.column, "its classes are not in order");
            }
            LabelKind::Classes { names } if names.len() < 2 => {
                return Err(one_class("the schema".into(), &self.label.column, names));
            }
            LabelKind::Classes { .. } | LabelKind::Value => {}
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), DataError> {
        let levels = self.columns.iter().map(Feature::width).chain([self.classes()]).max();
        let sizes = [
            ("columns", self.columns.len(), MAX_COLUMNS),
            ("values of one column", levels.unwrap_or(0), MAX_LEVELS + 1),
            ("inputs of the model", self.width(), MAX_WIDTH),
        ];
        for (what, got, limit) in sizes {
            if got > limit {
                let (file, got, limit) = ("the schema".into(), got as u64, limit as u64);
                return Err(DataError::TooLarge { file, what, got, limit });
            }
        }
        Ok(())
    }
}

pub(super) fn one_class(file: String, label: &str, names: &[String]) -> DataError {
    let class = names.first().map_or_else(String::new, |name| shown(name));
    DataError::OneClass { file, label: label.into(), class }
}

/// Numbers by value, then texts by their bytes: one order for all owners.
pub(super) fn level_order(a: &str, b: &str) -> Ordering {
    match (Cell::parse(a), Cell::parse(b)) {
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(&b),
        (Cell::Number(_), _) => Ordering::Less,
        (_, Cell::Number(_)) => Ordering::Greater,
        _ => a.cmp(b),
    }
}

fn in_order(levels: &[String]) -> bool {
    levels.windows(2).all(|pair| level_order(&pair[0], &pair[1]) == Ordering::Less)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.into()).collect()
    }

    fn categories(name: &str, levels: &[&str]) -> Feature {
        let kind = Kind::Categorical { levels: strings(levels) };
        Feature { name: name.into(), kind, nullable: false }
    }

    #[test]
    fn a_schema_from_outside_is_checked() {
        let names = strings(&["0", "1"]);
        let label = Label { column: "y".into(), kind: LabelKind::Classes { names } };
        let good = Schema { columns: vec![categories("a", &["u", "v"])], label };
        good.check().unwrap();
        assert_eq!(Schema::decode(&good.encode().unwrap()).unwrap(), good);
        let message = |change: &dyn Fn(&mut Schema)| {
            let mut schema = good.clone();
            change(&mut schema);
            schema.check().unwrap_err().to_string()
        };
        let twice = message(&|schema| schema.columns.push(schema.columns[0].clone()));
        assert_eq!(twice, "the schema is not consistent at `a`: the column is there twice");
        let label = message(&|schema| schema.label.column = "a".into());
        assert_eq!(label, twice);
        let order = message(&|schema| {
            schema.columns[0] = categories("a", &["v", "u"]);
        });
        assert_eq!(order, "the schema is not consistent at `a`: its levels are not in order");
        let same = message(&|schema| {
            schema.label.kind = LabelKind::Classes { names: strings(&["1", "1.0"]) };
        });
        assert_eq!(same, "the schema is not consistent at `y`: its classes are not in order");
        let none = message(&|schema| schema.columns.clear());
        assert!(none.ends_with("there is no column to learn from"));
        let many = message(&|schema| {
            let levels: Vec<String> = (0..2048).map(|level| level.to_string()).collect();
            let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
            schema.columns[0] = categories("a", &levels);
        });
        assert_eq!(many, "the schema: 2048 values of one column, at most 1025 are allowed");
    }

    proptest! {
        #[test]
        fn the_order_of_levels_is_total(mut levels in prop::collection::vec("[a1-3.-]{0,3}", 3)) {
            let [a, b, c] = [&*levels[0], &*levels[1], &*levels[2]];
            prop_assert_eq!(level_order(a, b), level_order(b, a).reverse());
            if level_order(a, b).is_le() && level_order(b, c).is_le() {
                prop_assert!(level_order(a, c).is_le());
            }
            levels.sort_by(|a, b| level_order(a, b));
        }
    }
}
