//! The directory of a replica.
//!
//! ```text
//! current.json     what is held, and in which copy: replaced as a whole when a copy is made anew
//! copy-N/          the rows, as `fluss_store::copy` keeps them
//! follower.lock    held by whoever follows
//! fresh            how new the copy is, as the follower knows: written over all the time, never synced
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fluss_client::id::{BucketId, Offset, PartitionId, TableBucket, TableId};
use fluss_client::types::TablePath;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::selection::Selection;

/// The version of the directory that is written and read.
const FORMAT: u32 = 1;

const CURRENT: &str = "current.json";
const LOCK: &str = "follower.lock";
const FRESH: &str = "fresh";
const COPY: &str = "copy-";

/// The directory of a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mount {
    directory: PathBuf,
}

/// What is held, and in which copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Current {
    format: u32,
    /// The number of the copy.
    pub(crate) generation: u64,
    #[serde(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// What lets one follow into a directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // Dropped in this order: whoever waits for the release can lock then.
    _file: File,
    released: watch::Sender<()>,
}

impl Lock {
    /// Ends once the lock is released.
    pub(crate) fn released(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut released = self.released.subscribe();
        async move { while released.changed().await.is_ok() {} }
    }
}

impl Mount {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What is held, if anything is.
    pub(crate) fn current(&self) -> Result<Option<Current>> {
        let path = self.path(CURRENT);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(Error::storage(&path))?,
        };
        let damaged = |error: serde_json::Error| Error::damaged(&path, error);
        let Format { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format != FORMAT {
            return Err(Error::OtherContents {
                directory: self.directory.clone(),
                reason: format!("has format {format}, and this version reads format {FORMAT}"),
            });
        }
        serde_json::from_slice(&text).map(Some).map_err(damaged)
    }

    /// Has everybody read another copy from now on.
    pub(crate) fn publish(&self, generation: u64, selection: &Selection) -> Result<()> {
        let current = Current {
            format: FORMAT,
            generation,
            selection: selection.clone(),
        };
        let (path, unfinished) = (self.path(CURRENT), self.path("current.json.new"));
        let published = (|| {
            let mut file = File::create(&unfinished)?;
            file.write_all(&serde_json::to_vec(&current)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.directory)?.sync_all()
        })();
        published.map_err(Error::storage(path))
    }

