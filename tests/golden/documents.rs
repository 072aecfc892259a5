//! Random tables as JSON documents: they come back as they went, and broken ones are refused.

use std::collections::BTreeMap;

use fluss_core::types::{
    AggregateFunction, DataType, DatabaseDescriptor, RowType, Schema, SchemaBuilder, TableDescriptor,
    TableDescriptorBuilder,
};
use fluss_tests::arbitrary::{Options, data_type, row_type};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::allocations::measure;
use crate::cases::cases;

const NESTED: Options = Options {
    depth: 3,
    columns: 6,
    scalars: |_| true,
    nulls: true,
};

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

/// A comment and the parameters of a function, either or none.
fn decoration() -> impl Strategy<Value = (Option<String>, Option<BTreeMap<String, String>>)> {
    (option::of(text()), option::of(btree_map(text(), text(), 0..3)))
}

/// A schema, with comments and functions on some columns. Its key is of the first columns, as far as they may be.
fn schema() -> impl Strategy<Value = Schema> {
    let columns = row_type(NESTED).prop_flat_map(|columns| {
        let decorations = vec(decoration(), columns.len());
        (Just(columns), decorations, 0..4_usize)
    });
    columns.prop_map(|(columns, decorations, key)| {
        let builder = columns.fields().iter().zip(decorations).fold(
            Schema::builder(),
            |builder, (field, (comment, parameters))| {
                let builder = builder.column(&field.name, field.data_type.clone());
                let builder = comment.into_iter().fold(builder, SchemaBuilder::comment);
                parameters.into_iter().fold(builder, |builder, parameters| {
                    builder.aggregate(AggregateFunction {
                        name: "listagg".to_owned(),
                        parameters,
                    })
                })
            },
        );
        builder.primary_key(key_columns(&columns, key)).build().unwrap()
    })
}

fn key_columns(columns: &RowType, most: usize) -> Vec<String> {
    let fields = columns.fields().iter();
    fields
        .filter(|field| !field.data_type.is_nested())
        .map(|field| field.name.clone())
        .take(most)
        .collect()
}

/// A table: with a primary key, its last column is the bucket key, and the first the partition key if there are more.
fn table() -> impl Strategy<Value = TableDescriptor> {
    let properties = btree_map(text(), text(), 0..4);
    (schema(), option::of(text()), option::of(1..100_i32), properties).prop_map(
        |(schema, comment, buckets, properties)| {
            let key = schema.primary_key().to_vec();
            let (partition, bucket) = key.split_at(key.len().saturating_sub(1).min(1));
            let bucket = bucket.last().into_iter().cloned();
            let builder = TableDescriptor::builder(schema)
                .partitioned_by(partition.to_vec())
                .property("table.log.format", "ARROW");
            let builder = match buckets {
                Some(buckets) => builder.distributed_by(buckets, bucket),
                None => builder.bucket_keys(bucket),
            };
            let builder = comment.into_iter().fold(builder, TableDescriptorBuilder::comment);
            let builder = properties.into_iter().fold(builder, |builder, (key, value)| {
                builder.custom_property(key, value)
            });
            builder.build().unwrap()
        },
    )
}

#[test]
fn types_come_back_as_they_went() {
    cases("data types", &data_type(NESTED), |data_type| {
        prop_assert_eq!(DataType::from_json(&data_type.to_json()).unwrap(), data_type);
        Ok(())
    });
}

#[test]
fn the_text_of_a_type_is_read_as_the_type() {
    cases("texts of types", &data_type(NESTED), |data_type| {
        prop_assert_eq!(data_type.to_string().parse::<DataType>().unwrap(), data_type);
        Ok(())
    });
}

#[test]
fn schemas_come_back_as_they_went() {
    cases("schemas", &schema(), |schema| {
        prop_assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
        Ok(())
    });
}

#[test]
fn table_descriptors_come_back_as_they_went() {
    cases("table descriptors", &table(), |table| {
        prop_assert_eq!(TableDescriptor::from_json(&table.to_json()).unwrap(), table);
        Ok(())
    });
}

#[test]
fn database_descriptors_come_back_as_they_went() {
    let database = (option::of(text()), btree_map(text(), text(), 0..4));
    cases(
        "database descriptors",
        &database,
        |(comment, custom_properties)| {
            let database = DatabaseDescriptor {
                comment,
                custom_properties,
            };
            prop_assert_eq!(
                DatabaseDescriptor::from_json(&database.to_json()).unwrap(),
                database
            );
            Ok(())
        },
    );
}

#[test]
fn a_cut_document_is_refused() {
    cases(
        "cut documents",
        &(table(), any::<prop::sample::Index>()),
        |(table, place)| {
            let json = table.to_json();
            prop_assert!(TableDescriptor::from_json(&json[..place.index(json.len())]).is_err());
            Ok(())
        },
    );
}

#[test]
fn a_spoilt_document_does_no_harm() {
    let place = (any::<prop::sample::Index>(), any::<u8>());
    cases("spoilt documents", &(table(), place), |(table, (place, byte))| {
        let mut json = table.to_json();
        let place = place.index(json.len());
        json[place] = byte;
        let allocated = measure(|| drop(TableDescriptor::from_json(&json)));
        prop_assert!(
            allocated.largest <= 64 * json.len(),
            "{allocated:?} for {}",
            json.len()
        );
        Ok(())
    });
}

#[test]
fn a_type_that_nests_without_end_is_refused() {
    let json = r#"{"type":"ARRAY","element_type":"#.repeat(50_000);
    assert!(DataType::from_json(json.as_bytes()).is_err());
    assert!("ARRAY<".repeat(50_000).parse::<DataType>().is_err());
}
