//! A short name for the content of a row.

use nexus_types::Digest;

use super::table::Cell;

/// Cells that are not numbers; a number starts with how many bytes follow, at most eight.
const NULL: u8 = 254;
const TEXT: u8 = 255;
const NUMBER_BYTES: usize = 8;

/// Hashes rows of the same columns. See [`super::Table::row_hashes`] for what a hash means.
///
/// A row is written cell by cell, columns by name: a number as the count of the bytes that follow
/// and its bits, the highest first, without trailing zeros; a text as its length and its bytes.
/// The hash is the first eight bytes of BLAKE3 under a key derived from the names.
pub(super) struct RowHasher {
    key: [u8; 32],
    message: Vec<u8>,
}

impl RowHasher {
    /// For rows with columns of these names, in order.
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut message = Vec::new();
        for name in names {
            message.extend((name.len() as u64).to_le_bytes());
            message.extend(name.as_bytes());
        }
        Self { key: Digest::of("cipher-nexus row hash v1", &message).0, message }
    }

    /// The hash of a row of these cells, in the order of the names.
    pub(super) fn hash<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) -> u64 {
        self.message.clear();
        for cell in cells {
            write(cell, &mut self.message);
        }
        let digest = blake3::keyed_hash(&self.key, &self.message);
        digest.as_bytes()[..8].iter().rev().fold(0, |hash, &byte| hash << 8 | u64::from(byte))
    }
}

fn write(cell: Cell<'_>, message: &mut Vec<u8>) {
    match cell {
        Cell::Null => message.push(NULL),
        Cell::Number(number) => {
            let bits = number.to_bits();
            let zeros = bits.trailing_zeros() as usize / 8;
            let mut written = [0; 1 + NUMBER_BYTES];
            written[0] = (NUMBER_BYTES - zeros).to_le_bytes()[0];
            written[1..].copy_from_slice(&bits.to_be_bytes());
            // All bytes and a cut are faster than a copy of unknown length.
            message.extend_from_slice(&written);
            message.truncate(message.len() - zeros);
        }
        Cell::Text(text) => {
            message.push(TEXT);
            message.extend((text.len() as u64).to_le_bytes());
            message.extend(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hash(names: &[&str], cells: &[&str]) -> u64 {
        let cells = cells.iter().map(|cell| Cell::parse(cell));
        RowHasher::new(names.iter().copied()).hash(cells)
    }

    #[test]
    fn the_hash_is_pinned() {
        let mut message = Vec::new();
        for cell in ["-0.5", "0", "x", "NA"] {
            write(Cell::parse(cell), &mut message);
        }
        assert_eq!(message, [2, 0xbf, 0xe0, 0, 255, 1, 0, 0, 0, 0, 0, 0, 0, b'x', 254]);
        assert_eq!(
            hash(&["a", "b", "c", "d"], &["-0.5", "0", "x", "NA"]),
            5_123_057_859_778_654_862
        );
    }

    #[test]
    fn values_and_places_count() {
        let names = &["a", "b"];
        let rows = [["x", "y"], ["y", "x"], ["xy", ""], ["", "xy"], ["1", "2"], ["2", "1"]];
        let mut hashes: BTreeSet<u64> = rows.iter().map(|row| hash(names, row)).collect();
        hashes.extend([hash(&["a", "c"], &["x", "y"]), hash(&["ab", ""], &["x", "y"])]);
        assert_eq!(hashes.len(), rows.len() + 2);
        assert_eq!(hash(names, &["1.0", "-0"]), hash(names, &["1", "0"]));
    }

    proptest! {
            #[test]
            fn no_two_rows_are_written_alike(
                a in prop::collection::vec("[x0-9.-]{0,3}", 0..5),
                b in prop::collection::vec("[x0-9.-]{0,3}", 0..5),
            ) {
                let written = |row: &[String]| {
                    let mut message = Vec::new();
                    for cell in row {
     write(Cell::parse(cell), &mut message);
    }
                    message
                };
                let same = a.len() == b.len()
                    && a.iter().zip(&b).all(|(a, b)| Cell::parse(a) == Cell::parse(b));
                prop_assert_eq!(written(&a) == written(&b), same);
            }
        }
}
