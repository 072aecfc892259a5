//! Random work on a log, compared with a list of batches.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Batches of rows and their sizes, by a writer and how far its number is from the next.
    Append(Vec<(usize, usize)>, Option<(i64, i32)>),
    Wait(i64),
    /// Where, in per mille of the log, and up to where; how many bytes; whether one batch in any case.
    Read(i64, i64, usize, bool),
    FindTime(i64),
    Sync,
    Expire(i64, i64),
    Reopen {
        close: bool,
    },
    /// Others need the descriptors.
    CloseFiles,
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = prop_oneof![8 => 0..200_usize, 2 => 10_000..60_000_usize];
    let batches = proptest::collection::vec((0..5_usize, sizes), 1..4);
    let distance = prop_oneof![6 => Just(0), 2 => -8..0, 1 => 1..3];
    let writer = proptest::option::of((0..3_i64, distance));
    let per_mille = 0..=1000_i64;
    prop_oneof![
        12 => (batches, writer).prop_map(|(batches, writer)| Step::Append(batches, writer)),
        2 => (-5..50_i64).prop_map(Step::Wait),
        8 => (per_mille.clone(), per_mille.clone(), 0..100_000_usize, any::<bool>())
            .prop_map(|(from, up_to, max, one)| Step::Read(from, up_to, max, one)),
        3 => (-5..600_i64).prop_map(Step::FindTime),
        1 => Just(Step::Sync),
        1 => (0..300_i64, per_mille).prop_map(|(time, keep)| Step::Expire(time, keep)),
        2 => any::<bool>().prop_map(|close| Step::Reopen { close }),
        3 => Just(Step::CloseFiles),
    ]
}

/// What the log should be.
#[derive(Default)]
struct Model {
    batches: Vec<Known>,
    writers: HashMap<WriterId, Vec<(BatchSequence, Span)>>,
    start: Offset,
    end: Offset,
    now: i64,
    newest: Option<i64>,
}

#[derive(Clone)]
struct Known {
    span: Span,
    timestamp: i64,
    bytes: Vec<u8>,
}

impl Model {
    fn numbered(&self, writer: i64, distance: i32) -> BatchSequence {
        let last = self
            .writers
            .get(&WriterId(writer))
            .and_then(|batches| batches.last());
        let next = last.map_or(BatchSequence::FIRST, |(last, _)| last.next());
        BatchSequence((next.get() + distance).max(0))
    }

    fn append(&mut self, sent: &[(Bytes, Stamped)], records: &[usize]) -> Result<Appended, ()> {
        let mut writers = self.writers.clone();
        let known = |stamp: &Stamped| {
            let (writer, sequence) = (*stamp)?;
            let batches = self.writers.get(&writer)?.iter().rev().take(5);
            batches
                .clone()
                .find(|(known, _)| *known == sequence)
                .map(|(_, span)| *span)
        };
        if let Some(span) = sent.iter().find_map(|(_, stamp)| known(stamp)) {
            return Ok(Appended::Duplicate(span));
        }
        let timestamp = self.newest.map_or(self.now, |newest| newest.max(self.now));
        let (mut next, mut batches) = (self.end, Vec::new());
        for ((bytes, stamp), records) in sent.iter().zip(records) {
            let span = Span {
                base_offset: next,
                next_offset: next + (*records).max(1) as i64,
            };
            if let Some((writer, sequence)) = *stamp {
                let batches = writers.entry(writer).or_default();
                let expected = batches
                    .last()
                    .map_or(BatchSequence::FIRST, |(last, _)| last.next());
                if expected != sequence {
                    return Err(());
                }
                batches.push((sequence, span));
            }
            let mut bytes = bytes.to_vec();
            bytes[..8].copy_from_slice(&span.base_offset.to_le_bytes());
            bytes[13..21].copy_from_slice(&timestamp.to_le_bytes());
            batches.push(Known {
                span,
                timestamp,
                bytes,
            });
            next = span.next_offset;
        }
        let span = Span {
            base_offset: self.end,
            next_offset: next,
        };
        (self.writers, self.end, self.newest) = (writers, next, Some(timestamp));
        self.batches.extend(batches);
        Ok(Appended::Stored(span))
    }

    fn from(&self, from: Offset) -> impl Iterator<Item = &Known> {
        self.batches
            .iter()
            .filter(move |batch| batch.span.next_offset > from)
    }

    /// What a read may give: a beginning of the whole, which ends early only at an entry of an index or the end of a segment.
    fn read(&self, from: Offset, limits: ReadLimits) -> Vec<u8> {
        let mut bytes = Vec::new();
        for batch in self.from(from).filter(|_| from < limits.up_to) {
            let fits = bytes.len() + batch.bytes.len() <= limits.max_bytes;
            let admitted = fits || bytes.is_empty() && limits.at_least_one;
            if batch.span.next_offset > limits.up_to || !admitted {
                break;
            }
            bytes.extend_from_slice(&batch.bytes);
        }
        bytes
    }
}

struct Run {
    disk: Arc<dyn Disk>,
    log: Option<BucketLog>,
    model: Model,
}

fn open_on(disk: &Arc<dyn Disk>) -> BucketLog {
    let options = LogOptions {
        segment_bytes: 150_000,
        ..LogOptions::default()
    };
    BucketLog::open(Arc::clone(disk), directory(), options).unwrap()
}

