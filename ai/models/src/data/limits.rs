//! Bounds on what a file may hold. A value above its bound is refused by name.

/// Bytes of one file, and bytes that a packed file may unpack to: 4 GiB.
pub const MAX_FILE_BYTES: u64 = 1 << 32;
/// Rows of one table.
pub const MAX_ROWS: usize = 1 << 26;
/// Columns of one table.
pub const MAX_COLUMNS: usize = 1 << 14;
/// Cells of one table; each takes eight bytes, so at most 4 GiB.
pub const MAX_CELLS: usize = 1 << 29;
/// Bytes of one row of a text file.
pub const MAX_RECORD_BYTES: u64 = 1 << 24;
/// Bytes of one name or one cell.
pub const MAX_CELL_BYTES: usize = 4096;
/// Levels of one categorical column, or classes of a label.
pub const MAX_LEVELS: usize = 1024;
/// Inputs that one encoded row gives a model.
pub const MAX_WIDTH: usize = 1 << 20;

/// What a reader accepts. The default is the constants of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file, and bytes it may unpack to.
    pub bytes: u64,
    /// Rows, the header not counted.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Rows times columns.
    pub cells: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: MAX_FILE_BYTES, rows: MAX_ROWS, columns: MAX_COLUMNS, cells: MAX_CELLS }
    }
}
