use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical,
};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use proptest::prelude::*;
use std::sync::Arc;

use super::super::table::Cell;
use super::super::{builtin, read_csv, read_file, write_csv};
use super::*;

fn load(bytes: &[u8]) -> Result<Table, DataError> {
    read_parquet(bytes.to_vec(), "a.parquet", &Limits::default())
}

fn message(bytes: &[u8]) -> String {
    load(bytes).unwrap_err().to_string()
}

fn stored(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_parquet(table, &mut bytes).unwrap();
    bytes
}

fn cells(table: &Table) -> Vec<(String, Vec<String>)> {
    let texts = |column: &Column| column.cells().map(|cell| format!("{cell:?}")).collect();
    table.columns().iter().map(|column| (column.name().to_owned(), texts(column))).collect()
}

fn small() -> Table {
    read_csv(&b"n,t,m\n1,x,u\n,y,\n-2.5,,3\n"[..], "t", &Limits::default()).unwrap()
}

/// A file of one column, whose values `write` writes.
fn file(
    column: Type,
    properties: WriterProperties,
    write: impl Fn(&mut ColumnWriter<'_>),
) -> Vec<u8> {
    let schema = Type::group_type_builder("t").with_fields(vec![Arc::new(column)]);
    let schema = Arc::new(schema.build().unwrap());
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    for _ in 0..2 {
        let mut group = file.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        write(column.untyped());
        column.close().unwrap();
        group.close().unwrap();
    }
    file.close().unwrap();
    bytes
}

fn column(physical: Physical, repetition: Repetition) -> Type {
    Type::primitive_type_builder("c", physical).with_repetition(repetition).build().unwrap()
}

fn logical(physical: Physical, logical: LogicalType) -> Type {
    let scale = if let LogicalType::Decimal(decimal) = &logical {
        (decimal.scale, decimal.precision)
    } else {
        (-1, -1)
    };
    Type::primitive_type_builder("c", physical)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(logical))
        .with_scale(scale.0)
        .with_precision(scale.1)
        .with_length(2)
        .build()
        .unwrap()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    load(bytes).unwrap().columns()[0].cells().map(|cell| cell.text().into_owned()).collect()
}

#[test]
fn numbers_of_all_types_are_read() {
    let properties = || WriterProperties::builder().build();
    let whole = |kind, values: &[i32]| {
        let bytes = file(kind, properties(), |writer| {
            let ColumnWriter::Int32ColumnWriter(writer) = writer else { panic!() };
            writer.write_batch(values, None, None).unwrap();
        });
        texts(&bytes)[..values.len()].join(" ")
    };
    let long = |kind, values: &[i64]| {
        let bytes = file(kind, properties(), |writer| {
            let ColumnWriter::Int64ColumnWriter(writer) = writer else { panic!() };
            writer.write_batch(values, None, None).unwrap();
        });
        texts(&bytes)[..values.len()].join(" ")
    };
    assert_eq!(
        whole(column(Physical::INT32, Repetition::REQUIRED), &[-1, i32::MAX]),
        "-1 2147483647"
    );
    for bits in [8, 16, 32] {
        assert_eq!(whole(logical(Physical::INT32, LogicalType::integer(bits, true)), &[-1]), "-1");
    }
    assert_eq!(
        whole(logical(Physical::INT32, LogicalType::integer(32, false)), &[-1]),
        "4294967295"
    );
    assert_eq!(whole(logical(Physical::INT32, LogicalType::decimal(2, 9)), &[-1234]), "-12.34");
    assert_eq!(long(logical(Physical::INT64, LogicalType::integer(64, true)), &[-7]), "-7");
    assert_eq!(
        long(logical(Physical::INT64, LogicalType::integer(64, false)), &[-1]),
        (u64::MAX as f64).to_string()
    );
    let float = file(column(Physical::FLOAT, Repetition::REQUIRED), properties(), |writer| {
        let ColumnWriter::FloatColumnWriter(writer) = writer else { panic!() };
        writer.write_batch(&[0.5, f32::NAN, f32::INFINITY], None, None).unwrap();
    });
    assert_eq!(texts(&float), ["0.5", "NaN", "inf", "0.5", "NaN", "inf"]);
    let truth = file(column(Physical::BOOLEAN, Repetition::OPTIONAL), properties(), |writer| {
        let ColumnWriter::BoolColumnWriter(writer) = writer else { panic!() };
        writer.write_batch(&[true, false], Some(&[1, 0, 1]), None).unwrap();
    });
    assert_eq!(texts(&truth), ["true", "", "false", "true", "", "false"]);
}

