//! Properties are altered, and what may not be altered is refused.

use fluss_client::types::{DataType, Schema, TablePath};
use fluss_client::{Connection, TableChange};
use fluss_cluster::Spec;

use super::column;
use crate::{Backend, EVERYWHERE, connect, create, run, start, tests};

tests! {
    EVERYWHERE => [
        properties_are_set_and_reset,
        what_may_not_be_altered_is_refused,
    ],
}

const SEGMENTS: &str = "table.log.tiered.local-segments";

async fn table(connection: &Connection) -> TablePath {
    let schema = Schema::builder().column("a", DataType::int()).build().unwrap();
    let table = create(connection, schema, 1, &[]).await;
    table.info().path.clone()
}

fn properties_are_set_and_reset(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let path = table(&connection).await;
        let admin = connection.admin();
        let changes = [
            TableChange::set(SEGMENTS, "5"),
            TableChange::set("owner", "data team"),
            TableChange::set("empty", ""),
        ];
        admin.alter_table(&path, &changes, false).await.unwrap();
        let altered = admin.table_info(&path).await.unwrap();
        let custom = |key: &str| altered.descriptor.custom_properties().get(key).cloned();
        assert_eq!(altered.descriptor.properties()[SEGMENTS], "5");
        assert_eq!(
            (custom("owner"), custom("empty")),
            (Some("data team".into()), Some(String::new()))
        );
        assert_eq!(altered.schema_id.get(), 1, "the columns are the same");

        let changes = [
            TableChange::reset(SEGMENTS),
            TableChange::reset("owner"),
            TableChange::reset("never there"),
            TableChange::set("empty", "no more"),
        ];
        admin.alter_table(&path, &changes, false).await.unwrap();
        let altered = admin.table_info(&path).await.unwrap();
        assert!(!altered.descriptor.properties().contains_key(SEGMENTS));
        let custom: Vec<_> = altered.descriptor.custom_properties().iter().collect();
        assert_eq!(custom, [(&"empty".to_owned(), &"no more".to_owned())]);
        admin.alter_table(&path, &[], false).await.unwrap();
    });
}

fn what_may_not_be_altered_is_refused(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let connection = connect(&place).await;
        let path = table(&connection).await;
        let admin = connection.admin();
        let code = async |path: &TablePath, changes: &[TableChange], ignore| {
            let altered = admin.alter_table(path, changes, ignore).await;
            altered.map_err(|error| error.code().unwrap().number()).err()
        };
        let refused: [(&[TableChange], i32); 6] = [
            (
                &[TableChange::set("table.log.arrow.compression.type", "NONE")],
                56,
            ),
            (&[TableChange::set("table.nothing", "1")], 56),
            (&[TableChange::reset("table.log.format")], 56),
            (&[TableChange::set("mine", "1"), column("b", "INT")], 56),
            (&[column("a", "INT")], 56),
            (&[column("b", "INT"), column("b", "STRING")], 56),
        ];
        for (changes, expected) in refused {
            assert_eq!(code(&path, changes, false).await, Some(expected), "{changes:?}");
        }
        let info = admin.table_info(&path).await.unwrap();
        assert_eq!(
            (info.schema_id.get(), info.row_type().len()),
            (1, 1),
            "all or none"
        );
        assert!(info.descriptor.custom_properties().is_empty());

        let missing = TablePath::new("fluss", "missing");
        let set = [TableChange::set("mine", "1")];
        assert_eq!(code(&missing, &set, false).await, Some(7));
        assert_eq!(code(&missing, &set, true).await, None);
        assert_eq!(code(&missing, &[column("b", "INT")], false).await, Some(7));
        assert_eq!(code(&missing, &[column("b", "INT")], true).await, None);
        let error = admin
            .alter_table(&path, &[column("b", "INT NOT NULL")], false)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "alter table {path}: column 'b' has to take nulls: the rows that there are have no value for it"
            )
        );
    });
}