impl Run {
    fn on(disk: Arc<dyn Disk>) -> Self {
        Self {
            log: Some(open_on(&disk)),
            disk,
            model: Model::default(),
        }
    }

    fn log(&mut self) -> &mut BucketLog {
        self.log.as_mut().unwrap()
    }

    fn at(&self, per_mille: i64) -> Offset {
        self.model.start + (self.model.end - self.model.start) * per_mille / 1000
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(batches, writer) => self.append(&batches, writer),
            Step::Wait(ms) => self.model.now += ms,
            Step::Read(from, up_to, max_bytes, at_least_one) => {
                let limits = ReadLimits {
                    up_to: self.at(up_to),
                    max_bytes,
                    at_least_one,
                };
                self.read(self.at(from), limits);
            }
            Step::FindTime(time) => {
                let found = self.log().offset_for_time(time).unwrap();
                let expected = self
                    .model
                    .from(self.model.start)
                    .find(|batch| batch.timestamp >= time);
                assert_eq!(found, expected.map(|batch| batch.span.base_offset));
            }
            Step::Sync => {
                sync(self.log()).unwrap();
                assert_eq!(self.log().synced_offset(), self.model.end);
            }
            Step::Expire(time, keep) => self.expire(time, self.at(keep)),
            Step::Reopen { close } => self.reopen(close),
            Step::CloseFiles => {
                let files = self.disk.open_files();
                while files.as_ref().is_some_and(|files| files.close_one()) {}
            }
        }
        self.compare();
    }

    fn append(&mut self, batches: &[(usize, usize)], writer: Option<(i64, i32)>) {
        let mut stamp =
            writer.map(|(writer, distance)| (WriterId(writer), self.model.numbered(writer, distance)));
        let sent: Vec<_> = batches
            .iter()
            .map(|(rows, row_bytes)| {
                let sent = (batch(*rows, *row_bytes, stamp), stamp);
                stamp = stamp.map(|(writer, sequence)| (writer, sequence.next()));
                sent
            })
            .collect();
        let records: Vec<_> = batches.iter().map(|(rows, _)| *rows).collect();
        let expected = self.model.append(&sent, &records);
        let bytes: Vec<u8> = sent.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        let now = self.model.now;
        let appended = self.log().append(bytes.into(), now);
        assert_eq!(appended.map_err(drop), expected);
    }

    fn read(&mut self, from: Offset, limits: ReadLimits) {
        let expected = self.model.read(from, limits);
        let read = self.log().read(from, limits).unwrap().load().unwrap();
        assert!(expected.starts_with(&read));
        assert_eq!(read.is_empty(), expected.is_empty());
        let next = whole(read.clone()).last().map(LogBatch::next_offset);
        let ends = |segment: &Segment| {
            let offsets = segment.index.offsets().chain([segment.end]);
            offsets.into_iter().any(|end| Some(end) == next)
        };
        assert!(read.len() == expected.len() || self.log().segments().any(ends));
    }

    fn expire(&mut self, older_than_ms: i64, keep_from: Offset) {
        let segments: Vec<_> = self.log().segments().map(|segment| segment.end).collect();
        self.log().expire(older_than_ms, keep_from).unwrap();
        let expired = |end: Offset| {
            let batches = self.model.from(0).filter(|batch| batch.span.next_offset <= end);
            let newest = batches.map(|batch| batch.timestamp).max();
            end <= keep_from && newest < Some(older_than_ms)
        };
        let start = segments
            .into_iter()
            .take_while(|end| *end > self.model.start && expired(*end))
            .last();
        self.model.start = start.unwrap_or(self.model.start);
        let start = self.model.start;
        self.model.batches.retain(|batch| batch.span.base_offset >= start);
    }

    fn reopen(&mut self, close: bool) {
        let mut log = self.log.take().unwrap();
        if close {
            log.close().unwrap();
        }
        self.log = Some(open_on(&self.disk));
        assert_eq!(self.log().damage(), []);
    }

    fn compare(&mut self) {
        let (start, end, newest) = (self.model.start, self.model.end, self.model.newest);
        let log = self.log();
        assert_eq!(
            (log.start_offset(), log.end_offset(), log.max_timestamp()),
            (start, end, newest)
        );
    }

    fn finish(mut self) {
        let replayed: Vec<_> = self.log().batches(0).collect::<Result<_, _>>().unwrap();
        let replayed: Vec<_> = replayed.iter().map(LogBatch::bytes).collect();
        let known: Vec<_> = self.model.batches.iter().map(|batch| &batch.bytes).collect();
        assert_eq!(replayed, known);
    }
}

fn run(disk: Arc<dyn Disk>, steps: Vec<Step>) {
    let mut run = Run::on(disk);
    for step in steps {
        run.step(step);
    }
    run.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_log_on_a_disk_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..80)) {
        run(Arc::new(FaultyDisk::new(0)), steps);
    }

    #[test]
    fn a_log_in_memory_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..80)) {
        // Nothing but the log itself is kept in memory: writers whose batches have expired are not there after a start.
        let expires = steps.iter().any(|step| matches!(step, Step::Expire(..)));
        let steps = steps.into_iter().filter(|step| !expires || !matches!(step, Step::Reopen { .. }));
        run(Arc::new(MemoryDisk::new()), steps.collect());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_log_in_a_directory_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..60)) {
        let root = tempfile::tempdir().unwrap();
        run(Arc::new(crate::disk::DirectoryDisk::open(root.path()).unwrap()), steps);
    }
}
