//! Replicas: equal to what their tables have, whatever happens meanwhile.

pub mod deaths;
mod model;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fluss_client::embedded::{self, Node, NodeOptions, Storage};
use fluss_client::filter::col;
use fluss_client::types::{DataType, Datum, Schema, TableDescriptor};
use fluss_client::{ClientOptions, Connection, TableChange};
use fluss_cluster::Spec;
use fluss_replica::{Documents, Error, Replica, ReplicaOptions};
use tempfile::tempdir;

use crate::{
    Backend, EVERYWHERE, ONCE, PATIENCE, Place, Shared, connect, create, create_described,
    create_with_leaders, run, tests,
};
use model::{Model, Rows, of, scanned};

tests! {
    EVERYWHERE => [
        a_replica_is_as_its_table_whenever_it_is_started_again,
        columns_and_rows_are_chosen,
        a_column_that_is_added_is_followed,
        partitions_come_and_go,
        others_read_what_one_follows,
        what_is_no_copy_of_it_is_refused,
        a_table_that_is_created_anew_is_copied_anew,
        reads_that_would_be_too_old_are_refused,
        documents_are_changed_field_by_field,
    ],
    ONCE => [
        a_changelog_that_was_cut_is_copied_anew,
    ],
}

fn shared(backend: Backend) -> Arc<Place> {
    static PLACES: Shared = Shared::new();
    PLACES.start(backend, Spec::new())
}

async fn open(connection: &Connection, model: &Model, directory: &Path) -> Replica {
    opened(connection, model, directory, ReplicaOptions::default())
        .await
        .unwrap()
}

async fn opened(
    connection: &Connection,
    model: &Model,
    directory: &Path,
    options: ReplicaOptions,
) -> Result<Replica, Error> {
    Replica::open(connection, &model.table.info().path, directory, options).await
}

fn a_replica_is_as_its_table_whenever_it_is_started_again(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 3, 1).await;
        model.change(60).await;
        let mut replica = open(&connection, &model, directory.path()).await;
        assert!(matches!(
            replica.get(&[Datum::BigInt(1), "nnn".into()]),
            Err(Error::NoCopy { .. })
        ));
        replica.start(Some(PATIENCE)).await.unwrap();
        model.check(&replica).await;
        for turn in 0..6 {
            let last = model.change(20).await;
            if turn % 2 == 0 {
                replica.wait_until_written(&last, Some(PATIENCE)).await.unwrap();
                replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
                model.check(&replica).await;
                assert_eq!(replica.lag().unwrap().rows(), 0);
            }
            replica.shut_down().await;
            assert!(matches!(replica.count(), Err(Error::Closed { .. })));
            model.change(20).await;
            replica = open(&connection, &model, directory.path()).await;
            // What it had is read at once.
            assert!(replica.count().is_ok());
            replica.start(Some(PATIENCE)).await.unwrap();
            model.check(&replica).await;
        }
        let some = of(&replica, &[Datum::BigInt(7)]).await;
        let expected: Rows = model
            .rows
            .clone()
            .into_iter()
            .filter(|((id, _), _)| *id == 7)
            .collect();
        assert_eq!(some, expected);
        replica.shut_down().await;
    });
}

fn columns_and_rows_are_chosen(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 2, 2).await;
        model.change(60).await;
        let mut options = ReplicaOptions::default();
        options.columns = Some(vec!["score".to_owned()]);
        // By a column that is not held.
        options.filter = Some(col("city").is_not_null());
        let replica = opened(&connection, &model, directory.path(), options)
            .await
            .unwrap();
        replica.start(Some(PATIENCE)).await.unwrap();
        for _ in 0..4 {
            let held = model.rows.iter().filter(|(_, row)| !row[2].is_null());
            let held: Rows = held
                .map(|(key, row)| (key.clone(), vec![row[0].clone(), row[1].clone(), row[3].clone()]))
                .collect();
            assert_eq!(scanned(&replica).await, held);
            model.change(40).await;
            replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        }
        let names: Vec<_> = replica.row_type().unwrap().names().map(str::to_owned).collect();
        assert_eq!(names, ["id", "name", "score"]);
        let error = replica
            .get_value(&[Datum::BigInt(1), "nnn".into()], "city")
            .unwrap_err();
        assert!(error.to_string().contains("there is no column 'city'"), "{error}");
        replica.shut_down().await;
    });
}

