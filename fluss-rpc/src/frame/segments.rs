//! Encoded bytes in pieces, so that large payloads need not be copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// From this size on a payload stays where it is; a smaller one is cheaper to copy than to send on its own.
const DETACH_BYTES: usize = 4096;

/// Encoded bytes are collected in blocks of about this size: a single one would be copied whenever it grows.
const BLOCK_BYTES: usize = 64 << 10;

/// A string of bytes in pieces, to be written in one vectored write.
///
/// It is a [`Buf`]: reading from the front frees what was read.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Segments {
    /// Appends a piece, without copying it.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.remaining += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// Keeps a value for as long as the last of the bytes is kept, by this string or by whoever took it.
    pub fn hold(&mut self, value: impl Send + 'static) {
        if let Some(bytes) = self.pieces.pop_back() {
            let held = Held { bytes, _value: value };
            self.pieces.push_back(Bytes::from_owner(held));
        }
    }

    /// Moves all pieces of another string to the end of this one.
    pub fn append(&mut self, mut other: Self) {
        self.remaining += other.remaining;
        self.pieces.append(&mut other.pieces);
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let pairs = dst.iter_mut().zip(&self.pieces);
        pairs.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining = self.remaining.saturating_sub(count);
        while let Some(front) = self.pieces.front_mut() {
            if count < front.len() {
                return front.advance(count);
            }
            count -= front.len();
            self.pieces.pop_front();
        }
    }

    /// Copies only what is in several pieces.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if let Some(front) = self.pieces.front()
            && count <= front.len()
        {
            let taken = front.slice(..count);
            self.advance(count);
            return taken;
        }
        let mut joined = BytesMut::with_capacity(count);
        joined.put(self.take(count));
        joined.freeze()
    }
}

/// Bytes, and what is kept as long as they are.
struct Held<T> {
    bytes: Bytes,
    _value: T,
}

impl<T> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Collects what is encoded into [`Segments`]: small values one behind the other, large [`Bytes`] as they are.
pub(super) struct SegmentsMut {
    done: Segments,
    tail: BytesMut,
}

impl SegmentsMut {
    /// Expects `bytes` to be written in total.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            done: Segments::default(),
            tail: BytesMut::with_capacity(bytes.min(DETACH_BYTES)),
        }
    }

    /// Begins another block if this one is full.
    fn make_room(&mut self) {
        if self.tail.len() >= BLOCK_BYTES {
            self.done.push(self.tail.split().freeze());
        }
    }

    pub(super) fn finish(mut self) -> Segments {
        self.done.push(self.tail.freeze());
        self.done
    }
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe to implement; each method hands over to `BytesMut`"
)]
// SAFETY: the three methods are those of `tail`, whose chunks and length keep the promises of the trait. `put`
// moves initialised bytes only.
unsafe impl BufMut for SegmentsMut {
    fn remaining_mut(&self) -> usize {
        self.tail.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller initialised `count` bytes of the chunk, and the chunk is that of `tail`.
        unsafe { self.tail.advance_mut(count) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.tail.chunk_mut()
    }

    fn put<T: Buf>(&mut self, mut src: T) {
        if src.remaining() < DETACH_BYTES {
            self.make_room();
            return self.tail.put(src);
        }
        self.done.push(self.tail.split().freeze());
        self.done.push(src.copy_to_bytes(src.remaining()));
    }

    fn put_slice(&mut self, src: &[u8]) {
        self.make_room();
        self.tail.put_slice(src);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_pieces() -> Segments {
        let mut segments = Segments::default();
        for piece in ["ab", "", "cde", "f"] {
            segments.push(Bytes::from_static(piece.as_bytes()));
        }
        segments
    }

    #[test]
    fn every_advance_leaves_the_rest() {
        for count in 0..=6 {
            let mut segments = three_pieces();
            segments.advance(count);
            assert_eq!(segments.remaining(), 6 - count);
            assert_eq!(segments.copy_to_bytes(6 - count), "abcdef"[count..]);
        }
    }

    #[test]
    fn all_pieces_are_offered_to_a_vectored_write() {
        let mut appended = three_pieces();
        appended.append(three_pieces());
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(appended.chunks_vectored(&mut slices), 4);
        assert_eq!(slices.map(|slice| slice.len()), [2, 3, 1, 2]);
        assert_eq!(appended.remaining(), 12);
    }

    #[test]
    fn what_is_in_one_piece_is_not_copied() {
        let mut segments = three_pieces();
        let second = segments.pieces[1].as_ptr();
        assert_eq!(segments.copy_to_bytes(2), "ab");
        let taken = segments.copy_to_bytes(2);
        assert_eq!((&taken[..], taken.as_ptr()), (&b"cd"[..], second));
        assert_eq!(segments.copy_to_bytes(2), "ef");
        assert_eq!(segments.remaining(), 0);
    }

    #[test]
    fn what_is_held_goes_with_the_last_byte() {
        let held = std::sync::Arc::new(());
        let mut segments = three_pieces();
        segments.hold(held.clone());
        segments.advance(5);
        assert_eq!(
            (segments.chunk(), std::sync::Arc::strong_count(&held)),
            (&b"f"[..], 2)
        );
        segments.advance(1);
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
    }

    #[test]
    fn small_payloads_are_collected_in_blocks() {
        let small = Bytes::from(vec![7; DETACH_BYTES - 1]);
        let mut buf = SegmentsMut::with_capacity(0);
        for _ in 0..64 {
            buf.put(small.clone());
        }
        let segments = buf.finish();
        assert_eq!(segments.remaining(), 64 * small.len());
        let largest = segments.pieces.iter().map(Bytes::len).max();
        assert!(largest < Some(BLOCK_BYTES + DETACH_BYTES), "{largest:?}");
    }

    #[test]
    fn large_payloads_are_shared_and_small_ones_are_joined() {
        let large = Bytes::from(vec![7; DETACH_BYTES]);
        let mut buf = SegmentsMut::with_capacity(0);
        buf.put_u8(1);
        buf.put(Bytes::from_static(b"small"));
        buf.put(large.clone());
        buf.put_u8(2);
        let segments = buf.finish();
        assert_eq!(
            segments.pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [6, DETACH_BYTES, 1]
        );
        assert_eq!(segments.pieces[1].as_ptr(), large.as_ptr());
    }
}
