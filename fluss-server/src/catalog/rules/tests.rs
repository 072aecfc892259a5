use fluss_core::types::TablePath;
use serde_json::{Value, json};

use super::*;

/// A table with columns of many types, and whatever else is given.
#[expect(clippy::needless_pass_by_value, reason = "`json!` reads best as an argument")]
fn document(keys: &[&str], partition: &[&str], properties: Value) -> Value {
    json!({
        "version": 1,
        "schema": {
            "version": 1,
            "columns": [
                {"name": "i", "data_type": {"type": "INTEGER"}, "id": 0},
                {"name": "s", "data_type": {"type": "STRING"}, "id": 1},
                {"name": "d", "data_type": {"type": "DECIMAL", "precision": 5, "scale": 2}, "id": 2},
                {"name": "a", "data_type": {"type": "ARRAY", "element_type": {"type": "INTEGER"}}, "id": 3},
                {"name": "b", "data_type": {"type": "BIGINT"}, "id": 4},
            ],
            "primary_key": keys,
            "highest_field_id": 4,
        },
        "partition_key": partition,
        "properties": properties,
        "custom_properties": {},
    })
}

fn log(properties: Value) -> Value {
    document(&[], &[], properties)
}

fn keyed(properties: Value) -> Value {
    document(&["i"], &[], properties)
}

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    document
}

fn without(mut document: Value, key: &str) -> Value {
    document.as_object_mut().unwrap().remove(key);
    document
}

/// A table with rows of two fields in it.
fn with_row(names: [&str; 2]) -> Value {
    let field =
        |name: &str, id: i32| json!({"name": name, "field_type": {"type": "INTEGER"}, "field_id": id});
    let row = json!({"type": "ROW", "fields": [field(names[0], 5), field(names[1], 6)]});
    let document = with(log(json!({})), "/schema/columns/4/data_type", row);
    with(document, "/schema/highest_field_id", json!(6))
}

fn aggregated(function: &str, column: usize) -> Value {
    let document = keyed(json!({"table.merge-engine": "aggregation"}));
    let pointer = format!("/schema/columns/{column}/agg_function");
    with(document, &pointer, json!({"type": function}))
}

fn defined(document: &Value) -> Result<Value, Failure> {
    let descriptor = define(&serde_json::to_vec(document).unwrap(), &Limits::default())?;
    Ok(serde_json::from_slice(&descriptor.to_json()).unwrap())
}

fn code(document: &Value) -> i32 {
    defined(document).map_or_else(|failure| failure.code.number(), |_| 0)
}

fn check_codes(cases: Vec<(Value, i32)>) {
    for (document, expected) in cases {
        assert_eq!(code(&document), expected, "{document}: {:?}", defined(&document));
    }
}

#[test]
fn a_table_without_columns_or_with_a_field_twice_is_refused() {
    let row = |fields: Value| json!({"type": "ROW", "fields": fields});
    let field =
        |name: &str, id: i32| json!({"name": name, "field_type": {"type": "INTEGER"}, "field_id": id});
    let of_type = |data_type: Value| {
        let document = with(log(json!({})), "/schema/columns/4/data_type", data_type);
        with(document, "/schema/highest_field_id", json!(9))
    };
    assert_eq!(code(&of_type(row(json!([field("x", 5), field("y", 6)])))), 0);
    let twice = row(json!([field("x", 5), field("x", 6)]));
    check_codes(vec![
        (with(log(json!({})), "/schema/columns", json!([])), 15),
        (of_type(twice.clone()), 15),
        (of_type(json!({"type": "ARRAY", "element_type": twice})), 15),
    ]);
}

#[test]
fn names_are_refused_with_a_code_for_each_kind() {
    for bad in ["", ".", "..", "__a", "a/b", "a b", "a\0b", "ä", &"x".repeat(201)] {
        let code = |result: Result<(), Failure>| result.unwrap_err().code.number();
        assert_eq!(code(check_database(bad)), 16, "{bad}");
        assert_eq!(code(check_table(&TablePath::new(bad, bad))), 16, "{bad}");
        assert_eq!(code(check_table(&TablePath::new("db", bad))), 15, "{bad}");
        assert_eq!(code(check_producer(bad)), 63, "{bad}");
    }
    check_table(&TablePath::new("-db", "A-b_9")).unwrap();
}

