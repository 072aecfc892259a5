//! What stands beside the segments: a kind, a checksum, and contents that count only if it is right.

use std::io;
use std::path::Path;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::disk::{Disk, read_if_there};

const HEADER_BYTES: usize = 8;

/// What a file is, and the version of its layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Index = 0x464c_4901,
    Checkpoint = 0x464c_4301,
    Manifest = 0x464c_5301,
}

/// Contents with their kind and checksum (CRC-32C, as everywhere in the log) in front.
pub(super) fn seal(kind: Kind, contents: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + contents.len());
    bytes.put_u32(kind as u32);
    bytes.put_u32(crc32c::crc32c(contents));
    bytes.put_slice(contents);
    bytes.freeze()
}

/// The contents of a file; nothing if it is not there, cannot be read, or is not as it was written.
///
/// # Errors
///
/// There is no descriptor left: nobody knows.
pub(super) fn read(disk: &dyn Disk, path: &Path, kind: Kind) -> io::Result<Option<Bytes>> {
    Ok(read_if_there(disk, path)?.and_then(|bytes| open(kind, bytes)))
}

/// The contents, unless they are of another kind, or do not match their checksum.
fn open(kind: Kind, mut bytes: Bytes) -> Option<Bytes> {
    let found = bytes.try_get_u32().ok()?;
    let checksum = bytes.try_get_u32().ok()?;
    (found == kind as u32 && checksum == crc32c::crc32c(&bytes)).then_some(bytes)
}
