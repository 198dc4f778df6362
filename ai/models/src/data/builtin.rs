//! Two small public data sets that are part of the program (`assets/NOTICE.md` has their origin
//! and licence).

use std::collections::BTreeMap;

use super::dataset::{DataTargets, Dataset};
use super::row_hash::RowHasher;
use super::table::{Cell, Column, Table};

/// Written by `assets/pack.py`; per image one byte for the digit and 64 pixels of five bits.
const DIGITS: &[u8] = include_bytes!("../../assets/digits.bin");
/// Written by `assets/pack.py`; per case one byte for the diagnosis (1: benign), after that, for
/// each column, one byte for the number of decimals and three bytes for each case's digits.
const BREAST_CANCER: &[u8] = include_bytes!("../../assets/breast_cancer.bin");

/// The label of the digits; comes before the pixels in the order of names.
const DIGIT: &str = "digit";
/// Pixels on each side of a digit.
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
/// Bits of a packed pixel, which is 0 to 16.
const PIXEL_BITS: usize = 5;
const PIXEL_MASK: u8 = (1 << PIXEL_BITS) - 1;
const IMAGE_BYTES: usize = 1 + PIXELS * PIXEL_BITS / 8;
const BRIGHTEST: f32 = 16.0;

const NUMBER_BYTES: usize = 3;
/// The ten properties of the cell nuclei in an image, each given as mean, standard error and
/// mean of the three largest values ("worst"), in the order of scikit-learn.
const PROPERTIES: [&str; 10] = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
];
const SUMMARIES: [(&str, &str); 3] = [("mean_", ""), ("", "_error"), ("worst_", "")];
/// What no measure exceeds, rounded up.
const BREAST_CANCER_BOUNDS: [[f64; 10]; 3] = [
    [30.0, 40.0, 200.0, 2600.0, 0.2, 0.4, 0.5, 0.25, 0.4, 0.1],
    [3.0, 5.0, 25.0, 600.0, 0.04, 0.15, 0.4, 0.06, 0.08, 0.03],
    [40.0, 50.0, 260.0, 4300.0, 0.25, 1.1, 1.3, 0.3, 0.7, 0.25],
];
const MEASURES: usize = PROPERTIES.len() * SUMMARIES.len();
const CASES: usize = (BREAST_CANCER.len() - MEASURES) / (1 + NUMBER_BYTES * MEASURES);

/// 1,797 handwritten digits of 8 x 8 pixels: columns `pixel_0_0` to `pixel_7_7` (row, column; 0
/// is blank, 16 full ink) and the label `digit`.
///
/// UCI "Optical Recognition of Handwritten Digits" (test set), CC BY 4.0.
pub fn digits_table() -> Table {
    let names = pixel_names().chain([DIGIT.to_owned()]);
    let mut columns: Vec<Column> = names.map(Column::new).collect();
    for image in images() {
        for (column, value) in columns.iter_mut().zip(pixels(image).chain([image[0]])) {
            column.push(Cell::Number(value.into()));
        }
    }
    Table::trusted("digits", columns)
}

/// The digits as a model sees them: 64 pixels from 0 to 1, ten classes. The row hashes are those
/// of [`digits_table`].
pub fn digits() -> Dataset {
    let mut features = Vec::with_capacity(DIGITS.len() / IMAGE_BYTES * PIXELS);
    for image in images() {
        features.extend(pixels(image).map(|pixel| f32::from(pixel) / BRIGHTEST));
    }
    let labels = images().map(|image| image[0].into()).collect();
    let names = (0..10).map(|digit| digit.to_string()).collect();
    let pixel_names: Vec<String> = pixel_names().collect();
    let sorted = std::iter::once(DIGIT).chain(pixel_names.iter().map(String::as_str));
    let mut hasher = RowHasher::new(sorted);
    let cells = |image: &'static [u8]| std::iter::once(image[0]).chain(pixels(image));
    let hash = |image| hasher.hash(cells(image).map(|value| Cell::Number(value.into())));
    let hashes = images().map(hash).collect();
    Dataset::trusted(PIXELS, features, DataTargets::Classes { labels, names }, hashes)
}

fn images() -> impl Iterator<Item = &'static [u8]> {
    DIGITS.chunks_exact(IMAGE_BYTES)
}

fn pixel_names() -> impl Iterator<Item = String> {
    (0..PIXELS).map(|at| format!("pixel_{}_{}", at / SIDE, at % SIDE))
}

/// The pixels of a packed image, 0 to 16: the bits of a line of eight follow each other, lowest
/// first.
fn pixels(image: &[u8]) -> impl Iterator<Item = u8> {
    image[1..].chunks_exact(PIXEL_BITS).flat_map(|line| {
        let bits = line.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        (0..SIDE).map(move |at| (bits >> (PIXEL_BITS * at)).to_le_bytes()[0] & PIXEL_MASK)
    })
}