#[test]
fn text_is_read_in_every_packing() {
    let values = ["x", "", "3", "NA", "é"].map(ByteArray::from);
    let write = |writer: &mut ColumnWriter<'_>| {
        let ColumnWriter::ByteArrayColumnWriter(writer) = writer else { panic!() };
        writer.write_batch(&values, None, None).unwrap();
    };
    let zstd = Compression::ZSTD(parquet::basic::ZstdLevel::default());
    for packing in [Compression::UNCOMPRESSED, Compression::SNAPPY, zstd] {
        for dictionary in [true, false] {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let properties = WriterProperties::builder()
                    .set_compression(packing)
                    .set_dictionary_enabled(dictionary)
                    .set_encoding(Encoding::PLAIN)
                    .set_writer_version(version)
                    .build();
                for kind in [
                    logical(Physical::BYTE_ARRAY, LogicalType::String),
                    column(Physical::BYTE_ARRAY, Repetition::REQUIRED),
                ] {
                    let read = texts(&file(kind, properties.clone(), write));
                    assert_eq!(read, ["x", "", "3", "", "é", "x", "", "3", "", "é"]);
                }
            }
        }
    }
}

#[test]
fn types_without_meaning_are_named() {
    let properties = || WriterProperties::builder().build();
    let none = |_: &mut ColumnWriter<'_>| {};
    let int96 = file(column(Physical::INT96, Repetition::REQUIRED), properties(), |writer| {
        let ColumnWriter::Int96ColumnWriter(writer) = writer else { panic!() };
        writer.write_batch(&[Int96::new()], None, None).unwrap();
    });
    assert_eq!(
        message(&int96),
        "a.parquet: column `c` has the type INT96; numbers, truth values and UTF-8 text are read"
    );
    let half = file(
        logical(Physical::FIXED_LEN_BYTE_ARRAY, LogicalType::Float16),
        properties(),
        |writer| {
            let ColumnWriter::FixedLenByteArrayColumnWriter(writer) = writer else { panic!() };
            writer.write_batch(&[FixedLenByteArray::from(vec![0, 0])], None, None).unwrap();
        },
    );
    assert!(message(&half).contains("column `c` has the type FIXED_LEN_BYTE_ARRAY (Float16)"));
    let list = Type::group_type_builder("list")
        .with_repetition(Repetition::OPTIONAL)
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(column(Physical::INT32, Repetition::REPEATED))]);
    assert!(
        message(&file(list.build().unwrap(), properties(), none))
            .contains("column `list` has the type GROUP")
    );
    let repeated = file(column(Physical::INT32, Repetition::REPEATED), properties(), none);
    assert!(message(&repeated).contains("column `c` has the type INT32"));
}

#[test]
fn rows_and_hashes_are_those_of_the_csv() {
    let table = builtin::breast_cancer();
    let mut text = Vec::new();
    write_csv(&table, &mut text).unwrap();
    let csv = read_csv(&text[..], "a.csv", &Limits::default()).unwrap();
    let parquet = load(&stored(&table)).unwrap();
    assert_eq!(cells(&parquet), cells(&csv));
    assert_eq!(parquet.row_hashes(), csv.row_hashes());
    assert_eq!(parquet.place(0).to_string(), "a.parquet, row 1");
}

#[test]
fn files_are_read_by_their_ending() {
    let path = std::env::temp_dir().join(format!("nexus-models-{}.parquet", std::process::id()));
    std::fs::write(&path, stored(&small())).unwrap();
    let table = read_file(&path, &Limits::default()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(cells(&table), cells(&small()));
}

/// `bytes` with the footer that `change` makes of its own.
fn with_footer(bytes: &[u8], change: impl Fn(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let source = Bytes::copy_from_slice(bytes);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&source).unwrap();
    let size = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[size..][..4].try_into().unwrap()) as usize;
    let mut changed = bytes[..size - length].to_vec();
    ParquetMetaDataWriter::new(&mut changed, &change(metadata)).finish().unwrap();
    changed
}

fn claiming(rows: i64, bytes: i64) -> Vec<u8> {
    with_footer(&stored(&small()), |metadata| {
        let mut builder = metadata.into_builder();
        for group in builder.take_row_groups() {
            let mut group = group.into_builder();
            let columns = group
                .take_columns()
                .into_iter()
                .map(|column| column.into_builder().set_num_values(rows).build().unwrap());
            let columns = columns.collect();
            let group = group.set_num_rows(rows).set_total_byte_size(bytes);
            builder = builder.add_row_group(group.set_column_metadata(columns).build().unwrap());
        }
        builder.build()
    })
}

#[test]
fn claims_beyond_the_limits_are_refused_by_name() {
    assert!(load(&claiming(3, 100)).is_ok(), "the changed footer is a good one");
    assert_eq!(
        message(&claiming(3, 1 << 40)),
        "a.parquet: 1099511627776 bytes in its row groups, at most 4294967296 are allowed"
    );
    assert_eq!(
        message(&claiming(1 << 40, 100)),
        "a.parquet: 1099511627776 rows, at most 67108864 are allowed"
    );
    assert_eq!(
        message(&claiming(-1, 100)),
        "a.parquet: not a readable Parquet file: a count or an offset is negative"
    );
    // Within the limits, but more than there is.
    let error = message(&claiming(1 << 20, 100));
    assert!(error.contains("a column ends before its last row"), "{error}");
    let limits = Limits { cells: 8, ..Limits::default() };
    let error = read_parquet(stored(&small()), "a.parquet", &limits).unwrap_err();
    assert_eq!(error.to_string(), "a.parquet: 3 rows, at most 2 are allowed");
    let limits = Limits { columns: 2, ..Limits::default() };
    let error = read_parquet(stored(&small()), "a.parquet", &limits).unwrap_err();
    assert_eq!(error.to_string(), "a.parquet: 3 columns, at most 2 are allowed");
}

