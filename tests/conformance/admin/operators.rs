//! What operators of a cluster do: tags, rebalances, snapshots and leases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fluss_client::id::{BucketId, ServerId, SnapshotId, TableBucket};
use fluss_client::types::Datum;
use fluss_client::{
    Admin, BucketSnapshots, Connection, Goal, KvSnapshot, RebalanceId, RebalanceProgress, RebalanceStatus,
    ServerTag, StartOffset, Table, UpsertWriter,
};
use fluss_cluster::Spec;
use tokio::time::Instant;

use super::{code, schema};
use crate::{Backend, CLUSTER, PATIENCE, connect, create, read, run, start, tests};

tests! {
    CLUSTER => [
        a_server_with_a_tag_is_emptied_by_a_rebalance_and_nothing_is_lost,
        a_lease_keeps_a_snapshot_until_it_is_dropped,
    ],
}

const BUCKETS: i32 = 6;

fn a_server_with_a_tag_is_emptied_by_a_rebalance_and_nothing_is_lost(backend: Backend) {
    let spec = Spec::new().tablet_servers(3);
    let place = start(backend, spec.property("default.replication.factor", "1"));
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        assert_eq!(admin.rebalance_progress(None).await.unwrap(), None);
        let table = create(&connection, schema(&[]), BUCKETS, &[]).await;
        let writer = table.append_writer().unwrap();
        for id in 0..60_i64 {
            writer.append(&[id.into(), "a".into()]).await.unwrap();
        }
        writer.flush().await.unwrap();

        let emptied = ServerId(0);
        tag(&admin, emptied).await;
        let id = admin.rebalance(&[Goal::ReplicaDistribution]).await.unwrap();
        let progress = finished(&admin, &id).await;
        assert_eq!(progress.status, RebalanceStatus::Completed, "{progress:?}");
        let (through, all) = progress.counts();
        assert!(through == all && all > 0, "{progress:?}");
        for (bucket, moved) in &progress.buckets {
            assert_eq!(bucket.table, table.info().id);
            assert_eq!(moved.original_replicas, [emptied], "{bucket}: {moved:?}");
            assert!(!moved.new_replicas.contains(&emptied), "{bucket}: {moved:?}");
        }
        admin.cancel_rebalance(Some(&id)).await.unwrap();
        let nobodys = RebalanceId("nobodys".to_owned());
        assert_eq!(code(admin.rebalance_progress(Some(&nobodys)).await), 62);
        read_all(&table, 60).await;
        untag(&admin, emptied).await;
    });
}

async fn tag(admin: &Admin, server: ServerId) {
    let (gone, away) = (ServerTag::PermanentOffline, ServerTag::TemporaryOffline);
    admin.add_server_tag(&[server], gone).await.unwrap();
    admin.add_server_tag(&[server], gone).await.unwrap();
    assert_eq!(code(admin.add_server_tag(&[server], away).await), 59);
    assert_eq!(code(admin.add_server_tag(&[ServerId(99)], gone).await), 58);
}

async fn untag(admin: &Admin, server: ServerId) {
    let (gone, away) = (ServerTag::PermanentOffline, ServerTag::TemporaryOffline);
    assert_eq!(code(admin.remove_server_tag(&[server], away).await), 60);
    admin.remove_server_tag(&[server], gone).await.unwrap();
    admin.remove_server_tag(&[server], gone).await.unwrap();
}

/// Asks for the progress until nothing more will happen.
async fn finished(admin: &Admin, id: &RebalanceId) -> RebalanceProgress {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let progress = admin.rebalance_progress(Some(id)).await.unwrap().unwrap();
        assert_eq!(progress.id, *id);
        if progress.status.is_final() {
            return progress;
        }
        assert!(Instant::now() < deadline, "{progress:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn read_all(table: &Table, count: usize) {
    let scanner = table.scan().log_scanner().unwrap();
    scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
    let mut found = BTreeSet::new();
    read(&scanner, count, |_, _, row| {
        let Datum::BigInt(id) = row[0] else {
            panic!("{row:?}")
        };
        found.insert(id);
    })
    .await;
    assert_eq!(found.len(), count);
}

fn a_lease_keeps_a_snapshot_until_it_is_dropped(backend: Backend) {
    let place = start(backend, Spec::new().property("kv.snapshot.interval", "1 s"));
    run(async {
        let connection: Connection = connect(&place).await;
        let admin = connection.admin();
        let table = create(&connection, schema(&["id"]), 1, &[]).await;
        let bucket = TableBucket::new(table.info().id, BucketId(0));
        let writer = table.upsert().writer().unwrap();
        let first = snapshot_after(&admin, &table, &writer, None).await;
        let metadata = admin.kv_snapshot_metadata(bucket, first.id).await.unwrap();
        assert_eq!(metadata.log_offset, first.log_offset);
        let names: Vec<_> = metadata
            .files
            .iter()
            .map(|file| file.local_name.as_str())
            .collect();
        assert!(names.contains(&"CURRENT"), "{names:?}");

        let lease = admin.kv_snapshot_lease("mine", Duration::from_mins(10));
        let held = BucketSnapshots::from([(bucket, first.id)]);
        assert_eq!(lease.acquire(&held).await.unwrap(), BTreeMap::new());
        lease.renew().await.unwrap();
        let mut latest = first;
        for _ in 0..4 {
            latest = snapshot_after(&admin, &table, &writer, Some(latest.id)).await;
        }
        admin.kv_snapshot_metadata(bucket, first.id).await.unwrap();

        lease.release(&[bucket]).await.unwrap();
        lease.drop_lease().await.unwrap();
        lease.drop_lease().await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while admin.kv_snapshot_metadata(bucket, first.id).await.is_ok() {
            assert!(
                Instant::now() < deadline,
                "the snapshot goes when nobody holds it"
            );
            latest = snapshot_after(&admin, &table, &writer, Some(latest.id)).await;
        }
        assert_eq!(code(admin.kv_snapshot_metadata(bucket, first.id).await), 41);
    });
}

/// Writes until there is a snapshot after this one.
async fn snapshot_after(
    admin: &Admin,
    table: &Table,
    writer: &UpsertWriter,
    before: Option<SnapshotId>,
) -> KvSnapshot {
    let deadline = Instant::now() + PATIENCE;
    for id in 0_i64.. {
        writer.upsert(&[id.into(), "a".into()]).await.unwrap();
        writer.flush().await.unwrap();
        let found = admin.latest_kv_snapshots(&table.info().path, None).await.unwrap();
        if let Some(found) = found.buckets[&BucketId(0)]
            && Some(found.id) > before
        {
            return found;
        }
        assert!(Instant::now() < deadline, "a snapshot is taken every second");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("the numbers do not end")
}
