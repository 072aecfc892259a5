//! Rights: given, found, used and taken away.

use fluss_client::rights::{Acl, AclFilter, Operation, Principal, Resource, ResourceFilter, ResourceKind};
use fluss_client::{Connection, Credentials, ErrorCode, ErrorKind};
use fluss_cluster::{ALICE, Spec};
use tokio::time::Instant;

use super::{code, schema};
use crate::{Backend, EVERYWHERE, PATIENCE, SERVERS, connect, create, options, run, start, tests};

tests! {
    SERVERS => [rights_are_given_used_and_taken_away, rights_are_found_and_dropped_by_filters],
    EVERYWHERE => [where_nobody_is_asked_for_rights_there_are_none],
}

fn alice() -> Principal {
    Principal::user(ALICE.name)
}

/// Asks until the answer is the wanted one: rights reach other servers in their own time.
async fn eventually(what: &str, ask: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

fn rights_are_given_used_and_taken_away(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    run(async {
        let root = connect(&place).await;
        let table = create(&root, schema(&[]), 1, &[]).await;
        let path = &table.info().path;
        let mut as_alice = options(&place);
        as_alice.credentials = Some(Credentials::plain(ALICE.name, ALICE.password));
        let connection = Connection::open(as_alice).await.unwrap();
        let admin = connection.admin();
        let denied = ErrorCode::AUTHORIZATION_EXCEPTION;
        let error = admin.table_info(path).await.unwrap_err();
        assert_eq!(error.code(), Some(denied), "{error}");
        assert_eq!(admin.list_databases().await.unwrap(), [""; 0]);

        let right = Acl::new(alice(), Operation::Write, Resource::table(path));
        root.admin()
            .create_acls(std::slice::from_ref(&right))
            .await
            .unwrap();
        eventually("alice sees the table", async || {
            admin.table_info(path).await.is_ok()
        })
        .await;
        let table = connection.table(path).await.unwrap();
        eventually("alice writes the table", async || {
            // One that was refused has come to its end, and the servers learn of a right one after the other.
            let writer = table.append_writer().unwrap();
            let handle = writer.append(&[1_i64.into(), "a".into()]).await.unwrap();
            writer.flush().await.is_ok() && handle.wait().await.is_ok()
        })
        .await;
        // To write is not to give rights.
        assert_eq!(code(admin.create_acls(&[right]).await), denied.number());

        let dropped = root
            .admin()
            .drop_acls(&[AclFilter::of(Resource::table(path))])
            .await;
        assert_eq!(dropped.unwrap()[0].len(), 1);
        eventually("alice does not see the table", async || {
            admin
                .table_info(path)
                .await
                .is_err_and(|error| error.code() == Some(denied))
        })
        .await;
    });
}

fn rights_are_found_and_dropped_by_filters(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let database = || Resource::database("nowhere");
        let given = [
            Acl::new(alice(), Operation::Create, Resource::cluster()),
            Acl::new(alice(), Operation::Read, database()),
            Acl::new(alice(), Operation::Write, database()).from_host("10.0.0.1"),
            Acl::new(Principal::everybody(), Operation::Describe, database()),
        ];
        admin.create_acls(&given).await.unwrap();
        admin.create_acls(&given[..1]).await.unwrap();
        let mut all = given.to_vec();
        all.sort();
        let found = async |filter: &AclFilter| {
            let mut found = admin.list_acls(filter).await.unwrap();
            found.sort();
            found
        };
        let any = AclFilter::default();
        assert_eq!(found(&any).await, all);
        let databases = AclFilter {
            resource: ResourceFilter::Kind(ResourceKind::Database),
            ..any.clone()
        };
        assert_eq!(found(&databases).await.len(), 3);
        let of_alice = AclFilter {
            principal: Some(alice()),
            ..AclFilter::of(database())
        };
        assert_eq!(found(&of_alice).await.len(), 2);
        let from_there = AclFilter {
            host: Some("10.0.0.1".to_owned()),
            ..any.clone()
        };
        let to_describe = AclFilter {
            operation: Some(Operation::Describe),
            ..any.clone()
        };
        let dropped = admin.drop_acls(&[from_there, to_describe]).await.unwrap();
        assert_eq!(dropped, [vec![given[2].clone()], vec![given[3].clone()]]);
        assert_eq!(found(&any).await, [given[0].clone(), given[1].clone()]);
        admin.drop_acls(std::slice::from_ref(&any)).await.unwrap();
        assert_eq!(found(&any).await, []);
    });
}

fn where_nobody_is_asked_for_rights_there_are_none(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let right = Acl::new(alice(), Operation::All, Resource::cluster());
        let any = AclFilter::default();
        let disabled = ErrorCode::SECURITY_DISABLED.number();
        assert_eq!(code(admin.create_acls(&[right]).await), disabled);
        assert_eq!(code(admin.list_acls(&any).await), disabled);
        let error = admin.drop_acls(&[any]).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Server { .. }), "{error}");
        assert_eq!(error.code(), Some(ErrorCode::SECURITY_DISABLED));
    });
}
