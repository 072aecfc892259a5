use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

/// Chunks up to this size, in bytes, are put together with their neighbours: a log of small batches is not to cost an
/// allocation for each.
const SMALL: usize = 64 * 1024;

/// The contents of a file in memory: what was written, as it was given, by where it begins. There are no gaps.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks(BTreeMap<u64, Bytes>);

impl Chunks {
    pub(super) fn len(&self) -> u64 {
        self.0
            .last_key_value()
            .map_or(0, |(at, chunk)| at + chunk.len() as u64)
    }

    /// Up to `len` bytes: a slice if they are in one chunk, or else a copy.
    pub(super) fn read(&self, at: u64, len: usize) -> Bytes {
        let end = at.saturating_add(len as u64).min(self.len());
        let first = self.0.range(..=at).next_back();
        let Some((start, chunk)) = first.filter(|_| at < end) else {
            return Bytes::new();
        };
        let from = (at - start) as usize;
        if end <= start + chunk.len() as u64 {
            return chunk.slice(from..(end - start) as usize);
        }
        let mut bytes = BytesMut::with_capacity((end - at) as usize);
        bytes.extend_from_slice(&chunk.slice(from..));
        for (start, chunk) in self.0.range(at + 1..end) {
            bytes.extend_from_slice(&chunk.slice(..chunk.len().min((end - start) as usize)));
        }
        bytes.freeze()
    }

    /// Puts bytes in the place of those that are there, and zeros before them if the file ends before.
    pub(super) fn write(&mut self, at: u64, bytes: Bytes) {
        if self.len() < at {
            self.set_len(at);
        }
        let end = at + bytes.len() as u64;
        let mut behind = self.split_off(at);
        let behind = behind.split_off(end);
        self.push(bytes);
        self.0.extend(behind.0);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let missing = len.saturating_sub(self.len());
        if missing > 0 {
            self.push(Bytes::from(vec![0; missing as usize]));
        } else {
            self.split_off(len);
        }
    }

    /// Takes off what is from `at` on.
    fn split_off(&mut self, at: u64) -> Self {
        let mut behind = self.0.split_off(&at);
        if let Some((start, chunk)) = self.0.last_entry().map(|entry| (*entry.key(), entry.into_mut())) {
            let keep = chunk.len().min((at - start) as usize);
            let cut = chunk.split_off(keep);
            if !cut.is_empty() {
                behind.insert(at, cut);
            }
        }
        Self(behind)
    }

    /// Appends. Of two small chunks at the end the first is the bigger, so that a byte is seldom moved.
    fn push(&mut self, mut bytes: Bytes) {
        while let Some(entry) = self.0.last_entry() {
            let last = entry.get();
            if last.len() > bytes.len() || last.len() + bytes.len() > SMALL {
                break;
            }
            bytes = [entry.remove(), bytes].concat().into();
        }
        if !bytes.is_empty() {
            self.0.insert(self.len(), bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, Vec<u8>),
        SetLen(usize),
        Read(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            (any::<u8>(), 0..100_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        ];
        let at = 0..200_000_usize;
        prop_oneof![
            (at.clone(), bytes).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            at.clone().prop_map(Step::SetLen),
            (at, 0..100_000_usize).prop_map(|(at, len)| Step::Read(at, len)),
        ]
    }

    proptest! {
        #[test]
        fn chunks_are_read_as_they_were_written(steps in proptest::collection::vec(step(), 1..30)) {
            let (mut chunks, mut model) = (Chunks::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        let at = at.min(model.len());
                        model.resize(model.len().max(at + bytes.len()), 0);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                        chunks.write(at as u64, bytes.into());
                    }
                    Step::SetLen(len) => {
                        model.resize(len, 0);
                        chunks.set_len(len as u64);
                    }
                    Step::Read(at, len) => {
                        let at = at.min(model.len());
                        let expected = &model[at..model.len().min(at + len)];
                        prop_assert_eq!(&*chunks.read(at as u64, len), expected);
                    }
                }
                prop_assert_eq!(chunks.len(), model.len() as u64);
            }
            prop_assert_eq!(&*chunks.read(0, usize::MAX), &*model);
        }
    }

    #[test]
    fn a_big_write_is_kept_without_a_copy() {
        let big = Bytes::from(vec![7; 2 * SMALL]);
        let mut chunks = Chunks::default();
        chunks.write(0, Bytes::from_static(b"head"));
        chunks.write(4, big.clone());
        assert_eq!(chunks.read(4, big.len()).as_ptr(), big.as_ptr());
    }

    #[test]
    fn small_writes_share_chunks() {
        let mut chunks = Chunks::default();
        for at in 0..10_000_u64 {
            chunks.write(at * 100, Bytes::from_static(&[1; 100]));
        }
        assert!(chunks.0.len() < 100, "{} chunks", chunks.0.len());
    }
}
