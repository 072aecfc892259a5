//! How a writer finds the partitions that its rows go to.

use fluss_rpc::code::ErrorCode;

use super::partitions::Slot;
use super::reroute::Rerouter;
use super::sender::{Event, Sender};
use crate::admin::Admin;
use crate::error::{Context, ErrorKind, Result};
use crate::{cluster::Cluster, retry};
use fluss_core::id::PartitionId;
use fluss_core::types::{PartitionName, PartitionSpec, TableInfo};

/// How many partitions are looked for at once.
const MOST_LOOKED_FOR: usize = 8;

impl Sender {
    /// Lets the rows of a partition that was dropped go to the one of its name, once none is on its way any more.
    pub(super) fn replace(&mut self, slot: Slot) -> Result<()> {
        if self.shared.lock()?.restart(slot) {
            // One that is looked for already is looked for once: who comes second could create what was dropped meanwhile.
            let mut partitions = self.shared.partitions();
            partitions.doubt(slot);
            partitions.want(slot);
        }
        Ok(())
    }

    /// Looks for partitions that rows wait for, and creates those that are missing.
    pub(super) fn find_partitions(&mut self) {
        while self.looked_for < MOST_LOOKED_FOR {
            let Some((slot, name)) = self.shared.partitions().next_wanted() else {
                return;
            };
            self.looked_for += 1;
            let context = self.at(slot);
            let (cluster, info) = (self.cluster.clone(), self.shared.info.clone());
            let create = cluster.options().writer.create_partitions;
            self.tasks.spawn(async move {
                let found = async {
                    let partition = find(&cluster, &info, &name, create, &context).await?;
                    let buckets = cluster.bucket_count(&info, Some(partition)).await;
                    let buckets = buckets.map_err(|error| error.within(context))?;
                    Ok((partition, buckets))
                };
                Event::Found(slot, found.await)
            });
        }
    }

    /// Lets rows go to the buckets of their partitions that were collected for another number of them, as soon as none of
    /// them is on its way or being encoded.
    pub(super) fn fit_misfits(&self) -> Result<()> {
        let misfits = self.shared.partitions().misfits();
        for (slot, partition, buckets) in misfits {
            self.fit(slot, partition, buckets)?;
        }
        Ok(())
    }

    fn fit(&self, slot: Slot, partition: PartitionId, buckets: i32) -> Result<()> {
        let released = {
            let mut router = self.shared.router.lock();
            let mut accumulator = self.shared.lock()?;
            if router.count(slot) == buckets {
                0
            } else if accumulator.is_at_rest(slot) {
                router.set_count(slot, buckets);
                let mut rerouter = Rerouter::new(&self.shared.info, &self.shared.layout, &mut router);
                accumulator.reroute(slot, &mut rerouter)
            } else {
                drop(accumulator);
                drop(router);
                self.shared.partitions().misfit(slot, partition, buckets);
                return Ok(());
            }
        };
        self.shared.memory.release(released);
        self.shared.partitions().found(slot, partition, buckets);
        Ok(())
    }

    pub(super) fn on_found(&mut self, slot: Slot, found: Result<(PartitionId, i32)>) -> Result<()> {
        self.looked_for -= 1;
        match found {
            Ok((partition, buckets)) => self.fit(slot, partition, buckets)?,
            Err(error) => {
                self.shared.partitions().lost(slot);
                if error.is_retriable() {
                    self.shared.partitions().want(slot);
                    self.pause();
                    return Ok(());
                }
                let released = self.shared.lock()?.fail(slot, &error);
                self.shared.memory.release(released);
            }
        }
        Ok(())
    }
}

/// Finds a partition, which is created if it is missing and `create` says so.
async fn find(
    cluster: &Cluster,
    info: &TableInfo,
    name: &PartitionName,
    create: bool,
    context: &Context,
) -> Result<PartitionId> {
    if let Some(partition) = cluster.topology().partition(info.id, name) {
        return Ok(partition);
    }
    if let Some(partition) = cluster.partition(&info.path, name).await? {
        return Ok(partition);
    }
    if !create {
        let missing = ErrorKind::server(ErrorCode::PARTITION_NOT_EXISTS, None);
        return Err(context.clone().error(missing));
    }
    let keys = info.descriptor.partition_keys().iter().cloned();
    let spec = PartitionSpec::new(keys.zip(name.values()));
    let created = Admin::new(cluster.clone())
        .create_checked_partition(&info.path, &spec, true)
        .await;
    created.map_err(|error| error.within(context.clone()))?;
    let timeout = cluster.request_timeout();
    retry::until(context, timeout, cluster.random(), |_| async {
        let partition = cluster.partition(&info.path, name).await?;
        partition.ok_or_else(|| {
            context.clone().error(ErrorKind::Timeout {
                after: timeout,
                outcome_unknown: false,
            })
        })
    })
    .await
}
