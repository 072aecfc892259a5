//! Where producers left off (`behaviour.md` §6).

use std::collections::BTreeMap;
use std::time::Duration;

use fluss_rpc::proto;

use super::Admin;
use crate::error::{Context, ErrorKind, Result};
use fluss_core::id::{BucketId, Offset, PartitionId, TableBucket, TableId};
use fluss_core::types::check_name;

/// What has come of a registration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Registration {
    /// The offsets are kept.
    Created,
    /// There were some already, which stay as they are.
    AlreadyExists,
}

/// Where the logs that a producer writes ended before it began.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProducerOffsets {
    /// When they are forgotten, in milliseconds since the epoch.
    pub expires_at: i64,
    /// The end of each bucket's log.
    pub offsets: BTreeMap<TableBucket, Offset>,
}

impl Admin {
    /// Keeps offsets for a producer, unless there are some already. The server forgets them after `ttl`, or its default
    /// of 24 hours.
    ///
    /// It is sent once. After a timeout the offsets may have been kept: [`producer_offsets`](Self::producer_offsets)
    /// tells.
    ///
    /// # Errors
    ///
    /// A name that is not allowed; [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) if the
    /// caller may not write one of the tables.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn register_producer_offsets(
        &self,
        producer: &str,
        offsets: &BTreeMap<TableBucket, Offset>,
        ttl: Option<Duration>,
    ) -> Result<Registration> {
        let context = Context::new("register producer offsets");
        check_name("producer", producer).map_err(|error| context.clone().error(error))?;
        let request = proto::RegisterProducerOffsetsRequest {
            producer_id: producer.to_owned(),
            table_offsets: by_table(offsets),
            ttl_ms: ttl
                .map(millis)
                .transpose()
                .map_err(|kind| context.clone().error(kind))?,
        };
        let response = self.cluster.ask(&context, &request).await?;
        Ok(match response.result {
            None | Some(0) => Registration::Created,
            Some(_) => Registration::AlreadyExists,
        })
    }

    /// The offsets that are kept for a producer, of tables that the caller may read; nothing if there are none.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn producer_offsets(&self, producer: &str) -> Result<Option<ProducerOffsets>> {
        let context = Context::new("get producer offsets");
        let request = proto::GetProducerOffsetsRequest {
            producer_id: producer.to_owned(),
        };
        let response = self.cluster.ask_again(&context, &request).await?;
        let kept = response.producer_id.and(response.expiration_time);
        Ok(kept.map(|expires_at| ProducerOffsets {
            expires_at,
            offsets: response.table_offsets.into_iter().flat_map(of_table).collect(),
        }))
    }

    /// Forgets the offsets of a producer; none is fine.
    ///
    /// # Errors
    ///
    /// [`AUTHORIZATION_EXCEPTION`](crate::ErrorCode::AUTHORIZATION_EXCEPTION) if the caller may not write one of the
    /// tables.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves open whether it takes effect: a request that was sent is not called back.
    pub async fn delete_producer_offsets(&self, producer: &str) -> Result<()> {
        let context = Context::new("delete producer offsets");
        let request = proto::DeleteProducerOffsetsRequest {
            producer_id: producer.to_owned(),
        };
        self.cluster.ask(&context, &request).await.map(drop)
    }
}

/// A duration as messages carry it.
pub(super) fn millis(duration: Duration) -> Result<i64, ErrorKind> {
    i64::try_from(duration.as_millis())
        .map_err(|_| ErrorKind::InvalidArgument(format!("{duration:?} is too long")))
}

fn by_table(offsets: &BTreeMap<TableBucket, Offset>) -> Vec<proto::PbProducerTableOffsets> {
    let mut tables: BTreeMap<TableId, Vec<proto::PbBucketOffset>> = BTreeMap::new();
    for (bucket, offset) in offsets {
        let offset = proto::PbBucketOffset {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            log_end_offset: Some(*offset),
        };
        tables.entry(bucket.table).or_default().push(offset);
    }
    let table = |(table, bucket_offsets): (TableId, _)| proto::PbProducerTableOffsets {
        table_id: table.get(),
        bucket_offsets,
    };
    tables.into_iter().map(table).collect()
}

fn of_table(table: proto::PbProducerTableOffsets) -> impl Iterator<Item = (TableBucket, Offset)> {
    let id = TableId(table.table_id);
    table.bucket_offsets.into_iter().filter_map(move |offset| {
        let bucket = TableBucket {
            table: id,
            partition: offset.partition_id.map(PartitionId),
            bucket: BucketId(offset.bucket_id),
        };
        Some((bucket, offset.log_end_offset?))
    })
}
