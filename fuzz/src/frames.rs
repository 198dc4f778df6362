//! Damage to objects of SEAL, and to messages of TenSEAL around them, that leaves whole what is
//! around it: lengths and compression fit again, so that the damage is met where it is.

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::Mutator;

/// What a header begins with: the magic number, and its own size.
const MAGIC: [u8; 3] = [0x5e, 0xa1, 16];
const HEADER: usize = 16;
/// The most that an input is unpacked to, to be damaged within.
const MOST: usize = 1 << 22;
/// Frames within a frame that are looked for.
const INNER: usize = 64;
/// Bytes of a frame that are not words of polynomials, about.
const HEAD: usize = 112;
/// How far messages lie in messages.
const DEPTH: usize = 3;

/// Counts, sizes and scales that readers err at.
const WORDS: [u64; 30] = [
    0,
    1,
    2,
    3,
    14,
    15,
    16,
    17,
    24,
    64,
    65,
    1023,
    1024,
    2047,
    2048,
    2049,
    4096,
    1 << 31,
    1 << 32,
    (1 << 60) + 1,
    1 << 61,
    1 << 62,
    1 << 63,
    u64::MAX - 7,
    u64::MAX,
    0x7ff8_0000_0000_0000, // no number
    0x7ff0_0000_0000_0000, // infinite
    0xbff0_0000_0000_0000, // -1
    0x3ff0_0000_0000_0000, // 1
    0x7e37_e43c_8800_759c, // 1e300
];

/// `bytes` with one to three changes, if they are objects or a message around some.
pub(crate) fn damaged(dice: &mut Mutator, bytes: &[u8]) -> Option<Vec<u8>> {
    change(dice, bytes, DEPTH)
}

fn change(dice: &mut Mutator, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    if let Some(mut objects) = objects(bytes) {
        shuffle(dice, &mut objects);
        let at = dice.index(objects.len().max(1));
        if let Some(object) = objects.get_mut(at) {
            *object = repacked(dice, object);
        }
        return Some(objects.concat());
    }
    let mut fields = fields(bytes).filter(|_| depth > 0)?;
    shuffle(dice, &mut fields);
    let at = dice.index(fields.len().max(1));
    if let Some(field) = fields.get_mut(at) {
        field.change(dice, depth);
    }
    Some(fields.iter().flat_map(Field::bytes).collect())
}

/// Leaves one out or has it twice, rarely.
fn shuffle<T: Clone>(dice: &mut Mutator, all: &mut Vec<T>) {
    let at = dice.index(all.len());
    match dice.index(16) {
        0 => drop(all.remove(at)),
        1 => all.insert(at, all[at].clone()),
        _ => {}
    }
}

/// The objects that follow each other, if there is nothing else.
fn objects(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut objects = Vec::new();
    while !bytes.is_empty() {
        let (object, rest) = bytes.split_at_checked(size_of_frame(bytes)?)?;
        objects.push(object.to_vec());
        bytes = rest;
    }
    (!objects.is_empty()).then_some(objects)
}

fn size_of_frame(bytes: &[u8]) -> Option<usize> {
    let size = bytes.strip_prefix(&MAGIC)?.get(5..13)?.first_chunk()?;
    usize::try_from(u64::from_le_bytes(*size)).ok().filter(|size| *size >= HEADER)
}

/// A field of a message of Protocol Buffers.
#[derive(Clone)]
struct Field {
    key: u64,
    /// A number, or the bits of a double.
    value: u64,
    content: Vec<u8>,
}

const VARINT: u64 = 0;
const DOUBLE: u64 = 1;
const BYTES: u64 = 2;

impl Field {
    fn change(&mut self, dice: &mut Mutator, depth: usize) {
        if self.key & 7 != BYTES {
            self.value = dice.word(self.value);
        } else if let Some(changed) = change(dice, &self.content, depth - 1) {
            self.content = changed;
        } else {
            dice.damage(&mut self.content, &[]);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.key);
        match self.key & 7 {
            VARINT => put_varint(&mut out, self.value),
            DOUBLE => out.extend_from_slice(&self.value.to_le_bytes()),
            _ => {
                put_varint(&mut out, self.content.len() as u64);
                out.extend_from_slice(&self.content);
            }
        }
        out
    }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let mut field = Field { key: varint(&mut bytes)?, value: 0, content: Vec::new() };
        match field.key & 7 {
            VARINT => field.value = varint(&mut bytes)?,
            DOUBLE => {
                let (value, rest) = bytes.split_first_chunk()?;
                (field.value, bytes) = (u64::from_le_bytes(*value), rest);
            }
            BYTES => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (content, rest) = bytes.split_at_checked(length)?;
                (field.content, bytes) = (content.to_vec(), rest);
            }
            _ => return None,
        }
        fields.push(field);
    }
    (!fields.is_empty()).then_some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// One object with a changed payload, perhaps compressed in another way.
