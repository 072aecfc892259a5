//! The table that is followed: its scanner, where that begins, and the ends that its buckets have by then.

use std::collections::BTreeMap;

use fluss_client::id::{Offset, TableBucket};
use fluss_client::types::Timestamp;
use fluss_client::{LogScanner, OffsetSpec, StartOffset, Table};

use super::pipeline::Pipeline;
use super::progress::Progress;
use super::start;
use crate::context::Context;
use crate::error::Result;
use crate::options::StartFrom;

/// Begins to read a table as the steps need it, from where the query begins.
pub(super) async fn open(context: &Context, table: &Table, pipeline: &Pipeline) -> Result<Progress> {
    let (start, admin) = (context.start().clone(), context.admin());
    context
        .client(async move {
            let mut scan = table.scan().project(pipeline.columns.iter().cloned());
            if let Some(predicate) = &pipeline.predicate {
                scan = scan.filter(predicate.clone());
            }
            let scanner = scan.log_scanner()?;
            subscribe(&scanner, &start).await?;
            let path = &scanner.table().path;
            let ends = admin.list_table_offsets(path, OffsetSpec::Latest).await?;
            let ends = of_subscribed(&scanner, ends)?;
            Progress::new(scanner, ends)
        })
        .await
}

async fn subscribe(scanner: &LogScanner, start: &StartFrom) -> Result<()> {
    let start = match start {
        StartFrom::Earliest => StartOffset::Earliest,
        StartFrom::Latest => StartOffset::Latest,
        StartFrom::Timestamp(millis) => StartOffset::Timestamp(Timestamp::from_millis(*millis)),
        StartFrom::Position(text) => {
            let positions = start::positions(text)?;
            return Ok(scanner.subscribe_positions(&positions).await?);
        }
    };
    Ok(scanner.subscribe_all(start).await?)
}

/// The ends of the buckets that are read.
fn of_subscribed(
    scanner: &LogScanner,
    mut ends: BTreeMap<TableBucket, Offset>,
) -> Result<BTreeMap<TableBucket, Offset>> {
    let positions = scanner.positions()?;
    let subscribed = positions.buckets();
    Ok(subscribed
        .filter_map(|(bucket, _)| ends.remove_entry(&bucket))
        .collect())
}
