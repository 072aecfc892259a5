//! What is asked of leaders, and what they answer.

use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Connection, RequestError};
use fluss_rpc::proto;

use crate::error::ErrorKind;
use fluss_core::DecodeError;
use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};

/// The keys to look up in a bucket.
pub(super) type BucketKeys = (TableBucket, Vec<Bytes>);

/// What was found in a bucket, for each key in the order of the request; or why nothing was looked for.
#[derive(Debug)]
pub(super) struct BucketFound<F> {
    pub(super) partition: Option<PartitionId>,
    pub(super) bucket: BucketId,
    pub(super) error_code: Option<i32>,
    pub(super) error_message: Option<String>,
    pub(super) found: Vec<F>,
}

/// What a server answers, bucket by bucket.
pub(super) type Answer<F, E = RequestError> = Result<Vec<BucketFound<F>>, E>;

/// An answer that makes no sense.
pub(super) fn malformed(reason: &str) -> ErrorKind {
    DecodeError::new("answer to a look-up", reason).into()
}

/// What an answer says of a bucket in which so many keys were looked up.
pub(super) fn outcome<F>(
    answer: &mut Answer<F, ErrorKind>,
    bucket: TableBucket,
    keys: usize,
) -> Result<Vec<F>, ErrorKind> {
    let answers = answer.as_mut().map_err(|error| error.clone())?;
    let is_its =
        |found: &BucketFound<F>| (found.partition, found.bucket) == (bucket.partition, bucket.bucket);
    let position = answers.iter().position(is_its);
    let position = position.ok_or_else(|| malformed("the bucket is missing"))?;
    let answer = answers.swap_remove(position);
    match ErrorCode::of(answer.error_code) {
        Some(code) => Err(ErrorKind::server(code, answer.error_message)),
        None if answer.found.len() != keys => Err(malformed("not as many values as keys")),
        None => Ok(answer.found),
    }
}

/// How long an answer is waited for, and how long if nothing at all comes from the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) timeout: Duration,
    pub(super) silence: Duration,
}

/// A kind of look-up.
pub(super) trait Query: Send + Sync + 'static {
    /// What is found for a key. Nothing is the default.
    type Found: Default + Send + 'static;

    /// The operation, as errors call it.
    const OPERATION: &'static str;

    /// Whether the server may have changed something though it has not answered.
    fn writes(&self) -> bool {
        false
    }

    /// Sends keys at once, and gives the future of what the leader says of each bucket.
    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<Self>;
}

/// `LOOKUP` (`messages.md` 1017).
#[derive(Debug)]
pub(super) struct Get {
    /// Inserts a row for a key that has none, once as many replicas have it as this number says.
    pub(super) insert: Option<i32>,
}

impl Query for Get {
    type Found = Option<Bytes>;

    const OPERATION: &'static str = "look up";

    fn writes(&self) -> bool {
        self.insert.is_some()
    }

    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |(bucket, keys): BucketKeys| proto::PbLookupReqForBucket {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            keys,
            ..Default::default()
        };
        let millis = i32::try_from(patience.timeout.as_millis())
            .unwrap_or(i32::MAX)
            .max(1);
        let request = proto::LookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
            insert_if_not_exists: self.insert.map(|_| true),
            acks: self.insert,
            timeout_ms: self.insert.map(|_| millis),
        };
        let answer = connection.send_unless_silent(&request, patience.timeout, patience.silence);
        async move {
            let found = |bucket: proto::PbLookupRespForBucket| BucketFound {
                partition: bucket.partition_id.map(PartitionId),
                bucket: BucketId(bucket.bucket_id),
                error_code: bucket.error_code,
                error_message: bucket.error_message,
                found: bucket
                    .values
                    .into_iter()
                    .map(|value| value.values.filter(|bytes| !bytes.is_empty()))
                    .collect(),
            };
            Ok(answer.await?.buckets_resp.into_iter().map(found).collect())
        }
    }
}

/// `PREFIX_LOOKUP` (`messages.md` 1034).
#[derive(Debug)]
pub(super) struct GetByPrefix;

impl Query for GetByPrefix {
    type Found = Vec<Bytes>;

    const OPERATION: &'static str = "look up by prefix";

    fn send(
        &self,
        connection: &Connection,
        table: TableId,
        keys: Vec<BucketKeys>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |(bucket, keys): BucketKeys| proto::PbPrefixLookupReqForBucket {
            partition_id: bucket.partition.map(PartitionId::get),
            bucket_id: bucket.bucket.get(),
            keys,
        };
        let request = proto::PrefixLookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
        };
        let answer = connection.send_unless_silent(&request, patience.timeout, patience.silence);
        async move {
            let found = |bucket: proto::PbPrefixLookupRespForBucket| BucketFound {
                partition: bucket.partition_id.map(PartitionId),
                bucket: BucketId(bucket.bucket_id),
                error_code: bucket.error_code,
                error_message: bucket.error_message,
                found: bucket.value_lists.into_iter().map(|list| list.values).collect(),
            };
            Ok(answer.await?.buckets_resp.into_iter().map(found).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::id::TableId;

    fn found(bucket: i32, error_code: Option<i32>, found: &[&'static str]) -> BucketFound<&'static str> {
        BucketFound {
            partition: None,
            bucket: BucketId(bucket),
            error_code,
            error_message: None,
            found: found.to_vec(),
        }
    }

    fn of(answer: &mut Answer<&'static str, ErrorKind>, bucket: i32) -> Result<Vec<&'static str>, ErrorKind> {
        outcome(answer, TableBucket::new(TableId(1), BucketId(bucket)), 2)
    }

    #[test]
    fn a_bucket_fails_alone() {
        let refused = Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.number());
        let mut answer = Ok(vec![
            found(2, None, &["a"]),
            found(1, refused, &[]),
            found(0, None, &["b", "c"]),
        ]);
        assert_eq!(of(&mut answer, 0).unwrap(), ["b", "c"]);
        let error = of(&mut answer, 1).unwrap_err();
        assert!(error.is_retriable(), "{error}");
        let error = of(&mut answer, 2).unwrap_err().to_string();
        assert!(error.contains("not as many values as keys"), "{error}");
        let error = of(&mut answer, 3).unwrap_err().to_string();
        assert!(error.contains("the bucket is missing"), "{error}");
    }

    #[test]
    fn what_fails_as_a_whole_fails_in_every_bucket() {
        let mut answer = Err(ErrorKind::NoServer);
        for bucket in 0..2 {
            assert!(matches!(of(&mut answer, bucket), Err(ErrorKind::NoServer)));
        }
    }
}
