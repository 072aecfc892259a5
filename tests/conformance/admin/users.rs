//! Users that are created, altered and dropped while a node runs.

use std::time::Duration;

use fluss_client::rights::{Acl, AclFilter, Operation, Principal, Resource};
use fluss_client::{Connection, Credentials, Error, ErrorCode, ErrorKind, Outcome, Result, UserSource};
use fluss_cluster::{ROOT, Spec};

use super::code;
use crate::{Backend, EVERYWHERE, NODES, Place, SERVE, SERVERS, connect, options, run, start, tests};

tests! {
    EVERYWHERE => [users_come_and_go_on_a_node_and_a_cluster_says_that_it_has_none],
    NODES => [users_have_names_and_passwords_that_can_be_kept],
    SERVERS => [those_who_log_in_are_told_too_that_a_cluster_has_no_users],
    SERVE => [users_log_in_at_once_and_stay_out_when_they_are_dropped, users_survive_a_kill],
}

const PASSWORD: &str = "open sesame";

fn is_refused_by_a_cluster<T: std::fmt::Debug>(result: Result<T>, api: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Unsupported);
    let expected = format!(
        "the server, a Fluss 0.9 coordinator, does not offer {api}, which only an embedded node does (fluss serve)"
    );
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert!(!error.to_string().contains(PASSWORD) && !error.is_retriable());
}

async fn are_refused_by_a_cluster(connection: &Connection) {
    let admin = connection.admin();
    is_refused_by_a_cluster(admin.create_user("alice", PASSWORD, true).await, "CREATE_USER");
    is_refused_by_a_cluster(admin.alter_user("alice", PASSWORD, true).await, "ALTER_USER");
    is_refused_by_a_cluster(admin.drop_user("alice", true).await, "DROP_USER");
    is_refused_by_a_cluster(admin.list_users().await, "LIST_USERS");
}

async fn listed(connection: &Connection) -> Vec<(String, UserSource)> {
    let users = connection.admin().list_users().await.unwrap();
    users.into_iter().map(|user| (user.name, user.source)).collect()
}

fn in_catalog(names: &[&str]) -> Vec<(String, UserSource)> {
    let user = |name: &&str| ((*name).to_owned(), UserSource::Catalog);
    names.iter().map(user).collect()
}

fn users_come_and_go_on_a_node_and_a_cluster_says_that_it_has_none(backend: Backend) {
    // Behind an address users are for those who log in.
    let spec = match backend {
        Backend::Serve => Spec::new().sasl(),
        _ => Spec::new(),
    };
    let place = start(backend, spec);
    run(async {
        let connection = connect(&place).await;
        if backend == Backend::Cluster {
            return are_refused_by_a_cluster(&connection).await;
        }
        let admin = connection.admin();
        let before = listed(&connection).await;
        assert!(before.iter().all(|(_, source)| *source == UserSource::File));
        assert_eq!(before.len(), if backend == Backend::Serve { 2 } else { 0 });

        admin.create_user("zoe", PASSWORD, false).await.unwrap();
        admin.create_user("bob", PASSWORD, false).await.unwrap();
        let twice = admin.create_user("bob", PASSWORD, false).await.unwrap_err();
        assert_eq!(twice.code(), Some(ErrorCode::USER_ALREADY_EXIST));
        assert_eq!(twice.outcome(), Outcome::AlreadyExists);
        admin.create_user("bob", "another", true).await.unwrap();
        let created: Vec<_> = listed(&connection)
            .await
            .into_iter()
            .filter(|user| !before.contains(user))
            .collect();
        assert_eq!(created, in_catalog(&["bob", "zoe"]));

        admin.alter_user("bob", "another", false).await.unwrap();
        let nobody = admin.alter_user("eve", "another", false).await.unwrap_err();
        assert_eq!(nobody.outcome(), Outcome::NotFound);
        admin.alter_user("eve", "another", true).await.unwrap();

        admin.drop_user("zoe", false).await.unwrap();
        assert_eq!(
            code(admin.drop_user("zoe", false).await),
            ErrorCode::USER_NOT_EXIST.number()
        );
        admin.drop_user("zoe", true).await.unwrap();
        admin.drop_user("bob", false).await.unwrap();
        assert_eq!(listed(&connection).await, before);
    });
}

