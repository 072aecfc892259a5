use std::collections::BTreeSet;
use std::path::Path;

use fluss_core::id::{BucketId, TableBucket};
use fluss_core::types::{DatabaseDescriptor, PartitionSpec};

use super::users::hash;
use super::*;
use crate::security::{Acl, AclFilter, Operation, Principal, Resource};

fn acl() -> Acl {
    Acl {
        resource: Resource::database("fluss"),
        principal: Principal::user("alice"),
        host: "*".to_owned(),
        operation: Operation::Write,
    }
}

type Change = fn(&Catalog);

/// One of every kind of change, each of which finds what the ones before have left.
fn changes() -> Vec<Change> {
    vec![
        |catalog| {
            let mut descriptor = DatabaseDescriptor {
                comment: Some("hi".to_owned()),
                ..Default::default()
            };
            descriptor
                .custom_properties
                .insert("k".to_owned(), "v".to_owned());
            catalog.create_database("db", descriptor, false, NOW).unwrap();
        },
        |catalog| {
            let described = table(&[]).comment("a \"table\"").custom_property("k", "ü");
            create(catalog, "t", described);
        },
        |catalog| drop(create(catalog, "p", table(&["p", "q"]))),
        |catalog| {
            let auto = table(&["p"]).property("table.auto-partition.enabled", "true");
            create(catalog, "auto", auto);
        },
        |catalog| {
            let column = NewColumn {
                name: "b".to_owned(),
                data_type: "ROW<x INT>".parse().unwrap(),
                comment: Some("new".to_owned()),
                aggregate: None,
            };
            catalog
                .alter_table(&path("t"), &Alteration::Columns(vec![column]), false, NOW + 1)
                .unwrap();
        },
        |catalog| {
            let change = PropertyChange::Set("owner".to_owned(), "me".to_owned());
            catalog
                .alter_table(&path("t"), &Alteration::Properties(vec![change]), false, NOW + 2)
                .unwrap();
        },
        |catalog| {
            let spec = PartitionSpec::new([("q", "2"), ("p", "1")]);
            catalog.create_partition(&path("p"), &spec, false, NOW).unwrap();
        },
        |catalog| {
            let bucket = TableBucket::in_partition(TableId(1), PartitionId(0), BucketId(0));
            let offsets = vec![
                (bucket, Some(7)),
                (TableBucket::new(TableId(0), BucketId(0)), None),
            ];
            catalog.register_producer("producer", offsets, None, NOW).unwrap();
        },
        |catalog| catalog.add_acls([acl()]).unwrap(),
        |catalog| {
            catalog
                .change_configs(vec![("key".to_owned(), Some("value".to_owned()))])
                .unwrap();
        },
        |catalog| catalog.create_user("alice", hash(0), false).unwrap(),
        |catalog| catalog.alter_user("alice", hash(1), false).unwrap(),
        |catalog| assert_eq!(catalog.next_writer_id().unwrap().get(), 0),
        |catalog| assert_eq!(catalog.reserve_ids(TableId(0), 5).unwrap(), 1..6),
        |catalog| drop(catalog.auto_partition(NOW + 86_400_000).unwrap()),
        |catalog| {
            let spec = PartitionSpec::new([("q", "2"), ("p", "1")]);
            catalog.drop_partition(&path("p"), &spec, false).unwrap();
        },
        |catalog| drop(catalog.remove_acls(&[AclFilter::default()]).unwrap()),
        |catalog| catalog.change_configs(vec![("key".to_owned(), None)]).unwrap(),
        |catalog| catalog.delete_producer("producer").unwrap(),
        |catalog| catalog.drop_user("alice", false, true).unwrap(),
        |catalog| drop(catalog.drop_table(&path("t"), false).unwrap()),
        |catalog| drop(catalog.drop_database("fluss", false, true).unwrap()),
    ]
}

/// A catalog with something of everything, and its file.
fn file() -> Vec<u8> {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    changes().iter().take(15).for_each(|change| change(&catalog));
    let file = disk.open_existing(Path::new("catalog")).unwrap();
    let length = file.len().unwrap() as usize;
    file.read_at(0, length).unwrap().to_vec()
}

/// A disk with one file.
fn disk_with(path: &str, contents: &[u8]) -> FaultyDisk {
    let (disk, path) = (FaultyDisk::new(0), Path::new(path));
    disk.create_dir(path.parent().unwrap()).unwrap();
    let file = disk.open(path).unwrap();
    file.write_at(0, contents.to_vec().into()).unwrap();
    disk
}

fn reopen(contents: &[u8]) -> Result<Catalog, OpenError> {
    let disk = disk_with("catalog", contents);
    Catalog::open(Arc::new(disk), Limits::default(), NOW)
}

#[test]
fn every_change_is_there_after_a_restart() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    let mut before = document::encode(&catalog.view());
    for (number, change) in changes().into_iter().enumerate() {
        change(&catalog);
        let now = document::encode(&catalog.view());
        assert_ne!(now, before, "change {number} changed something");
        assert_eq!(document::encode(&open(&disk).view()), now, "change {number}");
        before = now;
    }
}

