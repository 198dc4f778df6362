//! Values of a column chunk to cells.

use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::super::error::{DataError, Place};
use super::super::limits::MAX_CELL_BYTES;
use super::super::table::{Cell, Column};
use super::pages::Credible;
use super::{malformed, undecodable};

/// Values that are decoded at a time.
const BATCH: usize = 4096;
/// The largest power of ten that fits 64 bits.
const MAX_SCALE: i32 = 18;

/// Appends the `rows` values of a column chunk to `column`.
pub(super) fn append(
    file: &str,
    description: &ColumnDescPtr,
    pages: Box<dyn PageReader>,
    rows: usize,
    column: &mut Column,
) -> Result<(), DataError> {
    let unsupported = || unsupported(file, description);
    if description.max_rep_level() > 0 || description.max_def_level() > 1 {
        return Err(unsupported());
    }
    let credible = Box::new(Credible::new(pages, rows));
    let mut chunk = Chunk { file, rows, nullable: description.max_def_level() == 1, column };
    match get_column_reader(description.clone(), credible) {
        ColumnReader::BoolColumnReader(reader) => {
            chunk.read(reader, |&value, _| Ok(Cell::Text(if value { "true" } else { "false" })))
        }
        ColumnReader::Int32ColumnReader(reader) => {
            let whole = whole(description).ok_or_else(unsupported)?;
            chunk.read(reader, |&value, _| {
                let unsigned = u64::from(value.cast_unsigned());
                Ok(whole.cell(i64::from(value), unsigned))
            })
        }
        ColumnReader::Int64ColumnReader(reader) => {
            let whole = whole(description).ok_or_else(unsupported)?;
            chunk.read(reader, |&value, _| Ok(whole.cell(value, value.cast_unsigned())))
        }
        ColumnReader::FloatColumnReader(reader) => {
            chunk.read(reader, |&value, _| Ok(Cell::number(f64::from(value))))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            chunk.read(reader, |&value, _| Ok(Cell::number(value)))
        }
        ColumnReader::ByteArrayColumnReader(reader) if is_text(description) => {
            chunk.read(reader, |value, row| text(value, file, row))
        }
        ColumnReader::ByteArrayColumnReader(_)
        | ColumnReader::Int96ColumnReader(_)
        | ColumnReader::FixedLenByteArrayColumnReader(_) => Err(unsupported()),
    }
}

/// How the bits of an integer are meant.
#[derive(Clone, Copy)]
enum Whole {
    Signed,
    Unsigned,
    /// To be divided by this power of ten.
    Decimal(f64),
}

impl Whole {
    fn cell(self, signed: i64, unsigned: u64) -> Cell<'static> {
        Cell::number(match self {
            Self::Signed => signed as f64,
            Self::Unsigned => unsigned as f64,
            Self::Decimal(scale) => signed as f64 / scale,
        })
    }
}

fn whole(description: &ColumnDescriptor) -> Option<Whole> {
    use ConvertedType::{DECIMAL, UINT_8, UINT_16, UINT_32, UINT_64};
    match (description.logical_type_ref(), description.converted_type()) {
        (Some(LogicalType::Decimal(_)), _) | (_, DECIMAL) => {
            let scale = description.type_scale();
            (0..=MAX_SCALE).contains(&scale).then(|| Whole::Decimal(10f64.powi(scale)))
        }
        (Some(LogicalType::Integer(kind)), _) if !kind.is_signed => Some(Whole::Unsigned),
        (None, UINT_8 | UINT_16 | UINT_32 | UINT_64) => Some(Whole::Unsigned),
        _ => Some(Whole::Signed),
    }
}

/// Text by its declaration, or undeclared, as old writers leave it: UTF-8 is checked anyway.
fn is_text(description: &ColumnDescriptor) -> bool {
    use ConvertedType::{ENUM, JSON, NONE, UTF8};
    use LogicalType::{Enum, Json, String};
    matches!(description.logical_type_ref(), None | Some(String | Enum | Json))
        && matches!(description.converted_type(), UTF8 | ENUM | JSON | NONE)
}

fn unsupported(file: &str, description: &ColumnDescriptor) -> DataError {
    let physical = description.physical_type();
    let kind = match (description.logical_type_ref(), description.converted_type()) {
        (Some(logical), _) => format!("{physical} ({logical:?})"),
        (None, ConvertedType::NONE) => physical.to_string(),
        (None, converted) => format!("{physical} ({converted})"),
    };
    DataError::UnsupportedType { file: file.into(), column: description.name().into(), kind }
}

fn text<'a>(value: &'a ByteArray, file: &str, row: usize) -> Result<Cell<'a>, DataError> {
    let place = || Place::Row { file: file.into(), row: row as u64 + 1 };
    if value.len() > MAX_CELL_BYTES {
        let (got, limit) = (value.len(), MAX_CELL_BYTES);
        return Err(DataError::CellTooLong { place: place(), got, limit });
    }
    let text = value.as_utf8().map_err(|_| DataError::NotUtf8 { place: place() })?;
    Ok(Cell::parse(text))
}

/// Where the values of a chunk go.
struct Chunk<'a> {
    file: &'a str,
    rows: usize,
    nullable: bool,
    column: &'a mut Column,
}

impl Chunk<'_> {
    fn read<T: DataType>(
        &mut self,
        mut reader: ColumnReaderImpl<T>,
        cell: impl for<'v> Fn(&'v T::T, usize) -> Result<Cell<'v>, DataError>,
    ) -> Result<(), DataError> {
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let mut left = self.rows;
        while left > 0 {
            levels.clear();
            values.clear();
            let definitions = self.nullable.then_some(&mut levels);
            let (rows, _, _) = reader
                .read_records(left.min(BATCH), definitions, None, &mut values)
                .map_err(|error| undecodable(self.file, &error))?;
            if rows == 0 {
                return Err(malformed(self.file, "a column ends before its last row"));
            }
            let mut present = values.iter();
            for at in 0..rows {
                let is_null = levels.get(at).is_some_and(|&level| level == 0);
                let value = if is_null { None } else { present.next() };
                match value {
                    Some(value) => self.column.push(cell(value, self.column.len())?),
                    None => self.column.push(Cell::Null),
                }
            }
            left -= rows;
        }
        Ok(())
    }
}
