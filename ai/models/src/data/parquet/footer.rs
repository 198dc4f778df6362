//! A look at the schema in a raw footer, before the decoder builds it.
//!
//! The footer is a Thrift struct in the compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>); field 2
//! of it is the list of schema elements, in which each group says how many children follow.

use parquet::file::reader::ChunkReader;

use super::super::error::{DataError, shown};
use super::super::limits::Limits;
use super::{malformed, too_large, undecodable};

const MAGIC: &[u8] = b"PAR1";
/// Length of the footer (4 bytes) and magic, at the end of the file.
const TAIL_BYTES: usize = 8;
/// Bytes of a footer: a hundred thousand column chunks, generously.
const MAX_FOOTER_BYTES: usize = 1 << 26;
/// Structs in lists in structs: the format has fewer than ten levels.
const MAX_DEPTH: u32 = 32;

/// Field ids of the format.
const FILE_SCHEMA: i16 = 2;
const ELEMENT_NAME: i16 = 4;
const ELEMENT_CHILDREN: i16 = 5;

/// Refuses a footer that is cut off, and a schema that is not a flat list of columns.
pub(super) fn check(
    source: &impl ChunkReader,
    name: &str,
    limits: &Limits,
) -> Result<(), DataError> {
    let bytes = |length: u64, size: usize| {
        let start =
            length.checked_sub(size as u64).ok_or_else(|| malformed(name, "it is cut off"))?;
        source.get_bytes(start, size).map_err(|error| undecodable(name, &error))
    };
    let length = source.len();
    let tail = bytes(length, TAIL_BYTES)?;
    let (size, magic) = tail.split_at(4);
    if magic != MAGIC {
        return Err(malformed(name, "it does not end in `PAR1`"));
    }
    let size = size.iter().rev().fold(0, |size, &byte| size << 8 | usize::from(byte));
    if size > MAX_FOOTER_BYTES {
        return Err(too_large(name, "bytes of footer", size as u64, MAX_FOOTER_BYTES as u64));
    }
    let footer = bytes(length - TAIL_BYTES as u64, size)?;
    let schema = Scan(&footer).schema().ok_or_else(|| malformed(name, "its footer is damaged"))?;
    let columns = schema.elements - 1;
    if columns > limits.columns as u64 {
        return Err(too_large(name, "columns", columns, limits.columns as u64));
    }
    if let Some(column) = schema.group {
        let (file, column, kind) = (name.into(), shown(&column), "GROUP".into());
        return Err(DataError::UnsupportedType { file, column, kind });
    }
    if columns != schema.children {
        return Err(malformed(name, "its schema has more or fewer columns than it says"));
    }
    Ok(())
}

/// What a schema says about its size.
struct Shape {
    /// Elements, the root included: at least one.
    elements: u64,
    /// Children of the root.
    children: u64,
    /// The first element below the root that has children itself.
    group: Option<String>,
}

/// Thrift values still to be read. All methods return `None` where the bytes end or make no
/// sense.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn schema(&mut self) -> Option<Shape> {
        let mut shape = None;
        self.fields(MAX_DEPTH, |scan, id, kind, depth| {
            if id != FILE_SCHEMA {
                return scan.skip(kind, depth);
            }
            // A second schema would replace the one that was looked at.
            if kind != LIST || shape.is_some() {
                return None;
            }
            let (elements, kind) = scan.list()?;
            let ((_, children), mut group) = (scan.element(kind, depth)?, None);
            for _ in 1..elements {
                let (name, children) = scan.element(kind, depth)?;
                if children > 0 && group.is_none() {
                    group = Some(String::from_utf8_lossy(name).into_owned());
                }
            }
            shape = Some(Shape { elements, children, group });
            Some(())
        })?;
        shape.filter(|shape| shape.elements > 0)
    }

    /// Name and number of children of a schema element.
    fn element(&mut self, kind: u8, depth: u32) -> Option<(&'a [u8], u64)> {
        if kind != STRUCT {
            return None;
        }
        let (mut name, mut children) = (&[][..], 0);
        self.fields(depth, |scan, id, kind, depth| match (id, kind) {
            (ELEMENT_NAME, BINARY) => {
                name = scan.binary()?;
                Some(())
            }
            (ELEMENT_CHILDREN, I32) => {
                children = children.max(u64::try_from(scan.signed()?).ok()?);
                Some(())
            }
            // A decoder that goes by the id alone would read something else here.
            (ELEMENT_NAME | ELEMENT_CHILDREN, _) => None,
            _ => scan.skip(kind, depth),
        })?;
        Some((name, children))
    }

    /// Calls `read` with id, type and remaining depth for every field of a struct.
    fn fields(
        &mut self,
        depth: u32,
        mut read: impl FnMut(&mut Self, i16, u8, u32) -> Option<()>,
    ) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut id = 0i16;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            id = match header >> 4 {
                0 => i16::try_from(self.signed()?).ok()?,
                step => id.checked_add(i16::from(step))?,
            };
            read(self, id, header & 0x0f, depth)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            TRUE | FALSE => Some(()),
            I8 => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => self.take(8).map(drop),
            UUID => self.take(16).map(drop),
            BINARY => self.binary().map(drop),
            LIST | SET => {
                let depth = depth.checked_sub(1)?;
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            MAP => {
                let depth = depth.checked_sub(1)?;
                let count = self.varint()?;
                let kinds = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            STRUCT => self.fields(depth, |scan, _, kind, depth| scan.skip(kind, depth)),
            _ => None,
        }
    }

    /// A truth value is a byte in a list, but part of the header in a struct.
    fn skip_element(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            TRUE | FALSE => self.byte().map(drop),
            _ => self.skip(kind, depth),
        }
    }

    /// Length and element type of a list.
    fn list(&mut self) -> Option<(u64, u8)> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Some((count, header & 0x0f))
    }

    fn binary(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    fn signed(&mut self) -> Option<i64> {
        let zigzag = self.varint()?;
        Some((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I8: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;
