//! The frame around every object of SEAL: sixteen bytes, then the payload, perhaps compressed.

use std::fmt;

use zeroize::Zeroizing;

use super::inflate::{Packed, pack};
use super::{Limits, SealError};

/// Bytes of the header of a frame.
pub(super) const HEADER: usize = 16;
const MAGIC: u16 = 0xa15e;
/// The newest version that is read.
const NEWEST: Version = Version { major: 4, minor: 4 };
/// Words that are read in one piece.
const PIECE: usize = 1024;

/// The version of SEAL that an object is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 or 4.
    pub major: u8,
    /// From 3.4 and from 4.0 on.
    pub minor: u8,
}

impl Version {
    /// The label that SEAL 3.7 and every SEAL 4 read.
    pub const WIDELY_READ: Self = Self { major: 3, minor: 7 };
    const OLD_HEADER: Self = Self { major: 3, minor: 4 };
    /// From here on a seed is stretched as it is today.
    const SEEDS: Self = Self { major: 3, minor: 6 };

    /// The label for a peer of which an object with this label was seen: SEAL 4.0 to 4.3 read
    /// their own minor version only.
    #[must_use]
    pub fn answered(self) -> Self {
        if self.check().is_ok() && self >= Self::SEEDS && (self.major == 4 || self.minor <= 7) {
            self
        } else {
            Self::WIDELY_READ
        }
    }

    pub(super) fn check(self) -> Result<(), SealError> {
        match (self.major, self.minor) {
            (3, 4..) => Ok(()),
            (4, minor) if minor <= NEWEST.minor => Ok(()),
            (4, _) => Err(SealError::NewerVersion { got: self, newest: NEWEST }),
            _ => Err(SealError::Version { got: self }),
        }
    }

    /// Whether ciphertexts carry a correction factor.
    pub(super) fn has_correction(self) -> bool {
        self.major >= 4
    }

    pub(super) fn check_seeds(self) -> Result<(), SealError> {
        if self >= Self::SEEDS { Ok(()) } else { Err(SealError::OldSeed { version: self }) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Not at all.
    None,
    /// As a zlib stream.
    Zlib,
    /// As one frame of Zstandard, which SEAL takes by default.
    Zstd,
}

impl Mode {
    fn from_byte(got: u8) -> Result<Self, SealError> {
        match got {
            0 => Ok(Self::None),
            1 => Ok(Self::Zlib),
            2 => Ok(Self::Zstd),
            _ => Err(SealError::Mode { got }),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zlib => 1,
            Self::Zstd => 2,
        }
    }
}

/// How objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// The label.
    pub version: Version,
    /// How the payload is compressed.
    pub mode: Mode,
}

/// What every SEAL since 3.7 reads if it was built with Zstandard, as it is by default.
impl Default for Encoding {
    fn default() -> Self {
        Self { version: Version::WIDELY_READ, mode: Mode::Zstd }
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version that wrote it.
    pub version: Version,
    /// How the payload is compressed.
    pub mode: Mode,
    /// Bytes of the frame as stored, header included: what it says, not what is there.
    pub size: u64,
}

impl Header {
    /// Reads the header that `bytes` begin with, for example to learn a peer's version.
    ///
    /// # Errors
    ///
    /// Another magic number or size of header, a version or mode that is not read, a reserved
    /// field that is not 0, or a size below that of the header.
    pub fn read(bytes: &[u8]) -> Result<Self, SealError> {
        let short = SealError::Truncated { needed: HEADER as u64, left: bytes.len() as u64 };
        Self::parse(*bytes.first_chunk().ok_or(short)?)
    }

    fn parse(bytes: [u8; HEADER]) -> Result<Self, SealError> {
        let [m0, m1, length, major, minor, mode, r0, r1, size @ ..] = bytes;
        let magic = u16::from_le_bytes([m0, m1]);
        if magic != MAGIC {
            return Err(SealError::Magic { got: magic });
        }
        let header = if length == 0 {
            // SEAL 3.4: mode, four bytes of size, and nothing more.
            let unused = u64::from_le_bytes(size);
            if unused != 0 {
                return Err(SealError::Reserved { got: unused });
            }
            let size = u64::from(u32::from_le_bytes([minor, mode, r0, r1]));
            Self { version: Version::OLD_HEADER, mode: Mode::from_byte(major)?, size }
        } else {
            if usize::from(length) != HEADER {
                return Err(SealError::HeaderSize { got: length });
            }
            let version = Version { major, minor };
            version.check()?;
            let reserved = u16::from_le_bytes([r0, r1]);
            if reserved != 0 {
                return Err(SealError::Reserved { got: reserved.into() });
            }
            Self { version, mode: Mode::from_byte(mode)?, size: u64::from_le_bytes(size) }
        };
        if header.size < HEADER as u64 {
            return Err(SealError::SmallFrame { size: header.size });
        }
        Ok(header)
    }

    fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
        let fields = [16, self.version.major, self.version.minor, self.mode.byte()];
        bytes[2..6].copy_from_slice(&fields);
        bytes[8..].copy_from_slice(&self.size.to_le_bytes());
        bytes
    }
}

enum Source<'a> {
    Plain(&'a [u8]),
    Packed(Packed<'a>),
}

/// Reads the payload of a frame, and frames within it.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    /// Of the innermost frame.
    version: Version,
    /// Bytes read, and how many the innermost uncompressed frame lets be read.
    at: u64,
    end: u64,
    /// Bytes of memory that words may still take.
    budget: u64,
}

/// Reads the one object that `bytes` are: `parse` reads its payload.
pub(super) fn read_object<T>(
    bytes: &[u8],
    limits: Limits,
    parse: impl FnOnce(&mut Reader<'_>) -> Result<T, SealError>,
) -> Result<T, SealError> {
    let (value, rest) = read_first(bytes, limits, parse)?;
    if rest.is_empty() { Ok(value) } else { Err(SealError::Trailing { left: rest.len() as u64 }) }
}

/// Reads the object that `bytes` begin with, and gives the bytes after it.
pub(super) fn read_first<T>(
    bytes: &[u8],
    limits: Limits,
    parse: impl FnOnce(&mut Reader<'_>) -> Result<T, SealError>,
) -> Result<(T, &[u8]), SealError> {
    let header = Header::read(bytes)?;
    let beyond = SealError::Beyond { size: header.size, available: bytes.len() as u64 };
    let size = usize::try_from(header.size).ok();
    let (frame, rest) = size.and_then(|size| bytes.split_at_checked(size)).ok_or(beyond)?;
    let payload = frame.get(HEADER..).unwrap_or_default();
    let mut reader = Reader::new(payload, header, limits.bytes)?;
    let value = parse(&mut reader)?;
    reader.finish()?;
    Ok((value, rest))
}

impl<'a> Reader<'a> {
    fn new(payload: &'a [u8], header: Header, budget: u64) -> Result<Self, SealError> {
        let source = match header.mode {
            Mode::None => Source::Plain(payload),
            Mode::Zlib => Source::Packed(Packed::zlib(payload)),
            Mode::Zstd => Source::Packed(Packed::zstd(payload)?),
        };
        let end = match source {
            Source::Plain(_) => payload.len() as u64,
            Source::Packed(_) => u64::MAX,
        };
        Ok(Self { source, version: header.version, at: 0, end, budget })
    }

    /// The version of the innermost frame.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    fn finish(self) -> Result<(), SealError> {
        match self.source {
            Source::Plain([]) => Ok(()),
            Source::Plain(_) => {
                let header = HEADER as u64;
                Err(SealError::LongFrame { size: self.end + header, used: self.at + header })
            }
            Source::Packed(packed) => packed.finish(),
        }
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<(), SealError> {
        let needed = out.len() as u64;
        let left = self.end.saturating_sub(self.at);
        if needed > left {
            return Err(SealError::Truncated { needed, left });
        }
        match &mut self.source {
            Source::Plain(bytes) => {
                let short = SealError::Truncated { needed, left: bytes.len() as u64 };
                let (taken, rest) = bytes.split_at_checked(out.len()).ok_or(short)?;
                out.copy_from_slice(taken);
                *bytes = rest;
            }
            Source::Packed(packed) => packed.fill(out)?,
        }
        self.at = self.at.saturating_add(needed);
        Ok(())
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], SealError> {
        let mut bytes = [0; LENGTH];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, SealError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn word(&mut self) -> Result<u64, SealError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn double(&mut self) -> Result<f64, SealError> {
        Ok(f64::from_bits(self.word()?))
    }

    /// `count` words, which whoever asks has checked against the parameters.
    pub(super) fn words(&mut self, count: usize) -> Result<Vec<u64>, SealError> {
        let needed = (count as u64).saturating_mul(8);
        let budget = self.budget;
        let over = || SealError::Memory { needed, left: budget };
        self.budget = budget.checked_sub(needed).ok_or_else(over)?;
        let left = self.end.saturating_sub(self.at);
        if needed > left {
            return Err(SealError::Truncated { needed, left });
        }
        let mut words = Zeroizing::new(Vec::new());
        words.try_reserve_exact(count).map_err(|_| over())?;
        let mut piece = Zeroizing::new([0; 8 * PIECE]);
        while words.len() < count {
            let bytes = piece.get_mut(..8 * PIECE.min(count - words.len())).unwrap_or_default();
            self.fill(bytes)?;
            words.extend(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)));
        }
        Ok(std::mem::take(&mut *words))
    }

    /// A frame within this one, of at most `limit` bytes of payload when it is not compressed.
    pub(super) fn frame<T>(
        &mut self,
        limit: u64,
        parse: impl FnOnce(&mut Reader<'_>) -> Result<T, SealError>,
    ) -> Result<T, SealError> {
        let header = Header::parse(self.array()?)?;
        let stored = header.size - HEADER as u64;
        let left = self.end.saturating_sub(self.at);
        if stored > left {
            return Err(SealError::Beyond { size: header.size, available: left + HEADER as u64 });
        }
        if header.mode == Mode::None {
            return self.plain_frame(header, parse);
        }
        // What does not compress grows by less than this.
        let most = limit + limit / 64 + 1024;
        let large = || SealError::LargeFrame { size: header.size, most };
        let length = usize::try_from(stored).ok().filter(|_| stored <= most).ok_or_else(large)?;
        let mut payload = Zeroizing::new(Vec::new());
        payload.try_reserve_exact(length).map_err(|_| large())?;
        payload.resize(length, 0);
        self.fill(&mut payload)?;
        let mut inner = Reader::new(&payload, header, self.budget)?;
        let value = parse(&mut inner)?;
        self.budget = inner.budget;
        inner.finish()?;
        Ok(value)
    }

    fn plain_frame<T>(
        &mut self,
        header: Header,
        parse: impl FnOnce(&mut Reader<'_>) -> Result<T, SealError>,
    ) -> Result<T, SealError> {
        let (version, end, begin) = (self.version, self.end, self.at);
        self.version = header.version;
        self.end = self.at.saturating_add(header.size - HEADER as u64);
        let value = parse(self)?;
        if self.at != self.end {
            let used = self.at - begin + HEADER as u64;
            return Err(SealError::LongFrame { size: header.size, used });
        }
        (self.version, self.end) = (version, end);
        Ok(value)
    }
}

/// Writes the payload of a frame, and frames within it.
pub(super) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
    version: Version,
}

impl Writer {
    /// An object whose payload, of about `size` bytes, `emit` writes.
    pub(super) fn object(
        encoding: Encoding,
        size: usize,
        emit: impl FnOnce(&mut Self),
    ) -> Result<Vec<u8>, SealError> {
        Self::secret(encoding, size, emit).map(|mut bytes| std::mem::take(&mut *bytes))
    }

    /// The same in memory that is wiped, and is not moved if `size` is enough.
    pub(super) fn secret(
        encoding: Encoding,
        size: usize,
        emit: impl FnOnce(&mut Self),
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let mut writer = Self { bytes: reserve(size)?, version: encoding.version };
        if encoding.mode == Mode::None {
            writer.frame(emit);
            return Ok(writer.bytes);
        }
        emit(&mut writer);
        let packed = pack(encoding.mode, writer.bytes)?;
        let mut bytes = reserve(packed.len())?;
        let size = (packed.len() + HEADER) as u64;
        let header = Header { version: encoding.version, mode: encoding.mode, size };
        bytes.extend_from_slice(&header.bytes());
        bytes.extend_from_slice(&packed);
        Ok(bytes)
    }

    /// The version that is written.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }

    pub(super) fn double(&mut self, value: f64) {
        self.word(value.to_bits());
    }

    /// The frame of an array.
    pub(super) fn array(&mut self, words: &[u64]) {
        self.frame(|writer| {
            writer.word(words.len() as u64);
            for word in words {
                writer.word(*word);
            }
        });
    }

    /// A frame that is not compressed.
    pub(super) fn frame(&mut self, emit: impl FnOnce(&mut Self)) {
        let begin = self.bytes.len();
        self.bytes(&[0; HEADER]);
        emit(self);
        let size = (self.bytes.len() - begin) as u64;
        let header = Header { version: self.version, mode: Mode::None, size };
        if let Some(place) = self.bytes.get_mut(begin..).and_then(<[u8]>::first_chunk_mut) {
            *place = header.bytes();
        }
    }
}

/// Room for a frame with `payload` bytes.
fn reserve(payload: usize) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let size = payload.saturating_add(HEADER);
    let (needed, left) = (size as u64, isize::MAX.cast_unsigned() as u64);
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(size).map_err(|_| SealError::Memory { needed, left })?;
    Ok(bytes)
}
