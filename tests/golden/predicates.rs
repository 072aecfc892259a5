//! `predicates_1_0.json` and `pruning_1_0.json`: conditions as `FETCH_LOG` carries them, and the batches that they leave out.

use fluss_core::filter::{Function, Pushed};
use fluss_core::record::log::{ColumnStatistics, Statistics};
use fluss_core::types::{DataType, Field, RowType};
use fluss_rpc::proto::PbPredicate;
use fluss_tests::notation::datum;
use prost::Message;
use serde_json::Value;

use crate::vectors::{each, hex, load, row_type};

/// The condition that the JSON says.
fn pushed(value: &Value, row_type: &RowType) -> Pushed {
    let parts = |key: &str| {
        let parts = value[key].as_array()?.iter();
        Some(parts.map(|part| pushed(part, row_type)).collect())
    };
    if let Some(parts) = parts("and") {
        return Pushed::All(parts);
    }
    if let Some(parts) = parts("or") {
        return Pushed::Any(parts);
    }
    let column = row_type.index_of(value["column"].as_str().unwrap()).unwrap();
    let data_type = &row_type.field(column).unwrap().data_type;
    let name = value["function"].as_str().unwrap();
    let functions = Function::ALL.iter().copied();
    let literals = value["literals"].as_array().unwrap().iter();
    Pushed::Leaf {
        column,
        function: functions
            .into_iter()
            .find(|function| function.to_string() == name)
            .unwrap(),
        literals: literals.map(|literal| datum(data_type, literal)).collect(),
    }
}

/// The columns of the predicates, with their identities.
fn columns(vector: &Value) -> RowType {
    let ids: Vec<i32> = serde_json::from_value(vector["field_ids"].clone()).unwrap();
    let fields = row_type(vector).fields().to_vec().into_iter().zip(ids);
    RowType::new(fields.map(|(field, id)| Field {
        id: Some(id),
        ..field
    }))
}

#[test]
fn conditions_are_written_and_read() {
    let row_type = columns(&load("predicates_1_0.json")[0]);
    let mut checked = 0;
    each("predicates_1_0.json", 37, |vector| {
        let Some(bytes) = vector["filter_predicate"].as_str() else {
            return;
        };
        let bytes = hex(&Value::from(bytes));
        let condition = pushed(&vector["predicate"], &row_type);
        let message = condition.encode(&row_type).unwrap();
        assert_eq!(message.encode_to_vec(), bytes);
        let message = PbPredicate::decode(&*bytes).unwrap();
        assert_eq!(Pushed::decode(&message, &row_type), Some(condition));
        checked += 1;
    });
    assert_eq!(checked, 36);
}

#[test]
fn what_is_not_understood_is_ignored_as_a_whole() {
    let row_type = columns(&load("predicates_1_0.json")[0]);
    let vectors = load("predicates_1_0.json");
    let vector = vectors.iter().find(|vector| vector["id"] == "p34").unwrap();
    let message = PbPredicate::decode(&*hex(&vector["filter_predicate"])).unwrap();
    assert!(Pushed::decode(&message, &row_type).is_some());
    let spoil = |spoil: &dyn Fn(&mut PbPredicate)| {
        let mut message = message.clone();
        let part = &mut message.compound.as_mut().unwrap().children[1];
        spoil(part);
        Pushed::decode(&message, &row_type)
    };
    let leaf = |part: &mut PbPredicate| part.leaf.take().unwrap();
    let mut spoilt = Vec::new();
    spoilt.push(spoil(&|part| {
        part.leaf = Some(fluss_rpc::proto::PbLeafPredicate {
            field_id: 77,
            ..leaf(part)
        });
    }));
    spoilt.push(spoil(&|part| {
        part.leaf = Some(fluss_rpc::proto::PbLeafPredicate {
            function: 13,
            ..leaf(part)
        });
    }));
    spoilt.push(spoil(&|part| {
        part.leaf.as_mut().unwrap().literals[0].literal_type = 3;
    }));
    spoilt.push(spoil(&|part| part.leaf.as_mut().unwrap().literals.clear()));
    spoilt.push(spoil(&|part| part.r#type = 2));
    spoilt.push(spoil(&|part| part.leaf = None));
    for _ in 0..100 {
        let nested = spoil(&|part| {
            for _ in 0..100 {
                let inner = part.clone();
                *part = PbPredicate {
                    r#type: 1,
                    leaf: None,
                    compound: Some(fluss_rpc::proto::PbCompoundPredicate {
                        function: 0,
                        children: vec![inner],
                    }),
                };
            }
        });
        spoilt.push(nested);
    }
    assert!(spoilt.iter().all(Option::is_none), "{spoilt:?}");
}

#[test]
fn batches_are_left_out_as_a_server_does() {
    let row_type = RowType::new([
        Field::new("i", DataType::int()),
        Field::new("s", DataType::string()),
    ]);
    each("pruning_1_0.json", 150, |vector| {
        let condition = pushed(&vector["predicate"], &row_type);
        let rows = usize::try_from(vector["rows"].as_u64().unwrap()).unwrap();
        let columns = row_type.fields().iter().enumerate().map(|(column, field)| {
            let end = |name: &str| datum(&field.data_type, &vector[name][column]);
            let (least, greatest) = (end("min"), end("max"));
            let statistics = ColumnStatistics {
                nulls: usize::try_from(vector["null_counts"][column].as_i64().unwrap()).ok(),
                range: (!least.is_null() && !greatest.is_null()).then_some((least, greatest)),
            };
            (column, statistics)
        });
        let statistics = Statistics::new(columns);
        assert_eq!(
            Some(condition.may_hold(rows, &statistics)),
            vector["keep"].as_bool()
        );
    });
}