#[test]
fn what_changes_nothing_needs_no_disk() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    create(&catalog, "t", table(&[]));
    catalog.add_acls([acl()]).unwrap();
    catalog.next_writer_id().unwrap();
    // Whoever as much as looks at the disk fails.
    disk.cut_power_after(0);
    catalog
        .create_table(&path("t"), &json(table(&[])), true, NOW)
        .unwrap();
    catalog.drop_table(&path("none"), true).unwrap();
    catalog.add_acls([acl()]).unwrap();
    catalog.auto_partition(NOW).unwrap();
    catalog.next_writer_id().unwrap();
    catalog.delete_producer("none").unwrap();
}

/// Makes a change on a machine that goes down after so many operations of its disk; says whether it got that far.
fn change_until_down(seed: u64, operations: usize) -> bool {
    let disk = FaultyDisk::new(seed);
    let catalog = open(&disk);
    create(&catalog, "before", table(&[]));
    disk.cut_power_after(operations);
    let created = catalog.create_table(&path("after"), &json(table(&[])), false, NOW);
    let is_down = disk.is_down();
    disk.cut_power();
    let catalog = open(&disk);
    catalog.table_by_path(&path("before")).unwrap();
    let is_there = catalog.table_by_path(&path("after")).is_ok();
    assert!(
        is_there || created.is_err(),
        "seed {seed}, {operations} operations"
    );
    is_down
}

#[test]
fn the_power_can_be_cut_at_any_moment_of_a_change() {
    for seed in 0..50 {
        let moments = (0..).take_while(|operations| change_until_down(seed, *operations));
        assert!(moments.count() > 4);
    }
}

#[test]
fn a_change_that_cannot_be_written_does_not_happen() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    create(&catalog, "t", table(&[]));
    let before = document::encode(&catalog.view());
    disk.fail_syncs(true);
    assert_eq!(code(catalog.drop_table(&path("t"), false)), 26);
    assert_eq!(code(catalog.next_writer_id()), 26);
    assert_eq!(code(catalog.reserve_ids(TableId(0), 1)), 26);
    assert_eq!(document::encode(&catalog.view()), before);
    disk.fail_syncs(false);
    assert_eq!(catalog.next_writer_id().unwrap().get(), 0);
    assert_eq!(
        document::encode(&open(&disk).view()),
        document::encode(&catalog.view())
    );
}

#[test]
fn what_a_crash_left_aside_is_no_catalog() {
    let disk = disk_with("catalog.new", &vec![7; 100_000]);
    let catalog = open(&disk);
    create(&catalog, "t", table(&[]));
    assert!(open(&disk).table_by_path(&path("t")).is_ok());
}

#[test]
fn every_flipped_byte_is_found() {
    let file = file();
    reopen(&file).unwrap();
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1 << (at % 8);
        let error = reopen(&bad).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "byte {at}: {error:?}");
        assert!(error.to_string().starts_with("catalog is damaged"), "{error}");
    }
}

#[test]
fn every_cut_is_found() {
    let mut file = file();
    while file.pop().is_some() {
        assert!(
            matches!(reopen(&file), Err(OpenError::Damaged { .. })),
            "{} bytes",
            file.len()
        );
    }
}

#[test]
fn a_newer_format_is_named() {
    let file = store::wrap(7, b"{}");
    let error = reopen(&file).unwrap_err();
    assert_eq!(error.to_string(), "catalog has format 7, not 2");
}

#[test]
fn buckets_without_a_catalog_are_not_overlooked() {
    let disk = disk_with("buckets/0/0/log/0", b"");
    let opened = Catalog::open(Arc::new(disk), Limits::default(), NOW);
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
}

#[test]
fn no_number_is_given_out_twice() {
    let disk = FaultyDisk::new(0);
    let mut writers = BTreeSet::new();
    let mut values = BTreeSet::new();
    create(&open(&disk), "t", table(&[]));
    for _ in 0..3 {
        let catalog = open(&disk);
        for _ in 0..1_500 {
            assert!(writers.insert(catalog.next_writer_id().unwrap().get()));
        }
        for count in [1, 1, 900, 500, 100_000, 3] {
            let range = catalog.reserve_ids(TableId(0), count).unwrap();
            assert_eq!(range.end - range.start, count);
            assert!(range.into_iter().all(|value| values.insert(value)));
        }
    }
    assert_eq!((writers.first(), values.first()), (Some(&0), Some(&1)));
    assert_eq!(code(open(&disk).reserve_ids(TableId(9), 1)), 21);
}

#[test]
fn a_counter_runs_out_without_a_wrap() {
    let catalog = catalog();
    create(&catalog, "t", table(&[]));
    catalog.reserve_ids(TableId(0), i64::MAX - 1).unwrap();
    assert_eq!(code(catalog.reserve_ids(TableId(0), 1)), -1);
}

#[test]
fn identities_are_not_used_again_after_a_restart() {
    let disk = FaultyDisk::new(0);
    let first = create(&open(&disk), "t", table(&[])).id();
    open(&disk).drop_table(&path("t"), false).unwrap();
    assert!(create(&open(&disk), "t", table(&[])).id() > first);
}
