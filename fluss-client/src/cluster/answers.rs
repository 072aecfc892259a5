//! What servers say of buckets.

use fluss_core::id::{BucketId, PartitionId, TableBucket};

/// What a server says of the buckets of a table that it was asked about, each once.
#[derive(Debug)]
pub(crate) struct Answers<T>(Vec<(Option<PartitionId>, BucketId, T)>);

impl<T> Answers<T> {
    /// Takes what is said of a bucket; nothing if nothing is.
    pub(crate) fn take(&mut self, bucket: &TableBucket) -> Option<T> {
        let is_its = |(partition, number, _): &(Option<PartitionId>, BucketId, T)| {
            (*partition, *number) == (bucket.partition, bucket.bucket)
        };
        let position = self.0.iter().position(is_its)?;
        let (_, _, answer) = self.0.swap_remove(position);
        Some(answer)
    }

    /// All that is said.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, _, answer)| answer)
    }
}

/// From the numbers of partitions and buckets as messages have them.
impl<T> FromIterator<(Option<i64>, i32, T)> for Answers<T> {
    fn from_iter<I: IntoIterator<Item = (Option<i64>, i32, T)>>(answers: I) -> Self {
        let answers = answers.into_iter();
        let answer = |(partition, bucket, answer): (Option<i64>, i32, T)| {
            (partition.map(PartitionId), BucketId(bucket), answer)
        };
        Self(answers.map(answer).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_core::id::TableId;

    #[test]
    fn a_bucket_has_the_answer_of_its_partition_and_number() {
        let said = [
            (Some(1), 0, "a"),
            (Some(2), 0, "b"),
            (Some(1), 1, "c"),
            (None, 1, "d"),
        ];
        let mut answers: Answers<_> = said.into_iter().collect();
        let mut take = |partition: Option<i64>, bucket| {
            answers.take(&TableBucket {
                table: TableId(1),
                partition: partition.map(PartitionId),
                bucket: BucketId(bucket),
            })
        };
        assert_eq!(take(Some(1), 1), Some("c"));
        assert_eq!(take(Some(1), 1), None, "it is taken");
        assert_eq!(take(None, 0), None);
        assert_eq!(take(None, 1), Some("d"));
        assert_eq!((take(Some(2), 0), take(Some(1), 0)), (Some("b"), Some("a")));
    }
}
