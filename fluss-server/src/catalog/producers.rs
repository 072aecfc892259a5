//! Where producers left off (`behaviour.md` §6).

use std::sync::Arc;

use fluss_core::id::{Offset, TableBucket, TableId};

use super::rules::check_producer;
use super::{Catalog, Outcome};
use crate::Failure;

/// How long offsets are kept if their producer does not say, in milliseconds.
const DEFAULT_TTL_MS: i64 = 24 * 3_600_000;

/// Where the logs that a producer writes ended before it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerOffsets {
    /// When they are forgotten, in milliseconds since the epoch.
    pub expires_ms: i64,
    /// The end of each bucket's log; nothing where the producer gave none.
    pub offsets: Vec<(TableBucket, Option<Offset>)>,
}

impl ProducerOffsets {
    /// The tables, each once.
    pub fn tables(&self) -> Vec<TableId> {
        let mut tables: Vec<TableId> = self.offsets.iter().map(|(bucket, _)| bucket.table).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    const fn is_live(&self, now_ms: i64) -> bool {
        self.expires_ms > now_ms
    }
}

impl Catalog {
    /// Keeps a producer's offsets, for 24 hours unless `ttl_ms` says otherwise. False, and nothing is kept, if there
    /// are some already.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_ID`; the disk's.
    pub fn register_producer(
        &self,
        id: &str,
        offsets: Vec<(TableBucket, Option<Offset>)>,
        ttl_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<bool, Failure> {
        check_producer(id)?;
        let expires_ms = now_ms.saturating_add(ttl_ms.unwrap_or(DEFAULT_TTL_MS));
        self.change(|view| {
            view.producers.retain(|_, producer| producer.is_live(now_ms));
            if view.producers.contains_key(id) {
                return Ok(Outcome::Same(false));
            }
            let producer = ProducerOffsets { expires_ms, offsets };
            view.producers.insert(id.to_owned(), Arc::new(producer));
            Ok(Outcome::New(true))
        })
    }

    /// A producer's offsets, if they have not expired.
    pub fn producer(&self, id: &str, now_ms: i64) -> Option<Arc<ProducerOffsets>> {
        let view = self.view();
        view.producers
            .get(id)
            .filter(|producer| producer.is_live(now_ms))
            .cloned()
    }

    /// Forgets a producer's offsets; none is fine.
    pub fn delete_producer(&self, id: &str) -> Result<(), Failure> {
        self.change(|view| {
            Ok(match view.producers.remove(id) {
                Some(_) => Outcome::New(()),
                None => Outcome::Same(()),
            })
        })
    }
}
