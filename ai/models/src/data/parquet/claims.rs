//! What a footer says about sizes, held against the limits and the file.

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::super::error::DataError;
use super::super::limits::Limits;
use super::{malformed, too_large};

/// Refuses claims beyond the limits, and those that contradict each other or the `length` of the
/// file.
pub(super) fn check(
    metadata: &ParquetMetaData,
    length: u64,
    name: &str,
    limits: &Limits,
) -> Result<(), DataError> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let (mut rows, mut bytes) = (0u64, 0u64);
    let max_rows = limits.rows.min(limits.cells / columns.max(1)) as u64;
    for group in metadata.row_groups() {
        if group.num_columns() != columns {
            return Err(malformed(name, "a row group lacks columns"));
        }
        rows = rows.saturating_add(count(name, group.num_rows())?);
        if rows > max_rows {
            return Err(too_large(name, "rows", rows, max_rows));
        }
        bytes = bytes.saturating_add(unpacked(name, group)?);
        if bytes > limits.bytes {
            return Err(too_large(name, "bytes in its row groups", bytes, limits.bytes));
        }
        for chunk in group.columns() {
            check_chunk(chunk, group.num_rows(), length, name)?;
        }
    }
    Ok(())
}

/// Bytes of a row group before packing: what it claims as a whole, or what its columns do.
fn unpacked(name: &str, group: &RowGroupMetaData) -> Result<u64, DataError> {
    let mut columns = 0u64;
    for chunk in group.columns() {
        columns = columns.saturating_add(count(name, chunk.uncompressed_size())?);
    }
    Ok(count(name, group.total_byte_size())?.max(columns))
}

fn check_chunk(
    chunk: &ColumnChunkMetaData,
    rows: i64,
    length: u64,
    name: &str,
) -> Result<(), DataError> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let end = count(name, start)?.checked_add(count(name, chunk.compressed_size())?);
    if end.is_none_or(|end| end > length) {
        return Err(malformed(name, "a column reaches beyond the end of the file"));
    }
    if chunk.num_values() != rows {
        return Err(malformed(name, "a column has more or fewer values than there are rows"));
    }
    Ok(())
}

fn count(name: &str, claim: i64) -> Result<u64, DataError> {
    u64::try_from(claim).map_err(|_| malformed(name, "a count or an offset is negative"))
}
