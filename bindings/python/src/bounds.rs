//! What reads take: where they begin and end, and moments.

use std::collections::{BTreeMap, HashMap};

use fluss_client::types::Timestamp;
use fluss_client::{self as client, AsOf, Bounds, StartOffset, StopOffset};
use pyo3::prelude::*;

use crate::admin::OffsetSpec;
use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::scanner::StartArgument;

/// Where each bucket begins or ends.
#[derive(FromPyObject)]
pub(crate) enum BoundArgument {
    All(OffsetSpec),
    Each(HashMap<TableBucket, StartArgument>),
}

/// The moment whose rows are wanted.
#[derive(FromPyObject)]
pub(crate) enum MomentArgument {
    Timestamp(i64),
    Offsets(HashMap<TableBucket, i64>),
}

impl From<MomentArgument> for AsOf {
    fn from(moment: MomentArgument) -> Self {
        match moment {
            MomentArgument::Timestamp(millis) => Self::Timestamp(Timestamp::from_millis(millis)),
            MomentArgument::Offsets(offsets) => Self::Offsets(
                offsets
                    .into_iter()
                    .map(|(bucket, offset)| (bucket.0, offset))
                    .collect(),
            ),
        }
    }
}

/// What is read between two bounds, which name the same buckets where both name some.
pub(crate) fn bounds(start: BoundArgument, stop: BoundArgument) -> Result<Bounds, Fault> {
    let start = each(start, |start| Ok(start.into()))?;
    let stop = each(stop, stop_offset)?;
    let pairs = match (start, stop) {
        (Each::All(start), Each::All(stop)) => return Ok(Bounds::Table { start, stop }),
        (Each::Of(starts), Each::All(stop)) => pair(starts, |_| Some(stop)),
        (Each::All(start), Each::Of(stops)) => {
            return Ok(Bounds::Buckets(
                stops
                    .into_iter()
                    .map(|(bucket, stop)| (bucket, (start, stop)))
                    .collect(),
            ));
        }
        (Each::Of(starts), Each::Of(stops)) if starts.len() == stops.len() => {
            pair(starts, |bucket| stops.get(bucket).copied())
        }
        (Each::Of(_), Each::Of(_)) => None,
    };
    pairs
        .map(Bounds::Buckets)
        .ok_or_else(|| Fault::new("ArgumentError", "start and stop do not name the same buckets"))
}

enum Each<T> {
    All(T),
    Of(BTreeMap<client::id::TableBucket, T>),
}

type Pairs = BTreeMap<client::id::TableBucket, (StartOffset, StopOffset)>;

fn pair(
    starts: BTreeMap<client::id::TableBucket, StartOffset>,
    stop: impl Fn(&client::id::TableBucket) -> Option<StopOffset>,
) -> Option<Pairs> {
    let pairs = starts
        .into_iter()
        .map(|(bucket, start)| Some((bucket, (start, stop(&bucket)?))));
    pairs.collect()
}

fn each<T>(bound: BoundArgument, read: impl Fn(StartArgument) -> Result<T, Fault>) -> Result<Each<T>, Fault> {
    Ok(match bound {
        BoundArgument::All(spec) => Each::All(read(StartArgument::Spec(spec))?),
        BoundArgument::Each(bounds) => {
            let bounds = bounds.into_iter();
            Each::Of(
                bounds
                    .map(|(bucket, bound)| Ok((bucket.0, read(bound)?)))
                    .collect::<Result<_, Fault>>()?,
            )
        }
    })
}

fn stop_offset(stop: StartArgument) -> Result<StopOffset, Fault> {
    match stop.into() {
        StartOffset::Latest => Ok(StopOffset::Latest),
        StartOffset::At(offset) => Ok(StopOffset::At(offset)),
        StartOffset::Timestamp(time) => Ok(StopOffset::Before(time)),
        StartOffset::Earliest => Err(Fault::new(
            "ArgumentError",
            "a read cannot stop at the earliest offset",
        )),
    }
}
