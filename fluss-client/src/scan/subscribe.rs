//! What a scanner reads.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use fluss_rpc::code::ErrorCode;
use futures::future::join_all;
use tokio::time::sleep;

use super::fetcher::Shared;
use super::positions::Positions;
use super::scanner::LogScanner;
use super::session::Session;
use super::start::StartOffset;
use crate::admin::Admin;
use crate::admin::{OffsetSpec, PartitionInfo};
use crate::cluster::Cluster;
use crate::cluster::{buckets_of, buckets_of_all, check_bucket, check_in_partition};
use crate::error::{Context, ErrorKind, Result};
use fluss_core::id::{BucketId, Offset, PartitionId, TableBucket};
use fluss_core::types::{PartitionName, PhysicalTablePath, TableInfo, TablePath};

impl LogScanner {
    /// Reads a bucket of a table that is not partitioned. One that is read already is read from the new start on.
    ///
    /// # Errors
    ///
    /// A partitioned table; a bucket that the table does not have; a start in time that the servers cannot tell.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn subscribe(&self, bucket: BucketId, start: StartOffset) -> Result<()> {
        let bucket = TableBucket::new(self.table().id, bucket);
        self.subscribe_buckets(&[(bucket, start)]).await
    }

    /// Reads every bucket of a partition: either all are subscribed, or none.
    ///
    /// # Errors
    ///
    /// As [`subscribe_buckets`](Self::subscribe_buckets).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn subscribe_partition(&self, partition: PartitionId, start: StartOffset) -> Result<()> {
        let cluster = &self.inner.cluster;
        let count = cluster.bucket_count(self.table(), Some(partition)).await?;
        let starts: Vec<_> = buckets_of(self.table().id, Some(partition), count)
            .map(|bucket| (bucket, start))
            .collect();
        self.subscribe_buckets(&starts).await
    }

    /// Reads these buckets, of the table or of its partitions: either all are subscribed, or none. Those that are read
    /// already are read from the new start on.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PARTITION_NOT_EXISTS`] if the table has no such partition. A bucket that the table does not have, or
    /// that is named without partition though the table has some, or the other way round; a start in time that the
    /// servers cannot tell.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn subscribe_buckets(&self, starts: &[(TableBucket, StartOffset)]) -> Result<()> {
        self.check_open("subscribe")?;
        self.check_starts(starts).await?;
        let resolved = starts.iter().map(|(bucket, start)| self.resolve(*bucket, *start));
        let resolved: Vec<_> = join_all(resolved).await.into_iter().collect::<Result<_>>()?;
        self.check_open("subscribe")?;
        self.begin(starts.iter().map(|(bucket, _)| *bucket).zip(resolved))
    }

    /// Reads every bucket of the table. Of a partitioned one these are the buckets of all partitions, and those of the
    /// partitions to come, from their first record on: they are looked for every
    /// [`partition_discovery`](crate::ScannerOptions::partition_discovery).
    ///
    /// # Errors
    ///
    /// As [`subscribe_buckets`](Self::subscribe_buckets).
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn subscribe_all(&self, start: StartOffset) -> Result<()> {
        if self.table().is_partitioned() {
            return self.subscribe_partitions(start).await;
        }
        let starts: Vec<_> = buckets_of(self.table().id, None, self.table().bucket_count)
            .map(|bucket| (bucket, start))
            .collect();
        self.subscribe_buckets(&starts).await
    }

    async fn subscribe_partitions(&self, start: StartOffset) -> Result<()> {
        self.check_open("subscribe")?;
        if let StartOffset::At(_) = start {
            let reason = "a partitioned table is read from an offset by partition and bucket only";
            return Err(self.refuse(None, reason));
        }
        let (shared, cluster) = (&self.inner.shared, &self.inner.cluster);
        let partitions = partitions(cluster, &shared.info).await?;
        let known: BTreeSet<PartitionId> = partitions.keys().copied().collect();
        let buckets = shared.buckets_of(&partitions, known.iter().copied())?;
        let resolved = join_all(buckets.iter().map(|bucket| self.resolve(*bucket, start))).await;
        let mut starts = Vec::new();
        for (bucket, resolved) in buckets.into_iter().zip(resolved) {
            match resolved {
                Ok(next) => starts.push((bucket, next)),
                // It was dropped since it was listed.
                Err(error) if error.code() == Some(ErrorCode::PARTITION_NOT_EXISTS) => {}
                Err(error) => return Err(error),
            }
        }
        self.check_open("subscribe")?;
        let mut session = shared.lock()?;
        session.follow(Some(known));
        begin(&mut session, &shared.info.path, &partitions, starts);
        drop(session);
        self.follow();
        shared.wake.notify_one();
        Ok(())
    }

    /// Looks for new partitions from now on.
    fn follow(&self) {
        let (shared, cluster) = (self.inner.shared.clone(), self.inner.cluster.clone());
        let discovery = tokio::spawn(discover(shared, cluster));
        self.inner.discover(Some(discovery.abort_handle()));
    }

    /// Reads on from saved positions, exactly where they were taken; what was read before is read no more. If new
    /// partitions were followed they are again, from their first records on, those included that have come since.
    /// Partitions that were dropped since are passed over.
    ///
    /// # Errors
    ///
    /// Positions in another table, or in one that was dropped and created again since; those of a bucket that the table
    /// does not have. Then everything stays as it was.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn subscribe_positions(&self, positions: &Positions) -> Result<()> {
        self.check_open("subscribe")?;
        let (shared, cluster) = (&self.inner.shared, &self.inner.cluster);
        positions
            .check(&shared.info)
            .map_err(|reason| self.refuse(None, reason))?;
        let partitions = if shared.info.is_partitioned() {
            partitions(cluster, &shared.info).await?
        } else {
            BTreeMap::new()
        };
        let is_there = |bucket: &TableBucket| bucket.partition.is_none_or(|id| partitions.contains_key(&id));
        let starts = positions.offsets().filter(|(bucket, _)| is_there(bucket));
        let follows = positions.followed().cloned();
        let is_followed = follows.is_some();
        self.check_open("subscribe")?;
        let mut session = shared.lock()?;
        session.clear();
        session.follow(follows);
        begin(&mut session, &shared.info.path, &partitions, starts);
        begin_new(shared, &mut session, &partitions)?;
        drop(session);
        if is_followed {
            self.follow();
        } else {
            self.inner.discover(None);
        }
        shared.wake.notify_one();
        Ok(())
    }

    /// Where the scanner stands: in each bucket that it reads, behind the last record that a poll has returned. What is
    /// fetched and not returned yet is not passed. It waits for nothing: what a poll that is under way will return is not
    /// passed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the scanner or its connection is closed.
    pub fn positions(&self) -> Result<Positions> {
        self.check_open("positions")?;
        let decoded = self.inner.decoded()?;
        let session = self.inner.shared.lock()?;
        let mut offsets = session.positions();
        for (bucket, subscription, start) in decoded.starts() {
            if session.subscription_id(&bucket) == Some(subscription) {
                offsets.insert(bucket, Some(start));
            }
        }
        Ok(Positions::new(self.table(), offsets, session.followed().cloned()))
    }

    /// Reads a bucket of a table that is not partitioned no more. What was fetched of it is dropped. Nothing happens if
    /// it was not read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] once the scanner or its connection is closed.
    pub fn unsubscribe(&self, bucket: BucketId) -> Result<()> {
        self.unsubscribe_bucket(TableBucket::new(self.table().id, bucket))
    }

    /// Unsubscribes from a partition, as [`unsubscribe`](Self::unsubscribe) from a bucket. It is not discovered again.
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub fn unsubscribe_partition(&self, partition: PartitionId) -> Result<()> {
        self.unsubscribe_all_of(|bucket| bucket.partition == Some(partition))
    }

    /// Reads a bucket, of the table or of a partition, no more, as [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub fn unsubscribe_bucket(&self, bucket: TableBucket) -> Result<()> {
        self.unsubscribe_all_of(|other| *other == bucket)
    }

    fn unsubscribe_all_of(&self, is_meant: impl Fn(&TableBucket) -> bool) -> Result<()> {
        self.check_open("unsubscribe")?;
        self.inner.decoded()?.forget(&is_meant);
        let mut session = self.inner.shared.lock()?;
        let meant: Vec<_> = session
            .subscribed()
            .copied()
            .filter(|bucket| is_meant(bucket))
            .collect();
        for bucket in meant {
            session.unsubscribe(bucket);
        }
        Ok(())
    }

    fn begin(&self, starts: impl Iterator<Item = (TableBucket, Option<Offset>)>) -> Result<()> {
        let topology = self.inner.cluster.topology();
        let mut session = self.inner.shared.lock()?;
        for (bucket, next) in starts {
            session.subscribe(bucket, topology.physical(&self.table().path, &bucket), next);
        }
        self.inner.shared.wake.notify_one();
        Ok(())
    }

    /// The buckets of the table, in all partitions that may have rows that are wanted.
    pub(crate) async fn wanted_buckets(&self) -> Result<Vec<TableBucket>> {
        let shared = &self.inner.shared;
        if !shared.info.is_partitioned() {
            return Ok(buckets_of(shared.info.id, None, shared.info.bucket_count).collect());
        }
        let partitions = partitions(&self.inner.cluster, &shared.info).await?;
        shared.buckets_of(&partitions, partitions.keys().copied())
    }

    /// Reads these buckets, each from its first record or an offset on, and up to another.
    pub(crate) fn begin_bounded(&self, ranges: &[(TableBucket, Option<Offset>, Offset)]) -> Result<()> {
        let topology = self.inner.cluster.topology();
        let mut session = self.inner.shared.lock()?;
        for (bucket, next, stop) in ranges {
            session.subscribe(*bucket, topology.physical(&self.table().path, bucket), *next);
            session.stop_at(bucket, *stop);
        }
        drop(session);
        self.inner.shared.wake.notify_one();
        Ok(())
    }

    /// Whether all is returned of the buckets that are read up to an offset.
    pub(crate) fn has_stopped(&self) -> Result<bool> {
        let is_handed_over = self.has_handed_over()?;
        let session = self.inner.shared.lock()?;
        Ok(session.has_stopped() && !session.has_fetched() && is_handed_over)
    }

    /// Whether a bucket was dropped before it was read up to its end.
    pub(crate) fn was_dropped(&self, bucket: &TableBucket) -> Result<bool> {
        Ok(self.inner.shared.lock()?.was_dropped(bucket))
    }

    fn refuse(&self, bucket: Option<TableBucket>, reason: impl Into<String>) -> crate::Error {
        let mut context = Context::new("subscribe").table(&self.table().path);
        context.bucket = bucket.map(|bucket| bucket.bucket);
        context.error(ErrorKind::InvalidArgument(reason.into()))
    }

    /// Whether there are such buckets, and where to begin in them.
    pub(crate) async fn check_starts(&self, starts: &[(TableBucket, StartOffset)]) -> Result<()> {
        let check = || {
            let mut starts = starts.iter();
            starts.try_for_each(|(bucket, start)| self.check(*bucket, *start))
        };
        check()?;
        self.check_partitions(starts.iter().map(|(bucket, _)| bucket))
            .await?;
        // How many buckets a partition has may be known only now.
        check()
    }

    fn check(&self, bucket: TableBucket, start: StartOffset) -> Result<()> {
        check_bucket(self.table(), bucket).map_err(|reason| self.refuse(Some(bucket), reason))?;
        let topology = self.inner.cluster.topology();
        if let Some(count) = topology.bucket_count(bucket.table, bucket.partition) {
            check_in_partition(count, bucket).map_err(|reason| self.refuse(Some(bucket), reason))?;
        }
        if let StartOffset::At(offset @ ..0) = start {
            return Err(self.refuse(Some(bucket), format!("offset {offset} is negative")));
        }
        Ok(())
    }

    /// Learns the names of partitions that were not asked for before.
    async fn check_partitions(&self, buckets: impl Iterator<Item = &TableBucket> + Clone) -> Result<()> {
        let (cluster, info) = (&self.inner.cluster, self.table());
        let known = cluster.topology();
        let name = |partition| known.partition_name(partition);
        let mut partitions = buckets.clone().filter_map(|bucket| bucket.partition);
        if partitions.all(|partition| name(partition).is_some()) {
            return Ok(());
        }
        let topology = cluster
            .refresh_buckets(&info.path, buckets.clone(), known.generation())
            .await?;
        for partition in buckets.filter_map(|bucket| bucket.partition) {
            let name = topology.partition_name(partition);
            if name.and_then(|name| topology.partition(info.id, name)) != Some(partition) {
                let message = format!("there is no partition {partition}");
                let code = ErrorCode::PARTITION_NOT_EXISTS;
                let context = Context::new("subscribe").table(&info.path);
                return Err(context.error(ErrorKind::server(code, Some(message))));
            }
        }
        Ok(())
    }

    /// The offset of a start; nothing for the first record that is still there.
    pub(crate) async fn resolve(&self, bucket: TableBucket, start: StartOffset) -> Result<Option<Offset>> {
        match start {
            StartOffset::Earliest => Ok(None),
            StartOffset::At(offset) => Ok(Some(offset)),
            StartOffset::Timestamp(time) => self.first_since(bucket, time).await.map(Some),
            StartOffset::Latest => {
                let admin = Admin::new(self.inner.cluster.clone());
                let end = admin.offset(self.table(), bucket, OffsetSpec::Latest);
                end.await.map(Some)
            }
        }
    }
}

