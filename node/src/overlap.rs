//! What two tables have in common: private set intersection between their owners, both of them
//! on this machine.

use std::collections::BTreeMap;

use nexus_models::data::{Cell, Column, Place, Table};
use nexus_mpc::psi::{
    MAX_ITEMS, MAX_TOTAL, Outcome, PsiError, PsiKey, Receiver, Sender, Terms, Variant,
};
use nexus_types::Digest;

use crate::random::SystemRng;

/// What the owner of the first table is to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn<'a> {
    /// Which of its rows the other table has.
    Rows,
    /// How many of them.
    Count,
    /// How many, and the sum of this column over the other's matching rows.
    Sum(&'a str),
}

/// A table and the column that its rows are matched by.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The table.
    pub table: &'a Table,
    /// The name of the column.
    pub on: &'a str,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Rows that took part, of the own table and of the other's: those with a value to match by.
    pub rows: [usize; 2],
    /// The own rows that match, if those were asked for.
    pub matching: Option<Vec<usize>>,
    /// How many match.
    pub count: usize,
    /// The sum of the other's numbers, if it was asked for.
    pub sum: Option<u64>,
    /// Bytes that the owner of the first table sent, and received.
    pub bytes: [usize; 2],
}

/// Numbers are read as 64-bit floats, which tell whole numbers apart below this one: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlapError {
    /// The protocol refused: too many rows, or too large a total.
    #[error(transparent)]
    Psi(#[from] PsiError),
    /// There is no such column.
    #[error("{table} has no column `{column}`; it has: {}", known.join(", "))]
    NoColumn {
        /// The table.
        table: String,
        /// The name.
        column: String,
        /// The columns there are.
        known: Vec<String>,
    },
    /// Two rows have the same value to match by.
    #[error("{place}: column `{column}` has the value of {first} again")]
    Duplicate {
        /// The later row.
        place: Place,
        /// The earlier row.
        first: Place,
        /// The column.
        column: String,
    },
    /// A number to match by is too large to be read exactly.
    #[error("{place}: column `{column}` is a number from {EXACT} on, which would match others")]
    Inexact {
        /// Its row.
        place: Place,
        /// The column.
        column: String,
    },
    /// A number to be summed is not a whole one from 0 on.
    #[error(
        "{place}: column `{column}` is `{value}`; a whole number from 0 to {MAX_TOTAL} is summed"
    )]
    Amount {
        /// Its row.
        place: Place,
        /// The column.
        column: String,
        /// What is there.
        value: String,
    },
}

/// Runs the protocol between the owners of `own` and `other`: the first learns what `learn`
/// says, the other the number of rows of the first. Numbers match by value: 007 is 7.
///
/// # Errors
/// [`OverlapError`].
pub fn overlap(own: Side<'_>, other: Side<'_>, learn: Learn<'_>) -> Result<Overlap, OverlapError> {
    let (mine, theirs) = (Keys::of(own)?, Keys::of(other)?);
    let amounts = match learn {
        Learn::Sum(column) => amounts(other.table, column, &theirs.rows)?,
        Learn::Rows | Learn::Count => Vec::new(),
    };
    let variant = match learn {
        Learn::Rows => Variant::Intersection,
        Learn::Count => Variant::Cardinality,
        Learn::Sum(_) => Variant::Sum { max_total: MAX_TOTAL },
    };
    let manifest = Digest::of("cipher-nexus/overlap v1", b"");
    let terms = Terms { manifest, variant, max_items: MAX_ITEMS };
    let mut rng = SystemRng::default();
    let keys = [PsiKey::generate(&mut rng), PsiKey::generate(&mut rng)];
    let mut receiver = Receiver::new(terms, &keys[0], &mine.items)?;
    let mut sender = match learn {
        Learn::Sum(_) => Sender::with_amounts(terms, &keys[1], &theirs.items, &amounts, &mut rng)?,
        Learn::Rows | Learn::Count => Sender::new(terms, &keys[1], &theirs.items)?,
    };
    let mut bytes = [0; 2];
    while let Some(message) = receiver.send(&mut rng)? {
        bytes[0] += message.len();
        sender.receive(&message)?;
        while let Some(answer) = sender.send(&mut rng)? {
            bytes[1] += answer.len();
            receiver.receive(&answer)?;
        }
    }
    let rows = [mine.rows.len(), theirs.rows.len()];
    let outcome = receiver.outcome().ok_or(PsiError::OutOfTurn)?;
    Ok(mine.learned(outcome, rows, bytes))
}

/// The values that rows are matched by. Rows without one match nothing.
struct Keys {
    items: Vec<String>,
    rows: Vec<usize>,
}

