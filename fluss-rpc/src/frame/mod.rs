//! Length-prefixed frames: `rpc.md` §1.
//!
//! ```text
//! message ──encode──▶ Segments ──▶ socket ──▶ BytesMut ──FrameDecoder──▶ Bytes ──header, prost──▶ message
//! ```
//!
//! Large `bytes` fields are neither copied on the way out (they stay pieces of their own) nor on the way in (the
//! message holds slices of the frame).

mod segments;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

pub use self::segments::Segments;
use self::segments::SegmentsMut;
use crate::header::Header;

/// The size of the length field in front of each frame.
pub const LENGTH_BYTES: usize = 4;

/// How much is read at least, when it is not known how much will come.
const READ_BYTES: usize = 64 << 10;

/// Up to the size of the largest frame that has come, and no further than here, memory is reserved on the word of the other
/// side; beyond it, only twice of what has arrived.
const TRUSTED_BYTES: usize = 16 << 20;

/// The largest request that a server accepts by default, length field included (`rpc.md` §1.4).
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 << 20;

/// Encodes a header and a message into one frame, length field included.
///
/// # Errors
///
/// [`FrameError::TooLarge`] when the frame has more than `max_bytes`, or than a length field can say.
pub fn encode(
    header: &impl Header,
    message: &impl Message,
    max_bytes: usize,
) -> Result<Segments, FrameError> {
    let length = header.encoded_len() + message.encoded_len();
    let frame_bytes = check_length(length, max_bytes)?;
    let too_large = || FrameError::too_large(frame_bytes as u64, max_bytes);
    let mut buf = SegmentsMut::with_capacity(frame_bytes);
    buf.put_i32(i32::try_from(length).map_err(|_| too_large())?);
    header.encode(&mut buf);
    message.encode(&mut buf).map_err(|_| too_large())?;
    Ok(buf.finish())
}

/// The size of the frame whose length field says `length`.
///
/// # Errors
///
/// [`FrameError::TooLarge`] when the frame has more than `max_bytes`.
pub fn check_length(length: usize, max_bytes: usize) -> Result<usize, FrameError> {
    let bytes = length as u64 + LENGTH_BYTES as u64;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= max_bytes)
        .ok_or(FrameError::too_large(bytes, max_bytes))
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Clone)]
pub struct FrameDecoder {
    limit: usize,
    /// How much is reserved for a frame of which nothing but the length has arrived.
    trusted: usize,
}

impl FrameDecoder {
    /// Refuses frames that have more than `limit` bytes, length field included.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            trusted: READ_BYTES,
        }
    }

    /// Takes the next frame off the front of `buf`, without its length field; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`FrameError::TooLarge`], before anything is reserved for the frame. The stream cannot be used any more.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        match self.frame_bytes(buf)? {
            Some(bytes) if bytes <= buf.len() => {
                self.trusted = self.trusted.max(bytes.min(TRUSTED_BYTES));
                let mut frame = buf.split_to(bytes);
                frame.advance(LENGTH_BYTES);
                Ok(Some(frame.freeze()))
            }
            _ => Ok(None),
        }
    }

    /// Makes room in `buf` for what is to be read next: for the rest of a frame that has begun, in one piece, but
    /// never for much more than has arrived, or came before as a frame, on the word of the other side alone.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn reserve(&self, buf: &mut BytesMut) -> Result<(), FrameError> {
        let missing = self
            .frame_bytes(buf)?
            .unwrap_or(LENGTH_BYTES)
            .saturating_sub(buf.len());
        if buf.capacity() - buf.len() < missing.clamp(1, READ_BYTES) {
            buf.reserve(missing.min(self.trusted.max(buf.len())).max(READ_BYTES));
        }
        Ok(())
    }

    /// The size of the frame that begins `buf`, length field included, once that is known.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn frame_bytes(&self, buf: &BytesMut) -> Result<Option<usize>, FrameError> {
        let Some(length) = buf.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        // Read as unsigned, a negative length is too large.
        check_length(u32::from_be_bytes(*length) as usize, self.limit).map(Some)
    }
}

/// A frame that cannot be sent or received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is larger than allowed. A side that speaks another protocol looks like this too.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The size of the frame, length field included.
        bytes: u64,
        /// The most that is allowed.
        limit: usize,
    },
}

impl FrameError {
    const fn too_large(bytes: u64, limit: usize) -> Self {
        Self::TooLarge { bytes, limit }
    }
}

#[cfg(test)]
mod tests;
