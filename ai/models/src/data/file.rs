//! Tables by the name of their file.

use std::fs::File;
use std::path::Path;

use super::csv::read_csv;
use super::error::DataError;
use super::limits::Limits;
use super::table::Table;

#[cfg(feature = "parquet")]
const KNOWN: &str = ".csv or .parquet";
#[cfg(not(feature = "parquet"))]
const KNOWN: &str = ".csv (this build is without the feature `parquet`)";

/// Reads a table in the format that the name of its file ends in: `.csv`, or `.parquet` with the
/// feature `parquet`. `path`, as given, stands for the table in messages.
///
/// # Errors
/// [`DataError::Unreadable`], [`DataError::UnknownFormat`], [`DataError::TooLarge`], and the
/// errors of [`read_csv`] and `read_parquet`.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Table, DataError> {
    let name = path.display().to_string();
    let extension = path.extension().map_or_else(String::new, |end| end.display().to_string());
    let read: fn(File, &str, &Limits) -> Result<Table, DataError> =
        match extension.to_ascii_lowercase().as_str() {
            "csv" => |file, name, limits| read_csv(file, name, limits),
            #[cfg(feature = "parquet")]
            "parquet" => super::parquet::read_parquet_file,
            _ => return Err(DataError::UnknownFormat { file: name, extension, known: KNOWN }),
        };
    let unreadable = |source| DataError::Unreadable { file: name.clone(), source };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    // A pipe could keep the reader waiting for ever, a device never end.
    if !metadata.is_file() {
        return Err(unreadable(std::io::Error::other("not a regular file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let got = metadata.len();
    if got > limits.bytes {
        return Err(DataError::TooLarge { file: name, what: "bytes", got, limit: limits.bytes });
    }
    read(file, &name, limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("nexus-models-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_ending_chooses_the_format() {
        let path = directory().join("ending.CSV");
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let table = read_file(&path, &Limits::default()).unwrap();
        assert_eq!((table.rows(), table.name()), (1, &*path.display().to_string()));
        let small = Limits { bytes: 7, ..Limits::default() };
        let error = read_file(&path, &small).unwrap_err().to_string();
        assert!(error.ends_with("ending.CSV: 8 bytes, at most 7 are allowed"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let message = |name: &str| {
            read_file(&directory().join(name), &Limits::default()).unwrap_err().to_string()
        };
        let missing = message("missing.csv");
        assert!(missing.contains("missing.csv: cannot be read: No such file"), "{missing}");
        let unknown = message("data.xlsx");
        assert!(unknown.contains("data.xlsx: `xlsx` is no known format; data files end in .csv"));
    }
}
