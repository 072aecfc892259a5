use std::collections::BTreeMap;

use fluss_client::types::{
    AggregateFunction, DataType, OwnedRow, PartitionSpec, Schema, SchemaBuilder, TableDescriptor,
    TableDescriptorBuilder,
};
use fluss_client::{AsOf, ErrorKind};

use super::*;

/// Long enough that a batch is only sent because somebody waits for it.
const NEVER: &str = "1 h";

async fn connect(batch_timeout: &str) -> Connection {
    let builder = Connection::builder("embedded::memory:");
    let builder = builder.option("writer.batch-timeout", batch_timeout);
    builder.connect().await.unwrap()
}

fn profile() -> SchemaBuilder {
    let columns = ["name", "age", "city", "city_code"].map(|name| (name, DataType::string()));
    let columns = columns.into_iter();
    columns.fold(Schema::builder(), |schema, (name, text)| {
        schema.column(name, text)
    })
}

fn profiles() -> TableDescriptorBuilder {
    TableDescriptor::builder(profile().primary_key(["name"]).build().unwrap()).distributed_by(3, ["name"])
}

async fn open(connection: &Connection, descriptor: TableDescriptorBuilder) -> Result<Documents> {
    let path = connection.path("fluss.documents").unwrap();
    let descriptor = descriptor.build().unwrap();
    connection
        .admin()
        .create_table(&path, &descriptor, false)
        .await
        .unwrap();
    Documents::open(connection, &path).await
}

/// All rows, by the text of their first column.
async fn rows(documents: &Documents) -> BTreeMap<String, OwnedRow> {
    documents.flush().await.unwrap();
    let snapshot = documents.table().scan().snapshot(AsOf::Latest).await.unwrap();
    let mut rows = BTreeMap::new();
    for batch in snapshot.into_batches() {
        let batch = fluss_client::ArrowRows::new(batch, documents.table().info().row_type()).unwrap();
        for index in 0..batch.len() {
            let row = batch.row(index).to_owned_row();
            let Datum::String(name) = row[0].clone() else {
                panic!("a name is a text")
            };
            rows.insert(name.into_owned(), row);
        }
    }
    rows
}

fn row(values: [Option<&str>; 4]) -> OwnedRow {
    values.map(|value| Datum::from(value).into_owned()).to_vec()
}

fn reason(error: impl Into<Option<Error>>) -> String {
    match error.into() {
        Some(Error::InvalidArgument(reason)) => reason,
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn fields_are_set_and_deleted_one_by_one() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    let upsert = async |fields: &[(&str, Option<&str>)]| {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, Datum::from(*value)))
            .collect();
        documents.upsert_fields(&fields).await.unwrap()
    };
    upsert(&[("name", Some("Alice")), ("age", Some("22"))]).await;
    upsert(&[("city", Some("San Francisco")), ("name", Some("Alice"))]).await;
    upsert(&[("name", Some("Bob")), ("age", Some("25")), ("city", None)]).await;
    upsert(&[("name", Some("Carol"))]).await;
    let expected = [
        (
            "Alice".to_owned(),
            row([Some("Alice"), Some("22"), Some("San Francisco"), None]),
        ),
        ("Bob".to_owned(), row([Some("Bob"), Some("25"), None, None])),
        ("Carol".to_owned(), row([Some("Carol"), None, None, None])),
    ];
    assert_eq!(rows(&documents).await, BTreeMap::from(expected));

    let handle = documents
        .delete_fields(&["Alice".into()], &["age", "city_code"])
        .await
        .unwrap();
    handle.wait().await.unwrap();
    assert_eq!(handle.rows_stored(), 1);
    documents.delete_document(&["Carol".into()]).await.unwrap();
    documents.delete_document(&["Nobody".into()]).await.unwrap();
    let expected = [
        (
            "Alice".to_owned(),
            row([Some("Alice"), None, Some("San Francisco"), None]),
        ),
        ("Bob".to_owned(), row([Some("Bob"), Some("25"), None, None])),
    ];
    assert_eq!(rows(&documents).await, BTreeMap::from(expected));

    // A document stays that has only its key left.
    documents
        .delete_fields(&["Alice".into()], &["age", "city", "city_code"])
        .await
        .unwrap();
    let left = rows(&documents).await;
    assert_eq!(left["Alice"], row([Some("Alice"), None, None, None]));
}

