use fluss_core::types::{PartitionName, PartitionSpec};
use fluss_rpc::code::ErrorCode;

use super::*;

fn spec(pairs: &[(&str, &str)]) -> PartitionSpec {
    PartitionSpec::new(pairs.iter().copied())
}

fn names(table: &TableEntry) -> Vec<&str> {
    table.partitions().keys().map(PartitionName::as_str).collect()
}

#[test]
fn partitions_come_and_go() {
    let catalog = catalog();
    create(&catalog, "t", table(&["p", "q"]));
    let full = spec(&[("q", "b"), ("p", "a")]);
    catalog.create_partition(&path("t"), &full, false, NOW).unwrap();
    assert_eq!(code(catalog.create_partition(&path("t"), &full, false, NOW)), 42);
    catalog.create_partition(&path("t"), &full, true, NOW).unwrap();
    let entry = catalog.table_by_path(&path("t")).unwrap();
    assert_eq!(names(&entry), ["a$b"]);
    let id = entry.partitions().values().next().unwrap().id;
    let (found, name) = catalog.partition(id).unwrap();
    assert_eq!((found.id(), name.as_str()), (entry.id(), "a$b"));

    let gone = catalog.drop_partition(&path("t"), &full, false).unwrap();
    assert_eq!(gone, [Gone::Partition(entry.id(), id)]);
    assert!(catalog.partition(id).is_none());
    assert_eq!(code(catalog.drop_partition(&path("t"), &full, false)), 36);
    assert_eq!(catalog.drop_partition(&path("t"), &full, true).unwrap(), []);
    catalog.create_partition(&path("t"), &full, false, NOW).unwrap();
    assert!(catalog.partition(id).is_none(), "an identity is not used again");
}

#[test]
fn a_partition_that_no_row_can_be_in_is_refused() {
    let catalog = catalog();
    let schema = Schema::builder()
        .column("n", DataType::int())
        .column("day", DataType::date());
    let builder = TableDescriptor::builder(schema.build().unwrap()).partitioned_by(["n", "day"]);
    let entry = create(&catalog, "t", builder);
    let create = |n, day| catalog.create_partition(&path("t"), &spec(&[("n", n), ("day", day)]), false, NOW);
    for (n, day) in [
        ("junk", "2024-01-01"),
        ("07", "2024-01-01"),
        ("7", "20240101"),
        ("7", "2023-02-29"),
    ] {
        let refused = create(n, day).unwrap_err();
        assert_eq!(refused.code, ErrorCode::PARTITION_SPEC_INVALID, "{n} {day}");
    }
    assert_eq!(
        create("junk", "2024-01-01").unwrap_err().message,
        "column 'n': 'junk' is how no INT is written in the name of a partition"
    );
    create("-7", "2024-02-29").unwrap();
    assert!(names(&entry).is_empty());
    assert_eq!(
        names(&catalog.table_by_path(&path("t")).unwrap()),
        ["-7$2024-02-29"]
    );
}

#[test]
fn specifications_are_checked() {
    let catalog = catalog();
    create(&catalog, "plain", table(&[]));
    create(&catalog, "t", table(&["p", "q"]));
    let create = |table: &str, pairs| catalog.create_partition(&path(table), &spec(pairs), true, NOW);
    assert_eq!(code(create("none", &[("p", "a"), ("q", "b")])), 7);
    assert_eq!(code(create("plain", &[("p", "a")])), 37);
    for pairs in [
        &[][..],
        &[("p", "a")],
        &[("p", "a"), ("x", "b")],
        &[("p", "a"), ("p", "b")],
        &[("p", "a"), ("q", "b"), ("q", "b")],
        &[("p", ""), ("q", "b")],
        &[("p", ".."), ("q", "b")],
        &[("p", "a/b"), ("q", "b")],
        &[("p", "a$b"), ("q", "b")],
        &[("p", "__a"), ("q", "b")],
    ] {
        assert_eq!(code(create("t", pairs)), 43, "{pairs:?}");
    }
    create("t", &[("p", "-a"), ("q", &"x".repeat(200))]).unwrap();
    let drop = |table: &str, pairs| catalog.drop_partition(&path(table), &spec(pairs), true);
    assert_eq!(code(drop("none", &[])), 7);
    assert_eq!(code(drop("plain", &[])), 37);
    assert_eq!(code(drop("t", &[("p", "a")])), 43);
}

