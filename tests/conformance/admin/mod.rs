//! Administration, the plain part: databases, tables, partitions, offsets, settings; and what a server lacks.

pub mod operators;
pub mod rights;
pub mod users;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluss_client::id::{BucketId, SnapshotId, TableBucket, TableId};
use fluss_client::types::{DataType, DatabaseDescriptor, PartitionSpec, Schema, TableDescriptor, TablePath};
use fluss_client::{
    Admin, ConfigChange, ConfigSource, Connection, Error, ErrorKind, Goal, HealthStatus, LakeSnapshotSpec,
    OffsetSpec, Registration, Result, ServerTag,
};
use fluss_cluster::Spec;

use crate::{Backend, EVERYWHERE, connect, create, create_described, options, run, start, tests};

tests! {
    EVERYWHERE => [
        databases_come_and_go,
        tables_come_and_go,
        partitions_come_and_go,
        offsets_and_counts_follow_what_is_written,
        settings_change_that_may_and_producers_find_their_offsets,
        snapshots_that_are_not_there_are_told,
        what_a_server_lacks_is_told_with_what_the_server_is,
    ],
}

fn schema(primary_key: &[&str]) -> Schema {
    Schema::builder()
        .column("id", DataType::big_int().not_null())
        .column("part", DataType::string().not_null())
        .primary_key(primary_key.iter().copied())
        .build()
        .unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> i32 {
    let error: Error = result.unwrap_err();
    error.code().unwrap_or_else(|| panic!("{error}")).number()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

fn databases_come_and_go(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let descriptor = DatabaseDescriptor {
            comment: Some("mine".to_owned()),
            custom_properties: BTreeMap::from([("owner".to_owned(), "data-team".to_owned())]),
        };
        admin.create_database("db", &descriptor, false).await.unwrap();
        admin.create_database("db", &descriptor, true).await.unwrap();
        assert_eq!(code(admin.create_database("db", &descriptor, false).await), 6);
        assert!(admin.database_exists("db").await.unwrap());
        assert_eq!(admin.list_databases().await.unwrap(), ["db", "fluss"]);
        let info = admin.database_info("db").await.unwrap();
        assert_eq!((info.name.as_str(), &info.descriptor), ("db", &descriptor));
        assert!(info.created_time > 0 && info.modified_time >= info.created_time);

        let table = TableDescriptor::builder(schema(&[])).build().unwrap();
        let path = TablePath::new("db", "t");
        admin.create_table(&path, &table, false).await.unwrap();
        let summaries = admin.database_summaries().await.unwrap();
        let counts: Vec<_> = summaries
            .iter()
            .map(|summary| (summary.name.as_str(), summary.table_count))
            .collect();
        assert_eq!(counts, [("db", 1), ("fluss", 0)]);
        // The time of a 0.9.1 server's summary is taken somewhat later.
        let apart = summaries[0].created_time - info.created_time;
        assert!((0..60_000).contains(&apart), "{apart} ms");

        assert_eq!(code(admin.drop_database("db", false, false).await), 5);
        admin.drop_database("db", false, true).await.unwrap();
        assert_eq!(code(admin.drop_database("db", false, true).await), 4);
        admin.drop_database("db", true, true).await.unwrap();
        assert_eq!(code(admin.database_info("db").await), 4);
        assert!(!admin.database_exists("db").await.unwrap());
    });
}

fn tables_come_and_go(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let descriptor = TableDescriptor::builder(schema(&["id"]))
            .comment("hi")
            .distributed_by(3, ["id"])
            .custom_property("owner", "me")
            .build()
            .unwrap();
        let path = TablePath::new("fluss", "t");
        admin.create_table(&path, &descriptor, false).await.unwrap();
        admin.create_table(&path, &descriptor, true).await.unwrap();
        assert_eq!(code(admin.create_table(&path, &descriptor, false).await), 8);
        assert!(admin.table_exists(&path).await.unwrap());
        assert_eq!(admin.list_tables("fluss").await.unwrap(), ["t"]);

        let info = admin.table_info(&path).await.unwrap();
        assert_eq!((info.bucket_count, info.has_primary_key()), (3, true));
        assert_eq!(info.descriptor.comment(), Some("hi"));
        assert_eq!(info.descriptor.custom_properties()["owner"], "me");
        let (id, found) = admin.table_schema(&path, None).await.unwrap();
        assert_eq!((id, &found), (info.schema_id, info.schema()));
        assert_eq!(admin.table_schema(&path, Some(id)).await.unwrap().1, found);

        let elsewhere = TablePath::new("none", "t");
        assert_eq!(code(admin.create_table(&elsewhere, &descriptor, false).await), 4);
        admin.drop_table(&path, false).await.unwrap();
        assert_eq!(code(admin.drop_table(&path, false).await), 7);
        admin.drop_table(&path, true).await.unwrap();
        assert_eq!(code(admin.table_info(&path).await), 7);
        assert!(!admin.table_exists(&path).await.unwrap());
        admin.create_table(&path, &descriptor, false).await.unwrap();
        assert_ne!(admin.table_info(&path).await.unwrap().id, info.id);
    });
}

