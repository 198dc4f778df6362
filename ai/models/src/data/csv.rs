//! Comma-separated values (RFC 4180, with a header), in and out.

use std::io::{self, BufRead, BufReader, Cursor, Read, Write};

use csv::{QuoteStyle, WriterBuilder};

use super::error::{DataError, Place};
use super::limits::{Limits, MAX_CELL_BYTES, MAX_RECORD_BYTES};
use super::records::{Advance, Records};
use super::table::{Cell, Column, Table, check_names};

/// What may stand between two fields.
const DELIMITERS: [u8; 3] = *b",;\t";
/// How much of the header is looked at to find the delimiter.
const HEAD_BYTES: u64 = 1 << 16;

/// Reads a table with a header. `name` stands for the source in messages.
///
/// Fields are separated by whichever of comma, semicolon and tab the header has most of, may be
/// quoted, and lose the white space around them. Every cell is read by [`Cell::parse`]; empty
/// lines and a UTF-8 byte order mark are passed over. Memory: the table, and one row.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::Empty`], [`DataError::NoRows`], [`DataError::Ragged`],
/// [`DataError::NotUtf8`], [`DataError::Unnamed`], [`DataError::DuplicateColumn`],
/// [`DataError::CellTooLong`] and [`DataError::TooLarge`].
pub fn read_csv(mut source: impl Read, name: &str, limits: &Limits) -> Result<Table, DataError> {
    let mut head = Vec::new();
    source.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| io(name, error))?;
    let delimiter = delimiter(&head);
    let source =
        Bounded { source: Cursor::new(head).chain(source), name, left: limits.bytes, limits };
    let mut records = Records::new(BufReader::new(source), delimiter, limits.columns);
    let mut columns = header(&mut records, name, limits)?;
    let rows = limits.rows.min(limits.cells / columns.len());
    let mut lines = Vec::new();
    while next(&mut records, name, limits)? {
        let line = records.line();
        let place = || Place::Line { file: name.into(), line };
        if records.len() != columns.len() {
            let (got, expected) = (records.len() as u64, columns.len() as u64);
            return Err(DataError::Ragged { place: place(), got, expected });
        }
        if lines.len() == rows {
            return Err(too_large(name, "rows", rows as u64 + 1, rows as u64));
        }
        for (column, bytes) in columns.iter_mut().zip(records.fields()) {
            column.push(Cell::parse(text(bytes, place)?));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(DataError::NoRows { file: name.into() });
    }
    Ok(Table::trusted(name, columns).at_lines(lines))
}

/// A source that ends in an error once it is longer than its limit.
struct Bounded<'a, R> {
    source: R,
    name: &'a str,
    left: u64,
    limits: &'a Limits,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.source.read(buffer)?;
        let limit = self.limits.bytes;
        let got = limit - self.left + bytes as u64;
        self.left = limit
            .checked_sub(got)
            .ok_or_else(|| io::Error::other(too_large(self.name, "bytes", got, limit)))?;
        Ok(bytes)
    }
}

/// The delimiter that the first line of `head` has most of, outside quotes; the comma if none.
fn delimiter(head: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [0usize; DELIMITERS.len()];
    for &byte in head.trim_ascii_start().iter().take_while(|&&byte| byte != b'\n') {
        quoted ^= byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|&one| one == byte && !quoted) {
            counts[at] += 1;
        }
    }
    // The last of equals wins, so the comma comes last.
    (0..DELIMITERS.len()).rev().max_by_key(|&at| counts[at]).map_or(b',', |at| DELIMITERS[at])
}

fn header(
    records: &mut Records<impl BufRead>,
    name: &str,
    limits: &Limits,
) -> Result<Vec<Column>, DataError> {
    if !next(records, name, limits)? {
        return Err(DataError::Empty { file: name.into() });
    }
    let line = records.line();
    let place = || Place::Line { file: name.into(), line };
    let names = records.fields().map(|bytes| text(bytes, place).map(str::trim));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    check_names(name, names.iter().copied())?;
    Ok(names.into_iter().map(Column::new).collect())
}

