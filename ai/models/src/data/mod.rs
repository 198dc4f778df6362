//! Data sets: from files to the numbers a model sees, alike for every owner.
//!
//! # Why it exists
//!
//! Owners who train together must read their files in the same way without showing them: the same
//! columns in the same order, the same one-hot codes, the same scale, the same idea of which rows
//! are for testing. What they have to agree on is small, and is all that leaves an owner here:
//!
//! | step | what | leaves the owner |
//! |---|---|---|
//! | [`read_file`] | cells: a number, a text or nothing | nothing |
//! | [`Schema::infer`] | types, nulls, the label column | names of columns, categories and classes |
//! | [`Schema::merge`] | one schema for all, or an error that names file and column | |
//! | [`Schema::moments`] | counts and sums of the numeric columns | three sums a column, which may be added up secretly |
//! | [`Standardisation::from_moments`] | mean and deviation over all owners | |
//! | [`Encoder::encode`] | a [`Dataset`]: features, targets, a hash of every row | nothing |
//!
//! ```
//! use nexus_models::data::{Encoder, Limits, Schema, SchemaOptions, Standardisation, read_csv};
//!
//! let a = read_csv(&b"age,city,ill\n30,Rome,yes\n50,,no\n"[..], "a.csv", &Limits::default())?;
//! let b = read_csv(&b"ill,age,city\nno,40,Oslo\n"[..], "b.csv", &Limits::default())?;
//! let tables = [a, b];
//! let schema = Schema::infer_all(&tables, &SchemaOptions::classes("ill"))?;
//!
//! let mut moments = vec![0.0; schema.moments_len()];
//! for table in &tables {
//!     schema.moments(table)?.iter().zip(&mut moments).for_each(|(part, sum)| *sum += part);
//! }
//! let encoder = Encoder::new(schema.clone(), Standardisation::from_moments(&schema, &moments)?)?;
//! assert_eq!(encoder.input_names(), ["age", "city = Oslo", "city = Rome", "city is missing"]);
//! let data = encoder.encode(&tables[1])?;
//! assert_eq!(data.row(0), [0.0, 1.0, 0.0, 0.0]);
//! # Ok::<(), nexus_models::data::DataError>(())
//! ```
//!
//! # Threat model
//!
//! A file may come from an enemy. Reading it never panics, takes memory in proportion to the
//! limits in [`Limits`], and ends in a [`DataError`] that says where the fault is. A schema or a
//! standardisation from another owner is checked before it is used. Error messages repeat one
//! offending value, so they belong on the owner's screen, not on the wire.
//!
//! # Cost
//!
//! A table takes eight bytes a cell and four more where it holds text, a data set four bytes per
//! row and input. The feature `parquet` is off by default because it costs 146 CPU-seconds in a
//! clean release build (51 crates), half of which is zstd's C code and the `parquet` crate. It
//! is used without Arrow, which would cost three times as much.
//!
//! # References
//!
//! * CSV: RFC 4180 · Parquet: <https://parquet.apache.org/docs/file-format/>
//! * A. Neumaier, *Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen*,
//!   ZAMM 54 (1974): the compensated sums

pub mod builtin;
mod csv;
mod dataset;
mod encode;
mod error;
mod file;
mod infer;
pub mod limits;
mod merge;
#[cfg(feature = "parquet")]
mod parquet;
mod records;
mod row_hash;
mod schema;
mod standardise;
mod table;

pub use self::csv::{read_csv, write_csv};
#[cfg(feature = "parquet")]
pub use self::parquet::{read_parquet, write_parquet};
pub use dataset::{DataTargets, Dataset};
pub use encode::Encoder;
pub use error::{DataError, Place};
pub use file::read_file;
pub use infer::SchemaOptions;
pub use limits::Limits;
pub use schema::{Feature, Kind, Label, LabelKind, Schema};
pub use standardise::Standardisation;
pub use table::{Cell, Column, Table};