fn partitions_come_and_go(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let descriptor = TableDescriptor::builder(schema(&[])).partitioned_by(["part"]);
        let parted = create_described(&connection, descriptor).await;
        let path = &parted.info().path;
        let spec = |value: &str| PartitionSpec::new([("part", value)]);
        admin.create_partition(path, &spec("a"), false).await.unwrap();
        admin.create_partition(path, &spec("a"), true).await.unwrap();
        assert_eq!(code(admin.create_partition(path, &spec("a"), false).await), 42);
        let bad = PartitionSpec::new([("id", "1")]);
        assert_eq!(code(admin.create_partition(path, &bad, false).await), 43);
        admin.create_partition(path, &spec("b"), false).await.unwrap();
        let by_number = TableDescriptor::builder(schema(&[])).partitioned_by(["id"]);
        let by_number = create_described(&connection, by_number).await;
        let numbered = |value: &str| PartitionSpec::new([("id", value)]);
        let by_number = &by_number.info().path;
        let refused = admin
            .create_partition(by_number, &numbered("junk"), true)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), None, "it was not asked for");
        assert!(refused.to_string().contains("'junk' is how no "), "{refused}");
        admin
            .create_partition(by_number, &numbered("7"), false)
            .await
            .unwrap();

        let found = admin.list_partitions(path, None).await.unwrap();
        let mut names: Vec<_> = found
            .iter()
            .map(|partition| partition.name().to_string())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        let found = admin.list_partitions(path, Some(&spec("b"))).await.unwrap();
        assert_eq!((found.len(), &found[0].spec), (1, &spec("b")));

        admin.drop_partition(path, &spec("b"), false).await.unwrap();
        assert_eq!(code(admin.drop_partition(path, &spec("b"), false).await), 36);
        admin.drop_partition(path, &spec("b"), true).await.unwrap();
        let plain = create(&connection, schema(&[]), 1, &[]).await;
        let path = &plain.info().path;
        assert_eq!(code(admin.list_partitions(path, None).await), 37);
        assert_eq!(code(admin.create_partition(path, &spec("a"), false).await), 37);
    });
}

fn offsets_and_counts_follow_what_is_written(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let log = create(&connection, schema(&[]), 1, &[]).await;
        let path = &log.info().path;
        let bucket = BucketId(0);
        let offset = async |spec| {
            admin
                .list_offsets(path, &[bucket], spec)
                .await
                .map(|found| found[&bucket])
        };
        assert_eq!(offset(OffsetSpec::Latest).await.unwrap(), 0);
        let before = now_ms();
        let writer = log.append_writer().unwrap();
        for id in 0..3_i64 {
            writer.append(&[id.into(), "a".into()]).await.unwrap();
        }
        writer.close().await.unwrap();
        assert_eq!(offset(OffsetSpec::Earliest).await.unwrap(), 0);
        assert_eq!(offset(OffsetSpec::Latest).await.unwrap(), 3);
        assert_eq!(
            offset(OffsetSpec::Timestamp(
                fluss_client::types::Timestamp::from_millis(before - 60_000)
            ))
            .await
            .unwrap(),
            0
        );
        let later = OffsetSpec::Timestamp(fluss_client::types::Timestamp::from_millis(now_ms() + 3_600_000));
        assert_eq!(code(offset(later).await), 38);
        assert_eq!(admin.row_count(path).await.unwrap(), 3);

        let descriptor = TableDescriptor::builder(schema(&["id", "part"])).partitioned_by(["part"]);
        let keyed = create_described(&connection, descriptor).await;
        let path = &keyed.info().path;
        let writer = keyed.upsert().writer().unwrap();
        for id in [1_i64, 2, 1] {
            writer.upsert(&[id.into(), "a".into()]).await.unwrap();
        }
        writer.close().await.unwrap();
        assert_eq!(admin.row_count(path).await.unwrap(), 2);
        let buckets: Vec<_> = (0..keyed.info().bucket_count).map(BucketId).collect();
        let ends = admin
            .list_partition_offsets(path, &"a".to_owned().into(), &buckets, OffsetSpec::Latest)
            .await
            .unwrap();
        assert!(ends.values().sum::<i64>() >= 2, "{ends:?}");
        let missing = admin
            .list_partition_offsets(path, &"b".to_owned().into(), &buckets, OffsetSpec::Latest)
            .await;
        assert_eq!(code(missing), 36);
    });
}

