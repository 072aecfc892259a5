use super::*;

/// What a request needs, asked for as something that would succeed with the right.
type Ask = fn(&Context<'_>) -> Result<(), Failure>;

type Case = (&'static str, Operation, Resource, Ask);

fn requests() -> Vec<Case> {
    let mut requests = of_the_cluster();
    requests.extend(of_a_table());
    requests.extend(of_a_database());
    requests
}

fn of_the_cluster() -> Vec<Case> {
    vec![
        (
            "CREATE_DATABASE",
            Operation::Create,
            Resource::cluster(),
            |context| {
                let database_name = "new".to_owned();
                create_database(
                    context,
                    CreateDatabaseRequest {
                        database_name,
                        ..Default::default()
                    },
                )
                .map(drop)
            },
        ),
        (
            "DESCRIBE_CLUSTER_CONFIGS",
            Operation::Describe,
            Resource::cluster(),
            |context| describe_cluster_configs(context, DescribeClusterConfigsRequest {}).map(drop),
        ),
        (
            "ALTER_CLUSTER_CONFIGS",
            Operation::Alter,
            Resource::cluster(),
            |context| alter_cluster_configs(context, AlterClusterConfigsRequest::default()).map(drop),
        ),
    ]
}

fn of_a_table() -> Vec<Case> {
    let table = || Resource::table(&TablePath::new("fluss", "t"));
    vec![
        ("GET_TABLE_INFO", Operation::Describe, table(), |context| {
            get_table_info(
                context,
                GetTableInfoRequest {
                    table_path: table_path("t"),
                },
            )
            .map(drop)
        }),
        ("GET_TABLE_SCHEMA", Operation::Describe, table(), |context| {
            get_table_schema(
                context,
                GetTableSchemaRequest {
                    table_path: table_path("t"),
                    schema_id: None,
                },
            )
            .map(drop)
        }),
        ("CREATE_PARTITION", Operation::Write, table(), |context| {
            create_partition(context, create_partition_request("t", "x")).map(drop)
        }),
        ("LIST_PARTITION_INFOS", Operation::Describe, table(), |context| {
            let request = ListPartitionInfosRequest {
                table_path: table_path("t"),
                partial_partition_spec: None,
                include_system_partitions: None,
            };
            list_partition_infos(context, request).map(drop)
        }),
        (
            "GET_LATEST_KV_SNAPSHOTS",
            Operation::Describe,
            table(),
            |context| {
                let request = GetLatestKvSnapshotsRequest {
                    table_path: table_path("t"),
                    partition_name: Some("kept".to_owned()),
                };
                get_latest_kv_snapshots(context, request).map(drop)
            },
        ),
        ("INIT_WRITER", Operation::Write, table(), |context| {
            let table_path = vec![table_path("other"), table_path("t")];
            init_writer(context, InitWriterRequest { table_path }).map(drop)
        }),
        (
            "REGISTER_PRODUCER_OFFSETS",
            Operation::Write,
            table(),
            |context| {
                let table_offsets = vec![PbProducerTableOffsets {
                    table_id: 0,
                    bucket_offsets: vec![],
                }];
                let request = RegisterProducerOffsetsRequest {
                    producer_id: "new".to_owned(),
                    table_offsets,
                    ttl_ms: None,
                };
                register_producer_offsets(context, request).map(drop)
            },
        ),
        ("ALTER_TABLE", Operation::Alter, table(), |context| {
            alter_table(
                context,
                AlterTableRequest {
                    table_path: table_path("t"),
                    ..Default::default()
                },
            )
            .map(drop)
        }),
        ("DROP_TABLE", Operation::Drop, table(), |context| {
            let request = DropTableRequest {
                table_path: table_path("t"),
                ignore_if_not_exists: false,
            };
            drop_table(context, request).map(drop)
        }),
    ]
}

fn of_a_database() -> Vec<Case> {
    let database = || Resource::database("fluss");
    vec![
        ("GET_DATABASE_INFO", Operation::Describe, database(), |context| {
            get_database_info(
                context,
                GetDatabaseInfoRequest {
                    database_name: "fluss".to_owned(),
                },
            )
            .map(drop)
        }),
        ("CREATE_TABLE", Operation::Create, database(), |context| {
            let table_json = definition(&[], &[]).into();
            let table_path = table_path("new");
            create_table(
                context,
                CreateTableRequest {
                    table_path,
                    table_json,
                    ignore_if_exists: false,
                },
            )
            .map(drop)
        }),
        ("CREATE_ACLS on a table", Operation::All, database(), |context| {
            let acl = PbAclInfo {
                resource_name: "fluss.t".to_owned(),
                resource_type: 4,
                principal_name: "bob".to_owned(),
                principal_type: "User".to_owned(),
                host: "*".to_owned(),
                operation_type: 3,
                permission_type: 2,
            };
            create_acls(context, CreateAclsRequest { acl: vec![acl] }).map(drop)
        }),
        ("DROP_DATABASE", Operation::Drop, database(), |context| {
            let database_name = "fluss".to_owned();
            let request = DropDatabaseRequest {
                database_name,
                ignore_if_not_exists: false,
                cascade: true,
            };
            drop_database(context, request).map(drop)
        }),
    ]
}

#[test]
fn every_request_needs_its_right_and_no_more() {
    for (name, operation, resource, ask) in requests() {
        let world = World::controlled();
        create(&world, "t", &["a", "p"], &["p"]);
        world.as_user("root", |root| {
            create_partition(root, create_partition_request("t", "kept")).unwrap();
        });
        assert_eq!(code(ask(&world.context())), 48, "{name} without a right");
        let others = [
            Operation::Read,
            Operation::Write,
            Operation::Create,
            Operation::Drop,
            Operation::Alter,
        ];
        if operation != Operation::Describe {
            for other in others.into_iter().filter(|other| *other != operation) {
                world.grant(other, &resource);
            }
            assert_eq!(code(ask(&world.context())), 48, "{name} with the other rights");
        }
        world.grant(operation, &resource);
        ask(&world.context()).unwrap_or_else(|failure| panic!("{name} with its right: {failure}"));
    }
}

#[test]
fn an_open_node_asks_nobody_for_rights() {
    let world = World::open();
    create(&world, "t", &["a", "p"], &["p"]);
    for (name, _, _, ask) in requests() {
        match ask(&world.context()) {
            Err(failure) if name.starts_with("CREATE_ACLS") => {
                assert_eq!(failure.code, ErrorCode::SECURITY_DISABLED);
            }
            // Nobody has made the partition that it asks for.
            Err(failure) if name == "GET_LATEST_KV_SNAPSHOTS" => {
                assert_eq!(failure.code, ErrorCode::PARTITION_NOT_EXISTS);
            }
            result => result.unwrap(),
        }
    }
}

#[test]
fn lists_hold_what_may_be_seen() {
    let world = World::controlled();
    create(&world, "t", &[], &[]);
    create(&world, "u", &[], &[]);
    let databases = |context: &Context<'_>| {
        list_databases(context, ListDatabasesRequest::default())
            .unwrap()
            .database_name
    };
    let tables = |context: &Context<'_>| {
        list_tables(
            context,
            ListTablesRequest {
                database_name: "fluss".to_owned(),
            },
        )
        .unwrap()
        .table_name
    };
    let context = world.context();
    assert!(databases(&context).is_empty() && tables(&context).is_empty());
    world.grant(Operation::Read, &Resource::table(&TablePath::new("fluss", "u")));
    assert_eq!(
        (databases(&context), tables(&context)),
        (vec![], vec!["u".to_owned()])
    );
    world.grant(Operation::Write, &Resource::database("fluss"));
    assert_eq!(databases(&context), ["fluss"]);
    assert_eq!(tables(&context), ["t", "u"]);
    let summary = list_databases(
        &context,
        ListDatabasesRequest {
            include_summary: Some(true),
        },
    )
    .unwrap();
    assert!(summary.database_name.is_empty());
    assert_eq!(
        (
            summary.database_summary[0].table_count,
            summary.database_summary[0].created_time
        ),
        (2, 1_000)
    );
    assert_eq!(
        code(list_tables(
            &context,
            ListTablesRequest {
                database_name: "none".to_owned()
            }
        )),
        4
    );
}

