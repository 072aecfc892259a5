//! `partitions.json`, `partitions_1_0.json`: names from values, and names from the clock.

use fluss_core::row::{AutoPartitionUnit, TimeFormat, partition_name};
use fluss_core::types::Timestamp;
use serde_json::Value;

use crate::vectors::{each, row, row_type};

/// The only time that the vectors know.
const NOW: (&str, i64) = ("2024-11-05T07:30:00Z", 1_730_791_800_000);

fn name(vector: &Value) -> String {
    if let Some(unit) = vector["auto_partition_unit"].as_str() {
        assert_eq!(vector["now_utc"], NOW.0);
        let unit: AutoPartitionUnit = unit.parse().unwrap();
        let offset = i32::try_from(vector["offset"].as_i64().unwrap()).unwrap();
        return unit.text(Timestamp::from_millis(NOW.1), offset);
    }
    let row_type = row_type(vector);
    let keys: Vec<_> = (0..row_type.len()).collect();
    let row = row(&row_type, &vector["values"]);
    partition_name(&row_type, &keys, &row).unwrap().to_string()
}

#[test]
fn partitions_have_their_names() {
    each("partitions.json", 84, |vector| {
        assert_eq!(name(vector), vector["partition_name"]);
    });
}

#[test]
fn partitions_are_named_by_a_format_of_their_table() {
    let mut refused = 0;
    each("partitions_1_0.json", 49, |vector| {
        let unit: AutoPartitionUnit = vector["auto_partition_unit"].as_str().unwrap().parse().unwrap();
        let format = TimeFormat::parse(unit, vector["time_format"].as_str().unwrap());
        if vector["refused"] == true {
            assert!(format.is_err(), "{vector}");
            refused += 1;
            return;
        }
        assert_eq!(vector["now_utc"], NOW.0);
        let (format, offset) = (format.unwrap(), vector["offset"].as_i64().unwrap());
        let name = format.text(Timestamp::from_millis(NOW.1), i32::try_from(offset).unwrap());
        assert_eq!(name, vector["partition_name"]);
        assert!(format.is_time(&name));
    });
    assert_eq!(refused, 10);
}
