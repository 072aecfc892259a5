//! Batches between the server and the consumer: each waits until the schema is known that it was written under.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::form::{Form, Forms};
use super::tiered::{Hold, Segment};
use fluss_core::id::{Offset, SchemaId, TableBucket};
use fluss_core::record::log::LogBatch;

/// A batch as it came.
pub(super) struct Arrival {
    pub(super) bucket: TableBucket,
    pub(super) subscription: u64,
    pub(super) batch: LogBatch,
    /// Records before this offset are not wanted.
    pub(super) from: Offset,
    /// Nor those from this offset on.
    pub(super) to: Offset,
    /// Whether the server has left out the columns that were not asked for.
    pub(super) projected: bool,
    /// The tiered segment that it is of, if it is of one.
    pub(super) segment: Option<Arc<Segment>>,
    /// Counts the bytes of tiered segments until the consumer has the batch.
    pub(super) hold: Option<Arc<Hold>>,
}

/// A batch that can be read.
pub(super) struct Fetched {
    pub(super) bucket: TableBucket,
    pub(super) subscription: u64,
    pub(super) batch: LogBatch,
    /// Records before this offset are not wanted.
    pub(super) from: Offset,
    /// Nor those from this offset on.
    pub(super) to: Offset,
    /// How it is laid out; nothing if it was projected though its schema does not have the columns.
    pub(super) form: Option<Arc<Form>>,
    /// The tiered segment that it is of, if it is of one.
    pub(super) segment: Option<Arc<Segment>>,
    pub(super) hold: Option<Arc<Hold>>,
}

/// Batches in their order, those of each subscription behind one another.
#[derive(Default)]
pub(super) struct Arrivals {
    forms: HashMap<SchemaId, Forms>,
    ready: VecDeque<Fetched>,
    /// Of each subscription the batches behind the first one whose schema is not known.
    waiting: BTreeMap<u64, VecDeque<Arrival>>,
    bytes: usize,
}

impl Arrivals {
    /// The bytes of all batches.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is something for the consumer.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds the next batch of its subscription.
    pub(super) fn push(&mut self, arrival: Arrival) {
        self.bytes += arrival.batch.len();
        if let Some(queue) = self.waiting.get_mut(&arrival.subscription) {
            queue.push_back(arrival);
            return;
        }
        if let Some(forms) = self.forms.get(&arrival.batch.schema_id()) {
            self.ready.push_back(arrival.read_as(forms));
        } else {
            let queue = self.waiting.entry(arrival.subscription).or_default();
            queue.push_back(arrival);
        }
    }

    /// Takes the next batch for the consumer.
    pub(super) fn pop(&mut self) -> Option<Fetched> {
        let mut fetched = self.ready.pop_front()?;
        fetched.hold = None;
        self.bytes = self.bytes.saturating_sub(fetched.batch.len());
        Some(fetched)
    }

    /// Drops the batches of a subscription.
    pub(super) fn forget(&mut self, subscription: u64) {
        self.ready.retain(|fetched| fetched.subscription != subscription);
        self.give_up(subscription);
    }

    /// Drops the batches of a subscription whose schemas are not known, and those behind them. Returns the first offset
    /// that was wanted of them.
    pub(super) fn give_up(&mut self, subscription: u64) -> Option<Offset> {
        let dropped = self.waiting.remove(&subscription);
        let ready = self.ready.iter().map(|fetched| fetched.batch.len());
        let waiting = self.waiting.values().flatten();
        self.bytes = ready.chain(waiting.map(|arrival| arrival.batch.len())).sum();
        dropped?.front().map(|arrival| arrival.from)
    }

    /// Of each bucket, the first offset that is wanted of what is here.
    pub(super) fn starts(&self) -> BTreeMap<TableBucket, Offset> {
        let waiting = self.waiting.values().filter_map(VecDeque::front);
        let waiting = waiting.map(|arrival| (arrival.bucket, arrival.from));
        let ready = self.ready.iter().rev();
        // The last one counts: what is ready is before what waits.
        waiting
            .chain(ready.map(|fetched| (fetched.bucket, fetched.from)))
            .collect()
    }

    /// The schemas that somebody waits for.
    pub(super) fn unknown(&self) -> BTreeSet<SchemaId> {
        self.waiting.values().filter_map(first_schema).collect()
    }

    /// The subscriptions that wait for a schema.
    pub(super) fn waiting_for(&self, schema: SchemaId) -> impl Iterator<Item = u64> {
        let waits = move |(_, queue): &(&u64, &VecDeque<Arrival>)| first_schema(queue) == Some(schema);
        self.waiting
            .iter()
            .filter(waits)
            .map(|(subscription, _)| *subscription)
    }

    /// Whether batches of a schema are known to have all columns that are asked for.
    pub(super) fn has_columns(&self, schema: SchemaId) -> bool {
        let forms = self.forms.get(&schema);
        forms.is_some_and(|forms| forms.projected.is_some())
    }

    /// Takes note of how the batches of a schema are laid out.
    pub(super) fn learn(&mut self, schema: SchemaId, forms: Forms) {
        self.forms.insert(schema, forms);
        for queue in self.waiting.values_mut() {
            while let Some(forms) = queue
                .front()
                .and_then(|arrival| self.forms.get(&arrival.batch.schema_id()))
            {
                let known = queue.pop_front().map(|arrival| arrival.read_as(forms));
                self.ready.extend(known);
            }
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
    }
}

fn first_schema(queue: &VecDeque<Arrival>) -> Option<SchemaId> {
    queue.front().map(|arrival| arrival.batch.schema_id())
}

impl Arrival {
    fn read_as(self, forms: &Forms) -> Fetched {
        Fetched {
            bucket: self.bucket,
            subscription: self.subscription,
            batch: self.batch,
            from: self.from,
            to: self.to,
            form: if self.projected {
                forms.projected.clone()
            } else {
                Some(forms.whole.clone())
            },
            segment: self.segment,
            hold: self.hold,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
