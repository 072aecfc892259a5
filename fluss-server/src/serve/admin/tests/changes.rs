use super::*;

#[test]
fn what_is_dropped_is_reported() {
    let world = World::open();
    let context = world.context();
    create(&world, "t", &["a", "p"], &["p"]);
    create(&world, "u", &[], &[]);
    create_partition(&context, create_partition_request("t", "x")).unwrap();
    let table = |name: &str| {
        world
            .node
            .catalog
            .table_by_path(&TablePath::new("fluss", name))
            .unwrap()
            .id()
    };
    let (t, u) = (table("t"), table("u"));
    let request = || DropPartitionRequest {
        table_path: table_path("t"),
        partition_spec: spec("x"),
        ignore_if_not_exists: true,
    };
    drop_partition(&context, request()).unwrap();
    drop_partition(&context, request()).unwrap();
    drop_table(
        &context,
        DropTableRequest {
            table_path: table_path("u"),
            ignore_if_not_exists: false,
        },
    )
    .unwrap();
    let database_name = "fluss".to_owned();
    let all = DropDatabaseRequest {
        database_name,
        ignore_if_not_exists: false,
        cascade: true,
    };
    drop_database(&context, all).unwrap();
    let removed = world.removed.0.lock();
    assert_eq!(
        *removed,
        [Gone::Partition(t, 0.into()), Gone::Table(u), Gone::Table(t)]
    );
}

#[test]
fn databases_have_descriptors() {
    let world = World::open();
    let create = |name: &str, json: Option<&'static [u8]>| {
        let request = CreateDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_exists: false,
            database_json: json.map(Into::into),
        };
        create_database(&world.context(), request)
    };
    let json = br#"{"version":1,"comment":"hi","custom_properties":{"k":"v"}}"#;
    create("db", Some(json)).unwrap();
    create("plain", None).unwrap();
    assert_eq!(code(create("bad", Some(b"{}"))), -1);
    assert_eq!(code(create("bad", Some(b""))), -1);
    let info = |name: &str| {
        get_database_info(
            &world.context(),
            GetDatabaseInfoRequest {
                database_name: name.to_owned(),
            },
        )
    };
    assert_eq!(&info("db").unwrap().database_json[..], json);
    assert_eq!(
        &info("plain").unwrap().database_json[..],
        br#"{"version":1,"custom_properties":{}}"#
    );
    assert_eq!(code(info("bad")), 4);
}

#[test]
fn databases_are_altered_by_who_may() {
    let world = World::controlled();
    let alter = |context: &Context<'_>, name: &str, op_type: i32, ignore: bool| {
        let request = AlterDatabaseRequest {
            database_name: name.to_owned(),
            ignore_if_not_exists: ignore,
            config_changes: vec![PbAlterConfig {
                config_key: "k".to_owned(),
                config_value: Some("v".to_owned()),
                op_type,
            }],
            comment: (op_type == 0).then(|| "hi".to_owned()),
        };
        alter_database(context, request)
    };
    assert_eq!(code(alter(&world.context(), "fluss", 0, false)), 48);
    world.grant(Operation::Alter, &Resource::database("fluss"));
    let info = || {
        let request = GetDatabaseInfoRequest {
            database_name: "fluss".to_owned(),
        };
        get_database_info(&world.context(), request).unwrap()
    };
    world.clock.advance(5);
    alter(&world.context(), "fluss", 0, false).unwrap();
    let json: &[u8] = br#"{"version":1,"comment":"hi","custom_properties":{"k":"v"}}"#;
    assert_eq!(&info().database_json[..], json);
    assert_eq!((info().created_time, info().modified_time), (1_000, 1_005));
    assert_eq!(code(alter(&world.context(), "fluss", 2, false)), -1);
    alter(&world.context(), "fluss", 1, false).unwrap();
    let json: &[u8] = br#"{"version":1,"comment":"hi","custom_properties":{}}"#;
    assert_eq!(&info().database_json[..], json);
    world.as_user("root", |root| {
        assert_eq!(code(alter(root, "none", 0, false)), 4);
        alter(root, "none", 0, true).unwrap();
    });
}

#[test]
fn tables_are_altered_one_way_at_a_time() {
    let world = World::open();
    create(&world, "t", &[], &[]);
    let request = || AlterTableRequest {
        table_path: table_path("t"),
        ..Default::default()
    };
    let config = |op_type| PbAlterConfig {
        config_key: "k".to_owned(),
        config_value: Some("v".to_owned()),
        op_type,
    };
    let column = |position| PbAddColumn {
        column_name: "b".to_owned(),
        data_type_json: br#"{"type":"INTEGER"}"#.as_slice().into(),
        column_position_type: position,
        ..Default::default()
    };
    let dropped = PbDropColumn {
        column_name: "a".to_owned(),
    };
    let alter = |request| alter_table(&world.context(), request);
    alter(request()).unwrap();
    for (request, expected) in [
        (
            AlterTableRequest {
                config_changes: vec![config(0)],
                add_columns: vec![column(0)],
                ..request()
            },
            56,
        ),
        (
            AlterTableRequest {
                config_changes: vec![config(2)],
                ..request()
            },
            -1,
        ),
        (
            AlterTableRequest {
                add_columns: vec![column(1)],
                ..request()
            },
            -1,
        ),
        (
            AlterTableRequest {
                drop_columns: vec![dropped],
                ..request()
            },
            -1,
        ),
        (
            AlterTableRequest {
                table_path: table_path("none"),
                ..request()
            },
            7,
        ),
    ] {
        assert_eq!(code(alter(request.clone())), expected, "{request:?}");
    }
    alter(AlterTableRequest {
        config_changes: vec![config(0)],
        ..request()
    })
    .unwrap();
    alter(AlterTableRequest {
        add_columns: vec![column(0)],
        ..request()
    })
    .unwrap();
    let schema = |table: &str, schema_id| {
        get_table_schema(
            &world.context(),
            GetTableSchemaRequest {
                table_path: table_path(table),
                schema_id,
            },
        )
    };
    assert_eq!(schema("t", None).unwrap().schema_id, 2);
    assert!(
        Schema::from_json(&schema("t", Some(1)).unwrap().schema_json)
            .unwrap()
            .column("b")
            .is_none()
    );
    for (table, id) in [
        ("t", Some(3)),
        ("t", Some(-1)),
        ("t", Some(1 << 16 | 1)),
        ("none", None),
    ] {
        assert_eq!(code(schema(table, id)), 9, "{table} {id:?}");
    }
}
