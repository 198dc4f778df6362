//! Records of a CSV file, with their lines, in bounded memory.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader};

use super::limits::MAX_RECORD_BYTES;

/// Fields and bytes that a record has room for at first.
const FIRST_FIELDS: usize = 64;
const FIRST_BYTES: usize = 1024;

/// What a call of [`Records::advance`] found.
pub(super) enum Advance {
    /// A record.
    Record,
    /// The end of the file.
    End,
    /// A record of more than [`MAX_RECORD_BYTES`].
    TooManyBytes,
    /// A record of more fields than are allowed.
    TooManyFields,
}

/// The records of a CSV file, one at a time.
pub(super) struct Records<R> {
    source: R,
    parser: Reader,
    max_fields: usize,
    /// The fields of the record, one after the other.
    bytes: Vec<u8>,
    /// End of every field in `bytes`.
    ends: Vec<usize>,
    fields: usize,
    /// Lines that are behind us.
    lines: u64,
    /// Line in which the record starts, from 1.
    line: u64,
}

impl<R: BufRead> Records<R> {
    /// The records of `source`, of at most `max_fields` fields each.
    pub(super) fn new(source: R, delimiter: u8, max_fields: usize) -> Self {
        Self {
            source,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            max_fields,
            bytes: vec![0; FIRST_BYTES],
            ends: vec![0; FIRST_FIELDS.min(max_fields + 1)],
            fields: 0,
            lines: 0,
            line: 0,
        }
    }

    /// Line of the current record, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Number of fields of the current record.
    pub(super) fn len(&self) -> usize {
        self.fields
    }

    /// The fields of the current record.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends[..self.fields]).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Goes on to the next record; empty lines are passed over.
    pub(super) fn advance(&mut self) -> io::Result<Advance> {
        let (mut bytes, mut fields) = (0, 0);
        let mut started = false;
        loop {
            let input = self.source.fill_buf()?;
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut self.bytes[bytes..], &mut self.ends[fields..]);
            let input = &input[..read];
            let first = input.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
            if let (false, Some(first)) = (started, first) {
                started = true;
                self.line = self.lines + line_feeds(&input[..first]) + 1;
            }
            self.lines += line_feeds(input);
            self.source.consume(read);
            (bytes, fields) = (bytes + written, fields + ended);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if bytes as u64 >= MAX_RECORD_BYTES => {
                    return Ok(Advance::TooManyBytes);
                }
                ReadRecordResult::OutputFull => self.bytes.resize(2 * bytes, 0),
                ReadRecordResult::OutputEndsFull | ReadRecordResult::Record
                    if fields > self.max_fields =>
                {
                    return Ok(Advance::TooManyFields);
                }
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize((2 * fields).min(self.max_fields + 1), 0);
                }
                ReadRecordResult::Record => {
                    self.fields = fields;
                    return Ok(Advance::Record);
                }
                ReadRecordResult::End => return Ok(Advance::End),
            }
        }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.split(|&byte| byte == b'\n').count() as u64 - 1
}
