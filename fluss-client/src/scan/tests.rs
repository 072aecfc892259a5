//! Scanners that a panic has hit in the middle of a change.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::time::timeout;

use super::{LogScanner, StartOffset};
use crate::Connection;
use crate::error::{Error, ErrorKind};
use crate::tests::{PATIENCE, events};

async fn scanner() -> (Connection, LogScanner) {
    let (connection, table) = events(|_| {}).await;
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    (connection, scanner)
}

fn panic_with<T>(locked: T) {
    let change = move || {
        let _locked = locked;
        panic!("half-way");
    };
    assert!(catch_unwind(AssertUnwindSafe(change)).is_err());
}

fn check(failure: &Error) {
    assert!(matches!(failure.kind(), ErrorKind::Defect(_)), "{failure}");
    assert!(failure.to_string().contains("half-way"), "{failure}");
}

async fn check_broken(scanner: &LogScanner) {
    let polled = timeout(PATIENCE, scanner.poll_arrow(Duration::MAX)).await;
    check(&polled.unwrap().unwrap_err());
    check(&scanner.positions().unwrap_err());
    scanner.close();
}

#[tokio::test]
async fn who_polls_is_told_when_a_change_has_ended_half_way() {
    let (_connection, scanner) = scanner().await;
    let polling = tokio::spawn({
        let scanner = scanner.clone();
        async move { scanner.poll_arrow(Duration::MAX).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!polling.is_finished());
    panic_with(scanner.inner.shared.lock().unwrap());
    check(&timeout(PATIENCE, polling).await.unwrap().unwrap().unwrap_err());
    check_broken(&scanner).await;
}

#[tokio::test]
async fn a_scanner_passes_nothing_over_that_was_lost_while_it_was_decoded() {
    let (_connection, scanner) = scanner().await;
    panic_with(scanner.inner.decoded().unwrap());
    check_broken(&scanner).await;
}