#[test]
fn a_definition_has_its_parts() {
    let plain = || log(json!({}));
    check_codes(vec![
        (plain(), 0),
        (keyed(json!({})), 0),
        (json!([]), 15),
        (json!({}), 15),
        (without(plain(), "schema"), 15),
        (without(plain(), "partition_key"), 15),
        (without(plain(), "properties"), 15),
        (without(plain(), "custom_properties"), 15),
        (with(plain(), "/bucket_count", json!(3)), 15),
        (
            with(with(plain(), "/bucket_count", json!(3)), "/bucket_key", json!([])),
            0,
        ),
        (with(plain(), "/bucket_key", json!(["i"])), 0),
        (
            with(plain(), "/schema/columns/0/data_type", json!({"type": "INT"})),
            15,
        ),
        (with(plain(), "/schema/columns/1/name", json!("i")), 15),
        (with(plain(), "/schema/columns/1/name", json!("__offset")), 15),
        (with(plain(), "/schema/columns/1/name", json!("_other")), 0),
        (with(plain(), "/schema/columns/1/id", json!(0)), 15),
        (with_row(["x", "y"]), 0),
        (with_row(["x", "x"]), 15),
        (
            with(
                with(plain(), "/schema/columns", json!([])),
                "/schema/highest_field_id",
                json!(-1),
            ),
            15,
        ),
        (
            with(keyed(json!({})), "/schema/auto_increment_column", json!(["b"])),
            0,
        ),
        (
            with(
                keyed(json!({})),
                "/schema/auto_increment_column",
                json!(["b", "s"]),
            ),
            15,
        ),
        (
            with(keyed(json!({})), "/schema/auto_increment_column", json!(["s"])),
            15,
        ),
        (
            with(keyed(json!({})), "/schema/auto_increment_column", json!(["i"])),
            15,
        ),
        (with(plain(), "/schema/auto_increment_column", json!(["b"])), 15),
    ]);
}

#[test]
fn keys_fit_together() {
    let buckets = |document, keys: &[&str]| with(document, "/bucket_key", json!(keys));
    check_codes(vec![
        (document(&["none"], &[], json!({})), 15),
        (document(&["i", "i"], &[], json!({})), 15),
        (document(&["a"], &[], json!({})), 15),
        (document(&[], &["none"], json!({})), 15),
        (document(&[], &["s", "s"], json!({})), 15),
        (document(&[], &["d"], json!({})), 15),
        (document(&[], &["a"], json!({})), 15),
        (document(&[], &["s"], json!({})), 0),
        (document(&["i", "s"], &["s"], json!({})), 0),
        (document(&["i"], &["s"], json!({})), 15),
        (document(&["s"], &["s"], json!({})), 15),
        (buckets(log(json!({})), &["none"]), 15),
        (buckets(log(json!({})), &["a"]), 15),
        (buckets(log(json!({})), &["i", "i"]), 15),
        (buckets(keyed(json!({})), &["s"]), 15),
        (buckets(document(&["i", "s", "b"], &["s"], json!({})), &["b"]), 0),
        (buckets(document(&["i", "s", "b"], &["s"], json!({})), &["s"]), 15),
        (buckets(document(&[], &["s"], json!({})), &["s"]), 15),
    ]);
}

#[test]
fn counts_have_codes_of_their_own() {
    let count = |n: i32| {
        with(
            with(log(json!({})), "/bucket_key", json!([])),
            "/bucket_count",
            json!(n),
        )
    };
    check_codes(vec![
        (count(0), -1),
        (count(-1), -1),
        (count(4_096), 0),
        (count(4_097), 49),
        (log(json!({"table.replication.factor": "0"})), 17),
        (log(json!({"table.replication.factor": "-1"})), 17),
        (log(json!({"table.replication.factor": "many"})), 39),
    ]);
}

#[test]
fn statistics_are_of_columns_that_can_have_them() {
    let columns = |columns: &str| log(json!({"table.statistics.columns": columns}));
    check_codes(vec![
        (columns("*"), 0),
        (columns("i"), 0),
        (columns(" i , b "), 0),
        (columns("i,i"), 0),
        (columns(""), 39),
        (columns("i,"), 39),
        (columns("x"), 39),
        (columns("i,a"), 39),
        (keyed(json!({"table.statistics.columns": "i"})), 39),
        (
            log(json!({"table.statistics.columns": "i", "table.log.format": "INDEXED"})),
            0,
        ),
    ]);
}

