//! How far a query has come: what of a scanner's batches its reader has, and whether that is all there was at the beginning.
//!
//! ```text
//! scanner ─▶ take ─▶ in flight: computed, waiting ─▶ handed out
//!            └─ the scanner has passed them           └─ the query has passed them
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fluss_client::id::{Offset, TableBucket};
use fluss_client::{Lease, LogScanner, Positions, ScanBatch, StartOffset};
use fluss_rpc::sync::Mutex;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::Result;
use crate::run::Following;

/// How long a poll waits while the end that there was at the beginning is not reached: a filter may leave out all that is
/// before it.
const WHILE_BEHIND: Duration = Duration::from_millis(10);
/// How long it waits afterwards.
const FOREVER: Duration = Duration::from_hours(24);

/// A batch that the scanner has passed, by a number that grows.
pub(super) type Ticket = u64;

/// How far a query has come.
pub(super) struct Progress {
    scanner: LogScanner,
    flow: Mutex<Flow>,
    stage: watch::Sender<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Behind,
    CaughtUp,
    /// Before it has caught up.
    Ended,
}

struct Flow {
    flights: Flights,
    behind: Behind,
    looked: Option<Instant>,
    /// Where the query stood when it ended.
    last: Option<Result<Positions>>,
}

impl Progress {
    /// Of a scanner that has subscribed, and the ends that its buckets had when the query began.
    pub(super) fn new(scanner: LogScanner, ends: BTreeMap<TableBucket, Offset>) -> Result<Self> {
        let mut behind = Behind(ends);
        behind.look(&scanner.positions()?);
        let stage = if behind.is_caught_up() {
            Stage::CaughtUp
        } else {
            Stage::Behind
        };
        let flow = Flow {
            flights: Flights::default(),
            behind,
            looked: None,
            last: None,
        };
        Ok(Self {
            scanner,
            flow: Mutex::new(flow),
            stage: watch::Sender::new(stage),
        })
    }

    pub(super) const fn scanner(&self) -> &LogScanner {
        &self.scanner
    }

    /// How long the next poll may wait.
    pub(super) fn patience(&self) -> Duration {
        match *self.stage.borrow() {
            Stage::Behind => WHILE_BEHIND,
            Stage::CaughtUp | Stage::Ended => FOREVER,
        }
    }

    /// Takes batches over from the scanner, which has passed them from now on.
    pub(super) fn take(&self, lease: Lease<Vec<ScanBatch>>) -> Vec<(Ticket, ScanBatch)> {
        let mut flow = self.flow.lock();
        let batches = lease.take();
        let enter = |scanned: ScanBatch| (flow.flights.enter(&scanned), scanned);
        batches.into_iter().map(enter).collect()
    }

    /// A batch has no rows for the reader.
    pub(super) fn left_out(&self, ticket: Ticket) {
        self.change(|flow| flow.flights.left_out(ticket, &mut flow.behind));
    }

    /// The reader has the rows of a batch, or of a last one those before an offset.
    pub(super) fn handed_out(&self, ticket: Ticket, up_to: Option<Offset>) {
        self.change(|flow| flow.flights.handed_out(ticket, up_to, &mut flow.behind));
    }

    /// Looks where the scanner stands, which also passes what its filter leaves out.
    pub(super) fn look(&self) -> Result<()> {
        if *self.stage.borrow() != Stage::Behind {
            return Ok(());
        }
        let mut looked = Ok(());
        self.change(|flow| {
            let now = Instant::now();
            let is_soon = |looked: Instant| now.duration_since(looked) < WHILE_BEHIND;
            if flow.last.is_some() || flow.looked.is_some_and(is_soon) {
                return;
            }
            flow.looked = Some(now);
            looked = self.positions(flow).map(|positions| flow.behind.look(&positions));
        });
        looked
    }

    /// Ends the query where it stands.
    pub(super) fn end(&self) {
        self.change(|flow| {
            if flow.last.is_none() {
                flow.last = Some(self.positions(flow));
            }
        });
        self.scanner.close();
        self.stage.send_if_modified(|stage| {
            let is_behind = *stage == Stage::Behind;
            if is_behind {
                *stage = Stage::Ended;
            }
            is_behind
        });
    }