#[tokio::test]
async fn deleting_fields_inserts_no_document() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    let handle = documents
        .delete_fields(&["Alice".into()], &["age"])
        .await
        .unwrap();
    assert!(handle.is_settled());
    assert_eq!((handle.wait().await.unwrap(), handle.rows_stored()), (None, 0));
    let none: [&str; 0] = [];
    documents.delete_fields(&["Alice".into()], &none).await.unwrap();
    assert!(rows(&documents).await.is_empty());
}

#[tokio::test]
async fn writes_of_other_columns_to_a_key_wait_for_each_other() {
    let connection = connect(NEVER).await;
    let documents = open(&connection, profiles()).await.unwrap();
    let set = async |name: &'static str, column: &'static str| {
        let fields = [("name", name.into()), (column, "x".into())];
        documents.upsert_fields(&fields).await.unwrap()
    };
    let first = set("Alice", "age").await;
    let again = set("Alice", "age").await;
    let other_key = set("Bob", "city").await;
    let of_other_key = set("Carol", "city").await;
    assert!(!first.is_settled() && !again.is_settled());

    let other_columns = set("Alice", "city").await;
    assert!(first.is_settled() && again.is_settled() && !other_columns.is_settled());
    assert!(!other_key.is_settled(), "a write to another key was waited for");
    let deleted = documents.delete_document(&["Alice".into()]).await.unwrap();
    assert!(other_columns.is_settled() && !deleted.is_settled());
    // What waits for the other columns of a key has all of their batch sent.
    of_other_key.wait().await.unwrap();
    assert_eq!(
        rows(&documents).await.keys().collect::<Vec<_>>(),
        ["Bob", "Carol"]
    );

    // A look-up sees what was written before, whichever writer has it.
    set("Dave", "age").await;
    documents.delete_fields(&["Dave".into()], &["age"]).await.unwrap();
    assert_eq!(
        rows(&documents).await["Dave"],
        row([Some("Dave"), None, None, None])
    );
}

