//! Which partitions keys are in.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::keys::Located;
use super::query::Query;
use super::sender::Sender;
use crate::error::{Context, ErrorKind, Result};
use fluss_core::id::PartitionId;
use fluss_core::types::PartitionName;

/// How many partitions are asked for at once.
const MOST_ASKED: usize = 8;

impl<Q: Query> Sender<Q> {
    /// Finds the partition of a key. Returns whether there is one, or no need of one.
    pub(super) async fn place(&self, key: &mut Located, deadline: Instant) -> Result<bool> {
        let Some(name) = self.unplaced(key) else {
            return Ok(true);
        };
        let Some((partition, count)) = self.partition(name, deadline).await? else {
            key.bucket.partition = None;
            return Ok(false);
        };
        self.put(key, partition, count)?;
        Ok(true)
    }

    /// Finds the partitions of the open keys. Returns the positions of those that are in none.
    pub(super) async fn place_all(
        &self,
        keys: &mut [Located],
        open: &[usize],
        deadline: Instant,
    ) -> Result<HashSet<usize>> {
        if !self.info.is_partitioned() {
            return Ok(HashSet::new());
        }
        let names = open
            .iter()
            .filter_map(|index| self.unplaced(keys.get(*index)?))
            .cloned();
        let partitions: HashMap<PartitionName, Option<(PartitionId, i32)>> =
            stream::iter(names.collect::<BTreeSet<_>>())
                .map(async |name| Ok((name.clone(), self.partition(&name, deadline).await?)))
                .buffer_unordered(MOST_ASKED)
                .try_collect()
                .await?;
        let mut missing = HashSet::new();
        for index in open {
            if let Some(key) = keys.get_mut(*index)
                && let Some(partition) = key.partition.as_ref().and_then(|name| partitions.get(name))
            {
                if let Some((partition, count)) = partition {
                    self.put(key, *partition, *count)?;
                } else {
                    key.bucket.partition = None;
                    missing.insert(*index);
                }
            }
        }
        Ok(missing)
    }

    /// The partition to look for: that of a key which has none yet, or one that was dropped, or of which it is known now that
    /// it has another number of buckets.
    fn unplaced<'k>(&self, key: &'k Located) -> Option<&'k PartitionName> {
        let name = key.partition.as_ref()?;
        let topology = self.cluster.topology();
        let partition = key.bucket.partition;
        let is_placed = partition.is_some()
            && !topology.is_gone(&key.bucket)
            && topology.bucket_count(self.info.id, partition).or(key.count) == key.count;
        (!is_placed).then_some(name)
    }

    fn put(&self, key: &mut Located, partition: PartitionId, count: i32) -> Result<()> {
        let put = key.put(self.info.lake_format().into(), partition, count);
        put.map_err(|error| Context::new(Q::OPERATION).table(&self.info.path).error(error))
    }

    /// The partition of a name, and how many buckets it has.
    async fn partition(&self, name: &PartitionName, deadline: Instant) -> Result<Option<(PartitionId, i32)>> {
        if let Some(partition) = self.known(name) {
            return Ok(Some(partition));
        }
        if name.validate().is_err() {
            // No partition can have this name.
            return Ok(None);
        }
        let asked = async {
            let Some(partition) = self.cluster.partition(&self.info.path, name).await? else {
                return Ok(None);
            };
            let count = self.cluster.bucket_count(&self.info, Some(partition)).await?;
            Ok(Some((partition, count)))
        };
        timeout_at(deadline, asked).await.unwrap_or_else(|_| {
            let context = Context::new(Q::OPERATION).table(&self.info.path);
            Err(context.error(ErrorKind::Timeout {
                after: self.cluster.request_timeout(),
                outcome_unknown: false,
            }))
        })
    }

    fn known(&self, name: &PartitionName) -> Option<(PartitionId, i32)> {
        let topology = self.cluster.topology();
        let partition = topology.partition(self.info.id, name)?;
        Some((partition, topology.bucket_count(self.info.id, Some(partition))?))
    }
}