    fn change(&self, change: impl FnOnce(&mut Flow)) {
        let mut flow = self.flow.lock();
        change(&mut flow);
        let is_caught_up = flow.behind.is_caught_up();
        drop(flow);
        self.stage.send_if_modified(|stage| {
            let is_news = is_caught_up && *stage == Stage::Behind;
            if is_news {
                *stage = Stage::CaughtUp;
            }
            is_news
        });
    }

    /// Where the query stands: where the scanner does, but for what is in flight.
    fn positions(&self, flow: &Flow) -> Result<Positions> {
        match &flow.last {
            Some(last) => last.clone(),
            None => Ok(flow.flights.held_back(self.scanner.positions()?)),
        }
    }
}

impl Following for Progress {
    fn position(&self) -> Result<String> {
        Ok(self.positions(&self.flow.lock())?.to_json())
    }

    fn is_caught_up(&self) -> bool {
        *self.stage.borrow() == Stage::CaughtUp
    }

    fn caught_up(&self) -> BoxFuture<'static, ()> {
        let mut stage = self.stage.subscribe();
        async move {
            // There is no sender any more if the query is gone.
            let _ = stage.wait_for(|stage| *stage != Stage::Behind).await;
        }
        .boxed()
    }
}

/// Batches that the scanner has passed and the reader does not have, in their order.
#[derive(Default)]
struct Flights {
    batches: VecDeque<Flight>,
    next: Ticket,
}

struct Flight {
    ticket: Ticket,
    bucket: TableBucket,
    /// The offset of the first row that the reader does not have.
    from: Offset,
    /// The offset behind the last row.
    to: Offset,
    is_left_out: bool,
}

impl Flights {
    fn enter(&mut self, scanned: &ScanBatch) -> Ticket {
        let last = scanned.batch.num_rows().checked_sub(1);
        let ticket = self.next;
        self.next += 1;
        self.batches.push_back(Flight {
            ticket,
            bucket: scanned.bucket,
            from: scanned.offset(0),
            to: last.map_or(scanned.base_offset, |last| scanned.offset(last) + 1),
            is_left_out: false,
        });
        ticket
    }

    fn left_out(&mut self, ticket: Ticket, behind: &mut Behind) {
        // Numbers follow without gap.
        let first = self.batches.front().map_or(ticket, |flight| flight.ticket);
        let place = ticket
            .checked_sub(first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(flight) = place.and_then(|place| self.batches.get_mut(place)) {
            flight.is_left_out = true;
        }
        self.pass(behind, |flight| flight.is_left_out);
    }

    fn handed_out(&mut self, ticket: Ticket, up_to: Option<Offset>, behind: &mut Behind) {
        let is_whole = up_to.is_none();
        self.pass(behind, |flight| {
            flight.ticket < ticket || (flight.ticket == ticket && is_whole)
        });
        match (up_to, self.batches.front_mut()) {
            (Some(up_to), Some(flight)) => {
                flight.from = up_to;
                behind.passed(flight.bucket, up_to);
            }
            _ => self.pass(behind, |flight| flight.is_left_out),
        }
    }

    fn pass(&mut self, behind: &mut Behind, is_passed: impl Fn(&Flight) -> bool) {
        while let Some(flight) = self.batches.pop_front_if(|flight| is_passed(flight)) {
            behind.passed(flight.bucket, flight.to);
        }
    }

    /// Positions of the scanner that have not passed these.
    fn held_back(&self, positions: Positions) -> Positions {
        // The first one of a bucket counts.
        let batches = self.batches.iter().rev();
        batches.fold(positions, |positions, flight| {
            positions.moved(&flight.bucket, flight.from)
        })
    }
}

/// The ends of the buckets that were not read up to them yet.
struct Behind(BTreeMap<TableBucket, Offset>);

impl Behind {
    fn is_caught_up(&self) -> bool {
        self.0.is_empty()
    }

    fn passed(&mut self, bucket: TableBucket, next: Offset) {
        if self.0.get(&bucket).is_some_and(|end| *end <= next) {
            self.0.remove(&bucket);
        }
    }

