//! Decompression that gives what is asked for and no byte more.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};
use zeroize::Zeroizing;
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::frame::Mode;
use super::{PackedError, SealError};

/// Zstandard's fastest level: words are random but for their upper bits, and more effort finds no more.
const LEVEL: i32 = 1;

/// The largest window that SEAL decodes, as a power of two; it bounds the decoder's memory.
const ZSTD_WINDOW_LOG: u32 = 23;
/// What zlib compresses at by default.
const ZLIB_LEVEL: u8 = 6;

/// A compressed stream, decoded as it is read.
pub(super) struct Packed<'a> {
    input: &'a [u8],
    engine: Engine,
    mode: Mode,
    ended: bool,
}

enum Engine {
    Zlib(Box<InflateState>),
    Zstd(Decoder<'static>),
}

impl<'a> Packed<'a> {
    pub(super) fn zlib(input: &'a [u8]) -> Self {
        let engine = Engine::Zlib(InflateState::new_boxed(DataFormat::Zlib));
        Self { input, engine, mode: Mode::Zlib, ended: false }
    }

    pub(super) fn zstd(input: &'a [u8]) -> Result<Self, SealError> {
        let why = PackedError::Memory;
        let memory = |_| SealError::Packed { mode: Mode::Zstd, why };
        let mut decoder = Decoder::new().map_err(memory)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(memory)?;
        Ok(Self { input, engine: Engine::Zstd(decoder), mode: Mode::Zstd, ended: false })
    }

    fn error(&self, why: PackedError) -> SealError {
        SealError::Packed { mode: self.mode, why }
    }

    /// Fills `out`.
    pub(super) fn fill(&mut self, mut out: &mut [u8]) -> Result<(), SealError> {
        while !out.is_empty() {
            let written = self.step(out)?;
            if written == 0 && self.ended {
                return Err(self.error(PackedError::Short));
            }
            out = out.get_mut(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// That nothing is left, neither in the stream nor behind it.
    pub(super) fn finish(mut self) -> Result<(), SealError> {
        while !self.ended {
            if self.step(&mut [0])? != 0 {
                return Err(self.error(PackedError::Long));
            }
        }
        let left = self.input.len();
        if left == 0 { Ok(()) } else { Err(self.error(PackedError::Behind { left })) }
    }

    /// Decodes once into `out`, which has room; how much. Without progress, an error.
    fn step(&mut self, out: &mut [u8]) -> Result<usize, SealError> {
        if self.ended {
            return Ok(0);
        }
        let (read, written) = match &mut self.engine {
            Engine::Zlib(state) => {
                let result = inflate(state, self.input, out, MZFlush::None);
                self.ended = result.status == Ok(MZStatus::StreamEnd);
                let stuck = result.bytes_consumed == 0 && result.bytes_written == 0;
                if result.status.is_err() && !(stuck && self.input.is_empty()) {
                    return Err(self.error(PackedError::Broken));
                }
                (result.bytes_consumed, result.bytes_written)
            }
            Engine::Zstd(decoder) => {
                let Ok(status) = decoder.run_on_buffers(self.input, out) else {
                    return Err(self.error(PackedError::Broken));
                };
                self.ended = status.remaining == 0;
                (status.bytes_read, status.bytes_written)
            }
        };
        self.input = self.input.get(read..).unwrap_or_default();
        if read == 0 && written == 0 && !self.ended {
            return Err(self.error(PackedError::Cut));
        }
        Ok(written)
    }
}

/// `payload` compressed; as it is where `mode` says so.
pub(super) fn pack(
    mode: Mode,
    payload: Zeroizing<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    match mode {
        Mode::None => Ok(payload),
        Mode::Zlib => {
            let packed = miniz_oxide::deflate::compress_to_vec_zlib(&payload, ZLIB_LEVEL);
            Ok(Zeroizing::new(packed))
        }
        // Level 0 stands for the default one, whose window is 2^21 bytes.
        Mode::Zstd => match zstd::bulk::compress(&payload, LEVEL) {
            Ok(packed) => Ok(Zeroizing::new(packed)),
            Err(_) => Err(SealError::Packed { mode, why: PackedError::Memory }),
        },
    }
}