/// A partition as it is listed.
struct Listed {
    name: PartitionName,
    buckets: i32,
}

/// The partitions of a table.
async fn partitions(cluster: &Cluster, info: &TableInfo) -> Result<BTreeMap<PartitionId, Listed>> {
    let partitions = Admin::new(cluster.clone()).partitions_of(info).await?;
    let listed = |partition: &PartitionInfo| Listed {
        name: partition.name(),
        buckets: partition.bucket_count,
    };
    Ok(partitions
        .iter()
        .map(|partition| (partition.id, listed(partition)))
        .collect())
}

impl Shared {
    /// Whether a partition may have rows that are wanted.
    fn is_wanted(&self, partition: &Listed) -> bool {
        self.decoder.may_match(&partition.name)
    }

    /// The buckets of those partitions that may have rows that are wanted.
    fn buckets_of(
        &self,
        partitions: &BTreeMap<PartitionId, Listed>,
        among: impl Iterator<Item = PartitionId>,
    ) -> Result<Vec<TableBucket>> {
        let listed = among.filter_map(|partition| Some((partition, partitions.get(&partition)?)));
        let wanted = listed.filter(|(_, partition)| self.is_wanted(partition));
        let counts = wanted.map(|(id, partition)| (id, partition.buckets));
        buckets_of_all(self.info.id, counts)
            .map_err(|error| Context::new("subscribe").table(&self.info.path).error(error))
    }
}