#[test]
fn partitions_are_listed_by_some_of_their_values() {
    let catalog = catalog();
    create(&catalog, "plain", table(&[]));
    create(&catalog, "t", table(&["p", "q"]));
    for (p, q) in [("1", "a"), ("1", "b"), ("2", "a")] {
        catalog
            .create_partition(&path("t"), &spec(&[("p", p), ("q", q)]), false, NOW)
            .unwrap();
    }
    let list = |filter: Option<&[(&str, &str)]>| {
        let filter = filter.map(spec);
        let found = catalog.list_partitions(&path("t"), filter.as_ref());
        found.map(|found| {
            found
                .into_iter()
                .map(|(_, partition)| partition.id.get())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(list(None).unwrap(), [0, 1, 2]);
    assert_eq!(list(Some(&[("p", "1")])).unwrap(), [0, 1]);
    assert_eq!(list(Some(&[("q", "a")])).unwrap(), [0, 2]);
    assert_eq!(list(Some(&[("q", "a"), ("p", "2")])).unwrap(), [2]);
    assert_eq!(list(Some(&[("q", "c")])).unwrap(), [] as [i64; 0]);
    assert_eq!(code(list(Some(&[("x", "a")]))), -1);
    assert_eq!(code(catalog.list_partitions(&path("plain"), None)), 37);
    assert_eq!(code(catalog.list_partitions(&path("none"), None)), 7);
}

#[test]
fn there_is_room_for_so_many() {
    let limits = Limits {
        max_partitions: 3,
        max_buckets: 4,
        ..Limits::default()
    };
    let catalog = Catalog::open(Arc::new(MemoryDisk::new()), limits, NOW).unwrap();
    create(&catalog, "narrow", table(&["p"]));
    create(&catalog, "wide", table(&["p"]).distributed_by(4, ["a"]));
    let wider = json(table(&["p"]).distributed_by(5, ["a"]));
    assert_eq!(code(catalog.create_table(&path("wider"), &wider, false, NOW)), 49);
    let create_all = |table: &str| -> Vec<i32> {
        let values = ["a", "b", "c", "d"].map(|value| spec(&[("p", value)]));
        let results = values
            .iter()
            .map(|spec| catalog.create_partition(&path(table), spec, false, NOW));
        results
            .map(|result| result.err().map_or(0, |failure| failure.code.number()))
            .collect()
    };
    assert_eq!(create_all("narrow"), [0, 0, 0, 45]);
    assert_eq!(create_all("wide"), [0, 0, 0, 45]);
    let ahead = table(&["p"])
        .property("table.auto-partition.enabled", "true")
        .property("table.auto-partition.num-precreate", "9");
    assert_eq!(names(&create(&catalog, "ahead", ahead)).len(), 3);
}

#[test]
fn the_clock_makes_and_drops_partitions() {
    let catalog = catalog();
    let auto = table(&["p"])
        .property("table.auto-partition.enabled", "true")
        .property("table.auto-partition.time-zone", "UTC")
        .property("table.auto-partition.num-retention", "1");
    let entry = create(&catalog, "t", auto);
    assert_eq!(names(&entry), ["20261120", "20261121"]);
    let create_by_hand = |time| catalog.create_partition(&path("t"), &spec(&[("p", time)]), false, NOW);
    create_by_hand("20261130").unwrap();
    assert_eq!(code(create_by_hand("junk")), 43);
    assert_eq!(code(create_by_hand("20261118")), 43);
    assert_eq!(create_by_hand("20261119"), Ok(()));
    assert_eq!(catalog.auto_partition(NOW).unwrap(), []);

    let first = entry
        .partition(&PartitionName::from("20261120".to_owned()))
        .unwrap()
        .id;
    let day = 86_400_000;
    assert_eq!(catalog.auto_partition(NOW + day).unwrap().len(), 1);
    let gone = catalog.auto_partition(NOW + 2 * day).unwrap();
    assert_eq!(gone, [Gone::Partition(entry.id(), first)]);
    let entry = catalog.table_by_path(&path("t")).unwrap();
    assert_eq!(names(&entry), ["20261121", "20261122", "20261123", "20261130"]);
}

#[test]
fn partitions_keep_the_buckets_that_they_were_made_with() {
    let disk = FaultyDisk::new(1);
    let catalog = open(&disk);
    create(&catalog, "t", table(&["p"]).distributed_by(1, ["a"]));
    let create = |value| {
        catalog
            .create_partition(&path("t"), &spec(&[("p", value)]), false, NOW)
            .unwrap();
    };
    let rescale = |count| {
        catalog.alter_table(
            &path("t"),
            &Alteration::BucketCount(count),
            false,
            NOW + i64::from(count.max(0)),
        )
    };
    create("a");
    rescale(4).unwrap();
    create("b");
    rescale(2).unwrap();
    create("c");
    rescale(2).unwrap();
    assert_eq!(code(rescale(0)), 56);
    assert_eq!(code(rescale(4_097)), 49);
    let check = |catalog: &Catalog| {
        let entry = catalog.table_by_path(&path("t")).unwrap();
        let counts: Vec<_> = entry
            .partitions()
            .values()
            .map(|partition| partition.buckets)
            .collect();
        assert_eq!(counts, [1, 4, 2]);
        assert_eq!(
            (entry.info().bucket_count, entry.info().bucket_count_epoch),
            (2, 3)
        );
        assert_eq!((entry.bucket_total(), entry.info().modified_time), (7, NOW + 2));
        for partition in entry.partitions().values() {
            assert!(entry.has_bucket(Some(partition.id), partition.buckets - 1));
            assert!(!entry.has_bucket(Some(partition.id), partition.buckets));
        }
    };
    check(&catalog);
    drop(catalog);
    check(&open(&disk));
    let catalog = open(&disk);
    super::create(&catalog, "plain", table(&[]));
    let refused = catalog.alter_table(&path("plain"), &Alteration::BucketCount(2), false, NOW);
    assert_eq!(code(refused), 56);
}

#[test]
fn partitions_follow_what_becomes_of_their_table() {
    let catalog = catalog();
    let set = |key: &str, value: &str| {
        let change = PropertyChange::Set(format!("table.auto-partition.{key}"), value.to_owned());
        catalog.alter_table(&path("t"), &Alteration::Properties(vec![change]), false, NOW)
    };
    create(
        &catalog,
        "t",
        table(&["p"]).property("table.auto-partition.time-zone", "UTC"),
    );
    for day in ["20261101", "20261119", "20261120"] {
        catalog
            .create_partition(&path("t"), &spec(&[("p", day)]), false, NOW)
            .unwrap();
    }
    assert_eq!(set("enabled", "true").unwrap().len(), 1);
    assert_eq!(set("num-precreate", "3").unwrap(), []);
    assert_eq!(set("num-retention", "0").unwrap().len(), 1);
    let entry = catalog.table_by_path(&path("t")).unwrap();
    assert_eq!(names(&entry), ["20261120", "20261121", "20261122"]);
    create(&catalog, "plain", table(&[]));
    let enable = PropertyChange::Set("table.auto-partition.enabled".to_owned(), "true".to_owned());
    let refused = catalog.alter_table(&path("plain"), &Alteration::Properties(vec![enable]), false, NOW);
    assert_eq!(code(refused), 39);
}
