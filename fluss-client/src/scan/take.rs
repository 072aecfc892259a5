//! Taking rows from what was fetched, which is decoded by whoever takes them.

use super::arrivals::Fetched;
use super::decoded::{Decoded, Part, Rows};
use super::records::{Run, bytes_of};
use super::scanner::LogScanner;
use crate::error::{BatchPlace, Context, Error, Result};
use fluss_core::DecodeError;
use fluss_core::id::TableBucket;

impl LogScanner {
    /// Takes the next records, as many as a poll returns.
    pub(super) fn take_records(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let options = &self.inner.cluster.options().scanner;
        let (mut room, mut bytes) = (options.max_poll_records, 0);
        let mut taken = Vec::new();
        while room > 0 && bytes < options.max_poll_bytes {
            let (bucket, subscription, mut run) = match self.next_run(decoded) {
                Ok(Some(next)) => next,
                // A later poll tells what is wrong with a batch, when the records before it are delivered.
                Err(error) if taken.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            };
            let part = |run| Part {
                bucket,
                subscription,
                rows: Rows::Run(run),
            };
            bytes += run.bytes();
            let front = run.split_to(room);
            room -= front.range.len();
            if !front.range.is_empty() {
                taken.push(part(front));
            }
            if !run.range.is_empty() {
                decoded.put_back(std::iter::once(part(run)));
            }
        }
        Ok(taken)
    }

    /// The rows left by an earlier poll, or those of the next batch.
    fn next_run(&self, decoded: &mut Decoded) -> Result<Option<(TableBucket, u64, Run)>> {
        if let Some(run) = self.next_left(decoded)? {
            return Ok(Some(run));
        }
        let Some(fetched) = self.inner.shared.next_fetched()? else {
            return Ok(None);
        };
        let run = self
            .inner
            .shared
            .decoder
            .run(&fetched)
            .map_err(|error| self.undecodable(&fetched, error))?;
        Ok(Some((fetched.bucket, fetched.subscription, run)))
    }

    /// The rows left by an earlier poll.
    pub(super) fn next_left(&self, decoded: &mut Decoded) -> Result<Option<(TableBucket, u64, Run)>> {
        let Some(part) = self.pop_left(decoded)? else {
            return Ok(None);
        };
        let run = match part.rows {
            Rows::Run(run) => run,
            Rows::Batch(batch) => {
                let run = self.inner.shared.decoder.rows(batch);
                let context = || Context::new("poll").table(&self.table().path);
                run.map_err(|error| context().bucket(part.bucket.bucket).error(error))?
            }
        };
        Ok(Some((part.bucket, part.subscription, run)))
    }

    /// What an earlier poll has left. A bucket that was subscribed anew meanwhile has no rows left.
    fn pop_left(&self, decoded: &mut Decoded) -> Result<Option<Part>> {
        let session = self.inner.shared.lock()?;
        while let Some(part) = decoded.pop() {
            if session.subscription_id(&part.bucket) == Some(part.subscription) {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    /// Takes what is fetched, as far as a poll has room.
    pub(super) fn take_batches(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let most = self.inner.cluster.options().scanner.max_poll_bytes;
        let (mut taken, mut bytes, mut failure) = (Vec::new(), 0, None);
        while bytes < most {
            let part = match self.pop_left(decoded)? {
                Some(part) => Some(part.into_batch()),
                None => match self.inner.shared.next_fetched()? {
                    Some(fetched) => self.batch(&fetched).unwrap_or_else(|error| {
                        // What else was fetched of the bucket is dropped with it.
                        failure = Some(error);
                        None
                    }),
                    None => break,
                },
            };
            bytes += part
                .as_ref()
                .and_then(Part::batch)
                .map_or(0, |scanned| bytes_of(&scanned.batch));
            taken.extend(part);
        }
        match failure {
            // A later poll tells it, when what was decoded is delivered.
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    /// Takes one batch.
    pub(super) fn take_batch(&self, decoded: &mut Decoded) -> Result<Vec<Part>> {
        let left = self.pop_left(decoded)?.map(Part::into_batch);
        if let Some(part) = left {
            return Ok(vec![part]);
        }
        while let Some(fetched) = self.inner.shared.next_fetched()? {
            if let Some(part) = self.batch(&fetched)? {
                return Ok(vec![part]);
            }
        }
        Ok(Vec::new())
    }

    /// The rows of a batch; nothing if the filter leaves all out.
    fn batch(&self, fetched: &Fetched) -> Result<Option<Part>> {
        let decoded = self.inner.shared.decoder.batch(fetched);
        let batch = decoded.map_err(|error| self.undecodable(fetched, error))?;
        Ok((!batch.is_filtered_out()).then_some(Part {
            bucket: fetched.bucket,
            subscription: fetched.subscription,
            rows: Rows::Batch(batch),
        }))
    }

    fn undecodable(&self, fetched: &Fetched, error: DecodeError) -> Error {
        let topology = self.inner.cluster.topology();
        let context = Context::new("poll")
            .physical(&topology.physical(&self.table().path, &fetched.bucket))
            .schema(fetched.batch.schema_id())
            .bucket(fetched.bucket.bucket)
            .batch(place(fetched));
        let error = match &fetched.segment {
            Some(segment) => context.error(segment.damaged(error)),
            None => context.error(error),
        };
        if let Ok(mut session) = self.inner.shared.lock() {
            session.refuse(fetched, error.clone());
        }
        error
    }
}

/// Where a fetched batch is.
pub(super) fn place(fetched: &Fetched) -> BatchPlace {
    BatchPlace {
        bucket: fetched.bucket,
        first: fetched.batch.base_offset(),
        last: fetched.batch.next_offset() - 1,
    }
}
