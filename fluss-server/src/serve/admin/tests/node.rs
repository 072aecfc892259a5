use super::*;

#[test]
fn producers_find_their_offsets_again() {
    let world = World::controlled();
    create(&world, "t", &[], &[]);
    create(&world, "u", &[], &[]);
    let offsets = |table_id| PbProducerTableOffsets {
        table_id,
        bucket_offsets: vec![PbBucketOffset {
            partition_id: None,
            bucket_id: 1,
            log_end_offset: Some(7),
        }],
    };
    let register = |context: &Context<'_>, tables: &[i64]| {
        let request = RegisterProducerOffsetsRequest {
            producer_id: "producer".to_owned(),
            table_offsets: tables.iter().map(|id| offsets(*id)).collect(),
            ttl_ms: Some(50),
        };
        register_producer_offsets(context, request).map(|response| response.result)
    };
    let get = |context: &Context<'_>| {
        let request = GetProducerOffsetsRequest {
            producer_id: "producer".to_owned(),
        };
        get_producer_offsets(context, request).unwrap()
    };
    let context = world.context();
    assert_eq!(code(register(&context, &[9])), 21);
    assert_eq!(
        register(&context, &[0]).unwrap_err().message,
        "User:alice may not write table 0"
    );
    world.as_user("root", |root| {
        assert_eq!(register(root, &[0, 1]).unwrap(), Some(0));
        assert_eq!(register(root, &[0]).unwrap(), Some(1));
        let found = get(root);
        assert_eq!(
            (found.producer_id.as_deref(), found.expiration_time),
            (Some("producer"), Some(1_050))
        );
        assert_eq!(found.table_offsets, [offsets(0), offsets(1)]);
    });
    assert_eq!(
        get(&context),
        GetProducerOffsetsResponse::default(),
        "who may read none of it is not told that it is there"
    );
    world.grant(Operation::Read, &Resource::table(&TablePath::new("fluss", "u")));
    assert_eq!(get(&context).table_offsets, [offsets(1)]);
    let delete = |context: &Context<'_>| {
        delete_producer_offsets(
            context,
            DeleteProducerOffsetsRequest {
                producer_id: "producer".to_owned(),
            },
        )
    };
    let refusal = delete(&context).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::AUTHORIZATION_EXCEPTION);
    assert_eq!(
        refusal.message,
        "User:alice may not write all tables of producer 'producer'"
    );
    world.clock.advance(50);
    assert_eq!(get(&context), GetProducerOffsetsResponse::default());
    world.as_user("root", |root| assert_eq!(register(root, &[0]).unwrap(), Some(0)));
    world.as_user("root", |root| assert!(delete(root).is_ok()));
    delete(&context).unwrap();
}

#[test]
fn settings_are_told_and_few_can_change() {
    let world = World::open();
    let context = world.context();
    let change = |key: &str, value: Option<&str>| {
        let alter = PbAlterConfig {
            config_key: key.to_owned(),
            config_value: value.map(str::to_owned),
            op_type: i32::from(value.is_none()),
        };
        alter_cluster_configs(
            &context,
            AlterClusterConfigsRequest {
                alter_configs: vec![alter],
            },
        )
    };
    let sources = || {
        let configs = describe_cluster_configs(&context, DescribeClusterConfigsRequest {})
            .unwrap()
            .configs;
        configs
            .into_iter()
            .map(|config| (config.config_key, config.config_source))
            .collect::<BTreeMap<_, _>>()
    };
    let limit = "kv.rocksdb.shared-rate-limiter.bytes-per-sec";
    assert_eq!(code(change("data.dir", Some("there"))), -1);
    assert_eq!(code(change("datalake.format", Some("paimon"))), 40);
    change(limit, Some("1mb")).unwrap();
    assert_eq!(sources()["data.dir"], "INITIAL_SERVER_CONFIG");
    assert_eq!(sources()[limit], "DYNAMIC_SERVER_CONFIG");
    change(limit, None).unwrap();
    assert_eq!(sources().len(), 1);
}

#[test]
fn there_are_no_snapshots_and_no_lake() {
    let world = World::open();
    let context = world.context();
    create(&world, "log", &[], &[]);
    create(&world, "key", &["a"], &[]);
    let latest = |table: &str, partition: Option<&str>| {
        let request = GetLatestKvSnapshotsRequest {
            table_path: table_path(table),
            partition_name: partition.map(str::to_owned),
        };
        get_latest_kv_snapshots(&context, request)
    };
    let snapshots = latest("key", None).unwrap().latest_snapshots;
    assert_eq!(snapshots.len(), 2);
    assert!(
        snapshots
            .iter()
            .all(|bucket| bucket.snapshot_id.is_none() && bucket.log_offset.is_none())
    );
    assert_eq!(code(latest("log", None)), 20);
    assert_eq!(code(latest("key", Some("x"))), 37);
    assert_eq!(code(latest("none", None)), 7);
    let metadata = |table_id| {
        get_kv_snapshot_metadata(
            &context,
            GetKvSnapshotMetadataRequest {
                table_id,
                ..Default::default()
            },
        )
    };
    assert_eq!(
        [code(metadata(0)), code(metadata(1)), code(metadata(2))],
        [20, 41, 21]
    );
    let lake = GetLakeSnapshotRequest {
        table_path: table_path("log"),
        ..Default::default()
    };
    assert_eq!(code(get_lake_snapshot(&context, lake)), 53);
    let token = get_file_system_security_token(&context, GetFileSystemSecurityTokenRequest {}).unwrap();
    assert_eq!((token.schema.as_str(), token.token.len()), ("file", 0));
}

#[test]
fn writers_need_a_table_where_rights_are_asked_for() {
    let request = InitWriterRequest::default;
    let open = World::open();
    assert_eq!(init_writer(&open.context(), request()).unwrap().writer_id, 0);
    assert_eq!(init_writer(&open.context(), request()).unwrap().writer_id, 1);
    let controlled = World::controlled();
    controlled.as_user("root", |root| assert_eq!(code(init_writer(root, request())), 48));
}

#[test]
fn every_bucket_is_well() {
    let world = World::controlled();
    let health = |context: &Context<'_>| get_cluster_health(context, GetClusterHealthRequest {});
    assert_eq!(code(health(&world.context())), 48);
    world.grant(Operation::Describe, &Resource::cluster());
    create(&world, "plain", &[], &[]);
    create(&world, "parted", &["a", "p"], &["p"]);
    world.as_user("root", |root| {
        for value in ["x", "y"] {
            create_partition(root, create_partition_request("parted", value)).unwrap();
        }
    });
    let expected = GetClusterHealthResponse {
        num_replicas: 6,
        in_sync_replicas: 6,
        num_leader_replicas: 6,
        active_leader_replicas: 6,
        status: 0,
    };
    assert_eq!(health(&world.context()).unwrap(), expected);
}