fn begin(
    session: &mut Session,
    path: &TablePath,
    partitions: &BTreeMap<PartitionId, Listed>,
    starts: impl IntoIterator<Item = (TableBucket, Option<Offset>)>,
) {
    for (bucket, next) in starts {
        let partition = bucket.partition.and_then(|partition| partitions.get(&partition));
        let table = PhysicalTablePath {
            table: path.clone(),
            partition: partition.map(|partition| partition.name.clone()),
        };
        session.subscribe(bucket, table, next);
    }
}

/// Subscribes to the partitions that are new and may have rows that are wanted, from their first records on.
fn begin_new(
    shared: &Shared,
    session: &mut Session,
    partitions: &BTreeMap<PartitionId, Listed>,
) -> Result<()> {
    let new = session.discover(partitions.keys().copied()).into_iter();
    let starts = shared.buckets_of(partitions, new)?.into_iter();
    let starts = starts.map(|bucket| (bucket, None));
    begin(session, &shared.info.path, partitions, starts);
    Ok(())
}

/// Subscribes to new partitions as they appear, from their first records on. Until it is aborted, or the scanner has broken
/// down, which its polls tell.
async fn discover(shared: Arc<Shared>, cluster: Cluster) -> Result<Infallible> {
    loop {
        sleep(cluster.options().scanner.partition_discovery).await;
        let partitions = match partitions(&cluster, &shared.info).await {
            Ok(partitions) => partitions,
            Err(error) => {
                let mut session = shared.lock()?;
                if error.code() == Some(ErrorCode::TABLE_NOT_EXIST) {
                    session.drop_table(&shared.info.path, error.kind());
                } else {
                    session.undiscovered(error);
                }
                drop(session);
                shared.news.notify_waiters();
                continue;
            }
        };
        let mut session = shared.lock()?;
        if let Err(error) = begin_new(&shared, &mut session, &partitions) {
            session.undiscovered(error);
            shared.news.notify_waiters();
        }
        drop(session);
        shared.wake.notify_one();
    }
}