#[test]
fn a_local_log_is_kept_no_longer_than_the_log() {
    let kept = |local: &str, all: &str| log(json!({"table.log.local-ttl": local, "table.log.ttl": all}));
    check_codes(vec![
        (kept("1 d", "2 d"), 0),
        (kept("2 d", "2 d"), 0),
        (kept("3 d", "2 d"), 39),
        (kept("3 d", "0 d"), 0),
        (kept("0 d", "0 d"), 0),
        (kept("x", "2 d"), 39),
    ]);
}

/// What is not kept as it was promised is refused.
#[test]
fn rows_do_not_expire() {
    check_codes(vec![
        (keyed(json!({"table.kv.ttl": "1 d"})), 39),
        (keyed(json!({"table.kv.ttl.time-column": "b"})), 39),
        (keyed(json!({"table.kv.value-layout-version": "2"})), 39),
    ]);
}

#[test]
fn partitions_by_time_have_a_format_of_their_unit() {
    let partitioned = |key: &str, unit: &str, format: &str, enabled: bool| {
        let properties = json!({
            "table.auto-partition.enabled": enabled.to_string(),
            "table.auto-partition.time-unit": unit,
            "table.auto-partition.time-format": format,
        });
        document(&[], &[key], properties)
    };
    let date = |unit: &str, format: &str| {
        with(
            partitioned("i", unit, format, true),
            "/schema/columns/0/data_type",
            json!({"type": "DATE"}),
        )
    };
    check_codes(vec![
        (partitioned("s", "DAY", "yyyy-MM-dd", true), 0),
        (partitioned("s", "MONTH", "yyyy_MM", true), 0),
        (partitioned("s", "DAY", "yyyy-MM", true), 15),
        (partitioned("s", "DAY", "yyyy-MM", false), 15),
        (partitioned("s", "DAY", "yyyy/MM/dd", true), 15),
        (partitioned("i", "YEAR", "yyyy", true), 0),
        (date("DAY", "yyyy-MM-dd"), 0),
        (date("DAY", "yyyyMMdd"), 15),
        (date("MONTH", "yyyy-MM"), 15),
    ]);
}

#[test]
fn only_the_engine_aggregates() {
    let with_function = |function: &str, properties: Value| {
        with(
            keyed(properties),
            "/schema/columns/4/agg_function",
            json!({"type": function}),
        )
    };
    check_codes(vec![
        (
            with_function("sum", json!({"table.merge-engine": "aggregation"})),
            0,
        ),
        (with_function("sum", json!({})), 39),
        (
            with_function("sum", json!({"table.merge-engine": "first_row"})),
            39,
        ),
        (with_function("unheard-of", json!({})), 0),
    ]);
}

#[test]
fn properties_are_known_and_readable() {
    let mut cases = Vec::new();
    for (key, good, bad) in [
        ("table.log.format", &["arrow", "Indexed"][..], &["CSV", ""][..]),
        (
            "table.log.arrow.compression.type",
            &["lz4_frame", "NONE"],
            &["GZIP"],
        ),
        (
            "table.log.arrow.compression.zstd.level",
            &["1", "22"],
            &["0", "23", "x"],
        ),
        ("table.kv.format-version", &["1", "2"], &["3", "x"]),
        (
            "table.log.ttl",
            &["7d", "7 d", "1 day", "0ms", "5 Minutes"],
            &["3600", "-1", "PT5S", "d", "7 weeks", ""],
        ),
        ("table.log.tiered.local-segments", &["1"], &["0", "-1", "1.5"]),
        ("table.datalake.enabled", &["false", "FALSE"], &["yes"]),
        ("table.auto-increment.cache-size", &["1", "9999999999"], &["x"]),
        ("table.auto-partition.time-zone", &["Nowhere/Land"], &[]),
        ("table.unknown", &[], &["1"]),
        ("owner", &[], &["me"]),
    ] {
        cases.extend(good.iter().map(|value| (log(json!({key: value})), 0)));
        cases.extend(bad.iter().map(|value| (log(json!({key: value})), 39)));
    }
    cases.extend([
        (log(json!({"table.datalake.enabled": "true"})), 15),
        (log(json!({"table.log.arrow.compression.zstd.level": 5})), 0),
        (keyed(json!({"table.log.format": "INDEXED"})), 39),
        (
            keyed(json!({"table.log.format": "INDEXED", "table.kv.format": "INDEXED"})),
            0,
        ),
        (keyed(json!({"table.log.format": "COMPACTED"})), 0),
        (
            with(log(json!({})), "/custom_properties", json!({"table.x": "y"})),
            0,
        ),
    ]);
    check_codes(cases);
}