impl Keys {
    fn of(side: Side<'_>) -> Result<Self, OverlapError> {
        let Side { table, on } = side;
        let column = column(table, on)?;
        let mut seen = BTreeMap::new();
        let mut keys = Self { items: Vec::new(), rows: Vec::new() };
        for (row, cell) in column.cells().enumerate() {
            if let Cell::Number(number) = cell
                && number.abs() >= EXACT
            {
                let (place, column) = (table.place(row), on.to_owned());
                return Err(OverlapError::Inexact { place, column });
            }
            if cell == Cell::Null {
                continue;
            }
            let item = cell.text().into_owned();
            if let Some(first) = seen.insert(item.clone(), row) {
                let (place, first) = (table.place(row), table.place(first));
                return Err(OverlapError::Duplicate { place, first, column: on.to_owned() });
            }
            keys.items.push(item);
            keys.rows.push(row);
        }
        Ok(keys)
    }

    fn learned(&self, outcome: &Outcome, rows: [usize; 2], bytes: [usize; 2]) -> Overlap {
        let (matching, count, sum) = match outcome {
            Outcome::Intersection(places) => {
                let row = |place: &u32| self.rows.get(*place as usize).copied();
                let matching: Vec<usize> = places.iter().filter_map(row).collect();
                let count = matching.len();
                (Some(matching), count, None)
            }
            Outcome::Cardinality(count) => (None, *count as usize, None),
            Outcome::Sum { cardinality, total } => (None, *cardinality as usize, Some(*total)),
        };
        Overlap { rows, matching, count, sum, bytes }
    }
}

fn column<'a>(table: &'a Table, name: &str) -> Result<&'a Column, OverlapError> {
    table.column(name).ok_or_else(|| OverlapError::NoColumn {
        table: table.name().to_owned(),
        column: name.to_owned(),
        known: table.columns().iter().map(|column| column.name().to_owned()).collect(),
    })
}

/// The numbers of `rows`.
fn amounts(table: &Table, name: &str, rows: &[usize]) -> Result<Vec<u64>, OverlapError> {
    let column = column(table, name)?;
    let amount = |row: &usize| {
        let text = column.cell(*row).text();
        text.parse().map_err(|_| OverlapError::Amount {
            place: table.place(*row),
            column: name.to_owned(),
            value: text.clone().into_owned(),
        })
    };
    rows.iter().map(amount).collect()
}

#[cfg(test)]
mod tests {
    use nexus_models::data::{Limits, read_csv};

    use super::*;

    fn table(name: &str, text: &str) -> Table {
        read_csv(text.as_bytes(), name, &Limits::default()).unwrap()
    }

    fn found(learn: Learn<'_>) -> Result<Overlap, OverlapError> {
        let own = table("own.csv", "id,age\nada,1\nbob,2\n,3\neve,4\n");
        let other = table("other.csv", "name,cost\neve,40\nmallory,9\nada,2\n");
        let sides = [Side { table: &own, on: "id" }, Side { table: &other, on: "name" }];
        overlap(sides[0], sides[1], learn)
    }

    #[test]
    fn rows_count_and_sum_are_those_of_the_join() {
        let rows = found(Learn::Rows).unwrap();
        assert_eq!((rows.rows, rows.matching, rows.count), ([3, 3], Some(vec![0, 3]), 2));
        let count = found(Learn::Count).unwrap();
        assert_eq!((count.matching, count.count, count.sum), (None, 2, None));
        let sum = found(Learn::Sum("cost")).unwrap();
        assert_eq!((sum.count, sum.sum), (2, Some(42)));
    }

    #[test]
    fn bad_tables_are_named() {
        let problem = |own: &str, learn| {
            let (own, other) = (table("a.csv", own), table("b.csv", "id,cost\n1,x\n2,-1\n"));
            let (own, other) = (Side { table: &own, on: "id" }, Side { table: &other, on: "id" });
            overlap(own, other, learn).unwrap_err().to_string()
        };
        assert_eq!(
            problem("id\n7\n8\n7\n", Learn::Rows),
            "a.csv:4: column `id` has the value of a.csv:2 again"
        );
        assert_eq!(problem("key\n7\n", Learn::Rows), "a.csv has no column `id`; it has: key");
        assert!(
            problem("id\n7\n", Learn::Sum("cost")).starts_with("b.csv:2: column `cost` is `x`")
        );
        assert_eq!(
            problem("id\n7\n", Learn::Sum("price")),
            "b.csv has no column `price`; it has: id, cost"
        );
        assert!(
            problem("id\n9007199254740993\n", Learn::Rows).starts_with("a.csv:2: column `id` is")
        );
        assert!(problem("id\nNA\n", Learn::Rows).starts_with("a set of 0 items"));
    }
}