/// True if there is one more record.
fn next(
    records: &mut Records<impl BufRead>,
    name: &str,
    limits: &Limits,
) -> Result<bool, DataError> {
    match records.advance().map_err(|error| io(name, error))? {
        Advance::Record => Ok(true),
        Advance::End => Ok(false),
        Advance::TooManyBytes => {
            Err(too_large(name, "bytes in one row", MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES))
        }
        Advance::TooManyFields => {
            let limit = limits.columns as u64;
            Err(too_large(name, "columns", limit + 1, limit))
        }
    }
}

fn text(bytes: &[u8], place: impl Fn() -> Place) -> Result<&str, DataError> {
    if bytes.len() > MAX_CELL_BYTES {
        let (got, limit) = (bytes.len(), MAX_CELL_BYTES);
        return Err(DataError::CellTooLong { place: place(), got, limit });
    }
    std::str::from_utf8(bytes).map_err(|_| DataError::NotUtf8 { place: place() })
}

fn too_large(file: &str, what: &'static str, got: u64, limit: u64) -> DataError {
    DataError::TooLarge { file: file.into(), what, got, limit }
}

fn io(name: &str, error: io::Error) -> DataError {
    match error.downcast::<DataError>() {
        Ok(error) => error,
        Err(source) => DataError::Unreadable { file: name.into(), source },
    }
}