    /// Forgets those that are passed, and those of buckets that are read no more.
    fn look(&mut self, positions: &Positions) {
        if self.0.is_empty() {
            return;
        }
        let starts: BTreeMap<_, _> = positions.buckets().collect();
        self.0.retain(|bucket, end| match starts.get(bucket) {
            Some(StartOffset::At(next)) => next < end,
            // Where it begins is not known yet; if that is 0, there is nothing before it.
            Some(_) => *end > 0,
            None => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;
    use fluss_client::id::{BucketId, TableId};
    use fluss_client::types::Timestamp;

    use super::*;

    fn bucket(number: i32) -> TableBucket {
        TableBucket::new(TableId(1), BucketId(number))
    }

    fn scanned(number: i32, base_offset: Offset, rows: i64) -> ScanBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        ScanBatch {
            bucket: bucket(number),
            base_offset,
            kept: None,
            timestamp: Timestamp::from_millis(1),
            schema_id: None,
            change_types: None,
            batch: RecordBatch::try_from_iter([("n", column)]).unwrap(),
        }
    }

    fn positions(offsets: [Option<Offset>; 2]) -> Positions {
        let entry = |(number, offset): (usize, Option<Offset>)| match offset {
            Some(offset) => format!(r#"{{"bucket":{number},"offset":{offset}}}"#),
            None => format!(r#"{{"bucket":{number}}}"#),
        };
        let buckets: Vec<_> = offsets.into_iter().enumerate().map(entry).collect();
        let text = format!(
            r#"{{"version":1,"table":"d.t","table_id":1,"buckets":[{}]}}"#,
            buckets.join(",")
        );
        Positions::from_json(&text).unwrap()
    }

    fn ends(ends: [Offset; 2]) -> Behind {
        Behind([(bucket(0), ends[0]), (bucket(1), ends[1])].into())
    }

    #[test]
    fn what_is_in_flight_is_not_passed() {
        let (mut flights, mut behind) = (Flights::default(), ends([20, 5]));
        let tickets =
            [scanned(0, 10, 5), scanned(1, 0, 5), scanned(0, 15, 5)].map(|batch| flights.enter(&batch));
        let of_scanner = positions([Some(20), Some(5)]);
        assert_eq!(
            flights.held_back(of_scanner.clone()),
            positions([Some(10), Some(0)])
        );
        flights.handed_out(tickets[0], None, &mut behind);
        assert_eq!(
            flights.held_back(of_scanner.clone()),
            positions([Some(15), Some(0)])
        );
        flights.handed_out(tickets[2], None, &mut behind);
        assert_eq!(flights.held_back(of_scanner.clone()), of_scanner);
        assert!(behind.is_caught_up());
    }

    #[test]
    fn a_batch_without_rows_is_passed_when_those_before_it_are() {
        let (mut flights, mut behind) = (Flights::default(), ends([3, 3]));
        let first = flights.enter(&scanned(0, 0, 3));
        let second = flights.enter(&scanned(1, 0, 3));
        flights.left_out(second, &mut behind);
        let of_scanner = positions([Some(3), Some(3)]);
        assert_eq!(
            flights.held_back(of_scanner.clone()),
            positions([Some(0), Some(0)])
        );
        flights.handed_out(first, None, &mut behind);
        assert_eq!(flights.held_back(of_scanner.clone()), of_scanner);
        assert!(behind.is_caught_up());
        let third = flights.enter(&scanned(0, 3, 1));
        flights.left_out(third, &mut behind);
        assert!(flights.batches.is_empty());
    }

    #[test]
    fn of_a_last_batch_only_some_rows_are_passed() {
        let (mut flights, mut behind) = (Flights::default(), ends([12, 0]));
        let cut = flights.enter(&scanned(0, 10, 5));
        flights.enter(&scanned(0, 15, 5));
        flights.handed_out(cut, Some(12), &mut behind);
        let stands = flights.held_back(positions([Some(20), None]));
        assert_eq!(stands, positions([Some(12), None]));
        assert!(!behind.0.contains_key(&bucket(0)));
    }

    #[test]
    fn buckets_that_are_empty_or_gone_are_not_waited_for() {
        let mut behind = ends([4, 0]);
        behind.look(&positions([None, None]));
        assert_eq!(behind.0.len(), 1);
        behind.look(&positions([Some(3), None]));
        assert!(!behind.is_caught_up());
        behind.look(&positions([Some(4), None]));
        assert!(behind.is_caught_up());
        let mut behind = Behind([(bucket(2), 9)].into());
        behind.look(&positions([None, None]));
        assert!(behind.is_caught_up());
    }
}
