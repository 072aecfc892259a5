//! The buckets of a table, and questions to each of them.

use std::collections::BTreeMap;

use fluss_rpc::code::ErrorCode;
use futures::stream::{self, StreamExt};

use crate::error::{ErrorKind, Result};
use fluss_core::id::{BucketId, PartitionId, TableBucket};
use fluss_core::types::TableInfo;

/// The buckets of a partition, or of a table without partitions.
pub(crate) fn buckets_of(
    info: &TableInfo,
    partition: Option<PartitionId>,
) -> impl Iterator<Item = TableBucket> + use<> {
    let table = info.id;
    (0..info.bucket_count).map(move |bucket| TableBucket {
        table,
        partition,
        bucket: BucketId(bucket),
    })
}

/// The most buckets that something is done with at a time.
const MAX_BUCKETS_AT_A_TIME: usize = 1 << 20;

/// The buckets of partitions.
///
/// # Errors
///
/// More than a client can have memory for, which is of the order of a kilobyte each.
pub(crate) fn buckets_of_all(
    info: &TableInfo,
    partitions: impl IntoIterator<Item = PartitionId>,
) -> Result<Vec<TableBucket>, ErrorKind> {
    let mut buckets = Vec::new();
    for partition in partitions {
        if buckets.len() > MAX_BUCKETS_AT_A_TIME {
            let reason = format!(
                "the partitions have more than {MAX_BUCKETS_AT_A_TIME} buckets: read them one after the other"
            );
            return Err(ErrorKind::InvalidArgument(reason));
        }
        buckets.extend(buckets_of(info, Some(partition)));
    }
    Ok(buckets)
}

/// Says why a bucket cannot be one of a table, nor of its partitions.
pub(crate) fn check_bucket(info: &TableInfo, bucket: TableBucket) -> Result<(), String> {
    if bucket.table != info.id {
        Err(format!("the table is number {}, not {}", info.id, bucket.table))
    } else if bucket.partition.is_some() != info.is_partitioned() {
        let is = if info.is_partitioned() { "is" } else { "is not" };
        Err(format!("the table {is} partitioned"))
    } else if !(0..info.bucket_count).contains(&bucket.bucket.get()) {
        Err(format!("the table has buckets 0 to {}", info.bucket_count - 1))
    } else {
        Ok(())
    }
}

/// How many buckets are asked about at the same time.
const AT_ONCE: usize = 64;

/// Asks something about each bucket. Those of partitions that are dropped meanwhile are left out.
pub(crate) async fn each_bucket<T, F: Future<Output = Result<T>>>(
    buckets: impl IntoIterator<Item = TableBucket>,
    ask: impl Fn(TableBucket) -> F,
) -> Result<BTreeMap<TableBucket, T>> {
    let questions = buckets.into_iter().map(|bucket| {
        let answer = ask(bucket);
        async move { (bucket, answer.await) }
    });
    let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
    let mut found = BTreeMap::new();
    while let Some((bucket, answer)) = answers.next().await {
        match answer {
            Ok(answer) => drop(found.insert(bucket, answer)),
            Err(error) if error.code() == Some(ErrorCode::PARTITION_NOT_EXISTS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