const LIMIT: &str = "kv.rocksdb.shared-rate-limiter.bytes-per-sec";

fn settings_change_that_may_and_producers_find_their_offsets(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let set = |key: &str, value: &str| [ConfigChange::Set(key.to_owned(), value.to_owned())];
        admin.alter_cluster_configs(&set(LIMIT, "100mb")).await.unwrap();
        let configs = admin.cluster_configs().await.unwrap();
        let limit = configs.iter().find(|config| config.key == LIMIT).unwrap();
        assert_eq!(
            (limit.value.as_deref(), &limit.source),
            (Some("100mb"), &ConfigSource::Dynamic)
        );
        admin
            .alter_cluster_configs(&[ConfigChange::Delete(LIMIT.to_owned())])
            .await
            .unwrap();
        let configs = admin.cluster_configs().await.unwrap();
        assert!(
            configs
                .iter()
                .all(|config| config.source == ConfigSource::Initial)
        );
        assert_eq!(code(admin.alter_cluster_configs(&set("data.dir", "/")).await), -1);
        find_producer_offsets(&connection, &admin).await;
    });
}

async fn find_producer_offsets(connection: &Connection, admin: &Admin) {
    let table = create(connection, schema(&[]), 2, &[]).await.info().id;
    let offsets = BTreeMap::from([
        (TableBucket::new(table, BucketId(0)), 7),
        (TableBucket::new(table, BucketId(1)), 9),
    ]);
    assert_eq!(admin.producer_offsets("job").await.unwrap(), None);
    let hour = Duration::from_hours(1);
    let register = async |producer| {
        admin
            .register_producer_offsets(producer, &offsets, Some(hour))
            .await
    };
    let before = now_ms();
    assert_eq!(register("job").await.unwrap(), Registration::Created);
    assert_eq!(register("job").await.unwrap(), Registration::AlreadyExists);
    let refused = register("no job").await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Definition(_)), "{refused}");
    let found = admin.producer_offsets("job").await.unwrap().unwrap();
    assert_eq!(found.offsets, offsets);
    let left = found.expires_at - before;
    assert!((3_540_000..=3_660_000).contains(&left), "{left} ms");
    admin.delete_producer_offsets("job").await.unwrap();
    admin.delete_producer_offsets("job").await.unwrap();
    assert_eq!(admin.producer_offsets("job").await.unwrap(), None);
}

fn snapshots_that_are_not_there_are_told(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let keyed = create(&connection, schema(&["id"]), 2, &[]).await;
        let log = create(&connection, schema(&[]), 1, &[]).await;
        let parted = TableDescriptor::builder(schema(&["id", "part"])).partitioned_by(["part"]);
        let parted = create_described(&connection, parted).await;
        let path = &keyed.info().path;
        let name = "a".to_owned().into();
        let found = admin.latest_kv_snapshots(path, None).await.unwrap();
        assert_eq!((found.table, found.partition), (keyed.info().id, None));
        assert_eq!(
            found.buckets,
            BTreeMap::from([(BucketId(0), None), (BucketId(1), None)])
        );
        assert_eq!(code(admin.latest_kv_snapshots(path, Some(&name)).await), 37);
        assert_eq!(code(admin.latest_kv_snapshots(&log.info().path, None).await), 20);
        assert_eq!(
            code(admin.latest_kv_snapshots(&parted.info().path, None).await),
            36
        );
        let bucket = TableBucket::new(keyed.info().id, BucketId(0));
        assert_eq!(code(admin.kv_snapshot_metadata(bucket, SnapshotId(99)).await), 41);
        for which in [
            LakeSnapshotSpec::Latest,
            LakeSnapshotSpec::Readable,
            LakeSnapshotSpec::Id(SnapshotId(1)),
        ] {
            assert_eq!(code(admin.lake_snapshot(path, which).await), 53, "{which:?}");
        }
    });
}

