//! One schema out of those of all owners.

use std::collections::{BTreeMap, BTreeSet};

use super::error::DataError;
use super::schema::{Feature, Kind, Label, LabelKind, Schema, level_order, one_class};

/// Sources that a message names before it says "and others".
const NAMED_SOURCES: usize = 3;

impl Schema {
    /// The schema that fits all `parts`, each given with the name of its source.
    ///
    /// All parts must have the same columns, with the same kind of content; levels and classes
    /// are united, and a column is nullable if it is so in any part. The order of the parts does
    /// not matter: where they disagree on the order of the columns, it is by name.
    ///
    /// # Errors
    /// [`DataError::DifferentColumns`], [`DataError::DifferentKinds`],
    /// [`DataError::DifferentLabels`], [`DataError::OneClass`], and all of [`Schema::check`].
    pub fn merge<N: AsRef<str>>(parts: &[(N, Self)]) -> Result<Self, DataError> {
        let Some(((first, schema), rest)) = parts.split_first() else {
            return Err(DataError::Shape { what: "schemas", got: 0, expected: 1 });
        };
        let mut merged = schema.clone();
        // The source that made each column what it is, for messages.
        let mut sources = vec![first.as_ref(); merged.columns.len()];
        for (name, part) in rest {
            let name = name.as_ref();
            merge_label(&mut merged.label, first.as_ref(), &part.label, name)?;
            let mut features = by_name(part);
            for (feature, source) in merged.columns.iter_mut().zip(&mut sources) {
                let other = features
                    .remove(&*feature.name)
                    .ok_or_else(|| different_columns(name, &feature.name, first.as_ref()))?;
                merge_feature(feature, source, other, name)?;
            }
            if let Some(column) = features.keys().next() {
                return Err(different_columns(first.as_ref(), column, name));
            }
        }
        let order = |schema: &Self| schema.columns.iter().map(|one| one.name.clone()).collect();
        let orders: BTreeSet<Vec<String>> = parts.iter().map(|(_, part)| order(part)).collect();
        if orders.len() > 1 {
            merged.columns.sort_by(|a, b| a.name.cmp(&b.name));
        }
        merged.two_classes(parts)?;
        merged.check()?;
        Ok(merged)
    }

    fn two_classes<N: AsRef<str>>(&self, parts: &[(N, Self)]) -> Result<(), DataError> {
        match &self.label.kind {
            LabelKind::Classes { names } if names.len() < 2 => {
                let mut files: Vec<&str> =
                    parts.iter().take(NAMED_SOURCES).map(|(name, _)| name.as_ref()).collect();
                if parts.len() > NAMED_SOURCES {
                    files.push("and others");
                }
                Err(one_class(files.join(", "), &self.label.column, names))
            }
            LabelKind::Classes { .. } | LabelKind::Value => Ok(()),
        }
    }
}

fn by_name(schema: &Schema) -> BTreeMap<&str, &Feature> {
    schema.columns.iter().map(|feature| (&*feature.name, feature)).collect()
}

fn different_columns(file: &str, column: &str, other: &str) -> DataError {
    let (file, column, other) = (file.into(), column.into(), other.into());
    DataError::DifferentColumns { file, column, other }
}

fn merge_label(into: &mut Label, first: &str, label: &Label, name: &str) -> Result<(), DataError> {
    match (&mut into.kind, &label.kind) {
        (LabelKind::Value, LabelKind::Value) if into.column == label.column => Ok(()),
        (LabelKind::Classes { names: all }, LabelKind::Classes { names })
            if into.column == label.column =>
        {
            unite(all, names);
            Ok(())
        }
        _ => Err(DataError::DifferentLabels {
            file: name.into(),
            got: described(label),
            other: first.into(),
            expected: described(into),
        }),
    }
}

fn described(label: &Label) -> String {
    let kind = match label.kind {
        LabelKind::Classes { .. } => "class",
        LabelKind::Value => "value",
    };
    format!("the {kind} `{}`", label.column)
}

fn merge_feature<'a>(
    into: &mut Feature,
    source: &mut &'a str,
    feature: &Feature,
    name: &'a str,
) -> Result<(), DataError> {
    into.nullable |= feature.nullable;
    let conflict = |numeric: &str, text: &str| {
        let (column, numeric, text) = (feature.name.clone(), numeric.into(), text.into());
        Err(DataError::DifferentKinds { column, numeric, text })
    };
    match (&mut into.kind, &feature.kind) {
        (Kind::Numeric, Kind::Numeric) => Ok(()),
        // A column without values fits every kind.
        (_, Kind::Categorical { levels }) if levels.is_empty() => Ok(()),
        (Kind::Categorical { levels }, kind) if levels.is_empty() => {
            into.kind = kind.clone();
            *source = name;
            Ok(())
        }
        (Kind::Categorical { levels: all }, Kind::Categorical { levels }) => {
            unite(all, levels);
            Ok(())
        }
        (Kind::Numeric, Kind::Categorical { .. }) => conflict(source, name),
        (Kind::Categorical { .. }, Kind::Numeric) => conflict(name, source),
    }
}