fn a_column_that_is_added_is_followed(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let model = Model::create(&connection, 2, 3).await;
        let path = &model.table.info().path;
        let key = |id| [Datum::BigInt(id), "n".into()];
        let row = |id| -> Vec<Datum<'static>> {
            let values = [Datum::Null, Datum::Double(1.0), Datum::Null];
            key(id).into_iter().chain(values).collect()
        };
        let old = model.table.upsert_writer().unwrap();
        old.upsert(&row(1)).await.unwrap();
        old.flush().await.unwrap();
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        let change = TableChange::AddColumn {
            name: "more".to_owned(),
            data_type: DataType::int(),
            comment: None,
            aggregate: None,
        };
        connection
            .admin()
            .alter_table(path, &[change], false)
            .await
            .unwrap();
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        let new = connection.table(path).await.unwrap().upsert_writer().unwrap();
        let longer = row(2).into_iter().chain([Datum::Int(7)]).collect::<Vec<_>>();
        let written = new.upsert(&longer).await.unwrap();
        replica
            .wait_until_written(&written, Some(PATIENCE))
            .await
            .unwrap();
        let missing = |id| row(id).into_iter().chain([Datum::Null]).collect::<Vec<_>>();
        assert_eq!(replica.get(&key(2)).unwrap(), Some(longer.clone()));
        assert_eq!(replica.get(&key(1)).unwrap(), Some(missing(1)));
        let written = old.upsert(&row(3)).await.unwrap();
        replica
            .wait_until_written(&written, Some(PATIENCE))
            .await
            .unwrap();
        replica.shut_down().await;
        // Rows of both schemas stay as they are.
        let replica = open(&connection, &model, directory.path()).await;
        assert_eq!(replica.get(&key(1)).unwrap(), Some(missing(1)));
        replica.start(Some(PATIENCE)).await.unwrap();
        assert_eq!(replica.get(&key(2)).unwrap(), Some(longer));
        assert_eq!(replica.get(&key(3)).unwrap(), Some(missing(3)));
        assert_eq!(scanned(&replica).await.len(), 3);
        replica.shut_down().await;
    });
}