fn users_have_names_and_passwords_that_can_be_kept(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let refused = |result: Result<()>| {
            let error: Error = result.unwrap_err();
            assert_eq!(error.code(), None, "it was not asked for: {error}");
            assert_eq!(error.outcome(), Outcome::InvalidArgument, "{error}");
            error.to_string()
        };
        for name in ["", " bob", "#bob", "bo:b", "bo\nb", &"b".repeat(256)] {
            refused(admin.create_user(name, PASSWORD, true).await);
        }
        let long = PASSWORD.repeat(100);
        for password in ["", "open\0sesame", &long] {
            let told = refused(admin.create_user("bob", password, true).await);
            assert!(!told.contains("open"), "{told}");
            refused(admin.alter_user("bob", password, true).await);
        }
    });
}

fn those_who_log_in_are_told_too_that_a_cluster_has_no_users(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    run(async {
        let root = connect(&place).await;
        if backend == Backend::Cluster {
            return are_refused_by_a_cluster(&root).await;
        }
        let admin = root.admin();
        // Those of the users file stand there.
        let error = admin.alter_user(ROOT.name, PASSWORD, false).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::OPERATION_NOT_ATTEMPTED));
        assert!(error.to_string().contains("stands in the users file"), "{error}");
        assert_eq!(
            code(admin.create_user(ROOT.name, PASSWORD, false).await),
            ErrorCode::USER_ALREADY_EXIST.number()
        );
    });
}

/// A connection as a user, with a deadline for the attempt to connect again.
async fn log_in(place: &Place, name: &str, password: &str) -> Result<Connection> {
    let mut options = options(place);
    options.credentials = Some(Credentials::plain(name, password));
    options.request_timeout = Duration::from_secs(20);
    Connection::open(options).await
}

/// Insists that a user is out. A call that meets the end of the connection says that, or why.
async fn is_out(connection: &Connection) {
    let first = connection.admin().list_databases().await;
    if matches!(&first, Err(error) if error.outcome() == Outcome::Unavailable) {
        return is_unknown(connection.admin().list_databases().await);
    }
    is_unknown(first);
}

fn is_unknown<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unauthenticated, "{error}");
    assert!(!error.to_string().contains(PASSWORD), "{error}");
}

fn users_log_in_at_once_and_stay_out_when_they_are_dropped(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    run(async {
        let root = connect(&place).await;
        let admin = root.admin();
        is_unknown(log_in(&place, "bob", PASSWORD).await);
        admin.create_user("bob", PASSWORD, false).await.unwrap();
        let right = Acl::new(
            Principal::user("bob"),
            Operation::Describe,
            Resource::database("fluss"),
        );
        admin.create_acls(&[right]).await.unwrap();
        let bob = log_in(&place, "bob", PASSWORD).await.unwrap();
        assert_eq!(bob.admin().list_databases().await.unwrap(), ["fluss"]);
        // A user has the right to no more than its own password.
        assert_eq!(code(bob.admin().list_users().await), 48);
        assert_eq!(code(bob.admin().create_user("eve", PASSWORD, false).await), 48);
        bob.admin().alter_user("bob", "mine", false).await.unwrap();
        assert_eq!(bob.admin().list_databases().await.unwrap(), ["fluss"]);
        is_unknown(log_in(&place, "bob", PASSWORD).await);

        admin.alter_user("bob", "another", false).await.unwrap();
        is_out(&bob).await;
        let bob = log_in(&place, "bob", "another").await.unwrap();
        admin.drop_user("bob", false).await.unwrap();
        is_out(&bob).await;
        is_unknown(log_in(&place, "bob", "another").await);
        assert_eq!(admin.list_acls(&AclFilter::default()).await.unwrap(), []);
    });
}

fn users_survive_a_kill(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        for name in ["bob", "eve", "zoe"] {
            admin.create_user(name, PASSWORD, false).await.unwrap();
        }
        admin.alter_user("bob", "mine", false).await.unwrap();
        admin.drop_user("eve", false).await.unwrap();
        place.served().kill().unwrap();
        place.served().restart(crate::PATIENCE).unwrap();
        let root = connect(&place).await;
        let created: Vec<_> = listed(&root)
            .await
            .into_iter()
            .filter(|(_, source)| *source == UserSource::Catalog)
            .collect();
        assert_eq!(created, in_catalog(&["bob", "zoe"]));
        log_in(&place, "bob", "mine").await.unwrap();
        log_in(&place, "zoe", PASSWORD).await.unwrap();
        is_unknown(log_in(&place, "bob", PASSWORD).await);
        is_unknown(log_in(&place, "eve", PASSWORD).await);
        let catalog = std::fs::read(place.served().directory().join("data/catalog")).unwrap();
        let text = String::from_utf8_lossy(&catalog);
        assert!(text.contains("$argon2id$") && !text.contains(PASSWORD));
        let log = std::fs::read_to_string(place.served().directory().join("serve.log")).unwrap();
        assert!(!log.contains(PASSWORD), "{log}");
    });
}
