//! The read half of a connection.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Disconnect;
use crate::frame::FrameDecoder;

/// Frames that come from a socket, in order.
#[derive(Debug)]
pub struct Inbox<R> {
    reader: R,
    decoder: FrameDecoder,
    buf: BytesMut,
}

impl<R: AsyncRead + Unpin> Inbox<R> {
    /// Refuses frames that have more than `max_bytes`, length field included.
    pub fn new(reader: R, max_bytes: usize) -> Self {
        Self {
            reader,
            decoder: FrameDecoder::new(max_bytes),
            buf: BytesMut::new(),
        }
    }

    /// The next frame, without its length field; nothing when the other side has closed the stream behind a frame.
    ///
    /// # Errors
    ///
    /// A frame that is too large, or a stream that fails or ends inside a frame. Nothing can be read any more.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Disconnect> {
        self.read_until(|decoder, buf| Ok(decoder.decode(buf)?)).await
    }

    /// The size of the next frame, length field included, before it has arrived as a whole: for whoever wants to make
    /// room for it first. Nothing when the other side has closed the stream behind a frame.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn next_bytes(&mut self) -> Result<Option<usize>, Disconnect> {
        self.read_until(|decoder, buf| Ok(decoder.frame_bytes(buf)?))
            .await
    }

    /// Reads until so many bytes of the next frame have arrived, length field included, or it is there as a whole. Takes
    /// no more memory than for these: for whoever makes room for a frame as it arrives.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    pub async fn arrived(&mut self, bytes: usize) -> Result<(), Disconnect> {
        while self.buf.len() < bytes {
            let missing = bytes - self.buf.len();
            if self.buf.capacity() < bytes {
                self.buf.reserve(missing);
            }
            if self.reader.read_buf(&mut self.buf).await? == 0 {
                return Err(Disconnect::Cut);
            }
        }
        Ok(())
    }

    async fn read_until<T>(
        &mut self,
        find: impl Fn(&mut FrameDecoder, &mut BytesMut) -> Result<Option<T>, Disconnect>,
    ) -> Result<Option<T>, Disconnect> {
        loop {
            if let Some(found) = find(&mut self.decoder, &mut self.buf)? {
                return Ok(Some(found));
            }
            self.decoder.reserve(&mut self.buf)?;
            if self.reader.read_buf(&mut self.buf).await? == 0 {
                return if self.buf.is_empty() {
                    Ok(None)
                } else {
                    Err(Disconnect::Cut)
                };
            }
        }
    }

    /// Whether nothing of a further frame has arrived yet.
    pub fn is_drained(&self) -> bool {
        self.buf.is_empty()
    }

    /// Whether what has come and is not read yet begins as an alert of TLS does: its type, then a version of 3.x.
    pub(super) fn begins_with_tls_alert(&self) -> bool {
        matches!(&self.buf[..], [0x15, 0x03, 0..=4, ..])
    }

    /// The first bytes of a frame that cannot be read as a whole; nothing if the stream ends before.
    pub(super) async fn head(&mut self, bytes: usize) -> Option<Bytes> {
        while self.buf.len() < bytes {
            if !matches!(self.reader.read_buf(&mut self.buf).await, Ok(1..)) {
                return None;
            }
        }
        Some(self.buf.split_to(bytes).freeze())
    }
}
