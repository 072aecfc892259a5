//! What is asked of leaders, and what they answer.

use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::net::{Connection, RequestError};
use fluss_rpc::proto;

use crate::cluster::Answers;
use crate::error::ErrorKind;
use crate::wire::server_limit;
use fluss_core::DecodeError;
use fluss_core::id::{PartitionId, TableBucket, TableId};

/// The keys to look up in a bucket.
pub(super) type BucketKeys = (TableBucket, Vec<Bytes>);

/// The same, with the number of buckets among which the bucket was chosen.
pub(super) struct Counted {
    pub(super) bucket: TableBucket,
    pub(super) count: Option<i32>,
    pub(super) keys: Vec<Bytes>,
}

/// What was found in a bucket, for each key in the order of the request; or why nothing was looked for.
type Found<F> = Result<Vec<F>, ErrorKind>;

/// What a server answers, bucket by bucket.
pub(super) type Answer<F, E = RequestError> = Result<Answers<Found<F>>, E>;

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
    let found = answers.take(&bucket);
    let found = found.ok_or_else(|| malformed("the bucket is missing"))??;
    if found.len() == keys {
        Ok(found)
    } else {
        Err(malformed("not as many values as keys"))
    }
}

/// The values of an answer, unless that is a refusal.
fn unless_refused<F>(
    error_code: Option<i32>,
    message: Option<String>,
    values: impl Iterator<Item = F>,
) -> Found<F> {
    match ErrorKind::refusal(error_code, message) {
        Some(refusal) => Err(refusal),
        None => Ok(values.collect()),
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
        keys: Vec<Counted>,
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
        keys: Vec<Counted>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |asked: Counted| proto::PbLookupReqForBucket {
            partition_id: asked.bucket.partition.map(PartitionId::get),
            bucket_id: asked.bucket.bucket.get(),
            keys: asked.keys,
            routing_bucket_count: asked.count,
            ..Default::default()
        };
        let request = proto::LookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
            insert_if_not_exists: self.insert.map(|_| true),
            acks: self.insert,
            timeout_ms: self.insert.map(|_| server_limit(patience.timeout)),
        };
        let answer = connection.send_unless_silent(&request, patience.timeout, patience.silence);
        async move {
            let found = |bucket: proto::PbLookupRespForBucket| {
                let values = bucket.values.into_iter();
                let values = values.map(|value| value.values.filter(|bytes| !bytes.is_empty()));
                let found = unless_refused(bucket.error_code, bucket.error_message, values);
                (bucket.partition_id, bucket.bucket_id, found)
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
        keys: Vec<Counted>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Self::Found>> + Send + use<> {
        let bucket = |asked: Counted| proto::PbPrefixLookupReqForBucket {
            partition_id: asked.bucket.partition.map(PartitionId::get),
            bucket_id: asked.bucket.bucket.get(),
            keys: asked.keys,
            routing_bucket_count: asked.count,
        };
        let request = proto::PrefixLookupRequest {
            table_id: table.get(),
            buckets_req: keys.into_iter().map(bucket).collect(),
        };
        let answer = connection.send_unless_silent(&request, patience.timeout, patience.silence);
        async move {
            let found = |bucket: proto::PbPrefixLookupRespForBucket| {
                let values = bucket.value_lists.into_iter().map(|list| list.values);
                let found = unless_refused(bucket.error_code, bucket.error_message, values);
                (bucket.partition_id, bucket.bucket_id, found)
            };
            Ok(answer.await?.buckets_resp.into_iter().map(found).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use fluss_core::id::{BucketId, TableId};
    use fluss_rpc::code::ErrorCode;

    use super::*;

    fn of(answer: &mut Answer<&'static str, ErrorKind>, bucket: i32) -> Result<Vec<&'static str>, ErrorKind> {
        outcome(answer, TableBucket::new(TableId(1), BucketId(bucket)), 2)
    }

    #[test]
    fn a_bucket_fails_alone() {
        let refused = Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.number());
        let answers = [
            (2, unless_refused(None, None, ["a"].into_iter())),
            (1, unless_refused(refused, None, [].into_iter())),
            (0, unless_refused(None, None, ["b", "c"].into_iter())),
        ];
        let answers = answers.into_iter().map(|(bucket, found)| (None, bucket, found));
        let mut answer = Ok(answers.collect());
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
