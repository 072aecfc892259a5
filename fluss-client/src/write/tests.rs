//! Writers that a panic has hit in the middle of a change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fluss_core::types::Datum;
use tokio::time::timeout;

use super::AppendWriter;
use super::layout::Change;
use crate::error::{Error, ErrorKind};
use crate::tests::{PATIENCE, events};
use crate::{Connection, WriteHandle};

const ROW: [Datum<'static>; 1] = [Datum::Int(1)];

/// A writer that sends nothing by itself.
async fn writer() -> (Connection, AppendWriter) {
    let (connection, table) = events(|options| {
        options.writer.linger = Duration::from_hours(1);
        options.writer.delivery_timeout = Duration::from_hours(1);
        options.writer.buffer_bytes = 64 << 10;
    })
    .await;
    let writer = table.append_writer().unwrap();
    (connection, writer)
}

fn panic_in(writer: &AppendWriter) {
    let change = || {
        let _accumulator = writer.writer.shared.lock().unwrap();
        panic!("half-way");
    };
    assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
}

fn check(failure: &Error) {
    assert!(matches!(failure.kind(), ErrorKind::Defect(_)), "{failure}");
    let said = failure.to_string();
    assert!(
        said.contains("half-way") && said.contains("fluss.events"),
        "{said}"
    );
}

/// Nobody waits for a writer that has broken down, and nobody uses it on.
async fn check_broken(connection: &Connection, writer: &AppendWriter, handle: &WriteHandle) {
    check(&timeout(PATIENCE, handle.wait()).await.unwrap().unwrap_err());
    assert!(handle.is_settled() && handle.ends().is_empty());
    check(&timeout(PATIENCE, writer.append(&ROW)).await.unwrap().unwrap_err());
    check(&writer.try_append(&ROW).unwrap_err());
    check(&timeout(PATIENCE, writer.flush()).await.unwrap().unwrap_err());
    check(&timeout(PATIENCE, writer.close()).await.unwrap().unwrap_err());
    // Another one goes on.
    let table = connection.table(&writer.table().path).await.unwrap();
    let other = table.append_writer().unwrap();
    let handle = other.append(&ROW).await.unwrap();
    timeout(PATIENCE, handle.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_writer_is_not_used_on_when_a_change_has_ended_half_way() {
    let (connection, writer) = writer().await;
    let handle = writer.append(&ROW).await.unwrap();
    assert!(!handle.is_settled());
    panic_in(&writer);
    check(&timeout(PATIENCE, connection.flush()).await.unwrap().unwrap_err());
    check_broken(&connection, &writer, &handle).await;
}

#[tokio::test]
async fn a_writer_whose_sender_is_no_more_fails_what_is_on_its_way() {
    let (connection, writer) = writer().await;
    let handle = writer.append(&ROW).await.unwrap();
    writer.writer.shared.break_down();
    check_broken(&connection, &writer, &handle).await;
}

#[tokio::test]
async fn who_waits_for_a_writer_is_told_when_a_change_has_ended_half_way() {
    let (_connection, writer) = writer().await;
    let memory = writer.writer.shared.memory.clone();
    assert!(memory.try_reserve(usize::MAX).is_some());
    let reserving = tokio::spawn({
        let writer = writer.writer.clone();
        async move { writer.reserve(Change::Append, 1).await }
    });
    tokio::task::yield_now().await;
    assert!(!reserving.is_finished());
    panic_in(&writer);
    check(&timeout(PATIENCE, reserving).await.unwrap().unwrap().unwrap_err());
}
