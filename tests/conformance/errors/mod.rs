//! Bad input gets an error that says what is wrong with what, and leaves writer and connection usable.

pub(crate) mod gone;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use fluss_client::types::{DataType, Datum, Schema, TablePath};
use fluss_client::{Connection, Credentials, ErrorCode, ErrorKind, StartOffset};
use fluss_cluster::{ALICE, ROOT, Spec};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::{Backend, EVERYWHERE, ONCE, SERVERS, connect, create, read, run, start, tests};

tests! {
    EVERYWHERE => [
        a_row_that_does_not_fit_is_refused_by_column_and_the_writer_goes_on,
        what_does_not_exist_is_told_with_its_code,
    ],
    SERVERS => [a_login_decides_what_may_be_done],
    ONCE => [a_server_that_is_none_is_told_as_such],
}

fn two_columns() -> Schema {
    let id = DataType::big_int().not_null();
    Schema::builder()
        .column("id", id)
        .column("name", DataType::char(3).unwrap())
        .build()
        .unwrap()
}

fn a_row_that_does_not_fit_is_refused_by_column_and_the_writer_goes_on(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let table = create(&connection, two_columns(), 1, &[]).await;
        let writer = table.append_writer().unwrap();
        let bad: [(Vec<Datum<'_>>, &str); 4] = [
            (vec!["1".into(), "a".into()], "column 'id'"),
            (vec![Datum::Null, "a".into()], "column 'id'"),
            (vec![1_i64.into(), "abcd".into()], "column 'name'"),
            (vec![1_i64.into()], "the row has 1 values"),
        ];
        for (row, expected) in &bad {
            let error = writer.append(row).await.unwrap_err().to_string();
            assert!(
                error.starts_with("append fluss.") && error.contains(expected),
                "{error}"
            );
        }
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        for (name, expected) in [
            ("id", "column 'name': the batch has no such column"),
            ("nope", "column 'nope'"),
        ] {
            let batch = RecordBatch::try_from_iter([(name, ids.clone())]).unwrap();
            let error = writer.append_arrow(&batch).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let handle = writer.append(&[7_i64.into(), "ok".into()]).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(handle.wait().await.unwrap(), Some(0));
        let scanner = table.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        read(&scanner, 1, |_, _, row| assert_eq!(row[0], Datum::BigInt(7))).await;
    });
}

fn what_does_not_exist_is_told_with_its_code(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let admin = connection.admin();
        let error = connection
            .table(&TablePath::new("fluss", "nope"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST));
        assert!(error.to_string().contains("fluss.nope"), "{error}");
        let error = admin.list_tables("nope").await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::DATABASE_NOT_EXIST));
        let described = fluss_client::types::DatabaseDescriptor::default();
        let error = admin
            .create_database("no spaces", &described, false)
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Definition(_)));
        let table = create(&connection, two_columns(), 2, &[]).await;
        let scanner = table.scan().log_scanner().unwrap();
        let error = scanner
            .subscribe(fluss_client::id::BucketId(2), StartOffset::Earliest)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("buckets 0 to 1"), "{error}");
        assert!(table.scan().project(["nope"]).log_scanner().is_err());
        assert_eq!(admin.server_nodes().await.unwrap().len(), 2);
    });
}

async fn open(bootstrap: &str, credentials: Option<Credentials>) -> fluss_client::Result<Connection> {
    let mut options = fluss_client::options(&format!("fluss://{bootstrap}")).await?;
    options.credentials = credentials;
    options.connect_timeout = Duration::from_secs(5);
    Connection::open(options).await
}

fn a_login_decides_what_may_be_done(backend: Backend) {
    let place = start(backend, Spec::new().sasl());
    let bootstrap = place.bootstrap();
    run(async {
        let wrong = open(&bootstrap, Some(Credentials::plain("root", "wrong")))
            .await
            .unwrap_err();
        assert!(wrong.to_string().contains("authentication"), "{wrong}");
        let missing = open(&bootstrap, None).await.unwrap_err();
        assert_eq!(
            missing.code(),
            Some(ErrorCode::AUTHENTICATE_EXCEPTION),
            "{missing}"
        );

        let root = open(&bootstrap, Some(Credentials::plain(ROOT.name, ROOT.password)))
            .await
            .unwrap();
        let table = create(&root, two_columns(), 3, &[]).await;
        let writer = table.append_writer().unwrap();
        writer.append(&[1_i64.into(), "a".into()]).await.unwrap();
        writer.close().await.unwrap();

        let alice = open(&bootstrap, Some(Credentials::plain(ALICE.name, ALICE.password)))
            .await
            .unwrap();
        let error = alice.table(&table.info().path).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::AUTHORIZATION_EXCEPTION), "{error}");
    });
}

fn a_server_that_is_none_is_told_as_such(_: Backend) {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let web = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let error = open(&address, None).await.unwrap_err();
        web.await.unwrap();
        assert!(
            error.to_string().contains(&address) && error.to_string().contains("Fluss protocol"),
            "{error}"
        );
        let nobody = open("127.0.0.1:1", None).await.unwrap_err();
        assert!(nobody.to_string().contains("127.0.0.1:1"), "{nobody}");
    });
}
