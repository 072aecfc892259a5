use std::collections::BTreeMap;
use std::time::Duration;

use fluss_rpc::net::{Random, ServerAddress};
use fluss_rpc::proto::PbFetchLogRespForBucket;
use proptest::prelude::*;

use super::super::super::decode::tests::{decoder, schema};
use super::super::super::tiered::tests::{info, segment};
use super::*;
use crate::config::{RemoteOptions, ScannerOptions};
use crate::error::Error;
use fluss_core::id::{BucketId, Offset, SchemaId, TableId};
use fluss_core::types::TablePath;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Segments by bucket, each with its first offset and its batches of one row.
type Segments = Vec<(Offset, Vec<usize>)>;

/// A session that reads the same segments of some buckets, and a store that has them.
struct World {
    session: Session,
    now: Instant,
    segments: Segments,
    files: BTreeMap<Offset, Bytes>,
    downloads: Vec<Download>,
    taken: BTreeMap<TableBucket, Vec<Offset>>,
}

fn bucket(number: i32) -> TableBucket {
    TableBucket::new(TableId(1), BucketId(number))
}

fn server() -> ServerAddress {
    ServerAddress::new("h".to_owned(), 1)
}

impl World {
    fn new(buckets: i32, segments: Segments, prefetch_bytes: usize) -> Self {
        let remote = RemoteOptions {
            prefetch_bytes,
            ..RemoteOptions::default()
        };
        let scanner = ScannerOptions {
            fetch_max_bytes_per_bucket: 300,
            ..ScannerOptions::default()
        };
        let mut session = Session::new(
            scanner,
            remote,
            decoder(SchemaId(1), None, "COMPACTED").own_forms(),
            Random::with_seed(1),
        );
        for number in 0..buckets {
            session.subscribe(bucket(number), TablePath::new("d", "t").into(), Some(0));
        }
        Self {
            session,
            now: Instant::now(),
            files: segments
                .iter()
                .map(|(start, texts)| (*start, segment(*start, texts)))
                .collect(),
            segments,
            downloads: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    /// One bucket that reads two segments.
    fn of_one() -> Self {
        Self::new(1, vec![(0, vec![5, 50]), (2, vec![7])], 1 << 20)
    }

    fn file(&self, stretch: &Stretch) -> Bytes {
        self.files[&stretch.segment.offsets.start]
            .slice(stretch.range.start as usize..stretch.range.end as usize)
    }

    /// Asks servers, who name the segments that follow the wanted offset.
    fn ask(&mut self) -> Vec<Wanted> {
        let (fetches, _) = self.session.fetches(self.now, |_| Some(server()), |_, _| false);
        let wanted: Vec<_> = fetches.into_iter().flat_map(|fetch| fetch.buckets).collect();
        for wanted in &wanted {
            let behind =
                |(start, texts): &&(Offset, Vec<usize>)| start + (texts.len() as Offset) > wanted.offset;
            let named: Vec<_> = self.segments.iter().filter(behind).collect();
            let named: Vec<_> = named
                .iter()
                .map(|(start, texts)| (*start, texts.as_slice()))
                .collect();
            let mut answer = PbFetchLogRespForBucket::default();
            if named.is_empty() {
                answer.high_watermark = Some(wanted.offset);
            } else {
                answer.remote_log_fetch_info = Some(info("/r", &named));
            }
            self.session.on_answer(wanted, Some(answer), &server(), self.now);
        }
        wanted
    }

    fn begin_downloads(&mut self) {
        let begun = self.session.downloads(self.now);
        self.downloads.extend(begun);
    }

    /// Has a download end well.
    fn arrive(&mut self, index: usize) {
        let download = self.downloads.remove(index);
        let bytes = self.file(&download.stretch);
        self.session.on_download(download, Ok(bytes), self.now);
    }

    fn fail(&mut self, index: usize, error: impl FnOnce(String) -> StorageError) {
        let download = self.downloads.remove(index);
        let error = error(download.stretch.segment.file.clone());
        self.session.on_download(download, Err(error), self.now);
    }

    /// The consumer takes a batch.
    fn take(&mut self) -> Option<Offset> {
        let fetched = self.session.next_fetched()?;
        let offset = fetched.batch.base_offset();
        self.taken.entry(fetched.bucket).or_default().push(offset);
        Some(offset)
    }

    fn take_all(&mut self) -> Vec<Offset> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// Waits until what rests has rested.
    fn rest(&mut self) {
        self.now = self.session.next_wake(self.now).unwrap_or(self.now);
    }

    fn error(&mut self) -> Option<Error> {
        self.session.error(self.now, TIMEOUT)
    }
}

fn not_found(file: String) -> StorageError {
    StorageError::NotFound { file }
}

fn failed(file: String) -> StorageError {
    let reason = "out of order".to_owned();
    StorageError::Failed { file, reason }
}

fn denied(file: String) -> StorageError {
    let reason = "who are you".to_owned();
    StorageError::Denied { file, reason }
}

#[test]
fn behind_the_last_segment_the_server_is_asked_again() {
    let mut world = World::of_one();
    world.ask();
    assert!(
        world.ask().is_empty(),
        "while files are read, servers are not asked"
    );
    world.begin_downloads();
    assert_eq!(world.downloads.len(), 2);
    world.arrive(1);
    assert!(!world.session.has_fetched());
    world.arrive(0);
    assert_eq!(world.take_all(), [0, 1, 2]);
    assert_eq!(world.ask()[0].offset, 3);
}

#[test]
fn a_start_within_a_segment_leaves_out_what_precedes_it() {
    let mut world = World::of_one();
    world
        .session
        .subscribe(bucket(0), TablePath::new("d", "t").into(), Some(1));
    world.ask();
    world.begin_downloads();
    world.arrive(0);
    world.arrive(0);
    assert_eq!(world.take_all(), [1, 2]);
}

#[test]
fn batches_of_a_segment_wait_for_the_schema_that_they_were_written_under() {
    let mut world = World::of_one();
    let decoder = decoder(SchemaId(2), None, "COMPACTED");
    let (scanner, remote) = (ScannerOptions::default(), RemoteOptions::default());
    world.session = Session::new(scanner, remote, decoder.own_forms(), Random::with_seed(1));
    let path = TablePath::new("d", "t");
    world.session.subscribe(bucket(0), path.into(), None);
    world.ask();
    world.begin_downloads();
    world.arrive(0);
    world.arrive(0);
    assert_eq!(world.take(), None);
    assert_eq!(world.session.positions()[&bucket(0)], Some(0));
    assert_eq!(world.session.unknown_schemas(world.now), [SchemaId(1)].into());
    let first = decoder.forms(&schema(SchemaId(1)));
    world.session.learn(SchemaId(1), first);
    assert_eq!(world.take_all(), [0, 1, 2]);
}

#[test]
fn no_more_downloads_are_under_way_than_are_allowed() {
    let mut world = World::new(9, vec![(0, vec![5])], 1 << 20);
    world.ask();
    world.begin_downloads();
    assert_eq!(world.downloads.len(), RemoteOptions::default().read_concurrency);
    world.begin_downloads();
    assert_eq!(world.downloads.len(), RemoteOptions::default().read_concurrency);
    world.arrive(0);
    world.begin_downloads();
    assert_eq!(world.downloads.len(), RemoteOptions::default().read_concurrency);
}

#[test]
fn what_is_not_there_is_asked_of_the_server_anew_after_a_pause() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.fail(1, not_found);
    world.arrive(0);
    assert_eq!(world.take_all(), [0, 1], "what precedes it is read");
    assert!(world.error().is_none());
    world.fail_again_until_told(2);
}

#[test]
fn what_comes_from_behind_a_file_that_is_not_there_hides_nothing() {
    World::of_one().fail_again_until_told(0);
}

impl World {
    /// Asks and fails until a poll tells it, which takes as long as a timeout. There are pauses all the while.
    fn fail_again_until_told(&mut self, offset: Offset) {
        let begun = self.now;
        let mut asked = 0;
        let error = loop {
            self.rest();
            if let Some(error) = self.error() {
                break error;
            }
            assert_eq!(self.ask()[0].offset, offset);
            asked += 1;
            self.begin_downloads();
            // What is behind it comes first, and changes nothing.
            while self.downloads.len() > 1 {
                self.arrive(1);
            }
            self.fail(0, not_found);
        };
        assert!(self.now - begun >= TIMEOUT && asked < 12, "{asked} times");
        let file = format!("/r/0a/{offset:020}.log");
        assert_eq!(
            error.to_string(),
            format!("poll d.t bucket 0: remote file {file} is not there")
        );
        assert!(error.is_retriable());
    }
}

#[test]
fn a_bucket_with_a_stop_is_read_no_further() {
    let mut world = World::of_one();
    world.session.stop_at(&bucket(0), 1);
    world.ask();
    world.begin_downloads();
    assert_eq!(
        world.downloads.len(),
        1,
        "the segment that begins behind the stop is not read"
    );
    world.arrive(0);
    assert_eq!(world.take_all(), [0]);
    assert!(world.session.has_stopped() && world.ask().is_empty());
}

#[test]
fn nothing_is_waited_for_behind_a_stop() {
    let mut world = World::new(1, vec![(0, vec![5, 100_000, 100_000])], 1 << 20);
    world.session.stop_at(&bucket(0), 1);
    world.ask();
    world.begin_downloads();
    assert_eq!(world.downloads.len(), 2, "two stretches of the segment");
    world.arrive(0);
    assert_eq!(world.take_all(), [0]);
    assert!(world.session.has_stopped());
    assert_eq!(world.session.next_timeout(TIMEOUT), None);
}

#[test]
fn trouble_that_passes_costs_a_pause() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.fail(0, failed);
    world.begin_downloads();
    assert_eq!(world.downloads.len(), 1, "the other one");
    world.rest();
    world.begin_downloads();
    world.arrive(1);
    world.arrive(0);
    assert_eq!(world.take_all(), [0, 1, 2]);
    assert_eq!(world.session.next_timeout(TIMEOUT), None);
}