fn partitions_come_and_go(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let schema = Schema::builder()
            .column("id", DataType::big_int())
            .column("name", DataType::string())
            .column("n", DataType::int());
        let schema = schema.primary_key(["id", "name"]).build().unwrap();
        let descriptor = TableDescriptor::builder(schema)
            .partitioned_by(["name"])
            .distributed_by(2, ["id"]);
        let table = create_described(&connection, descriptor).await;
        let path = table.info().path.clone();
        let admin = connection.admin();
        let spec = |name: &str| fluss_client::types::PartitionSpec::new([("name", name)]);
        let writer = table.upsert_writer().unwrap();
        let mut expected = Rows::new();
        for name in ["one", "two"] {
            admin.create_partition(&path, &spec(name), true).await.unwrap();
        }
        let row =
            |id: i64, name: &str, n: i32| vec![Datum::BigInt(id), name.to_owned().into(), Datum::Int(n)];
        for id in 0..20 {
            for name in ["one", "two"] {
                writer.upsert(&row(id, name, 1)).await.unwrap();
                expected.insert((id, name.to_owned()), row(id, name, 1));
            }
        }
        writer.flush().await.unwrap();
        let options = || ReplicaOptions::default();
        let replica = Replica::open(&connection, &path, directory.path(), options())
            .await
            .unwrap();
        replica.start(Some(PATIENCE)).await.unwrap();
        assert_eq!(scanned(&replica).await, expected);
        // Another one, and one of the same name as one that there was.
        admin.create_partition(&path, &spec("three"), true).await.unwrap();
        admin.drop_partition(&path, &spec("one"), false).await.unwrap();
        expected.retain(|(_, name), _| name != "one");
        writer.upsert(&row(1, "three", 3)).await.unwrap();
        writer.flush().await.unwrap();
        expected.insert((1, "three".to_owned()), row(1, "three", 3));
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        assert_eq!(scanned(&replica).await, expected);
        replica.shut_down().await;
        // While nobody follows.
        admin.drop_partition(&path, &spec("two"), false).await.unwrap();
        admin.create_partition(&path, &spec("two"), false).await.unwrap();
        expected.retain(|(_, name), _| name != "two");
        let writer = connection.table(&path).await.unwrap().upsert_writer().unwrap();
        let there = admin.list_partitions(&path, Some(&spec("two"))).await.unwrap()[0].id;
        // Servers may take a row for the partition that is just being dropped.
        loop {
            let written = writer.upsert(&row(5, "two", 9)).await.unwrap();
            written.wait().await.unwrap();
            if written
                .ends()
                .keys()
                .all(|bucket| bucket.partition == Some(there))
            {
                break;
            }
        }
        expected.insert((5, "two".to_owned()), row(5, "two", 9));
        let replica = Replica::open(&connection, &path, directory.path(), options())
            .await
            .unwrap();
        replica.start(Some(PATIENCE)).await.unwrap();
        assert_eq!(scanned(&replica).await, expected);
        replica.shut_down().await;
    });
}

fn others_read_what_one_follows(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 2, 4).await;
        assert!(matches!(
            Replica::attach(directory.path(), None),
            Err(Error::NoDirectory(_))
        ));
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        let second = open(&connection, &model, directory.path()).await;
        let refused = second.start(Some(PATIENCE)).await.unwrap_err();
        assert!(matches!(refused, Error::InUse { .. }), "{refused}");
        let reader = Replica::attach(directory.path(), Some(PATIENCE)).unwrap();
        let last = model.change(60).await;
        reader.wait_until_written(&last, Some(PATIENCE)).await.unwrap();
        reader.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        model.check(&reader).await;
        assert_eq!(reader.lag().unwrap().rows(), 0);
        assert!(!reader.follows());
        replica.shut_down().await;
        // The next one may follow now.
        second.start(Some(PATIENCE)).await.unwrap();
        second.shut_down().await;
        model.check(&reader).await;
        reader.shut_down().await;
    });
}

