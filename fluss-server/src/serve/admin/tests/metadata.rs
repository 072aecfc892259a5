use super::*;

#[test]
fn metadata_name_the_one_node_for_everything() {
    let world = World::open();
    create(&world, "t", &[], &[]);
    let metadata = |table_path| {
        get_metadata(
            &world.context(),
            MetadataRequest {
                table_path,
                ..Default::default()
            },
        )
    };
    let answer = metadata(vec![table_path("t"), table_path("t")]).unwrap();
    let server = answer.coordinator_server.unwrap();
    assert_eq!(
        (server.node_id, server.host.as_str(), server.port),
        (NODE_ID, "example", 9123)
    );
    assert_eq!(answer.tablet_servers, [server]);
    let [table] = &answer.table_metadata[..] else {
        panic!("one table, once")
    };
    assert_eq!(
        (table.table_id, table.schema_id, table.created_time),
        (0, 1, 1_000)
    );
    let stored = TableDescriptor::from_json(&table.table_json).unwrap();
    assert_eq!(stored.properties()["table.replication.factor"], "1");
    let buckets: Vec<_> = table
        .bucket_metadata
        .iter()
        .map(|bucket| bucket.bucket_id)
        .collect();
    assert_eq!(buckets, [0, 1]);
    let bucket = &table.bucket_metadata[0];
    assert_eq!((bucket.leader_id, bucket.leader_epoch), (Some(NODE_ID), Some(0)));
    assert_eq!(bucket.replica_id, [NODE_ID]);
    assert_eq!(code(metadata(vec![table_path("t"), table_path("none")])), 7);
}

#[test]
fn metadata_of_partitions_are_asked_for_by_name_and_by_identity() {
    let world = World::controlled();
    create(&world, "t", &["a", "p"], &["p"]);
    world.as_user("root", |context| {
        create_partition(context, create_partition_request("t", "x")).unwrap();
        let named = |name: &str| PbPhysicalTablePath {
            database_name: "fluss".to_owned(),
            table_name: "t".to_owned(),
            partition_name: Some(name.to_owned()),
        };
        let ask = |names: &[&str], ids: &[i64]| {
            let request = MetadataRequest {
                table_path: vec![table_path("t")],
                partitions_path: names.iter().map(|name| named(name)).collect(),
                partitions_id: ids.to_vec(),
            };
            get_metadata(context, request)
        };
        for answer in [ask(&["x"], &[]).unwrap(), ask(&[], &[0, 0]).unwrap()] {
            assert!(answer.table_metadata[0].bucket_metadata.is_empty());
            let [partition] = &answer.partition_metadata[..] else {
                panic!("one partition, once")
            };
            assert_eq!(
                (partition.partition_name.as_str(), partition.partition_id),
                ("x", 0)
            );
            assert_eq!(partition.bucket_metadata.len(), 2);
        }
        assert_eq!(code(ask(&["y"], &[])), 36);
        assert_eq!(code(ask(&[], &[1])), 36);
    });
    let request = MetadataRequest {
        table_path: vec![table_path("t"), table_path("none")],
        partitions_path: vec![PbPhysicalTablePath::default()],
        partitions_id: Vec::new(),
    };
    let unseen = get_metadata(&world.context(), request).unwrap();
    assert!(unseen.table_metadata.is_empty() && unseen.partition_metadata.is_empty());
    assert_eq!(unseen.tablet_servers.len(), 1);
}

#[test]
fn a_partition_that_may_not_be_seen_is_answered_as_one_that_is_not_there() {
    let world = World::controlled();
    create(&world, "t", &["a", "p"], &["p"]);
    world.as_user("root", |root| {
        create_partition(root, create_partition_request("t", "x")).unwrap();
    });
    let refusal = |id: i64| {
        let request = MetadataRequest {
            partitions_id: vec![id],
            ..Default::default()
        };
        let Failure { code, message } = get_metadata(&world.context(), request).unwrap_err();
        (code, message.replace(&id.to_string(), "N"))
    };
    assert_eq!(refusal(0), refusal(77));
}
