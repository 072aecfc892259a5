//! Which bucket a row goes to.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use fastrand::Rng;

use super::partitions::{Slot, Target};
use crate::config::BucketAssigner;
use crate::shape::Shape;
use fluss_core::ValueError;
use fluss_core::arrow::ArrowRows;
use fluss_core::id::BucketId;
use fluss_core::row::{BucketFunction, KeyEncoder};
use fluss_core::types::{InvalidDefinition, Row, TableInfo};

/// Which bucket a row goes to (`rows.md` §6), in its table or partition.
#[derive(Debug)]
pub(super) struct Router {
    /// How many buckets a partition has of which nothing else is known.
    count: i32,
    /// How many the others have.
    counts: BTreeMap<Slot, i32>,
    way: Way,
    rng: Rng,
}

#[derive(Debug)]
enum Way {
    /// That of the bucket key's hash.
    Key {
        encoder: KeyEncoder,
        function: BucketFunction,
        key: Vec<u8>,
    },
    /// In each partition the same one until its batch is full, then another.
    Sticky(BTreeMap<Slot, Stay>),
    /// In each partition the next.
    RoundRobin(BTreeMap<Slot, BucketId>),
}

/// The sticky bucket of a partition.
#[derive(Clone, Copy, Debug)]
struct Stay {
    bucket: BucketId,
    /// How many rows have gone to it.
    rows: u32,
}

/// So many rows stay together even if each is sent alone: a server does much for the first that a bucket gets, and
/// little for the next.
const STAY_ROWS: u32 = 100;

impl Stay {
    const fn at(bucket: BucketId) -> Self {
        Self { bucket, rows: 0 }
    }
}

/// What rows for a bucket find there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// A batch that takes rows.
    Open,
    /// No batch, but one would be sent at once.
    Free,
    /// Batches that wait for those before them.
    Blocked,
}

impl Router {
    /// A router to the buckets of a table. `rng` chooses those that do not follow from a key.
    pub(super) fn of(
        info: &TableInfo,
        assigner: BucketAssigner,
        rng: Rng,
    ) -> Result<Self, InvalidDefinition> {
        let count = info.bucket_count;
        let way = match (KeyEncoder::bucket_key(info, info.row_type())?, assigner) {
            (Some(encoder), _) => Way::Key {
                encoder,
                function: info.lake_format().into(),
                key: Vec::new(),
            },
            (None, BucketAssigner::Sticky) => Way::Sticky(BTreeMap::new()),
            (None, BucketAssigner::RoundRobin) => Way::RoundRobin(BTreeMap::new()),
        };
        Ok(Self {
            count,
            counts: BTreeMap::new(),
            way,
            rng,
        })
    }

    /// Among how many buckets those of a partition are chosen.
    pub(super) fn count(&self, slot: Slot) -> i32 {
        self.counts.get(&slot).copied().unwrap_or(self.count)
    }

    /// Chooses those of a partition among so many from now on.
    pub(super) fn set_count(&mut self, slot: Slot, count: i32) {
        self.counts.insert(slot, count);
        match &mut self.way {
            Way::Key { .. } => {}
            Way::Sticky(current) => drop(current.remove(&slot)),
            Way::RoundRobin(last) => drop(last.remove(&slot)),
        }
    }

    /// Where a row goes: one of the table's type, which is checked, in the partition `slot`. `room` tells what it finds
    /// there.
    pub(super) fn route(
        &mut self,
        slot: Slot,
        row: &(impl Row + ?Sized),
        room: impl Fn(Target) -> Room,
    ) -> Result<Target, ValueError> {
        let (count, rng) = (self.count(slot), &mut self.rng);
        let bucket = match &mut self.way {
            Way::Key {
                encoder,
                function,
                key,
            } => {
                key.clear();
                encoder.encode(row, key)?;
                function.bucket(key, count)?
            }
            Way::Sticky(current) => {
                let stay = current.entry(slot).or_insert_with(|| Stay::at(any(count, rng)));
                let bucket = stay.bucket;
                let stays = match room(Target { slot, bucket }) {
                    Room::Open => true,
                    Room::Free => stay.rows < STAY_ROWS,
                    Room::Blocked => false,
                };
                if !stays {
                    *stay = Stay::at(other(bucket, count, rng));
                }
                stay.rows = stay.rows.saturating_add(1);
                stay.bucket
            }
            Way::RoundRobin(last) => {
                let last = last.entry(slot).or_insert_with(|| any(count, rng));
                *last = BucketId((last.get() + 1) % count.max(1));
                *last
            }
        };
        Ok(Target { slot, bucket })
    }