fn repacked(dice: &mut Mutator, frame: &[u8]) -> Vec<u8> {
    let (Some(mut payload), [_, _, _, major, minor, ..]) = (payload(frame), frame) else {
        return frame.to_vec();
    };
    let mut version = [*major, *minor];
    if dice.index(8) == 0 {
        version = [3 + dice.byte() % 3, dice.byte() % 8];
    }
    for _ in 0..=dice.index(2) {
        change_payload(dice, &mut payload, version);
    }
    let mode = dice.byte() % 3;
    let mut bytes = framed(version, mode, &payload);
    if dice.index(16) == 0 {
        bytes.extend_from_slice(&frame[..dice.index(frame.len())]);
        let size = (bytes.len() as u64).to_le_bytes();
        bytes[8..HEADER].copy_from_slice(&size);
    }
    bytes
}

fn payload(frame: &[u8]) -> Option<Vec<u8>> {
    let body = frame.get(HEADER..)?;
    match frame[5] {
        0 => Some(body.to_vec()),
        1 => decompress_to_vec_zlib_with_limit(body, MOST).ok(),
        2 => zstd::bulk::decompress(body, MOST).ok(),
        _ => None,
    }
}

/// A frame around a payload, which is compressed as `mode` says.
pub(crate) fn framed([major, minor]: [u8; 2], mode: u8, payload: &[u8]) -> Vec<u8> {
    let packed = match mode {
        1 => compress_to_vec_zlib(payload, 1),
        2 => zstd::bulk::compress(payload, 1).unwrap_or_default(),
        _ => payload.to_vec(),
    };
    let size = ((packed.len() + HEADER) as u64).to_le_bytes();
    [&MAGIC[..], &[major, minor, mode, 0, 0], &size, &packed].concat()
}

fn change_payload(dice: &mut Mutator, payload: &mut Vec<u8>, version: [u8; 2]) {
    let inner = inner(payload);
    let at = inner.get(dice.index(inner.len() + 1)).copied();
    let head = at.unwrap_or_default();
    let place = payload.len().min(head + dice.index(HEAD));
    match dice.index(10) {
        0..4 => {
            let old = payload[place..].first_chunk().copied().map_or(0, u64::from_le_bytes);
            let new = dice.word(old).to_le_bytes();
            payload[place..].iter_mut().zip(new).for_each(|(byte, new)| *byte = new);
        }
        4 => payload.truncate(place),
        5 => payload[place..].fill([0, 0xff, 1][dice.index(3)]),
        6 => {
            let length = 1 << dice.index(20);
            payload.extend(std::iter::repeat_n(dice.byte(), length));
        }
        7 => {
            let end = payload.len().min(place + dice.index(HEAD));
            payload.extend_from_within(place..end);
        }
        _ => {
            let Some(size) = at.and_then(|at| size_of_frame(&payload[at..])) else { return };
            let end = payload.len().min(head.saturating_add(size));
            let body = payload[(head + HEADER).min(end)..end].to_vec();
            // As it is, or a few bytes that grow to as much as a reader may be made to believe.
            let body = if dice.index(2) == 0 { body } else { vec![0; 1 << (16 + dice.index(7))] };
            payload.splice(head..end, framed(version, 1 + dice.byte() % 2, &body));
        }
    }
}

/// Where frames begin in a payload.
fn inner(payload: &[u8]) -> Vec<usize> {
    let begins = |at: &usize| payload[*at..].starts_with(&MAGIC);
    (0..payload.len()).filter(begins).take(INNER).collect()
}

impl Mutator {
    fn byte(&mut self) -> u8 {
        u8::try_from(self.index(256)).unwrap_or_default()
    }

    /// A number to stand where `old` stood.
    fn word(&mut self, old: u64) -> u64 {
        match self.index(8) {
            0 => old.wrapping_add(1),
            1 => old.wrapping_sub(1),
            2 => old ^ 1 << self.index(64),
            _ => WORDS[self.index(WORDS.len())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_the_damage_fits() {
        let inside = framed([4, 4], 0, &[7; 40]);
        let object = framed([4, 4], 2, &[&[1; 48], inside.as_slice()].concat());
        let mut message = vec![0x12];
        put_varint(&mut message, object.len() as u64);
        message.extend_from_slice(&object);
        let mut dice = Mutator::new(1);
        for bytes in [object.clone(), [object.as_slice(), &object].concat(), message] {
            let mut changed = 0;
            for _ in 0..200 {
                let now = damaged(&mut dice, &bytes).unwrap();
                let whole = now.is_empty() || objects(&now).is_some() || fields(&now).is_some();
                assert!(whole);
                changed += usize::from(now != bytes);
            }
            assert!(changed > 150, "{changed}");
        }
        assert!(damaged(&mut dice, b"").is_none());
        assert_eq!(payload(&object).unwrap().len(), 48 + inside.len());
    }
}
