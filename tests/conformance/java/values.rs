//! Values that the Java client can take and give.

use std::collections::BTreeMap;

use fluss_client::types::{DataType, Datum, Kind, Timestamp};

/// The same value, where the entries of maps are distinct and in an order. The Java client takes no others, and gives
/// them in any order.
pub fn in_order(value: Datum<'static>) -> Datum<'static> {
    let all = |values: Vec<_>| values.into_iter().map(in_order).collect();
    match value {
        Datum::Array(values) => Datum::Array(all(values)),
        Datum::Row(values) => Datum::Row(all(values)),
        Datum::Map(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (key, in_order(value)));
            let sorted: BTreeMap<_, _> = entries.map(|entry| (format!("{:?}", entry.0), entry)).collect();
            Datum::Map(sorted.into_values().collect())
        }
        scalar => scalar,
    }
}

/// The same value, unless others cannot hand it on.
///
/// A CHAR that is nested or in an INDEXED row has its full length: the zeros that fill it up otherwise come out of the
/// changelog, and the Java client gives what lies in its memory for an empty one. It also fails to read moments before
/// 1970 that are no whole milliseconds.
pub fn tame(data_type: &DataType, value: Datum<'static>) -> Datum<'static> {
    match (data_type.kind(), value) {
        (Kind::Char(length), Datum::String(text)) => format!("{text:~<0$}", *length as usize).into(),
        (_, Datum::Timestamp(moment)) => Datum::Timestamp(tame_moment(moment)),
        (_, Datum::TimestampLtz(moment)) => Datum::TimestampLtz(tame_moment(moment)),
        (Kind::Array(element), Datum::Array(values)) => {
            Datum::Array(values.into_iter().map(|value| tame(element, value)).collect())
        }
        (Kind::Map(key, value), Datum::Map(entries)) => {
            let entries = entries.into_iter();
            Datum::Map(
                entries
                    .map(|entry| (tame(key, entry.0), tame(value, entry.1)))
                    .collect(),
            )
        }
        (Kind::Row(row_type), Datum::Row(values)) => {
            let types = row_type.fields().iter().map(|field| &field.data_type);
            Datum::Row(
                types
                    .zip(values)
                    .map(|(data_type, value)| tame(data_type, value))
                    .collect(),
            )
        }
        (_, value) => value,
    }
}

fn tame_moment(moment: Timestamp) -> Timestamp {
    if moment.millis() < 0 {
        Timestamp::from_millis(moment.millis())
    } else {
        moment
    }
}
