//! Tables to Parquet.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::super::error::DataError;
use super::super::table::{Cell, Column, Table};

/// Writes a table that [`super::read_parquet`] reads back cell for cell: columns that hold a text
/// as UTF-8 strings, the others as `f64`, all nullable, packed with Snappy.
///
/// # Errors
/// [`DataError::Unwritable`].
pub fn write_parquet(
    table: &Table,
    mut target: impl Write + Send,
) -> std::result::Result<(), DataError> {
    write(table, &mut target).map_err(|error| DataError::Unwritable {
        file: table.name().into(),
        problem: error.to_string(),
    })
}

/// Not generic, so that the encoders are compiled once, here.
fn write(table: &Table, target: &mut (dyn Write + Send)) -> Result<()> {
    let fields = table.columns().iter().map(field).collect::<Result<_>>()?;
    let schema = Type::group_type_builder("table").with_fields(fields).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(target, Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in table.columns() {
        let writer = group
            .next_column()?
            .ok_or_else(|| ParquetError::General("a column is missing".into()))?;
        if has_text(column) {
            let text = |cell: Cell<'_>| Some(ByteArray::from(&*cell.text()));
            write_column::<ByteArrayType>(writer, column, text)?;
        } else {
            write_column::<DoubleType>(writer, column, |cell| match cell {
                Cell::Number(number) => Some(number),
                Cell::Null | Cell::Text(_) => None,
            })?;
        }
    }
    group.close()?;
    file.close().map(drop)
}

fn has_text(column: &Column) -> bool {
    column.cells().any(|cell| matches!(cell, Cell::Text(_)))
}

fn field(column: &Column) -> Result<Arc<Type>> {
    let (physical, logical) = if has_text(column) {
        (Physical::BYTE_ARRAY, Some(LogicalType::String))
    } else {
        (Physical::DOUBLE, None)
    };
    let field = Type::primitive_type_builder(column.name(), physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL);
    field.build().map(Arc::new)
}

fn write_column<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    column: &Column,
    value: impl Fn(Cell<'_>) -> Option<T::T>,
) -> Result<()> {
    let present = |cell: &Cell<'_>| *cell != Cell::Null;
    let values: Vec<T::T> = column.cells().filter(present).filter_map(value).collect();
    let levels: Vec<i16> = column.cells().map(|cell| i16::from(present(&cell))).collect();
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    writer.close()
}