fn what_a_server_lacks_is_told_with_what_the_server_is(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let missing = |result: Result<()>, api: &str| {
            let error = result.unwrap_err();
            let expected = match backend {
                Backend::Cluster => "a Fluss 0.9 coordinator",
                _ => "an embedded node",
            };
            assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
            let text = error.to_string();
            let expected = format!("the server, {expected}, does not offer {api}");
            assert!(text.ends_with(&expected) && !error.is_retriable(), "{text}");
            assert!(error.context().server.is_some(), "{text}");
        };
        let keys = Schema::builder().column("a", DataType::int()).primary_key(["a"]);
        let table = create(&connection, keys.build().unwrap(), 1, &[]).await.info().id;
        let manifests = admin.list_remote_log_manifests(table, None).await;
        let snapshots = admin.list_kv_snapshots(table, None).await;
        let set = [ConfigChange::Set("owner".to_owned(), "me".to_owned())];
        let altered = admin.alter_database("fluss", &set, Some("hi"), false).await;
        let health = admin.cluster_health().await;
        if backend == Backend::Cluster {
            missing(manifests.map(drop), "LIST_REMOTE_LOG_MANIFESTS");
            missing(snapshots.map(drop), "LIST_KV_SNAPSHOTS");
            missing(altered, "ALTER_DATABASE");
            missing(health.map(drop), "GET_CLUSTER_HEALTH");
            return;
        }
        assert_eq!(manifests.unwrap(), []);
        assert_eq!(snapshots.unwrap(), []);
        let code = |error: Error| error.code().map(fluss_client::ErrorCode::number);
        let unknown = TableId(i64::MAX);
        // A coordinator may come to know a table: it is asked again while there is time.
        let mut hasty = options(&place);
        hasty.request_timeout = Duration::from_secs(1);
        let hasty = Connection::open(hasty).await.unwrap();
        let manifests = hasty.admin().list_remote_log_manifests(unknown, None).await;
        assert_eq!(code(manifests.unwrap_err()), Some(21));
        assert_eq!(
            code(admin.list_kv_snapshots(unknown, None).await.unwrap_err()),
            Some(7)
        );
        let racks = ["r1".to_owned()];
        missing(
            admin
                .add_server_tag_by_rack(&racks, ServerTag::PermanentOffline)
                .await,
            "ADD_SERVER_TAG_BY_RACK",
        );
        let blank = admin
            .add_server_tag_by_rack(&[" ".to_owned()], ServerTag::PermanentOffline)
            .await;
        assert_eq!(
            blank.unwrap_err().outcome(),
            fluss_client::Outcome::InvalidArgument
        );
        altered.unwrap();
        let described = admin.database_info("fluss").await.unwrap().descriptor;
        assert_eq!(described.comment.as_deref(), Some("hi"));
        assert_eq!(described.custom_properties["owner"], "me");
        assert_eq!(health.unwrap().status, HealthStatus::Green);
        missing(
            admin.rebalance(&[Goal::ReplicaDistribution]).await.map(drop),
            "REBALANCE",
        );
        missing(
            admin.rebalance_progress(None).await.map(drop),
            "LIST_REBALANCE_PROGRESS",
        );
        missing(admin.cancel_rebalance(None).await, "CANCEL_REBALANCE");
        let tag = ServerTag::TemporaryOffline;
        missing(admin.add_server_tag(&[0.into()], tag).await, "ADD_SERVER_TAG");
        missing(
            admin.remove_server_tag(&[0.into()], tag).await,
            "REMOVE_SERVER_TAG",
        );
        let lease = admin.kv_snapshot_lease("mine", Duration::from_mins(1));
        missing(lease.renew().await, "ACQUIRE_KV_SNAPSHOT_LEASE");
        missing(lease.release(&[]).await, "RELEASE_KV_SNAPSHOT_LEASE");
        missing(lease.drop_lease().await, "DROP_KV_SNAPSHOT_LEASE");
    });
}
