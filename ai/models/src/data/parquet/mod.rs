//! Parquet, in and out.
//!
//! The decoder trusts more than a file from outside deserves: it allocates what counts in the
//! file claim, recurses as deep as the file's schema does, and panics on some contradictions. So
//! every claim is compared with the limits before the decoder acts on it: the schema in the raw
//! footer ([`footer`]), the row groups in the decoded footer ([`claims`]), and each page
//! ([`pages`]). What is left are panics, which are caught.

mod cells;
mod claims;
mod footer;
mod pages;
mod write;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetStatisticsPolicy;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;

use super::error::{DataError, shown};
use super::limits::Limits;
use super::table::{Column, Table, check_names};
pub use write::write_parquet;

const FORMAT: &str = "Parquet";

/// Reads a Parquet file held in memory. `name` stands for it in messages.
///
/// Columns may be truth values (cells `true` and `false`), integers of 8 to 64 bits with and
/// without sign, decimals of up to 64 bits, `f32`, `f64`, and UTF-8 text, plain or by a
/// dictionary, packed with Snappy, zstd or not at all; dates and times are their number since the
/// epoch. Integers beyond 2⁵³ are rounded to the nearest `f64`. Memory: the table and one page.
///
/// # Errors
/// [`DataError::Malformed`], [`DataError::UnsupportedType`], [`DataError::NotUtf8`],
/// [`DataError::CellTooLong`], [`DataError::Unnamed`], [`DataError::DuplicateColumn`],
/// [`DataError::Empty`], [`DataError::NoRows`]; [`DataError::TooLarge`], before anything is
/// allocated for it, if the file claims to hold more than `limits` allow.
pub fn read_parquet(bytes: Vec<u8>, name: &str, limits: &Limits) -> Result<Table, DataError> {
    guarded(Bytes::from(bytes), name, limits)
}

/// [`read_parquet`] on a file, read piece by piece.
pub(super) fn read_parquet_file(
    file: File,
    name: &str,
    limits: &Limits,
) -> Result<Table, DataError> {
    guarded(file, name, limits)
}

fn guarded(
    source: impl ChunkReader + 'static,
    name: &str,
    limits: &Limits,
) -> Result<Table, DataError> {
    // The decoder has assertions that a malicious page can reach. Nothing that it touched is
    // used after a panic.
    catch_unwind(AssertUnwindSafe(|| read(source, name, limits)))
        .unwrap_or_else(|_| Err(malformed(name, "the decoder gave up")))
}

fn read(
    source: impl ChunkReader + 'static,
    name: &str,
    limits: &Limits,
) -> Result<Table, DataError> {
    let length = source.len();
    if length == 0 {
        return Err(DataError::Empty { file: name.into() });
    }
    footer::check(&source, name, limits)?;
    let skip = ParquetStatisticsPolicy::SkipAll;
    let options = ReadOptionsBuilder::new()
        .with_column_stats_policy(skip.clone())
        .with_encoding_stats_policy(skip.clone())
        .with_size_stats_policy(skip)
        .build();
    let failed = |error| undecodable(name, &error);
    let reader = SerializedFileReader::new_with_options(source, options).map_err(failed)?;
    let metadata = reader.metadata();
    claims::check(metadata, length, name, limits)?;
    let descriptions = metadata.file_metadata().schema_descr().columns();
    check_names(name, descriptions.iter().map(|one| one.name()))?;
    let mut columns: Vec<Column> = descriptions.iter().map(|one| Column::new(one.name())).collect();
    for group in 0..metadata.num_row_groups() {
        let rows = metadata.row_group_num_rows(group).map_err(failed)?;
        let group = reader.get_row_group(group).map_err(failed)?;
        for (at, column) in columns.iter_mut().enumerate() {
            let pages = group.get_column_page_reader(at).map_err(failed)?;
            cells::append(name, &descriptions[at], pages, rows, column)?;
        }
    }
    match columns.first().map_or(0, Column::len) {
        0 => Err(DataError::NoRows { file: name.into() }),
        _ => Ok(Table::trusted(name, columns)),
    }
}

fn malformed(file: &str, problem: impl Into<String>) -> DataError {
    DataError::Malformed { file: file.into(), format: FORMAT, problem: problem.into() }
}

fn undecodable(file: &str, error: &ParquetError) -> DataError {
    malformed(file, shown(&error.to_string()))
}

fn too_large(file: &str, what: &'static str, got: u64, limit: u64) -> DataError {
    DataError::TooLarge { file: file.into(), what, got, limit }
}

#[cfg(test)]
mod tests;