/// A file that consists of this footer.
fn footer(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [b"PAR1", bytes, &length, b"PAR1"].concat()
}

#[test]
fn a_schema_cannot_exhaust_stack_or_memory() {
    // Field 1: version 1; field 2: a list of structs.
    let start = |elements: usize| {
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let mut left = elements;
        while left >= 0x80 {
            bytes.push((left & 0x7f | 0x80).to_le_bytes()[0]);
            left >>= 7;
        }
        bytes.push(left.to_le_bytes()[0]);
        bytes
    };
    // A chain of groups, each the only child of the one before.
    let mut deep = start(1_000_000);
    for _ in 0..1_000_000 {
        deep.extend([0x48, 1, b'g', 0x15, 2, 0]);
    }
    deep.push(0);
    assert_eq!(message(&footer(&deep)), "a.parquet: 999999 columns, at most 16384 are allowed");
    let mut nested = start(3);
    nested.extend([0x48, 1, b'r', 0x15, 2, 0, 0x48, 1, b'g', 0x15, 2, 0, 0x48, 1, b'c', 0, 0]);
    assert!(message(&footer(&nested)).contains("column `g` has the type GROUP"));
    // A root that claims 2^30 children.
    let mut wide = start(1);
    wide.extend([0x48, 1, b'r', 0x15, 0x80, 0x80, 0x80, 0x80, 8, 0, 0]);
    assert!(message(&footer(&wide)).contains("more or fewer columns than it says"));
    // The same in a second list, behind a good one.
    let mut second = start(2);
    second.extend([0x48, 1, b'r', 0x15, 2, 0, 0x48, 1, b'c', 0]);
    let good = [&second[..], &[0]].concat();
    second.extend([0x09, 4, 0x1c, 0x48, 1, b'r', 0x15, 0x80, 0x80, 0x80, 0x80, 8, 0, 0]);
    assert!(message(&footer(&second)).contains("its footer is damaged"));
    assert!(!message(&footer(&good)).contains("damaged"));
    // A footer longer than the file.
    let mut long = stored(&small());
    let at = long.len() - 8;
    long[at..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        message(&long),
        "a.parquet: 4294967295 bytes of footer, at most 67108864 are allowed"
    );
}

#[test]
fn files_that_are_none_are_refused() {
    assert_eq!(message(b""), "a.parquet: the file is empty");
    assert_eq!(message(b"PAR1"), "a.parquet: not a readable Parquet file: it is cut off");
    let csv = "a,b\n1,2\n3,4\n";
    assert!(message(csv.as_bytes()).contains("it does not end in `PAR1`"));
    let wrong = file(
        logical(Physical::BYTE_ARRAY, LogicalType::String),
        WriterProperties::builder().build(),
        |writer| {
            let ColumnWriter::ByteArrayColumnWriter(writer) = writer else { panic!() };
            writer
                .write_batch(&[ByteArray::from("x"), ByteArray::from(vec![0xff])], None, None)
                .unwrap();
        },
    );
    assert_eq!(message(&wrong), "a.parquet, row 2: the text is not UTF-8");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        rows in prop::collection::vec(prop::collection::vec("[x1-9é.-]{0,3}", 3), 1..40),
    ) {
        let column = |at: usize| {
            Column::from_cells(["a", "b", "c"][at], rows.iter().map(|row| Cell::parse(&row[at])))
        };
        let table = Table::new("t", (0..3).map(column).collect()).unwrap();
        prop_assert_eq!(cells(&load(&stored(&table)).unwrap()), cells(&table));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(load(&footer(&bytes)).is_err());
        prop_assert!(load(&bytes).is_err());
    }

    #[test]
    fn a_damaged_file_never_panics(
        cut in 0usize..4000, flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        packed: bool,
    ) {
        let mut bytes = if packed { stored(&small()) } else { plain() };
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let _ = load(&bytes);
        bytes.truncate(cut % bytes.len());
        prop_assert!(load(&bytes).is_err());
    }
}

/// Unpacked, in several encodings, so that damage reaches the decoders.
fn plain() -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .build();
    file(column(Physical::INT64, Repetition::OPTIONAL), properties, |writer| {
        let ColumnWriter::Int64ColumnWriter(writer) = writer else { panic!() };
        writer.write_batch(&[1, 5, -9, 1 << 40], Some(&[1, 0, 1, 1, 0, 1]), None).unwrap();
    })
}
