//! The one document that holds the catalog.
//!
//! ```text
//! magic "FLUSSCAT" | format u32 | CRC-32C u32 | length u64 | JSON        (little-endian)
//! ```
//!
//! The checksum covers everything but itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use fluss_core::DecodeError;
use fluss_store::OpenError;
use fluss_store::disk::Disk;

const MAGIC: &[u8; 8] = b"FLUSSCAT";
/// A catalog without users, as the first versions wrote it.
pub(super) const WITHOUT_USERS: u32 = 1;
/// One with users. A version that does not know them would let everybody in: it refuses this format.
pub(super) const WITH_USERS: u32 = 2;
const HEADER: usize = 24;
const NAME: &str = "catalog";
const NEW_NAME: &str = "catalog.new";
/// Where the buckets are: a disk that has any has a catalog.
const BUCKETS: &str = "buckets";
/// What may be there before there is a catalog: what a node begins with, and what a file system does.
const BEFORE_CATALOG: [&str; 4] = ["lock", NEW_NAME, BUCKETS, "lost+found"];
/// The root of the disk.
const ROOT: &str = "";

/// Keeps the document on a disk.
#[derive(Debug)]
pub(super) struct Store {
    disk: Arc<dyn Disk>,
}

impl Store {
    pub(super) const fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// The JSON that was written last; nothing on a disk that never had any.
    pub(super) fn read(&self) -> Result<Option<Bytes>, OpenError> {
        if !self.exists(NAME).map_err(|source| failed(NAME, source))? {
            return match self.disk.list(Path::new(BUCKETS)) {
                Ok(buckets) if buckets.is_empty() => self.check_is_ours().map(|()| None),
                Ok(_) => Err(damaged(0, "it is not there, though there are buckets")),
                Err(source) => Err(failed(BUCKETS, source)),
            };
        }
        let bytes = self.read_all().map_err(|source| failed(NAME, source))?;
        unwrap(&bytes).map(Some)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.disk.list(Path::new(ROOT))?.iter().any(|other| other == name))
    }

    /// A directory that is not empty, and is none of a node's, is somebody else's.
    fn check_is_ours(&self) -> Result<(), OpenError> {
        let names = self
            .disk
            .list(Path::new(ROOT))
            .map_err(|source| failed(ROOT, source))?;
        match names
            .into_iter()
            .find(|name| !BEFORE_CATALOG.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(found) => Err(OpenError::Foreign {
                directory: PathBuf::from(ROOT),
                found,
            }),
        }
    }

    fn read_all(&self) -> io::Result<Bytes> {
        let file = self.disk.open(Path::new(NAME))?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        file.read_at(0, len)
    }

    /// Replaces the document. When this returns, the new one is durable; when it fails, the old one or the new one is.
    pub(super) fn write(&self, format: u32, json: &[u8]) -> io::Result<()> {
        let file = self.disk.open(Path::new(NEW_NAME))?;
        file.set_len(0)?;
        file.write_at(0, wrap(format, json))?;
        file.sync()?;
        self.disk.rename(Path::new(NEW_NAME), Path::new(NAME))?;
        self.disk.sync_dir(Path::new(ROOT))
    }
}

pub(super) fn wrap(format: u32, json: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER + json.len());
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(format);
    bytes.put_u32_le(checksum(format, json));
    bytes.put_u64_le(json.len() as u64);
    bytes.put_slice(json);
    bytes.freeze()
}

fn checksum(format: u32, json: &[u8]) -> u32 {
    let start = crc32c::crc32c_append(crc32c::crc32c(MAGIC), &format.to_le_bytes());
    let start = crc32c::crc32c_append(start, &(json.len() as u64).to_le_bytes());
    crc32c::crc32c_append(start, json)
}

fn unwrap(bytes: &Bytes) -> Result<Bytes, OpenError> {
    let (Some(magic), Some(format), Some(crc), Some(len)) = (
        bytes.first_chunk::<8>(),
        field::<4>(bytes, 8).map(u32::from_le_bytes),
        field::<4>(bytes, 12).map(u32::from_le_bytes),
        field::<8>(bytes, 16).map(u64::from_le_bytes),
    ) else {
        return Err(damaged(bytes.len() as u64, "it ends within its header"));
    };
    let json = bytes.slice(HEADER..);
    if magic != MAGIC {
        return Err(damaged(0, "it does not begin as a catalog does"));
    }
    if len != json.len() as u64 {
        return Err(damaged(
            16,
            format!("{len} bytes announced, {} there", json.len()),
        ));
    }
    if crc != checksum(format, &json) {
        return Err(damaged(HEADER as u64, "the checksum is another"));
    }
    if ![WITHOUT_USERS, WITH_USERS].contains(&format) {
        return Err(OpenError::Format {
            path: PathBuf::from(NAME),
            found: format.to_string(),
            known: WITH_USERS,
        });
    }
    Ok(json)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn failed(path: &str, source: io::Error) -> OpenError {
    OpenError::Io {
        path: PathBuf::from(path),
        source,
    }
}

/// The catalog is damaged at a byte of its file.
pub(super) fn damaged(at: u64, reason: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        path: PathBuf::from(NAME),
        at,
        source: DecodeError::new("catalog", reason),
    }
}