#[test]
fn trouble_that_lasts_is_told_when_the_timeout_has_passed() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.fail(0, failed);
    assert!(world.error().is_none());
    world.now += TIMEOUT;
    let error = world.error().unwrap().to_string();
    assert!(
        error.contains("bucket 0") && error.ends_with("00000.log cannot be read: out of order"),
        "{error}"
    );
    assert!(world.error().is_none(), "once for each span of time");
}

#[test]
fn what_may_not_be_read_fails_every_poll_behind_what_precedes_it() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.fail(1, denied);
    world.arrive(0);
    assert_eq!(world.take_all(), [0, 1]);
    world.begin_downloads();
    assert!(world.downloads.is_empty() && world.ask().is_empty());
    assert!(!world.error().unwrap().is_retriable());
    assert!(world.error().is_some());
}

#[test]
fn an_answer_that_makes_no_sense_is_told() {
    let mut world = World::new(1, vec![(5, vec![1])], 1 << 20);
    world.ask();
    let error = world.error().unwrap().to_string();
    assert_eq!(
        error,
        "poll d.t bucket 0 at h:1: malformed remote fetch info: nothing has the offsets 0 to 5"
    );
}

#[test]
fn a_bucket_that_is_not_read_any_more_holds_nothing() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.arrive(0);
    assert!(world.session.held.bytes() > 0);
    world.session.unsubscribe(bucket(0));
    world.arrive(0);
    assert_eq!(world.session.held.bytes(), 0);
    assert_eq!(world.session.downloading, 0);
}