fn unite(all: &mut Vec<String>, more: &[String]) {
    all.extend_from_slice(more);
    all.sort_by(|a, b| level_order(a, b));
    all.dedup();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Limits, SchemaOptions, Table, read_csv};
    use super::*;

    fn table(name: &str, text: &str) -> Table {
        read_csv(text.as_bytes(), name, &Limits::default()).unwrap()
    }

    fn merge(files: &[(&str, &str)]) -> Result<Schema, DataError> {
        let tables: Vec<_> = files.iter().map(|(name, text)| table(name, text)).collect();
        Schema::infer_all(&tables, &SchemaOptions::classes("y"))
    }

    fn message(files: &[(&str, &str)]) -> String {
        merge(files).unwrap_err().to_string()
    }

    #[test]
    fn levels_classes_and_nulls_are_united() {
        let merged = merge(&[
            ("a.csv", "n,c,e,y\n1,u,,no\n"),
            ("b.csv", "n,c,e,y\n,w,,yes\n3,v,,yes\n"),
            ("c.csv", "n,c,e,y\n5,u,7,maybe\n"),
        ]);
        let merged = merged.unwrap();
        assert_eq!(merged.width(), 2 + 3 + 2);
        assert_eq!(merged.classes(), 3);
        assert_eq!(merged.columns[2].kind, Kind::Numeric, "an empty column fits any kind");
        assert!(merged.columns[0].nullable && !merged.columns[1].nullable);
    }

    #[test]
    fn columns_keep_an_order_that_all_files_have() {
        let names = |files: &[(&str, &str)]| {
            let schema = merge(files).unwrap();
            schema.columns.into_iter().map(|column| column.name).collect::<Vec<_>>()
        };
        let (a, b) = (("a.csv", "z,p,y\n1,2,0\n"), ("b.csv", "z,y,p\n1,1,2\n"));
        assert_eq!(names(&[a, b]), ["z", "p"]);
        assert_eq!(names(&[a, b, ("c.csv", "y,p,z\n1,2,3\n")]), ["p", "z"]);
    }

    #[test]
    fn conflicts_name_files_lines_and_columns() {
        let a = ("a.csv", "age,y\n1,0\n2,1\n");
        assert_eq!(
            message(&[a, ("b.csv", "height,y\n1,0\n")]),
            "b.csv: there is no column `age`, which a.csv has"
        );
        assert_eq!(
            message(&[a, ("b.csv", "age,height,y\n1,2,0\n")]),
            "a.csv: there is no column `height`, which b.csv has"
        );
        let old = ("b.csv", "age,y\n3,0\nold,1\nyoung,1\n");
        let expected =
            "b.csv:3: column `age`: `old` is not a number, but the column is numeric in a.csv";
        assert_eq!(message(&[a, old]), expected);
        assert_eq!(message(&[old, a]), expected);
        let empty = ("c.csv", "age,y\n,0\n");
        assert_eq!(message(&[empty, old, a]), expected);
        let one = ("d.csv", "age,y\n1,0\n");
        assert_eq!(
            message(&[one, one, one, one]),
            "d.csv, d.csv, d.csv, and others: label `y` has only the class `0`; at least two are \
             needed"
        );
    }

    #[test]
    fn schemas_without_tables_merge_too() {
        let schema = |text| Schema::infer(&table("t", text), &SchemaOptions::classes("y")).unwrap();
        let parts = [("ann", schema("a,y\n1,0\n")), ("bob", schema("a,y\nu,1\n"))];
        assert_eq!(
            Schema::merge(&parts).unwrap_err().to_string(),
            "column `a` is numeric in ann, but text in bob"
        );
        let value = Schema::infer(&table("t", "a,y\n1,0\n"), &SchemaOptions::value("y")).unwrap();
        assert_eq!(
            Schema::merge(&[("ann", parts[0].1.clone()), ("bob", value)]).unwrap_err().to_string(),
            "bob predicts the value `y`, but ann predicts the class `y`"
        );
        assert!(Schema::merge::<&str>(&[]).is_err());
    }

    fn file() -> impl Strategy<Value = Schema> {
        let cell = || "[uvw]|";
        let row = (prop::option::of(0..9), cell(), 0..3, any::<bool>());
        (prop::collection::vec(row, 1..5), any::<bool>()).prop_map(|(rows, swapped)| {
            let line = |(n, c, y, _): &(Option<i32>, String, i32, bool)| {
                let n = n.map_or_else(String::new, |n| n.to_string());
                if swapped { format!("{c},{n},{y}\n") } else { format!("{n},{c},{y}\n") }
            };
            let header = if swapped { "c,n,y\n" } else { "n,c,y\n" };
            let text = header.to_owned() + &rows.iter().map(line).collect::<String>();
            Schema::infer(&table("t", &text), &SchemaOptions::classes("y")).unwrap()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_files_does_not_matter(
            parts in prop::collection::vec(file(), 1..5).prop_shuffle(), turn in 0usize..5,
        ) {
            let named: Vec<_> = parts.iter().map(|part| ("f", part.clone())).collect();
            let mut turned = named.clone();
            turned.rotate_left(turn % parts.len());
            turned.reverse();
            prop_assert_eq!(Schema::merge(&named).ok(), Schema::merge(&turned).ok());
        }
    }
}