#[test]
fn merge_engines_have_rules() {
    let versioned = |column: &str| {
        keyed(json!({"table.merge-engine": "versioned", "table.merge-engine.versioned.ver-column": column}))
    };
    check_codes(vec![
        (log(json!({"table.merge-engine": "first_row"})), 39),
        (log(json!({"table.delete.behavior": "ignore"})), 39),
        (keyed(json!({"table.merge-engine": "first_row"})), 0),
        (
            keyed(json!({"table.merge-engine": "first_row", "table.delete.behavior": "disable"})),
            0,
        ),
        (
            keyed(json!({"table.merge-engine": "first_row", "table.delete.behavior": "allow"})),
            39,
        ),
        (keyed(json!({"table.merge-engine": "versioned"})), 39),
        (versioned("b"), 0),
        (versioned("s"), 39),
        (versioned("none"), 39),
        (
            keyed(json!({"table.merge-engine": "aggregation", "table.delete.behavior": "allow"})),
            0,
        ),
        (
            keyed(json!({"table.merge-engine": "aggregation", "table.changelog.image": "wal"})),
            39,
        ),
        (keyed(json!({"table.changelog.image": "wal"})), 0),
    ]);
}

#[test]
fn aggregate_functions_take_their_types() {
    let delimiter = |function: &str, parameters: Value| {
        with(
            aggregated(function, 1),
            "/schema/columns/1/agg_function/parameters",
            parameters,
        )
    };
    check_codes(vec![
        (aggregated("sum", 4), 0),
        (aggregated("SUM", 2), 0),
        (aggregated("sum", 1), 39),
        (aggregated("max", 1), 0),
        (aggregated("max", 3), 39),
        (aggregated("last-value", 3), 0),
        (aggregated("bool_and", 4), 39),
        (aggregated("rbm32", 1), 39),
        (aggregated("unheard_of", 1), 0),
        (aggregated("sum", 0), 15),
        (delimiter("listagg", json!({"delimiter": "|"})), 0),
        (delimiter("string_agg", json!({"delimiter": ""})), 39),
        (delimiter("listagg", json!({"separator": "|"})), 39),
        (delimiter("max", json!({"delimiter": "|"})), 39),
        (
            with(
                keyed(json!({})),
                "/schema/columns/1/agg_function",
                json!({"type": "sum"}),
            ),
            39,
        ),
    ]);
    let stored = defined(&aggregated("unheard_of", 1)).unwrap();
    assert_eq!(stored.pointer("/schema/columns/1/agg_function"), None);
}

#[test]
fn automatic_partitions_have_rules() {
    let auto = |partition: &[&str], more: Value| {
        let mut properties = json!({"table.auto-partition.enabled": "true"});
        properties
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        document(&[], partition, properties)
    };
    let key = "table.auto-partition.key";
    let ahead = "table.auto-partition.num-precreate";
    check_codes(vec![
        (auto(&[], json!({})), 39),
        (auto(&["s"], json!({})), 0),
        (auto(&["s"], json!({key: "i"})), 15),
        (auto(&["s", "i"], json!({})), 15),
        (auto(&["s", "i"], json!({key: "s"})), 0),
        (auto(&["s", "i"], json!({key: "b"})), 15),
        (auto(&["s", "i"], json!({key: "s", ahead: "1"})), 15),
        (
            auto(&["s"], json!({"table.auto-partition.time-unit": "week"})),
            39,
        ),
    ]);
    let stored = defined(&auto(&["s", "i"], json!({key: "s"}))).unwrap();
    assert_eq!(stored["properties"][ahead], "0");
}