/// Writes a table that [`read_csv`] reads back cell for cell; nulls become empty fields.
///
/// # Errors
/// [`DataError::Unwritable`].
pub fn write_csv(table: &Table, target: impl Write) -> Result<(), DataError> {
    let failed = |problem: String| DataError::Unwritable { file: table.name().into(), problem };
    let names = || table.columns().iter().map(Column::name);
    // Unquoted, another delimiter in a name would be taken for that of the file.
    let ambiguous = names().any(|name| name.bytes().any(|byte| DELIMITERS.contains(&byte)));
    let style = if ambiguous { QuoteStyle::Always } else { QuoteStyle::Necessary };
    let mut writer = WriterBuilder::new().quote_style(style).from_writer(target);
    writer.write_record(names()).map_err(|error| failed(error.to_string()))?;
    for row in 0..table.rows() {
        let cells = table.columns().iter().map(|column| column.cell(row).text().into_owned());
        writer.write_record(cells).map_err(|error| failed(error.to_string()))?;
    }
    writer.flush().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Result<Table, DataError> {
        read_csv(text.as_ref(), "a.csv", &Limits::default())
    }

    fn message(text: impl AsRef<[u8]>) -> String {
        read(text).unwrap_err().to_string()
    }

    fn cells(table: &Table) -> Vec<Vec<String>> {
        let texts = |column: &Column| column.cells().map(|cell| format!("{cell:?}")).collect();
        table.columns().iter().map(texts).collect()
    }

    #[test]
    fn cells_are_numbers_texts_or_null() {
        let table = read("a,b\n1.50, x y \n-0,NA\n?,\"p,\"\"q\"\"\"\n1e3,NaN\n").unwrap();
        let a = table.column("a").unwrap();
        let expected = [Cell::Number(1.5), Cell::Number(0.0), Cell::Null, Cell::Number(1000.0)];
        assert!(a.cells().eq(expected));
        let Cell::Number(zero) = a.cell(1) else { panic!() };
        assert!(zero.is_sign_positive());
        let b = table.column("b").unwrap();
        let text = ["x y", "", "p,\"q\"", "NaN"];
        assert!(b.cells().map(Cell::text).eq(text));
        assert_eq!(b.cell(1), Cell::Null);
    }

    #[test]
    fn the_delimiter_and_a_byte_order_mark_are_found() {
        for text in ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n", "\u{feff}a;b\r\n1;2\r\n"] {
            let table = read(text).unwrap();
            let names: Vec<_> = table.columns().iter().map(Column::name).collect();
            assert_eq!((names, table.rows()), (vec!["a", "b"], 1), "{text:?}");
        }
        assert_eq!(read("\"a;b\",c\n1,2\n").unwrap().columns().len(), 2);
    }

    #[test]
    fn messages_name_file_line_and_what_is_wrong() {
        assert_eq!(message(""), "a.csv: the file is empty");
        assert_eq!(message("\n\n"), "a.csv: the file is empty");
        assert_eq!(message("a,b\n"), "a.csv: there is a header, but no row");
        let ragged = "a.csv:4: the row has 3 fields, the header has 2";
        assert_eq!(message("a,b\n1,2\n\n1,2,3\n"), ragged);
        assert_eq!(message("a,b\r\n1,2\r\n\r\n1,2,3"), ragged);
        assert_eq!(
            message("a,b\n\"1\n\n2\",2\n1\n"),
            "a.csv:5: the row has 1 fields, the header has 2"
        );
        assert_eq!(message(b"a,b\n1,2\n1,\xff\n"), "a.csv:3: the text is not UTF-8");
        assert_eq!(message(b"a,\xff\n1,2\n"), "a.csv:1: the text is not UTF-8");
        assert_eq!(message("a,b, a\n1,2,3\n"), "a.csv: there are two columns `a`");
        assert_eq!(message(",b\n1,2\n"), "a.csv: column 1 has no name");
        let long = format!("a\n{}\n", "x".repeat(MAX_CELL_BYTES + 1));
        assert_eq!(message(long), "a.csv:2: 4097 bytes in one cell, at most 4096 are allowed");
    }

    #[test]
    fn limits_are_kept() {
        let text = "a,b\n1,2\n3,4\n5,6\n";
        let message = |limits| read_csv(text.as_bytes(), "a.csv", &limits).unwrap_err().to_string();
        let default = Limits::default();
        assert_eq!(
            message(Limits { bytes: 15, ..default }),
            "a.csv: 16 bytes, at most 15 are allowed"
        );
        assert_eq!(message(Limits { rows: 2, ..default }), "a.csv: 3 rows, at most 2 are allowed");
        assert_eq!(message(Limits { cells: 5, ..default }), "a.csv: 3 rows, at most 2 are allowed");
        assert_eq!(
            message(Limits { columns: 1, ..default }),
            "a.csv: 2 columns, at most 1 are allowed"
        );
        assert!(
            read_csv(text.as_bytes(), "", &Limits { bytes: 16, rows: 3, columns: 2, cells: 6 })
                .is_ok()
        );
    }

    #[test]
    fn a_row_without_end_is_stopped() {
        let endless = b"a\n\"".chain(io::repeat(b'x'));
        let error = read_csv(endless, "a.csv", &Limits::default()).unwrap_err();
        let DataError::TooLarge { what: "bytes in one row", limit: MAX_RECORD_BYTES, .. } = error
        else {
            panic!("{error}")
        };
    }

    #[test]
    fn a_device_that_fails_is_named() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let error = read_csv(Broken, "a.csv", &Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "a.csv: cannot be read: permission denied");
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f64>().prop_map(|number| number.to_string()),
            "\\PC{0,6}",
            "[ab\",;\n\r\t 0-9.-]{0,6}",
            Just("NA".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            rows in prop::collection::vec(prop::collection::vec(cell(), 3), 1..8),
            names in prop::collection::btree_set("[a-z,;\" ]{0,5}[a-z]", 3),
        ) {
            let column = |(at, name): (usize, &String)| {
                Column::from_cells(name.trim(), rows.iter().map(|row| Cell::parse(&row[at])))
            };
            let columns = names.iter().enumerate().map(column).collect();
            prop_assume!(Table::new("t", columns).is_ok());
            let columns = names.iter().enumerate().map(column).collect();
            let table = Table::new("t", columns).unwrap();
            let mut bytes = Vec::new();
            write_csv(&table, &mut bytes).unwrap();
            let again = read(&bytes).unwrap();
            let names = |table: &Table| {
                table.columns().iter().map(|column| column.name().to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(names(&again), names(&table));
            prop_assert_eq!(cells(&again), cells(&table));
            prop_assert_eq!(again.row_hashes(), table.row_hashes());
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn hostile_text_never_panics(text in "[a,;\"\n\r\t 1é.-]{0,60}") {
            if let Ok(table) = read(&text) {
                let rows = table.rows();
                prop_assert!(table.columns().iter().all(|column| column.len() == rows));
            }
        }
    }
}
