//! Servers that fall behind, and say so: writes to their buckets wait, and none is lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{ChangeType, ClientOptions, Connection};
use fluss_cluster::Spec;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::header::RequestHeader;
use fluss_rpc::proto::{self, PbPutKvRespForBucket};
use fluss_rpc::sync::Mutex;
use prost::Message;
use tokio::time::Instant;

use super::answers::{big_int, records};
use super::between::{self, Between, Then};
use crate::observability::{count, sum, warnings};
use crate::{Backend, EVERYWHERE, create, options, run, start, tests};

tests! {
    EVERYWHERE => [
        writes_wait_for_a_server_that_falls_behind_and_none_is_lost,
        writes_wait_for_a_server_that_has_no_room_and_none_is_lost,
        what_no_server_takes_fails_at_its_deadline_and_says_why,
        who_wants_no_pauses_has_none,
    ],
}

/// `PUT_KV` (`messages.md` 1016).
const PUT: i16 = 1016;
const MOST: Duration = Duration::from_millis(60);
const BUCKETS: i32 = 3;
const KEYS: i64 = 5;
const ROWS: i64 = 300;

/// What a server says to a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Say {
    /// What it says anyhow.
    Nothing,
    /// That it has stored it, and falls behind: by so many hundredths.
    Behind(u8),
    /// That a bucket has no room for it.
    NoRoom(ErrorCode),
    /// That it has no room for anything.
    Full,
}

/// Has servers say in turn what is in a list. One connection is all that there is.
struct Pressed {
    says: Arc<[Say]>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Until when nothing is to come for a bucket.
    shut: HashMap<i32, Instant>,
    /// How often it came nevertheless.
    early: usize,
    /// What was said to each write.
    said: Vec<Say>,
    /// The writes whose answers are to say that the server falls behind.
    behind: HashMap<i32, u8>,
}

impl Pressed {
    fn lead(options: &mut ClientOptions, says: impl Into<Arc<[Say]>>) -> Arc<Self> {
        let pressed = Arc::new(Self {
            says: says.into(),
            state: Mutex::default(),
        });
        between::put(options, pressed.clone());
        pressed
    }

    fn said(&self, what: impl Fn(Say) -> bool) -> usize {
        self.state.lock().said.iter().filter(|say| what(**say)).count()
    }

    fn early(&self) -> usize {
        self.state.lock().early
    }

    /// What is said to the next write. Before the pause that this asks for is over, none is to come for its buckets.
    fn next(&self, buckets: &[i32]) -> Say {
        let mut state = self.state.lock();
        let now = Instant::now();
        let is_shut = |bucket: &&i32| state.shut.get(bucket).is_some_and(|until| now < *until);
        let early = buckets.iter().filter(is_shut).count();
        state.early += early;
        let say = self.says[state.said.len() % self.says.len()];
        state.said.push(say);
        let pause = match say {
            Say::Behind(hundredths) => MOST.mul_f64((f64::from(hundredths) / 100.0).powi(2)),
            Say::NoRoom(ErrorCode::STORAGE_BACKPRESSURE) => MOST,
            Say::Nothing | Say::NoRoom(_) | Say::Full => Duration::ZERO,
        };
        let whole_millis = Duration::from_millis(pause.as_millis() as u64);
        // The client counts from when it hears of it, which is later.
        for bucket in buckets {
            state.shut.insert(*bucket, now + whole_millis);
        }
        say
    }
}

impl Between for Pressed {
    fn on_request(&self, request: RequestHeader, body: Bytes) -> Then {
        if request.api_key != PUT {
            return Then::Pass;
        }
        let put = proto::PutKvRequest::decode(body).unwrap();
        let buckets: Vec<i32> = put.buckets_req.iter().map(|bucket| bucket.bucket_id).collect();
        let say = self.next(&buckets);
        match say {
            Say::Nothing => Then::Pass,
            Say::Behind(hundredths) => {
                self.state.lock().behind.insert(request.request_id, hundredths);
                Then::Pass
            }
            Say::NoRoom(code) => {
                let refusal = |bucket_id| PbPutKvRespForBucket {
                    bucket_id,
                    error_code: Some(code.number()),
                    ..Default::default()
                };
                Then::answer(&proto::PutKvResponse {
                    buckets_resp: buckets.into_iter().map(refusal).collect(),
                })
            }
            Say::Full => Then::Refuse(ErrorCode::DISK_WRITE_LOCKED),
        }
    }

    fn on_answer(&self, request: RequestHeader, body: Bytes) -> Bytes {
        let Some(hundredths) = self.state.lock().behind.remove(&request.request_id) else {
            return body;
        };
        let mut answer = proto::PutKvResponse::decode(body).unwrap();
        for bucket in &mut answer.buckets_resp {
            bucket.pressure = Some(f32::from(hundredths) / 100.0);
        }
        answer.encode_to_vec().into()
    }
}

fn schema() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .column("version", DataType::big_int())
        .primary_key(["id"])
        .build()
        .unwrap()
}