#[test]
fn the_first_fault_in_the_order_of_the_rules_is_told() {
    let bad = json!({"table.unknown": "1", "table.replication.factor": "0"});
    check_codes(vec![
        (
            with(
                with(log(bad.clone()), "/bucket_key", json!(["none"])),
                "/bucket_count",
                json!(0),
            ),
            15,
        ),
        (
            with(
                with(log(bad.clone()), "/bucket_key", json!([])),
                "/bucket_count",
                json!(0),
            ),
            -1,
        ),
        (log(bad), 17),
        (document(&[], &["d"], json!({"table.unknown": "1"})), 39),
    ]);
}

#[test]
fn what_is_left_open_is_filled_in() {
    let stored = defined(&document(
        &["i", "s"],
        &["s"],
        json!({"table.log.format": "Arrow"}),
    ))
    .unwrap();
    assert_eq!(stored["bucket_key"], json!(["i"]));
    assert_eq!(stored["bucket_count"], 1);
    let properties = json!({
        "table.replication.factor": "1",
        "table.kv.format-version": "2",
        "table.kv.standby-replica.enabled": "true",
        "table.log.format": "Arrow",
    });
    assert_eq!(stored["properties"], properties);
    assert_eq!(stored["schema"]["columns"][0]["data_type"]["nullable"], false);
    let stored = defined(&log(json!({}))).unwrap();
    assert_eq!(stored["bucket_key"], json!([]));
    assert_eq!(stored["properties"], json!({"table.replication.factor": "1"}));
    for (engine, delete) in [("first_row", "IGNORE"), ("aggregation", "IGNORE")] {
        let stored = defined(&keyed(json!({"table.merge-engine": engine}))).unwrap();
        assert_eq!(stored["properties"]["table.delete.behavior"], delete);
    }
}

/// A request and what a server has made of it (`descriptors.md` §2, `v1_0.md` §14.2).
#[test]
fn a_definition_is_stored_as_a_real_server_stores_it() {
    let request = br#"{"version":1,"schema":{"version":1,"columns":[{"name":"id","data_type":{"type":"INTEGER"},"id":0},
        {"name":"b","data_type":{"type":"STRING"},"id":1,"comment":"the b"}],"primary_key":["id"],"highest_field_id":1},
        "partition_key":[],"properties":{},"custom_properties":{}}"#;
    let stored = json!({
        "version": 1,
        "schema": {
            "version": 1,
            "columns": [
                {"name": "id", "data_type": {"type": "INTEGER", "nullable": false}, "id": 0},
                {"name": "b", "data_type": {"type": "STRING"}, "comment": "the b", "id": 1},
            ],
            "primary_key": ["id"],
            "highest_field_id": 1,
        },
        "partition_key": [],
        "bucket_key": ["id"],
        "bucket_count": 3,
        "properties": {
            "table.replication.factor": "1",
            "table.kv.format-version": "2",
            "table.kv.standby-replica.enabled": "true",
        },
        "custom_properties": {},
    });
    let limits = Limits {
        default_buckets: 3,
        ..Limits::default()
    };
    let made = define(request, &limits).unwrap().to_json();
    assert_eq!(serde_json::from_slice::<Value>(&made).unwrap(), stored);
}

#[test]
fn one_node_keeps_one_replica() {
    let stored = defined(&log(json!({"table.replication.factor": "3"}))).unwrap();
    assert_eq!(stored["properties"]["table.replication.factor"], "1");
}

#[test]
fn kinds_of_tables_can_be_forbidden() {
    let code = |document: Value, limits: Limits| {
        let defined = define(&serde_json::to_vec(&document).unwrap(), &limits);
        defined.map_or_else(|failure| failure.code.number(), |_| 0)
    };
    let no_logs = Limits {
        allow_log_tables: false,
        ..Limits::default()
    };
    let no_keys = Limits {
        allow_kv_tables: false,
        ..Limits::default()
    };
    assert_eq!(
        [code(log(json!({})), no_logs), code(keyed(json!({})), no_logs)],
        [15, 0]
    );
    assert_eq!(
        [code(log(json!({})), no_keys), code(keyed(json!({})), no_keys)],
        [0, 15]
    );
}

proptest::proptest! {
    #[test]
    fn no_definition_panics(text in ".{0,200}", key in "table\\.[a-z.-]{0,20}", value in ".{0,20}") {
        let _ = define(text.as_bytes(), &Limits::default());
        let _ = defined(&keyed(json!({key: value})));
    }
}
