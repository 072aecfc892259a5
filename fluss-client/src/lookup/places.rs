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
        if let Some(name) = self.unplaced(key) {
            key.bucket.partition = self.partition(name, deadline).await?;
            return Ok(key.bucket.partition.is_some());
        }
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
        let partitions: HashMap<PartitionName, Option<PartitionId>> =
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
                key.bucket.partition = *partition;
                if partition.is_none() {
                    missing.insert(*index);
                }
            }
        }
        Ok(missing)
    }

    /// The partition to look for: that of a key which has none yet, or one that was dropped.
    fn unplaced<'k>(&self, key: &'k Located) -> Option<&'k PartitionName> {
        let name = key.partition.as_ref()?;
        let is_placed = key.bucket.partition.is_some() && !self.cluster.topology().is_gone(&key.bucket);
        (!is_placed).then_some(name)
    }

    async fn partition(&self, name: &PartitionName, deadline: Instant) -> Result<Option<PartitionId>> {
        if let Some(partition) = self.cluster.topology().partition(self.info.id, name) {
            return Ok(Some(partition));
        }
        if name.validate().is_err() {
            // No partition can have this name.
            return Ok(None);
        }
        let asked = self.cluster.partition(&self.info.path, name);
        timeout_at(deadline, asked).await.unwrap_or_else(|_| {
            let context = Context::new(Q::OPERATION).table(&self.info.path);
            Err(context.error(ErrorKind::Timeout {
                after: self.cluster.options().request_timeout,
                outcome_unknown: false,
            }))
        })
    }
}
