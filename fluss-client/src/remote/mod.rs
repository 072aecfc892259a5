//! Files in the cluster's remote storage, read by ranges.
//!
//! A cluster names them as paths of a file system that its clients see as well (`/data/…`, `file:/data/…`), or as URIs of
//! S3 (`s3://bucket/…`).

mod file;
mod local;
#[cfg(feature = "s3")]
mod s3;

use std::ops::Range;

use bytes::Bytes;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::error::StorageError;
use file::Place;

/// How much of a file that is read as a whole is asked for at a time.
const PART_BYTES: u64 = 8 << 20;

/// A part of a file.
struct Part {
    /// What there is of it.
    bytes: Bytes,
    /// How many bytes the file has.
    of: u64,
}

/// Reads files of a cluster.
pub(crate) struct RemoteFiles {
    cluster: Cluster,
    #[cfg(feature = "s3")]
    buckets: s3::Buckets,
}

impl RemoteFiles {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self {
            #[cfg(feature = "s3")]
            buckets: s3::Buckets::new(cluster.clone()),
            cluster,
        }
    }

    /// The bytes of a file in a range, all of them.
    ///
    /// # Errors
    ///
    /// A file of a kind that is not read here, that is not there, may not be read or is shorter than that; a timeout once
    /// the request timeout has passed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing. A read of a local file that has begun is finished in the background.
    pub(crate) async fn read(&self, file: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let wanted = range.end.saturating_sub(range.start);
        let found = self.read_some(file, range).await?.bytes;
        whole(file, found, wanted)
    }

    /// All bytes of a file, which is not empty.
    ///
    /// # Errors
    ///
    /// As of [`read`](Self::read); the timeout is for each [`PART_BYTES`].
    ///
    /// # Cancellation
    ///
    /// As of [`read`](Self::read).
    pub(crate) async fn read_all(&self, file: &str) -> Result<Bytes, StorageError> {
        let first = self.read_some(file, 0..PART_BYTES).await?;
        if first.of <= PART_BYTES {
            return whole(file, first.bytes, first.of);
        }
        let mut bytes = first.bytes.to_vec();
        while (bytes.len() as u64) < first.of {
            let at = bytes.len() as u64;
            let end = first.of.min(at + PART_BYTES);
            bytes.extend_from_slice(&self.read(file, at..end).await?);
        }
        Ok(bytes.into())
    }

    async fn read_some(&self, file: &str, range: Range<u64>) -> Result<Part, StorageError> {
        let after = self.cluster.request_timeout();
        let late = |_| StorageError::Timeout {
            file: file.to_owned(),
            after,
        };
        timeout(after, self.read_in_its_place(file, range))
            .await
            .map_err(late)?
    }

    async fn read_in_its_place(&self, file: &str, range: Range<u64>) -> Result<Part, StorageError> {
        let unsupported = |reason: String| StorageError::Unsupported {
            file: file.to_owned(),
            reason,
        };
        match Place::of(file).map_err(unsupported)? {
            Place::Path(path) => local::read(file, path, range).await,
            #[cfg(feature = "s3")]
            Place::S3 { bucket, key } => self.buckets.read(file, bucket, key, range).await,
            #[cfg(not(feature = "s3"))]
            Place::S3 { .. } => Err(unsupported("this was built without S3".to_owned())),
        }
    }
}

fn whole(file: &str, bytes: Bytes, wanted: u64) -> Result<Bytes, StorageError> {
    let found = bytes.len() as u64;
    if found == wanted {
        return Ok(bytes);
    }
    Err(StorageError::Short {
        file: file.to_owned(),
        wanted,
        found,
    })
}
