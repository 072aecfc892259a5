//! `partitions.json`: names from values, and names from the clock.

use fluss_core::row::{AutoPartitionUnit, partition_name};
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