fn what_is_no_copy_of_it_is_refused(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 2, 5).await;
        model.change(30).await;
        let other = Model::create(&connection, 2, 5).await;
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        replica.shut_down().await;

        let refused = |outcome: Result<Replica, Error>| match outcome {
            Err(Error::OtherContents { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        let reason = refused(opened(&connection, &other, directory.path(), ReplicaOptions::default()).await);
        assert!(reason.contains("holds table"), "{reason}");
        let mut options = ReplicaOptions::default();
        options.columns = Some(vec!["city".to_owned()]);
        let reason = refused(opened(&connection, &model, directory.path(), options.clone()).await);
        assert!(reason.contains("holds all columns"), "{reason}");
        options.columns = None;
        options.filter = Some(col("score").gt(0.5));
        let reason = refused(opened(&connection, &model, directory.path(), options).await);
        assert!(reason.contains("by another filter"), "{reason}");

        let mut options = ReplicaOptions::default();
        options.columns = Some(vec!["no such".to_owned()]);
        let wrong = opened(&connection, &model, tempdir().unwrap().path(), options)
            .await
            .unwrap_err();
        assert!(
            matches!(&wrong, Error::InvalidArgument(reason) if reason.contains("no such")),
            "{wrong}"
        );
        let log = Schema::builder().column("id", DataType::int()).build().unwrap();
        let log = create(&connection, log, 1, &[]).await;
        let path = &log.info().path;
        let wrong = Replica::open(&connection, path, directory.path(), ReplicaOptions::default())
            .await
            .unwrap_err();
        assert!(wrong.to_string().contains("has no primary key"), "{wrong}");

        let current = directory.path().join("current.json");
        let text = fs::read_to_string(&current).unwrap();
        fs::write(&current, text.replace("\"format\":1", "\"format\":99")).unwrap();
        let reason = refused(opened(&connection, &model, directory.path(), ReplicaOptions::default()).await);
        assert!(reason.contains("format 99"), "{reason}");
        fs::write(&current, &text).unwrap();

        let foreign = tempdir().unwrap();
        fs::write(foreign.path().join("notes.txt"), "mine").unwrap();
        let replica = open(&connection, &model, foreign.path()).await;
        let refused = replica.start(Some(PATIENCE)).await.unwrap_err();
        assert!(refused.to_string().contains("notes.txt"), "{refused}");

        // What is damaged is copied anew.
        let damages: [fn(&Path); 5] = [
            |copy| fs::write(copy.join("data.mdb"), b"").unwrap(),
            |copy| fs::write(copy.join("data.mdb"), vec![7; 20_000]).unwrap(),
            |copy| {
                fs::OpenOptions::new()
                    .write(true)
                    .open(copy.join("data.mdb"))
                    .unwrap()
                    .set_len(9_000)
                    .unwrap();
            },
            |copy| fs::remove_dir_all(copy).unwrap(),
            |copy| fs::write(copy.with_file_name("current.json"), "{").unwrap(),
        ];
        for damage in damages {
            let copies = fs::read_dir(directory.path())
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let copy: Vec<_> = copies.filter(|path| path.is_dir()).collect();
            damage(&copy[0]);
            let replica = open(&connection, &model, directory.path()).await;
            replica.start(Some(PATIENCE)).await.unwrap();
            model.check(&replica).await;
            replica.shut_down().await;
        }
    });
}

fn a_table_that_is_created_anew_is_copied_anew(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 2, 6).await;
        model.change(30).await;
        let path = model.table.info().path.clone();
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        let reader = Replica::attach(directory.path(), None).unwrap();
        let descriptor = model.table.info().descriptor.clone();
        let again = async || {
            connection.admin().drop_table(&path, false).await.unwrap();
            create_with_leaders(&connection, &path, &descriptor).await;
            let mut model = Model::of(connection.table(&path).await.unwrap(), 7);
            model.change(30).await;
            model
        };
        let model = again().await;
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        model.check(&replica).await;
        reader.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        model.check(&reader).await;
        replica.shut_down().await;
        let model = again().await;
        let replica = open(&connection, &model, directory.path()).await;
        assert!(matches!(replica.count(), Err(Error::NoCopy { .. })));
        replica.start(Some(PATIENCE)).await.unwrap();
        model.check(&replica).await;
        replica.shut_down().await;
    });
}

/// A node that keeps hardly anything of a log.
fn forgetful() -> ClientOptions {
    let mut options = NodeOptions::new(Storage::Memory);
    options.housekeeping = Duration::from_millis(20);
    options.segment_bytes = 1 << 10;
    let mut leading = ClientOptions::new([]);
    embedded::lead(&mut leading, Node::open(options).unwrap());
    leading
}