/// Upserts numbers under a few keys to servers that say these in turn, and insists that the changelog has every one once and in
/// order. Gives the name of the table.
async fn upsert(mut options: ClientOptions, says: &[Say]) -> (String, Arc<Pressed>) {
    options.writer.linger = Duration::from_millis(1);
    let pressed = Pressed::lead(&mut options, says);
    let connection = Connection::open(options).await.unwrap();
    let table = create(&connection, schema(), BUCKETS, &[]).await;
    let writer = table.upsert().writer().unwrap();
    for version in 0..ROWS {
        let row = [Datum::BigInt(version % KEYS), Datum::BigInt(version)];
        let handle = writer.upsert(&row).await.unwrap();
        if version % 11 == 0 {
            handle.wait().await.unwrap();
        }
    }
    writer.flush().await.unwrap();
    let mut versions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    // Every upsert of a key that is there is a pair of records.
    for (_, records) in records(&table, 2 * ROWS - KEYS).await {
        for (change, row) in records {
            if change != ChangeType::UpdateBefore {
                let of_key = versions.entry(big_int(&row[0])).or_default();
                of_key.push(big_int(&row[1]));
            }
        }
    }
    for (key, versions) in versions {
        let written = (0..ROWS).filter(|version| version % KEYS == key);
        assert!(written.eq(versions.iter().copied()), "key {key}: {versions:?}");
    }
    let path = table.info().path.to_string();
    connection.shut_down().await.unwrap();
    (path, pressed)
}

fn writes_wait_for_a_server_that_falls_behind_and_none_is_lost(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.max_throttle = MOST;
        // Otherwise some are on their way already when the server says so.
        options.writer.max_in_flight = 1;
        let refusal = Say::NoRoom(ErrorCode::STORAGE_BACKPRESSURE);
        let says = [
            Say::Nothing,
            Say::Behind(80),
            refusal,
            Say::Behind(30),
            refusal,
            refusal,
        ];
        let (path, pressed) = upsert(options, &says).await;
        assert!(pressed.said(|say| say == refusal) > 5);
        assert_eq!(pressed.early(), 0);
        let pauses = count("fluss_client_writer_throttle_seconds", &path);
        assert!(pauses > 5, "{pauses}");
        let told = warnings(&["writes to a bucket wait", &path]);
        assert!((1..=2).contains(&told.len()), "one of each server: {told:#?}");
        assert!(told[0].contains("STORAGE_BACKPRESSURE (72)"), "{told:?}");
        assert!(warnings(&["a batch is sent again", &path]).is_empty());
    });
}

fn writes_wait_for_a_server_that_has_no_room_and_none_is_lost(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let old = Say::NoRoom(ErrorCode::KV_STORAGE_EXCEPTION);
        let mut says = vec![Say::Nothing; 10];
        says.extend([old, old, Say::Nothing, Say::Full, Say::Nothing, Say::Nothing]);
        let (path, pressed) = upsert(options(&place), &says).await;
        assert!(pressed.said(|say| say == Say::Full) > 0);
        assert!(sum("fluss_client_writer_retries_total", &path) > 0);
        assert!(!warnings(&["a batch is sent again", "DISK_WRITE_LOCKED (70)", &path]).is_empty());
    });
}

fn what_no_server_takes_fails_at_its_deadline_and_says_why(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        for (say, words) in [
            (
                Say::NoRoom(ErrorCode::STORAGE_BACKPRESSURE),
                "STORAGE_BACKPRESSURE (72)",
            ),
            (Say::Full, "DISK_WRITE_LOCKED (70)"),
        ] {
            let mut options = options(&place);
            options.writer.delivery_timeout = Duration::from_millis(700);
            options.writer.max_throttle = MOST;
            let _pressed = Pressed::lead(&mut options, [say]);
            let connection = Connection::open(options).await.unwrap();
            let table = create(&connection, schema(), BUCKETS, &[]).await;
            let writer = table.upsert().writer().unwrap();
            let begun = Instant::now();
            let handle = writer
                .upsert(&[Datum::BigInt(1), Datum::BigInt(1)])
                .await
                .unwrap();
            let error = handle.wait().await.unwrap_err().to_string();
            assert!(begun.elapsed() >= Duration::from_millis(700));
            assert!(
                error.contains(words) && error.contains(&table.info().path.to_string()),
                "{error}"
            );
            connection.shut_down().await.ok();
        }
    });
}

fn who_wants_no_pauses_has_none(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.writer.max_throttle = Duration::ZERO;
        let refusal = Say::NoRoom(ErrorCode::STORAGE_BACKPRESSURE);
        let (path, pressed) = upsert(
            options,
            &[Say::Behind(99), Say::Behind(99), refusal, Say::Nothing],
        )
        .await;
        assert!(pressed.said(|say| say == refusal) > 0);
        assert_eq!(count("fluss_client_writer_throttle_seconds", &path), 0);
    });
}
