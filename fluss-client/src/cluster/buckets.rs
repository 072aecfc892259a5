//! The buckets of a table, and questions to each of them.

use std::collections::BTreeMap;

use fluss_rpc::code::ErrorCode;
use futures::stream::{self, StreamExt};

use crate::error::{ErrorKind, Result};
use fluss_core::DecodeError;
use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_core::types::TableInfo;

/// The buckets of a partition, or of a table without partitions, that has so many.
pub(crate) fn buckets_of(
    table: TableId,
    partition: Option<PartitionId>,
    count: i32,
) -> impl Iterator<Item = TableBucket> + use<> {
    (0..count).map(move |bucket| TableBucket {
        table,
        partition,
        bucket: BucketId(bucket),
    })
}

/// The most buckets that something is done with at a time.
const MAX_BUCKETS_AT_A_TIME: usize = 1 << 20;

/// How many buckets a partition has of which a server of 1.0 tells it: those of 0.9.1 do not, and all partitions of a table have
/// as many as the table.
///
/// # Errors
///
/// It is not told although the counts of the table's partitions differ.
pub(crate) fn told_or_the_tables(info: &TableInfo, told: Option<i32>) -> Result<i32, ErrorKind> {
    match told {
        Some(count) => Ok(count),
        None if info.bucket_count_epoch == 0 => Ok(info.bucket_count),
        None => {
            let reason = "the server does not tell how many buckets a partition has, and they differ";
            Err(DecodeError::new("partition", reason).into())
        }
    }
}

/// The buckets of partitions, each of which has so many.
///
/// # Errors
///
/// More than a client can have memory for, which is of the order of a kilobyte each.
pub(crate) fn buckets_of_all(
    table: TableId,
    partitions: impl IntoIterator<Item = (PartitionId, i32)>,
) -> Result<Vec<TableBucket>, ErrorKind> {
    let mut buckets = Vec::new();
    for (partition, count) in partitions {
        if buckets.len() > MAX_BUCKETS_AT_A_TIME {
            let reason = format!(
                "the partitions have more than {MAX_BUCKETS_AT_A_TIME} buckets: read them one after the other"
            );
            return Err(ErrorKind::InvalidArgument(reason));
        }
        buckets.extend(buckets_of(table, Some(partition), count));
    }
    Ok(buckets)
}

/// Says why a bucket cannot be one of a table, nor of its partitions. How many those have is for
/// [`check_in_partition`].
pub(crate) fn check_bucket(info: &TableInfo, bucket: TableBucket) -> Result<(), String> {
    if bucket.table != info.id {
        Err(format!("the table is number {}, not {}", info.id, bucket.table))
    } else if bucket.partition.is_some() != info.is_partitioned() {
        let is = if info.is_partitioned() { "is" } else { "is not" };
        Err(format!("the table {is} partitioned"))
    } else if bucket.partition.is_none() {
        check_in("table", info.bucket_count, bucket)
    } else if bucket.bucket.get() < 0 {
        Err(format!("no bucket has the number {}", bucket.bucket))
    } else {
        Ok(())
    }
}

/// Says why a bucket cannot be one of a partition with so many.
pub(crate) fn check_in_partition(count: i32, bucket: TableBucket) -> Result<(), String> {
    check_in("partition", count, bucket)
}

fn check_in(whole: &str, count: i32, bucket: TableBucket) -> Result<(), String> {
    if (0..count).contains(&bucket.bucket.get()) {
        return Ok(());
    }
    Err(format!("the {whole} has buckets 0 to {}", count - 1))
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