    /// The rows of an Arrow batch, by where they go; `slots` are their partitions. Without bucket key the rows of a
    /// partition go to one bucket.
    pub(super) fn split(
        &mut self,
        shape: &Shape,
        batch: RecordBatch,
        slots: &[Slot],
    ) -> Result<Vec<(Target, RecordBatch)>, ValueError> {
        if let (Way::Sticky(_), []) = (&self.way, slots) {
            return Ok(vec![(self.turn(Slot::WHOLE), batch)]);
        }
        let rows = ArrowRows::new(batch.clone(), shape.row_type())?;
        let targets = self.targets(&rows, shape, slots)?;
        fluss_core::arrow::split(&batch, &targets)
    }

    /// Where each row goes.
    fn targets(
        &mut self,
        rows: &ArrowRows,
        shape: &Shape,
        slots: &[Slot],
    ) -> Result<Vec<Target>, ValueError> {
        let mut turns = BTreeMap::new();
        let is_sticky = matches!(self.way, Way::Sticky(_));
        let mut target = |index: usize| {
            let slot = slot_of(slots, index);
            if is_sticky {
                return Ok(*turns.entry(slot).or_insert_with(|| self.turn(slot)));
            }
            let target = self.route(slot, &shape.spread(&rows.row(index)), |_| Room::Open);
            target.map_err(|error| error.at_row(index))
        };
        (0..rows.len()).map(&mut target).collect()
    }

    /// Another sticky bucket.
    fn turn(&mut self, slot: Slot) -> Target {
        let (count, rng) = (self.count(slot), &mut self.rng);
        let Way::Sticky(current) = &mut self.way else {
            return Target {
                slot,
                bucket: any(count, rng),
            };
        };
        let stay = current.entry(slot).or_insert_with(|| Stay::at(any(count, rng)));
        *stay = Stay::at(other(stay.bucket, count, rng));
        Target {
            slot,
            bucket: stay.bucket,
        }
    }

    /// The positions of rows, by where they go; `slots` are their partitions.
    pub(super) fn pick(
        &mut self,
        rows: &ArrowRows,
        shape: &Shape,
        slots: &[Slot],
    ) -> Result<BTreeMap<Target, Vec<u32>>, ValueError> {
        let mut picked: BTreeMap<Target, Vec<u32>> = BTreeMap::new();
        for (index, target) in self.targets(rows, shape, slots)?.into_iter().enumerate() {
            picked.entry(target).or_default().push(index as u32);
        }
        Ok(picked)
    }
}

/// The partition of a row of a batch: a table without partitions has none for its rows.
fn slot_of(slots: &[Slot], index: usize) -> Slot {
    slots.get(index).copied().unwrap_or(Slot::WHOLE)
}

/// A bucket at random.
fn any(count: i32, rng: &mut Rng) -> BucketId {
    BucketId(rng.i32(0..count.max(1)))
}

/// A bucket at random that is not this one, if there is any.
fn other(current: BucketId, count: i32, rng: &mut Rng) -> BucketId {
    if count < 2 {
        return BucketId(0);
    }
    let step = rng.i32(1..count);
    BucketId(current.get().wrapping_add(step).rem_euclid(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::types::Datum;

    /// The buckets of so many rows which find the same there.
    fn buckets(router: &mut Router, rows: u32, room: Room) -> Vec<BucketId> {
        let row = [Datum::BigInt(1)];
        let route = |_| {
            router
                .route(Slot::WHOLE, &row, |_| room)
                .map(|target| target.bucket)
        };
        (0..rows).map(route).collect::<Result<_, _>>().unwrap()
    }

    fn sticky(seed: u64) -> Router {
        Router {
            count: 3,
            counts: BTreeMap::new(),
            way: Way::Sticky(BTreeMap::new()),
            rng: Rng::with_seed(seed),
        }
    }

    fn moves(buckets: &[BucketId]) -> usize {
        buckets.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn rows_that_are_sent_alone_stay_together_for_a_while() {
        let buckets = buckets(&mut sticky(1), 10 * STAY_ROWS, Room::Free);
        assert_eq!(moves(&buckets), 9);
        assert_eq!(moves(&buckets[..STAY_ROWS as usize]), 0);
    }

    #[test]
    fn rows_stay_while_a_batch_takes_them_and_leave_a_bucket_that_waits() {
        let mut router = sticky(1);
        assert_eq!(moves(&buckets(&mut router, 3 * STAY_ROWS, Room::Open)), 0);
        assert_eq!(moves(&buckets(&mut router, 5, Room::Blocked)), 4);
    }

    #[test]
    fn a_seed_leads_rows_the_same_way_again() {
        let way = |seed| buckets(&mut sticky(seed), 100, Room::Blocked);
        assert_eq!(way(7), way(7));
        assert_ne!(way(7), way(8));
    }
}
