//! Moving replicas and leaders between tablet servers (`behaviour.md` §8.5).

use std::collections::BTreeMap;
use std::fmt;

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, Result};
use fluss_core::DecodeError;
use fluss_core::id::{BucketId, PartitionId, ServerId, TableBucket, TableId};
use fluss_core::numbered;

numbered! {
    /// What a rebalance is to bring about.
    Goal {
        /// Every server has about as many replicas.
        ReplicaDistribution = 0 "replica distribution",
        /// Every server leads about as many buckets.
        LeaderDistribution = 1 "leader distribution",
        /// The replicas of a bucket are in different racks.
        RackAware = 2 "rack awareness",
    }
}

numbered! {
    /// How far a rebalance, or its part in one bucket, has come.
    RebalanceStatus {
        /// It waits for its turn.
        NotStarted = 0 "not started",
        /// It is under way.
        Running = 1 "running",
        /// It could not be done.
        Failed = 2 "failed",
        /// It is done.
        Completed = 3 "completed",
        /// Somebody called it off.
        Cancelled = 4 "cancelled",
    }
}

impl RebalanceStatus {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Cancelled)
    }

    fn decode(number: i32) -> Result<Self, DecodeError> {
        Self::from_number(number)
            .ok_or_else(|| DecodeError::new("rebalance progress", format!("there is no status {number}")))
    }
}

/// The name that the coordinator gives a rebalance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RebalanceId(pub String);

impl fmt::Display for RebalanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How far a rebalance has come.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RebalanceProgress {
    /// Which rebalance it is.
    pub id: RebalanceId,
    /// The whole of it.
    pub status: RebalanceStatus,
    /// What moves, bucket by bucket; empty where nothing has to.
    pub buckets: BTreeMap<TableBucket, BucketMove>,
}

/// What a rebalance does to one bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct BucketMove {
    /// How far it has come.
    pub status: RebalanceStatus,
    /// The leader before, if there was one.
    pub original_leader: Option<ServerId>,
    /// The leader after.
    pub new_leader: Option<ServerId>,
    /// The servers with replicas before, the preferred leader first.
    pub original_replicas: Vec<ServerId>,
    /// The servers with replicas after.
    pub new_replicas: Vec<ServerId>,
}

impl RebalanceProgress {
    /// How many buckets are through, of how many: done, failed or called off.
    pub fn counts(&self) -> (usize, usize) {
        let through = self.buckets.values().filter(|bucket| bucket.status.is_final());
        (through.count(), self.buckets.len())
    }

    /// The share of the buckets that are through, from 0 to 1. With nothing to move it is 1.
    pub fn share(&self) -> f64 {
        match self.counts() {
            (_, 0) => 1.0,
            (through, all) => through as f64 / all as f64,
        }
    }
}

impl Admin {
    /// Begins to move replicas and leaders; the goals come in the order of their weight. It is sent once, and goes on
    /// in the cluster: see [`rebalance_progress`](Self::rebalance_progress).
    ///
    /// # Errors
    ///
    /// [`REBALANCE_FAILURE`](crate::ErrorCode::REBALANCE_FAILURE) while another one is under way;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node. After a timeout it may have begun: ask for
    /// the progress.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn rebalance(&self, goals: &[Goal]) -> Result<RebalanceId> {
        let context = Context::new("rebalance");
        let request = proto::RebalanceRequest {
            goals: goals.iter().map(|goal| goal.number()).collect(),
        };
        let response = self.cluster.ask(&context, &request).await?;
        Ok(RebalanceId(response.rebalance_id))
    }

    /// How far a rebalance has come, the current or last one if none is named; nothing if there never was any.
    ///
    /// # Errors
    ///
    /// [`NO_REBALANCE_IN_PROGRESS`](crate::ErrorCode::NO_REBALANCE_IN_PROGRESS) if it is not the current or last one;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn rebalance_progress(&self, id: Option<&RebalanceId>) -> Result<Option<RebalanceProgress>> {
        let context = Context::new("list rebalance progress");
        let request = proto::ListRebalanceProgressRequest {
            rebalance_id: id.map(|id| id.0.clone()),
        };
        let response = self.cluster.ask_again(&context, &request).await?;
        progress(response).map_err(|error| context.error(error))
    }

    /// Calls a rebalance off, the current one if none is named. What has moved stays where it is. One that has ended is
    /// fine.
    ///
    /// # Errors
    ///
    /// [`NO_REBALANCE_IN_PROGRESS`](crate::ErrorCode::NO_REBALANCE_IN_PROGRESS) if there is none of this name;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) on an embedded node.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn cancel_rebalance(&self, id: Option<&RebalanceId>) -> Result<()> {
        let context = Context::new("cancel rebalance");
        let request = proto::CancelRebalanceRequest {
            rebalance_id: id.map(|id| id.0.clone()),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }
}

fn progress(
    response: proto::ListRebalanceProgressResponse,
) -> Result<Option<RebalanceProgress>, DecodeError> {
    let (Some(id), Some(status)) = (response.rebalance_id, response.rebalance_status) else {
        return Ok(None);
    };
    let buckets = response.table_progress.into_iter().flat_map(|table| {
        let id = TableId(table.table_id);
        let buckets = table.buckets_progress.into_iter();
        buckets.map(move |progress| bucket_move(id, progress))
    });
    Ok(Some(RebalanceProgress {
        id: RebalanceId(id),
        status: RebalanceStatus::decode(status)?,
        buckets: buckets.collect::<Result<_, _>>()?,
    }))
}

fn bucket_move(
    table: TableId,
    progress: proto::PbRebalanceProgressForBucket,
) -> Result<(TableBucket, BucketMove), DecodeError> {
    let plan = progress.rebalance_plan;
    let bucket = TableBucket {
        table,
        partition: plan.partition_id.map(PartitionId),
        bucket: BucketId(plan.bucket_id),
    };
    let moved = BucketMove {
        status: RebalanceStatus::decode(progress.rebalance_status)?,
        original_leader: plan.original_leader.map(ServerId),
        new_leader: plan.new_leader.map(ServerId),
        original_replicas: plan.original_replicas.into_iter().map(ServerId).collect(),
        new_replicas: plan.new_replicas.into_iter().map(ServerId).collect(),
    };
    Ok((bucket, moved))
}