#[tokio::test]
async fn writes_of_all_columns_keep_their_order() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    let writers = (0..20).map(|writer| {
        let documents = documents.clone();
        tokio::spawn(async move {
            let name = format!("name {writer}");
            for round in 0..30_usize {
                let column = ["age", "city", "city_code"][(round + writer) % 3];
                let value = round.to_string();
                let fields = [("name", name.as_str().into()), (column, value.into())];
                if round % 7 == 6 {
                    documents.delete_document(&[name.as_str().into()]).await.unwrap();
                } else {
                    documents.upsert_fields(&fields).await.unwrap();
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let rows = rows(&documents).await;
    assert_eq!(rows.len(), 20);
    for writer in 0..20_usize {
        let name = format!("name {writer}");
        // Round 27 has deleted it.
        let mut expected = row([Some(&name), None, None, None]);
        for round in [28, 29] {
            expected[1 + (round + writer) % 3] = Datum::from(round.to_string());
        }
        assert_eq!(rows[&name], expected);
    }
}

#[tokio::test]
async fn writers_of_many_sets_of_columns_are_let_go() {
    let connection = connect(NEVER).await;
    let names: Vec<String> = (0..6).map(|column| format!("c{column}")).collect();
    let schema = names.iter().fold(
        Schema::builder().column("id", DataType::string()),
        |schema, name| schema.column(name, DataType::int()),
    );
    let schema = schema.primary_key(["id"]).build().unwrap();
    let documents = open(&connection, TableDescriptor::builder(schema)).await.unwrap();
    // Each subset of the columns has a writer.
    for subset in 0..64 {
        let mut fields = vec![("id", Datum::from("one"))];
        let written = names
            .iter()
            .enumerate()
            .filter(|(column, _)| subset >> column & 1 == 1);
        fields.extend(written.map(|(_, name)| (name.as_str(), Datum::Int(subset))));
        documents.upsert_fields(&fields).await.unwrap();
    }
    let last = |column: i32| Datum::Int(63 - i32::from(column > 5));
    let mut expected = vec![Datum::from("one")];
    expected.extend((0..6).map(last));
    assert_eq!(rows(&documents).await["one"], expected);
    assert!(documents.shared.writers.count() <= 16);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    let key = ("name", Datum::from("Alice"));
    let refused = async |fields: &[(&str, Datum<'_>)]| documents.upsert_fields(fields).await.unwrap_err();
    let unknown = refused(&[key.clone(), ("citty", "x".into())]).await;
    assert_eq!(
        reason(unknown),
        "table fluss.documents has no column 'citty'; did you mean 'city'?"
    );
    assert!(reason(refused(&[("age", "x".into())]).await).contains("lacks 'name' of the primary key"));
    assert!(reason(refused(&[key.clone(), key.clone()]).await).contains("given twice"));
    for fields in [
        [key.clone(), ("age", 22.into())],
        [("name", 1.into()), ("age", "22".into())],
        [("name", Datum::Null), ("age", "22".into())],
    ] {
        let error = refused(&fields).await;
        let Error::Client(error) = &error else {
            panic!("{error:?}")
        };
        assert!(matches!(error.kind(), ErrorKind::Value(_)), "{error:?}");
    }
    let key_column = documents
        .delete_fields(&["Alice".into()], &["name"])
        .await
        .unwrap_err();
    assert!(reason(key_column).contains("is of the primary key"));
    assert!(documents.delete_fields(&[1.into()], &["age"]).await.is_err());
    assert!(
        documents
            .delete_fields(&["a".into(), "b".into()], &["age"])
            .await
            .is_err()
    );
    assert!(documents.delete_document(&[Datum::Null]).await.is_err());
    assert!(reason(documents.clear_columns(&["nothing"]).await.err()).contains("no column 'nothing'"));

    documents
        .upsert_fields(&[key, ("age", "22".into())])
        .await
        .unwrap();
    assert_eq!(
        rows(&documents).await["Alice"],
        row([Some("Alice"), Some("22"), None, None])
    );
}

#[tokio::test]
async fn columns_are_cleared_in_all_documents() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    for number in 0..500 {
        let (name, value) = (format!("name {number}"), number.to_string());
        let column = ["age", "city", "city_code"][number % 3];
        documents
            .upsert_fields(&[("name", name.into()), (column, value.into())])
            .await
            .unwrap();
    }
    let none: [&str; 0] = [];
    assert_eq!(documents.clear_columns(&none).await.unwrap(), 0);
    assert_eq!(
        documents
            .clear_columns_with_prefix(&["country", "na"])
            .await
            .unwrap(),
        0
    );
    assert_eq!(documents.clear_columns(&["name", "age"]).await.unwrap(), 167);
    assert_eq!(documents.clear_columns(&["age"]).await.unwrap(), 0);
    assert_eq!(documents.clear_columns_with_prefix(&["cit"]).await.unwrap(), 333);
    let rows = rows(&documents).await;
    assert_eq!(rows.len(), 500);
    assert!(
        rows.iter()
            .all(|(name, left)| *left == row([Some(name), None, None, None]))
    );
    assert_eq!(documents.truncate().await.unwrap(), 500);
    assert_eq!(documents.truncate().await.unwrap(), 0);
    documents
        .upsert_fields(&[("name", "Alice".into())])
        .await
        .unwrap();
    assert_eq!(documents.truncate().await.unwrap(), 1);
}

#[tokio::test]
async fn a_write_comes_after_a_clearing_that_was_given_up() {
    let connection = connect("1 ms").await;
    let documents = open(&connection, profiles()).await.unwrap();
    for steps in 0..40 {
        documents
            .upsert_fields(&[("name", "Alice".into()), ("age", "1".into())])
            .await
            .unwrap();
        let mut clearing = Box::pin(documents.clear_columns(&["age"]));
        for _ in 0..steps {
            if futures::poll!(&mut clearing).is_ready() {
                clearing = Box::pin(documents.clear_columns(&["age"]));
            }
            tokio::task::yield_now().await;
        }
        drop(clearing);
        documents.delete_document(&["Alice".into()]).await.unwrap();
        assert!(rows(&documents).await.is_empty(), "after {steps} steps");
    }
}

#[tokio::test]
async fn keys_have_many_columns_and_partitions() {
    let connection = connect("1 ms").await;
    let schema = Schema::builder()
        .column("note", DataType::string())
        .column("id", DataType::big_int())
        .column("tags", DataType::array(DataType::string()))
        .column("region", DataType::string())
        .primary_key(["region", "id"])
        .build()
        .unwrap();
    let descriptor = TableDescriptor::builder(schema)
        .partitioned_by(["region"])
        .distributed_by(2, ["id"]);
    let documents = open(&connection, descriptor).await.unwrap();
    let path = &documents.table().info().path;
    for region in ["eu", "us"] {
        let spec = PartitionSpec::new([("region", region)]);
        connection
            .admin()
            .create_partition(path, &spec, true)
            .await
            .unwrap();
    }
    for id in 0..10_i64 {
        let key = [
            ("id", id.into()),
            ("region", ["eu", "us"][id as usize % 2].into()),
        ];
        let [id, region] = key;
        documents
            .upsert_fields(&[id.clone(), region.clone(), ("note", "n".into())])
            .await
            .unwrap();
        let tags = Datum::Array(vec!["t".into()]);
        documents
            .upsert_fields(&[("tags", tags), id, region])
            .await
            .unwrap();
    }
    documents
        .delete_document(&["eu".into(), 0_i64.into()])
        .await
        .unwrap();
    documents
        .delete_document(&["us".into(), 0_i64.into()])
        .await
        .unwrap();
    documents
        .delete_fields(&["us".into(), 1_i64.into()], &["tags"])
        .await
        .unwrap();
    assert_eq!(documents.clear_columns(&["tags"]).await.unwrap(), 8);
    let lookuper = documents.table().lookup().lookuper().unwrap();
    let found = lookuper.lookup(&["us".into(), 1_i64.into()]).await.unwrap();
    assert_eq!(
        found,
        Some(vec!["n".into(), 1_i64.into(), Datum::Null, "us".into()])
    );
    assert_eq!(documents.truncate().await.unwrap(), 9);
}

#[tokio::test]
async fn tables_that_hold_no_documents_are_refused() {
    let connection = connect("1 ms").await;
    let admin = connection.admin();
    let path = connection.path("fluss.documents").unwrap();
    let log = TableDescriptor::builder(profile().build().unwrap());
    assert!(reason(open(&connection, log).await.err()).contains("no primary key"));
    admin.drop_table(&path, false).await.unwrap();
    let first = profiles().property("table.merge-engine", "first_row");
    assert!(reason(open(&connection, first).await.err()).contains("'first_row'"));

    let fast = Connection::builder("embedded::memory:")
        .option("writer.acks", "1")
        .option("writer.enable-idempotence", "false");
    let fast = fast.connect().await.unwrap();
    assert!(reason(open(&fast, profiles()).await.err()).contains("acks"));
}

#[tokio::test]
async fn a_table_may_want_whole_documents() {
    let connection = connect("1 ms").await;
    let schema = Schema::builder()
        .column("name", DataType::string())
        .column("age", DataType::string().not_null())
        .column("city", DataType::string());
    let schema = schema.primary_key(["name"]).build().unwrap();
    let documents = open(&connection, TableDescriptor::builder(schema)).await.unwrap();
    let fields = [
        ("name", "Alice".into()),
        ("age", "22".into()),
        ("city", "x".into()),
    ];
    documents
        .upsert_fields(&fields)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap();
    let part = documents.upsert_fields(&fields[..2]).await.unwrap_err();
    assert!(reason(part).contains("'age' takes no null, so that"));
    let required = documents.clear_columns(&["name", "age"]).await.unwrap_err();
    assert_eq!(reason(required), "column 'age' takes no null");
    assert!(reason(documents.clear_columns_with_prefix(&["a"]).await.err()).contains("takes no null"));
    assert!(reason(documents.clear_columns(&["city"]).await.err()).contains("with all columns only"));
    let lost = documents.delete_fields(&["Alice".into()], &["age"]).await;
    assert!(reason(lost.err()).contains("takes no null"));
    assert_eq!(documents.truncate().await.unwrap(), 1);
}

#[tokio::test]
async fn fields_are_aggregated_and_set_to_null() {
    let connection = connect("1 ms").await;
    let schema = Schema::builder()
        .column("name", DataType::string())
        .column("visits", DataType::int())
        .aggregate(AggregateFunction {
            name: "sum".to_owned(),
            parameters: BTreeMap::new(),
        })
        .column("city", DataType::string());
    let schema = schema.primary_key(["name"]).build().unwrap();
    let descriptor = TableDescriptor::builder(schema).property("table.merge-engine", "aggregation");
    let documents = open(&connection, descriptor).await.unwrap();
    let visit = [("name", "Alice".into()), ("visits", 2.into())];
    for _ in 0..3 {
        documents.upsert_fields(&visit).await.unwrap();
    }
    documents
        .upsert_fields(&[("name", "Alice".into()), ("city", "x".into())])
        .await
        .unwrap();
    assert_eq!(
        rows(&documents).await["Alice"],
        ["Alice".into(), 6.into(), "x".into()]
    );
    documents
        .delete_fields(&["Alice".into()], &["visits"])
        .await
        .unwrap();
    documents.upsert_fields(&visit).await.unwrap();
    assert_eq!(
        rows(&documents).await["Alice"],
        ["Alice".into(), 2.into(), "x".into()]
    );
    assert_eq!(documents.clear_columns(&["visits", "city"]).await.unwrap(), 1);
    assert_eq!(
        rows(&documents).await["Alice"],
        ["Alice".into(), Datum::Null, Datum::Null]
    );
    // The engine ignores deletes unless its table says otherwise.
    assert!(reason(documents.truncate().await.err()).contains("'ignore'"));
    assert!(reason(documents.delete_document(&["Alice".into()]).await.err()).contains("'ignore'"));
}

#[tokio::test]
async fn a_column_that_the_server_fills_in_is_left_to_it() {
    let connection = connect("1 ms").await;
    let schema = Schema::builder()
        .column("name", DataType::string())
        .column("number", DataType::int())
        .column("city", DataType::string())
        .auto_increment("number");
    let schema = schema.primary_key(["name"]).build().unwrap();
    let documents = open(&connection, TableDescriptor::builder(schema)).await.unwrap();
    let name = ("name", Datum::from("Alice"));
    documents
        .upsert_fields(&[name.clone(), ("city", "x".into())])
        .await
        .unwrap();
    let counter = documents
        .upsert_fields(&[name, ("number", 7.into())])
        .await
        .unwrap_err();
    assert!(reason(counter).contains("filled in by the server"));
    assert!(reason(documents.clear_columns(&["number"]).await.err()).contains("filled in by the server"));
    assert!(reason(documents.delete_document(&["Alice".into()]).await.err()).contains("'number'"));
    assert_eq!(documents.clear_columns(&["city"]).await.unwrap(), 1);
    assert_eq!(
        rows(&documents).await["Alice"],
        ["Alice".into(), 1.into(), Datum::Null]
    );
}