#[test]
fn what_may_not_be_seen_does_not_exist() {
    let world = World::controlled();
    create(&world, "t", &[], &[]);
    world.as_user("root", |root| {
        let request = CreateDatabaseRequest {
            database_name: "db".to_owned(),
            ..Default::default()
        };
        create_database(root, request).unwrap();
    });
    let database = |context: &Context<'_>, name: &str| {
        let request = DatabaseExistsRequest {
            database_name: name.to_owned(),
        };
        database_exists(context, request).unwrap().exists
    };
    let table = |context: &Context<'_>, name: &str| {
        let request = TableExistsRequest {
            table_path: table_path(name),
        };
        table_exists(context, request).unwrap().exists
    };
    let context = world.context();
    assert!(database(&context, "fluss"), "every node begins with it");
    assert!(!database(&context, "db") && !table(&context, "t"));
    world.as_user("root", |root| {
        assert!(database(root, "db") && table(root, "t"));
        assert!(!database(root, "none") && !table(root, "none"));
    });
    world.grant(Operation::Read, &Resource::table(&TablePath::new("fluss", "t")));
    world.grant(Operation::Create, &Resource::database("db"));
    assert!(database(&context, "db") && table(&context, "t"));
}

fn entry(resource_name: &str, resource_type: i32, operation_type: i32) -> PbAclInfo {
    PbAclInfo {
        resource_name: resource_name.to_owned(),
        resource_type,
        principal_name: "alice".to_owned(),
        principal_type: "User".to_owned(),
        host: "*".to_owned(),
        operation_type,
        permission_type: 2,
    }
}