#[test]
fn of_a_dropped_partition_only_what_is_here_is_read() {
    let mut world = World::of_one();
    world.ask();
    world.begin_downloads();
    world.arrive(0);
    world.session.end(|_| true);
    world.arrive(0);
    world.rest();
    assert_eq!(world.take_all(), [0, 1]);
    assert!(world.ask().is_empty());
    assert_eq!(world.session.next_timeout(TIMEOUT), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However large batches are, and whatever fails: every record comes once, in order, and all is held within the limit,
    /// but for the one batch that nothing else can be done about.
    #[test]
    fn every_record_comes_once_and_little_is_held(
        buckets in 1_i32..6,
        sizes in prop::collection::vec(prop::collection::vec(0_usize..150_000, 1..5), 1..5),
        prefetch_bytes in 1_usize..600_000,
        events in prop::collection::vec((0_usize..4, 0_usize..8), 0..300),
    ) {
        let mut start = 0;
        let segments: Segments = sizes
            .into_iter()
            .map(|texts| {
                let first = start;
                start += texts.len() as Offset;
                (first, texts)
            })
            .collect();
        let largest = segments.iter().flat_map(|(_, texts)| texts).max().copied().unwrap_or(0) + 100;
        let mut world = World::new(buckets, segments, prefetch_bytes);
        let limit = prefetch_bytes + (largest + 2 * world.session.remote.stretch_bytes()) * buckets as usize;
        let patient = std::iter::repeat_n([(0, 0), (3, 0)], 4_000).flatten();
        for (event, which) in events.into_iter().chain(patient) {
            if world.taken.values().map(Vec::len).sum::<usize>() == buckets as usize * start as usize {
                break;
            }
            world.ask();
            world.begin_downloads();
            prop_assert!(world.session.held.bytes() <= limit);
            let patience = Duration::from_hours(1);
            prop_assert!(world.session.error(world.now, patience).is_none());
            let index = which % world.downloads.len().max(1);
            match event {
                _ if world.downloads.is_empty() => {
                    world.take();
                }
                0 => world.arrive(index),
                1 => world.fail(index, failed),
                2 => world.fail(index, not_found),
                _ => {
                    world.take();
                }
            }
            world.rest();
        }
        while !world.downloads.is_empty() {
            world.arrive(0);
        }
        for number in 0..buckets {
            let expected: Vec<Offset> = (0..start).collect();
            prop_assert_eq!(world.taken.get(&bucket(number)), Some(&expected));
        }
        prop_assert_eq!(world.session.held.bytes(), 0);
    }
}
