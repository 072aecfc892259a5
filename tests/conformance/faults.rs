//! Servers that stop and die.

use std::collections::BTreeSet;
use std::time::Duration;

use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{Connection, ErrorKind, LogScanner, StartOffset};
use fluss_cluster::Spec;

use crate::{PATIENCE, connect, create, run, start};

fn numbers() -> Schema {
    Schema::builder()
        .column("id", DataType::big_int())
        .build()
        .unwrap()
}

/// Polls until all of `wanted` were read, and insists that nothing came twice. Failures of polls are passed over.
async fn read_all(scanner: &LogScanner, found: &mut Vec<i64>, wanted: &BTreeSet<i64>) {
    use fluss_client::types::Row;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !wanted.iter().all(|id| found.contains(id)) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {} records came",
            found.len(),
            wanted.len()
        );
        let Ok(records) = scanner.poll(Duration::from_millis(500)).await else {
            continue;
        };
        found.extend(records.iter().map(|(_, record)| match record.row.datum(0) {
            Datum::BigInt(id) => id,
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(
        found.len(),
        found.iter().collect::<BTreeSet<_>>().len(),
        "nothing is there twice"
    );
}

#[test]
fn a_stopped_leader_is_told_within_the_deadline_and_nothing_acknowledged_is_lost() {
    // The leader is not replaced while it is stopped.
    let cluster = start(Spec::new().property("zookeeper.client.session-timeout", "60 s"));
    run(async {
        let mut options = fluss_client::options(&format!("fluss://{}", cluster.bootstrap())).unwrap();
        options.request_timeout = Duration::from_secs(2);
        options.writer.delivery_timeout = Duration::from_secs(2);
        let connection = Connection::open(options).await.unwrap();
        let table = create(&connection, numbers(), 1, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        writer
            .append(&[Datum::BigInt(0)])
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let (mut found, mut acknowledged) = (Vec::new(), BTreeSet::from([0]));
        read_all(&scanner, &mut found, &acknowledged).await;

        let server = cluster.tablet_server(0).unwrap();
        server.stop().unwrap();
        let error = writer
            .append(&[Datum::BigInt(1)])
            .await
            .unwrap()
            .wait()
            .await
            .unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Timeout {
                    outcome_unknown: true,
                    ..
                }
            ),
            "{error}"
        );
        let context = error.context();
        assert_eq!(context.operation, "append");
        assert_eq!(
            context.table.as_ref().map(|table| &table.table),
            Some(&table.info().path)
        );
        assert_eq!(context.bucket, Some(fluss_client::id::BucketId(0)));
        assert!(context.server.is_some(), "{error}");
        let error = loop {
            match scanner.poll(Duration::from_millis(500)).await {
                Ok(records) => assert!(records.is_empty()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.kind(), ErrorKind::Timeout { .. }), "{error}");

        server.resume().unwrap();
        for id in 10..20 {
            if writer
                .append(&[Datum::BigInt(id)])
                .await
                .unwrap()
                .wait()
                .await
                .is_ok()
            {
                acknowledged.insert(id);
            }
        }
        assert!(acknowledged.len() > 1, "the writer works on");
        read_all(&scanner, &mut found, &acknowledged).await;
    });
}

#[test]
fn a_killed_leader_is_replaced_under_load_and_every_row_is_there_once() {
    const ROUNDS: u32 = 3;
    const ROWS: i64 = 2_000;
    let cluster = start(Spec::new().tablet_servers(3));
    run(async {
        let connection = connect(&cluster).await;
        let table = create(&connection, numbers(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        let (mut found, mut acknowledged) = (Vec::new(), BTreeSet::new());
        for round in 0..ROUNDS {
            let first = i64::from(round) * 2 * ROWS;
            for id in first..first + 2 * ROWS {
                if id == first + ROWS {
                    cluster.tablet_server(round).unwrap().kill().unwrap();
                }
                writer.append(&[Datum::BigInt(id)]).await.unwrap();
                acknowledged.insert(id);
            }
            writer.flush().await.unwrap();
            read_all(&scanner, &mut found, &acknowledged).await;
            cluster.tablet_server(round).unwrap().restart().unwrap();
            cluster.wait_ready(PATIENCE).unwrap();
        }
        println!("{ROUNDS} kills, {} rows", found.len());
        assert_eq!(i64::try_from(found.len()).unwrap(), i64::from(ROUNDS) * 2 * ROWS);
    });
}