fn any() -> PbAclFilter {
    PbAclFilter {
        resource_type: 1,
        operation_type: 1,
        permission_type: 1,
        ..Default::default()
    }
}

fn give(context: &Context<'_>, acl: Vec<PbAclInfo>) -> Result<Vec<Option<i32>>, Failure> {
    let results = create_acls(context, CreateAclsRequest { acl })?.acl_res;
    Ok(results.iter().map(|result| result.error_code).collect())
}

fn list(context: &Context<'_>, acl_filter: PbAclFilter) -> Result<Vec<PbAclInfo>, Failure> {
    list_acls(context, ListAclsRequest { acl_filter }).map(|response| response.acl)
}

/// How many entries each filter has taken.
fn take(context: &Context<'_>, acl_filter: Vec<PbAclFilter>) -> Result<Vec<usize>, Failure> {
    let results = drop_acls(context, DropAclsRequest { acl_filter })?.filter_results;
    Ok(results.iter().map(|result| result.matching_acls.len()).collect())
}

#[test]
fn rights_are_given_listed_and_taken() {
    let world = World::controlled();
    world.as_user("root", |root| {
        for _ in 0..2 {
            let acls = vec![entry("fluss.t", 4, 3), entry("elsewhere", 3, 4)];
            assert_eq!(give(root, acls).unwrap(), [Some(0), Some(0)]);
        }
        assert_eq!(list(root, any()).unwrap().len(), 2);
    });
    world.as_user("bob", |bob| {
        assert_eq!(list(bob, any()).unwrap(), []);
        let refusal = take(bob, vec![any()]).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::AUTHORIZATION_EXCEPTION);
        let named = ["fluss", "elsewhere"]
            .iter()
            .any(|name| refusal.message.contains(name));
        assert!(!named, "{refusal}");
    });
    let seen = list(&world.context(), any()).unwrap();
    assert_eq!(
        seen.len(),
        2,
        "who has a right to something sees the rights to it"
    );
    world.as_user("root", |root| {
        // A name without a type does not count.
        let tables = PbAclFilter {
            resource_type: 4,
            principal_name: Some("nobody".to_owned()),
            ..any()
        };
        assert_eq!(take(root, vec![tables, any()]).unwrap(), [1, 1]);
        assert_eq!(list(root, any()).unwrap(), []);
    });
}

#[test]
fn what_is_no_right_is_refused() {
    let world = World::controlled();
    world.as_user("root", |root| {
        let forbids = PbAclInfo {
            permission_type: 1,
            ..entry("x", 3, 3)
        };
        for bad in [entry("x", 1, 3), entry("x", 3, 1), forbids] {
            assert_eq!(code(give(root, vec![entry("x", 3, 3), bad])), -1);
        }
        assert_eq!(list(root, any()).unwrap(), []);
        for bad in [
            PbAclFilter {
                resource_type: 9,
                ..any()
            },
            PbAclFilter {
                operation_type: 0,
                ..any()
            },
            PbAclFilter {
                permission_type: 3,
                ..any()
            },
        ] {
            assert_eq!(code(list(root, bad.clone())), -1);
            assert_eq!(code(take(root, vec![bad])), -1);
        }
    });
}

#[test]
fn an_open_node_has_no_rights_to_give() {
    let open = World::open();
    assert_eq!(code(give(&open.context(), Vec::new())), 47);
    assert_eq!(code(list(&open.context(), any())), 47);
    assert_eq!(code(take(&open.context(), vec![any()])), 47);
}