/// 569 breast tumours, 30 measures of the cell nuclei in a biopsy image, and the label
/// `diagnosis`, `malignant` (212 cases) or `benign` (357).
///
/// UCI "Breast Cancer Wisconsin (Diagnostic)", CC BY 4.0.
pub fn breast_cancer() -> Table {
    let (labels, numbers) = BREAST_CANCER.split_at(CASES);
    let mut columns: Vec<Column> = numbers
        .chunks_exact(1 + CASES * NUMBER_BYTES)
        .zip(measures())
        .map(|(packed, name)| Column::from_cells(name, decimals(packed)))
        .collect();
    let diagnosis = |&label: &u8| Cell::Text(if label == 1 { "benign" } else { "malignant" });
    columns.push(Column::from_cells("diagnosis", labels.iter().map(diagnosis)));
    Table::trusted("breast_cancer", columns)
}

/// Bounds of the columns of [`breast_cancer`], from the ranges in its public description: what may be
/// known of a column without a look at its rows.
pub fn breast_cancer_bounds() -> BTreeMap<String, [f64; 2]> {
    let most = BREAST_CANCER_BOUNDS.iter().flatten();
    measures().zip(most.map(|most| [0.0, *most])).collect()
}

/// The names of the measures, in the order of columns.
fn measures() -> impl Iterator<Item = String> {
    SUMMARIES.iter().flat_map(|(before, after)| {
        PROPERTIES.iter().map(move |property| format!("{before}{property}{after}"))
    })
}

/// The numbers of a packed column. Digits and power of ten are exact in `f64`, so that the
/// quotient is the number nearest to the decimal that was packed.
fn decimals(packed: &[u8]) -> impl Iterator<Item = Cell<'static>> {
    let scale = 10f64.powi(i32::from(packed[0]));
    packed[1..].chunks_exact(NUMBER_BYTES).map(move |number| {
        let digits = u32::from_le_bytes([number[0], number[1], number[2], 0]);
        Cell::Number(f64::from(digits) / scale)
    })
}

#[cfg(test)]
mod tests {
    use nexus_types::Digest;

    use super::super::{Schema, SchemaOptions, write_csv};
    use super::*;

    fn digest(table: &Table) -> String {
        let mut text = Vec::new();
        write_csv(table, &mut text).unwrap();
        Digest::of("cipher-nexus built-in data set", &text).to_string()
    }

    #[test]
    fn the_values_are_pinned() {
        assert_eq!(
            digest(&digits_table()),
            "c82fb8a7808736e66953ff64a2dc2bb426aaca855051f2139ce76a5a5e0b349f"
        );
        assert_eq!(
            digest(&breast_cancer()),
            "4a45bd9c7e64e93923f4bd54032b0b2531e978b9b9fe0056bde78f309786e512"
        );
    }

    #[test]
    fn digits_are_what_they_should_be() {
        let (data, table) = (digits(), digits_table());
        assert_eq!((data.rows(), data.width(), data.classes()), (1797, 64, 10));
        assert_eq!(data.row_hashes(), table.row_hashes());
        // The first line of the first image, a zero.
        let line = [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0];
        assert_eq!(data.row(0)[..8], line.map(|pixel: f32| pixel / 16.0));
        let DataTargets::Classes { labels, .. } = data.targets() else { panic!() };
        let count = |digit| labels.iter().filter(|&&label| label == digit).count();
        let counts: Vec<usize> = (0..10).map(count).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let column = table.column("pixel_0_2").unwrap();
        assert_eq!(column.cell(0), Cell::Number(5.0));
    }

    #[test]
    fn breast_cancer_is_what_it_should_be() {
        let table = breast_cancer();
        assert_eq!((table.rows(), table.columns().len()), (569, 31));
        let first = |name| table.column(name).unwrap().cell(0);
        assert_eq!(first("mean_radius"), Cell::Number(17.99));
        assert_eq!(first("fractal_dimension_error"), Cell::Number(0.006_193));
        assert_eq!(first("worst_fractal_dimension"), Cell::Number(0.1189));
        assert_eq!(first("diagnosis"), Cell::Text("malignant"));
        let benign = |cell: &Cell<'_>| *cell == Cell::Text("benign");
        assert_eq!(table.column("diagnosis").unwrap().cells().filter(benign).count(), 357);
        let bounds = breast_cancer_bounds();
        for column in table.columns().iter().filter(|column| column.name() != "diagnosis") {
            let [least, most] = bounds[column.name()];
            let inside = |cell| matches!(cell, Cell::Number(x) if (least..=most).contains(&x));
            assert!(column.cells().all(inside), "{}", column.name());
        }
        let schema = Schema::infer_all(&[table], &SchemaOptions::classes("diagnosis")).unwrap();
        assert_eq!((schema.width(), schema.classes()), (30, 2));
    }
}
