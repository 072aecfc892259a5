//! The compression of Arrow buffers, each by itself (`records.md` §1.6).

use std::cell::RefCell;
use std::io::{Read, Write};

use arrow::buffer::Buffer;
use arrow::ipc::CompressionType;
use zstd::bulk::{Compressor, Decompressor};

use crate::error::DecodeError;
use crate::types::{Compression, ZstdLevel};

const PREFIX_BYTES: usize = 8;
/// The prefix of a buffer that is stored as it is, because compression does not make it smaller.
const UNCOMPRESSED: i64 = -1;

/// How many bytes one compressed byte becomes at most. Zstandard has blocks of 4 bytes that stand for 128 KiB of one
/// and the same byte; the length of an LZ4 match grows by 255 with each byte.
pub(crate) const ZSTD_EXPANSION: usize = 32 << 10;
pub(crate) const LZ4_EXPANSION: usize = 255;

/// The largest buffer that is decompressed, whatever a batch claims.
pub(super) const MAX_BUFFER_BYTES: usize = 256 << 20;

thread_local! {
    // A context costs more to make than a small buffer to compress.
    static COMPRESSOR: RefCell<Option<(ZstdLevel, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends a buffer, compressed if that makes it smaller, with the prefix that tells.
pub(super) fn compress(compression: Compression, raw: &[u8], out: &mut Vec<u8>) {
    if compression == Compression::None || raw.is_empty() {
        return out.extend_from_slice(raw);
    }
    let start = out.len();
    out.extend_from_slice(&(raw.len() as i64).to_le_bytes());
    let written = match compression {
        Compression::None => None,
        Compression::Lz4Frame => lz4(raw, out),
        Compression::Zstd(level) => zstd(level, raw, out),
    };
    if written.is_none_or(|written| written >= raw.len()) {
        out.truncate(start);
        out.extend_from_slice(&UNCOMPRESSED.to_le_bytes());
        out.extend_from_slice(raw);
    }
}

/// The number of bytes appended; nothing if it did not work out, which leaves the buffer uncompressed.
fn lz4(raw: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut *out);
    encoder.write_all(raw).ok()?;
    encoder.finish().ok()?;
    Some(out.len() - start)
}

fn zstd(level: ZstdLevel, raw: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(raw.len()), 0);
    let written = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(other, _)| *other != level) {
            *slot = Some((level, Compressor::new(level.get()).ok()?));
        }
        let (_, compressor) = slot.as_mut()?;
        compressor.compress_to_buffer(raw, out.get_mut(start..)?).ok()
    });
    out.truncate(start + written.unwrap_or(0));
    written
}

/// A stored buffer, as its prefix describes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    /// As it is, so many bytes from here on.
    Plain { from: usize, size: usize },
    /// Compressed behind the prefix, and so many bytes when it is decompressed.
    Compressed { size: usize },
}

impl Stored {
    /// Looks at a stored buffer, of which at most `expected` bytes are needed: it may say little more.
    pub(super) fn read(codec: CompressionType, stored: &[u8], expected: usize) -> Result<Self, DecodeError> {
        let most_of_a_byte = match codec {
            CompressionType::ZSTD => ZSTD_EXPANSION,
            CompressionType::LZ4_FRAME => LZ4_EXPANSION,
            other => return Err(fault(format!("unknown codec {other:?}"))),
        };
        if stored.is_empty() {
            return Ok(Self::Plain { from: 0, size: 0 });
        }
        let Some((prefix, frame)) = stored.split_first_chunk::<PREFIX_BYTES>() else {
            return Err(DecodeError::truncated(
                "compressed buffer",
                PREFIX_BYTES,
                stored.len(),
            ));
        };
        let (from, stored) = (PREFIX_BYTES, frame.len());
        let size = match i64::from_le_bytes(*prefix) {
            UNCOMPRESSED => return Ok(Self::Plain { from, size: stored }),
            size => usize::try_from(size).map_err(|_| fault(format!("a size of {size} bytes")))?,
        };
        // Writers may pad what they compress.
        let limit = expected.saturating_add(64).min(MAX_BUFFER_BYTES);
        if size > limit {
            return Err(fault(format!(
                "{size} bytes decompressed, at most {limit} are expected"
            )));
        }
        if size > stored.saturating_mul(most_of_a_byte) {
            return Err(fault(format!("{stored} bytes cannot be {size} bytes compressed")));
        }
        Ok(Self::Compressed { size })
    }

    /// How many bytes it has when it is read.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::Plain { size, .. } | Self::Compressed { size } => size,
        }
    }

    /// The bytes of the buffer, for which no more memory is reserved than it says to need.
    pub(super) fn decompress(self, codec: CompressionType, stored: &Buffer) -> Result<Buffer, DecodeError> {
        let size = match self {
            Self::Plain { from, .. } => return Ok(stored.slice(from)),
            Self::Compressed { size: 0 } => return Ok(Buffer::default()),
            Self::Compressed { size } => size,
        };
        let frame = stored.get(PREFIX_BYTES..).unwrap_or_default();
        let raw = match codec {
            CompressionType::ZSTD => unzstd(frame, size),
            _ => unlz4(frame, size),
        };
        raw.filter(|raw| raw.len() == size)
            .map(Buffer::from_vec)
            .ok_or_else(|| fault(format!("the frame does not hold {size} bytes")))
    }
}

/// What is wrong with a buffer.
fn fault(reason: String) -> DecodeError {
    DecodeError::new("compressed buffer", reason)
}

/// The bytes of a frame, for which this many are reserved.
pub(crate) fn unzstd(frame: &[u8], size: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Decompressor::new().ok()?);
        }
        let mut raw = Vec::with_capacity(size);
        slot.as_mut()?.decompress_to_buffer(frame, &mut raw).ok()?;
        Some(raw)
    })
}

fn unlz4(frame: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut raw = Vec::with_capacity(size);
    // One byte more would show that something follows.
    let mut decoder = lz4_flex::frame::FrameDecoder::new(frame).take(size as u64 + 1);
    decoder.read_to_end(&mut raw).ok()?;
    Some(raw)
}
