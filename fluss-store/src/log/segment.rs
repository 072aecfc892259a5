use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};

use fluss_core::id::Offset;
use fluss_core::record::log::LogBatchHeader;

use super::envelope::{self, Kind};
use super::index::{Entry, Index, Mark, Times};
use crate::disk::Disk;

const LOG: &str = "log";
const INDEX: &str = "index";

/// What is known of one file of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// The offset of the first record, by which the file is named.
    pub(super) base: Offset,
    /// The offset behind the last record.
    pub(super) end: Offset,
    /// How many bytes of the file are in use.
    pub(super) size: u64,
    /// The newest commit timestamp in this segment or those before it.
    pub(super) max_timestamp: Option<i64>,
    /// The checksum of all commit timestamps.
    times: Times,
    pub(super) index: Index,
}

impl Segment {
    /// A segment without batches, behind others with this newest timestamp.
    pub(super) fn new(base: Offset, max_timestamp: Option<i64>) -> Self {
        Self {
            base,
            end: base,
            size: 0,
            max_timestamp,
            times: Times::default(),
            index: Index::default(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether nothing is left of what was in it.
    pub(super) const fn is_lost(&self) -> bool {
        self.is_empty() && self.base < self.end
    }

    /// Whether there are batches in it, all of them from before a time in milliseconds since the epoch.
    pub(super) fn is_older_than(&self, timestamp: i64) -> bool {
        !self.is_empty() && self.max_timestamp < Some(timestamp)
    }

    pub(super) const fn contains(&self, offset: Offset) -> bool {
        self.base <= offset && offset < self.end
    }

    /// Its end, from where a walk can go on.
    pub(super) fn end(&self) -> Entry {
        Entry {
            offset: self.end,
            position: self.size,
            timestamp: self.max_timestamp.unwrap_or(i64::MIN),
            times: self.times,
        }
    }

    /// The marks that a read from an offset on passes ([`Index::marks_behind`]).
    pub(super) fn marks_behind(&self, offset: Offset, bytes: usize) -> Vec<Mark> {
        self.index.marks_behind(offset, bytes as u64, self.end().mark())
    }

    /// Notes a batch that was written behind the others.
    pub(super) fn note(&mut self, header: &LogBatchHeader) {
        self.index.note(Entry {
            offset: header.base_offset,
            position: self.size,
            timestamp: header.commit_timestamp,
            times: self.times,
        });
        self.times = self.times.and(header.commit_timestamp);
        self.size += header.size as u64;
        self.end = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(Some(header.commit_timestamp));
    }

    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        log_path(directory, self.base)
    }

    /// Writes down what is known, now that it does not change any more. It is only a help for the next start.
    pub(super) fn write_index(&self, disk: &dyn Disk, directory: &Path) {
        let mut contents = Vec::new();
        self.encode(&mut contents);
        let path = index_path(directory, self.base);
        let written = disk.open(&path).and_then(|file| {
            file.set_len(0)?;
            file.write_at(0, envelope::seal(Kind::Index, &contents))
        });
        if let Err(error) = written {
            tracing::warn!(target: crate::TARGET, path = %path.display(), %error, "an index was not written");
        }
    }

    /// What was written down, if it is there and good.
    pub(super) fn read_index(disk: &dyn Disk, directory: &Path, base: Offset) -> io::Result<Option<Self>> {
        let contents = envelope::read(disk, &index_path(directory, base), Kind::Index)?;
        let segment = contents.and_then(|mut contents| Self::decode(&mut contents));
        Ok(segment.filter(|segment| segment.base == base))
    }

    pub(super) fn encode(&self, out: &mut impl BufMut) {
        out.put_i64(self.base);
        out.put_i64(self.end);
        out.put_u64(self.size);
        out.put_i64(self.max_timestamp.unwrap_or(i64::MIN));
        self.times.encode(out);
        self.index.encode(out);
    }

    pub(super) fn decode(bytes: &mut Bytes) -> Option<Self> {
        Some(Self {
            base: bytes.try_get_i64().ok()?,
            end: bytes.try_get_i64().ok()?,
            size: bytes.try_get_u64().ok()?,
            max_timestamp: Some(bytes.try_get_i64().ok()?).filter(|time| *time > i64::MIN),
            times: Times::decode(bytes)?,
            index: Index::decode(bytes)?,
        })
    }
}

/// The path of a segment: its first offset in 20 digits, so that names sort as offsets do (`records.md` §4.1).
pub(super) fn log_path(directory: &Path, base: Offset) -> PathBuf {
    named(directory, base, LOG)
}

pub(super) fn index_path(directory: &Path, base: Offset) -> PathBuf {
    named(directory, base, INDEX)
}

pub(super) fn named(directory: &Path, offset: Offset, kind: &str) -> PathBuf {
    directory.join(format!("{offset:020}.{kind}"))
}

/// The offsets by which files of a kind are named, in order.
pub(super) fn offsets_named(names: &[String], kind: &str) -> Vec<Offset> {
    let offset = |name: &String| {
        let (digits, found) = name.split_once('.')?;
        let offset = digits
            .parse()
            .ok()
            .filter(|_| digits.len() == 20 && found == kind)?;
        (offset >= 0).then_some(offset)
    };
    let mut offsets: Vec<Offset> = names.iter().filter_map(offset).collect();
    offsets.sort_unstable();
    offsets
}

/// The first offsets of the segments in a directory, in order.
pub(super) fn bases(names: &[String]) -> Vec<Offset> {
    offsets_named(names, LOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_their_names() {
        let names = [
            "00000000000000000020.log",
            "00000000000000000003.log",
            "3.log",
            "x.log",
            "00000000000000000003.index",
        ];
        assert_eq!(bases(&names.map(str::to_owned)), [3, 20]);
        assert_eq!(
            log_path(Path::new("a"), 20),
            Path::new("a/00000000000000000020.log")
        );
    }
}
