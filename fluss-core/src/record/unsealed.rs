use bytes::{Bytes, BytesMut};

use crate::id::{BatchSequence, WriterId};

/// Where the header of a batch has what is filled in last.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) writer: usize,
    pub(super) sequence: usize,
    pub(super) crc: usize,
    /// The first byte under the checksum.
    pub(super) crc_from: usize,
}

/// A batch that lacks its writer's stamp and its checksum.
#[derive(Clone, Debug)]
pub struct UnsealedBatch {
    bytes: Bytes,
    places: &'static Places,
    seal: Seal,
}

/// Whether the stamp and the checksum are in the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seal {
    Open,
    Closed(Option<(WriterId, BatchSequence)>),
}

impl UnsealedBatch {
    pub(super) fn new(bytes: Vec<u8>, places: &'static Places) -> Self {
        Self {
            bytes: bytes.into(),
            places,
            seal: Seal::Open,
        }
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A batch has a header, and is never empty.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The batch as it is sent: stamped with an idempotent writer and its number, or without, and with its checksum.
    /// The bytes are copied only if they are sealed anew while an earlier seal is still in use.
    pub fn seal(&mut self, stamp: Option<(WriterId, BatchSequence)>) -> Bytes {
        if self.seal != Seal::Closed(stamp) {
            let bytes = std::mem::take(&mut self.bytes);
            let mut bytes = bytes
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&*shared));
            let (writer, sequence) =
                stamp.map_or((-1, -1), |(writer, sequence)| (writer.get(), sequence.get()));
            patch(&mut bytes, self.places.writer, &writer.to_le_bytes());
            patch(&mut bytes, self.places.sequence, &sequence.to_le_bytes());
            let crc = crc32c::crc32c(bytes.get(self.places.crc_from..).unwrap_or_default());
            patch(&mut bytes, self.places.crc, &crc.to_le_bytes());
            self.bytes = bytes.freeze();
            self.seal = Seal::Closed(stamp);
        }
        self.bytes.clone()
    }
}

/// Overwrites bytes, if all of their place is there.
pub(super) fn patch(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
