//! The tables of `behaviour.md` §3.2 to §3.5, by name.

use fluss_core::record::log::ChangeType::{Delete, Insert, UpdateAfter, UpdateBefore};
use fluss_core::types::{DataType, Datum, OwnedRow, Schema};

use super::world::{World, Write, table};
use crate::kv::WriteMode;

fn schema() -> Schema {
    let schema = Schema::builder().column("k", DataType::int());
    let schema = schema
        .column("a", DataType::int())
        .column("b", DataType::string());
    schema.primary_key(["k"]).build().unwrap()
}

fn row(k: i32, a: impl Into<Datum<'static>>, b: impl Into<Datum<'static>>) -> OwnedRow {
    vec![k.into(), a.into(), b.into()]
}

#[test]
fn rows_replace_each_other_and_the_changelog_tells_both() {
    for real in [false, true] {
        let mut world = World::new(&table(&[schema()], &[]), real);
        let (one, two) = (row(1, 1, "x"), row(1, 2, "y"));
        let all = WriteMode::default();
        let write = [
            Write::Upsert(one.clone()),
            Write::Upsert(two.clone()),
            Write::Delete(row(2, 0, "")),
        ];
        let changes = world.write(&write, &all).unwrap();
        assert_eq!(
            changes,
            [
                (Insert, one.clone()),
                (UpdateBefore, one),
                (UpdateAfter, two.clone())
            ]
        );
        assert_eq!(world.rows(), [two.clone()]);
        assert_eq!(
            world.write(&[Write::Delete(two.clone())], &all).unwrap(),
            [(Delete, two)]
        );
        assert_eq!(world.rows(), [] as [OwnedRow; 0]);
        assert_eq!(world.write(&[Write::Delete(row(2, 0, ""))], &all).unwrap(), []);
        assert_eq!(world.end(), 5, "an empty batch takes an offset");
    }
}