    /// Makes the directory, and lets nobody else follow into it.
    pub(crate) fn lock(&self, table: &TablePath) -> Result<Lock> {
        let path = self.path(LOCK);
        fs::create_dir_all(&self.directory).map_err(Error::storage(&self.directory))?;
        self.refuse_what_is_foreign()?;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::storage(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock {
                _file: file,
                released: watch::Sender::new(()),
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                directory: self.directory.clone(),
                table: table.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(Error::storage(path)(error)),
        }
    }

    /// A directory with files of others in it is not taken for a replica's.
    fn refuse_what_is_foreign(&self) -> Result<()> {
        for entry in fs::read_dir(&self.directory).map_err(Error::storage(&self.directory))? {
            let name = entry.map_err(Error::storage(&self.directory))?.file_name();
            let name = name.to_string_lossy();
            let is_ours =
                [CURRENT, "current.json.new", LOCK, FRESH].contains(&&*name) || number_of(&name).is_some();
            if !is_ours {
                return Err(Error::OtherContents {
                    directory: self.directory.clone(),
                    reason: format!("is no replica's: there is '{name}' in it"),
                });
            }
        }
        Ok(())
    }

    /// Where a copy is.
    pub(crate) fn copy(&self, generation: u64) -> PathBuf {
        self.path(&format!("{COPY}{generation}"))
    }

    /// The number of a copy that is not there.
    pub(crate) fn next_generation(&self) -> Result<u64> {
        Ok(self.generations()?.into_iter().max().unwrap_or_default() + 1)
    }

    /// Removes all copies but one. Those who still read one go on.
    pub(crate) fn sweep(&self, kept: Option<u64>) -> Result<()> {
        for generation in self.generations()? {
            if Some(generation) != kept {
                let path = self.copy(generation);
                fs::remove_dir_all(&path).map_err(Error::storage(path))?;
            }
        }
        Ok(())
    }

    fn generations(&self) -> Result<Vec<u64>> {
        let entries = fs::read_dir(&self.directory).map_err(Error::storage(&self.directory))?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        Ok(names
            .filter_map(|name| number_of(&name.to_string_lossy()))
            .collect())
    }

    /// The file that tells how new the copy is.
    pub(crate) fn fresh(&self, writes: bool) -> Result<FreshFile> {
        let path = self.path(FRESH);
        let mut options = OpenOptions::new();
        options.read(true).write(writes).create(writes).truncate(false);
        Ok(FreshFile(options.open(&path).map_err(Error::storage(path))?))
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(COPY)?.parse().ok()
}

/// How new a copy is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fresh {
    /// Which copy is meant.
    pub(crate) generation: u64,
    /// The schema that its rows are read by.
    pub(crate) schema_id: i16,
    /// All that was stored by then is in the copy, in milliseconds since the epoch; nothing if that is not known.
    pub(crate) as_of: Option<i64>,
}

/// The file that tells it: three numbers, and then where the changelog ended when it was last looked at.
#[derive(Debug)]
pub(crate) struct FreshFile(File);

const HEAD_BYTES: usize = 24;

#[derive(Serialize, Deserialize)]
struct End(Option<i64>, i32, Offset);

impl FreshFile {
    pub(crate) fn write(&self, fresh: &Fresh, ends: &BTreeMap<TableBucket, Offset>) -> io::Result<()> {
        let end = |(bucket, end): (&TableBucket, &Offset)| {
            End(bucket.partition.map(PartitionId::get), bucket.bucket.get(), *end)
        };
        let ends = serde_json::to_vec(&ends.iter().map(end).collect::<Vec<_>>())?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 + ends.len());
        bytes.extend_from_slice(&fresh.generation.to_le_bytes());
        bytes.extend_from_slice(&i64::from(fresh.schema_id).to_le_bytes());
        bytes.extend_from_slice(&fresh.as_of.unwrap_or(i64::MIN).to_le_bytes());
        bytes.extend_from_slice(&(ends.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&ends).to_le_bytes());
        bytes.extend_from_slice(&ends);
        self.0.write_all_at(&bytes, 0)
    }

    /// How new the copy is; nothing where it was never told.
    pub(crate) fn read(&self) -> io::Result<Option<Fresh>> {
        let mut head = [0; HEAD_BYTES];
        match self.0.read_exact_at(&mut head, 0) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let mut words = head
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| i64::from_le_bytes(*word));
        let mut next = || words.next().unwrap_or_default();
        Ok(Some(Fresh {
            generation: next() as u64,
            schema_id: next() as i16,
            as_of: Some(next()).filter(|as_of| *as_of != i64::MIN),
        }))
    }

    /// Where the changelog ended; nothing where that was never told, or is just being written.
    pub(crate) fn ends(&self, table: TableId) -> io::Result<Option<BTreeMap<TableBucket, Offset>>> {
        let mut sizes = [0; 8];
        match self.0.read_exact_at(&mut sizes, HEAD_BYTES as u64) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let [length, crc] = [0, 4].map(|at| {
            let word = sizes.get(at..).and_then(|rest| rest.first_chunk());
            word.map_or(0, |word| u32::from_le_bytes(*word))
        });
        let length = u64::from(length).min(self.0.metadata()?.len());
        let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
        let read = self.0.read_exact_at(&mut text, HEAD_BYTES as u64 + 8);
        if read.is_err() || crc32c::crc32c(&text) != crc {
            return Ok(None);
        }
        let ends: Vec<End> = serde_json::from_slice(&text)?;
        let entry = |End(partition, bucket, end)| {
            let bucket = TableBucket {
                table,
                partition: partition.map(PartitionId),
                bucket: BucketId(bucket),
            };
            (bucket, end)
        };
        Ok(Some(ends.into_iter().map(entry).collect()))
    }
}