fn a_changelog_that_was_cut_is_copied_anew(_: Backend) {
    run(async {
        let connection = Connection::open(forgetful()).await.unwrap();
        let directory = tempdir().unwrap();
        let table = create(&connection, model::schema(), 1, &[("table.log.ttl", "1 ms")]).await;
        let mut model = Model::of(table, 8);
        model.change(10).await;
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        let end = replica.lag().unwrap().buckets[0].applied;
        replica.shut_down().await;
        let (admin, path) = (connection.admin(), model.table.info().path.clone());
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            model.change(50).await;
            let starts = admin
                .list_table_offsets(&path, fluss_client::OffsetSpec::Earliest)
                .await
                .unwrap();
            if starts.values().all(|start| *start > end) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "the log is kept");
        }
        let reader = Replica::attach(directory.path(), None).unwrap();
        let replica = open(&connection, &model, directory.path()).await;
        let before = replica.count().unwrap();
        assert!(before > 0);
        replica.start(Some(PATIENCE)).await.unwrap();
        model.check(&replica).await;
        reader.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        model.check(&reader).await;
        replica.shut_down().await;
    });
}

fn reads_that_would_be_too_old_are_refused(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let mut model = Model::create(&connection, 2, 9).await;
        model.change(10).await;
        let mut options = ReplicaOptions::default();
        options.max_staleness = Some(PATIENCE);
        let replica = opened(&connection, &model, directory.path(), options.clone())
            .await
            .unwrap();
        replica.start(Some(PATIENCE)).await.unwrap();
        assert!(replica.count().is_ok());
        replica.shut_down().await;
        options.max_staleness = Some(Duration::from_millis(1));
        options.freshness_interval = PATIENCE;
        let replica = opened(&connection, &model, directory.path(), options)
            .await
            .unwrap();
        // Nobody knows how old it is.
        let stale = replica.count().unwrap_err();
        assert!(matches!(stale, Error::Stale { .. }), "{stale}");
        replica.start(Some(PATIENCE)).await.unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while replica.count().is_ok() {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        let stale = replica.count().unwrap_err();
        assert!(stale.to_string().contains("1ms at most"), "{stale}");
        let error = replica
            .wait_until_caught_up(Some(Duration::from_millis(20)))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        replica.shut_down().await;
    });
}

fn documents_are_changed_field_by_field(backend: Backend) {
    let place = shared(backend);
    run(async {
        let connection = connect(&place).await;
        let directory = tempdir().unwrap();
        let model = Model::create(&connection, 2, 10).await;
        let path = &model.table.info().path;
        let documents = Documents::open(&connection, path).await.unwrap();
        let replica = open(&connection, &model, directory.path()).await;
        replica.start(Some(PATIENCE)).await.unwrap();
        let key = |id: i64| [Datum::BigInt(id), "n".into()];
        let fields = |id: i64, name: &'static str, value: Datum<'static>| {
            let [id, key] = key(id);
            [("id", id), ("name", key), (name, value)]
        };
        for id in 0..30 {
            documents
                .upsert_fields(&fields(id, "city", "c".into()))
                .await
                .unwrap();
            documents
                .upsert_fields(&fields(id, "score", Datum::Double(1.0)))
                .await
                .unwrap();
        }
        let last = documents.delete_fields(&key(7), &["city"]).await.unwrap();
        replica.wait_until_written(&last, Some(PATIENCE)).await.unwrap();
        documents.delete_document(&key(8)).await.unwrap();
        documents.flush().await.unwrap();
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        let row = |id| replica.get(&key(id)).unwrap();
        let [id, name] = key(1);
        let whole = vec![id, name, "c".into(), Datum::Double(1.0), Datum::Null];
        assert_eq!(row(1), Some(whole));
        assert_eq!(row(7).unwrap()[2..4], [Datum::Null, Datum::Double(1.0)]);
        assert_eq!(row(8), None);
        // One row has no city any more, and one is gone.
        assert_eq!(documents.clear_columns(&["city"]).await.unwrap(), 28);
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        assert_eq!(row(1).unwrap()[2], Datum::Null);
        assert_eq!(documents.truncate().await.unwrap(), 29);
        replica.wait_until_caught_up(Some(PATIENCE)).await.unwrap();
        assert_eq!(replica.count().unwrap(), 0);
        replica.shut_down().await;
    });
}
