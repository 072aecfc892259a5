//! Different values have different keys and different partitions, or rows would be lost in one another.

use fluss_core::row::{AutoPartitionUnit, KeyEncoder, KeyFormat, partition_name, partition_value};
use fluss_core::types::{Datum, Decimal, Kind, OwnedRow, RowType, Timestamp};
use fluss_tests::arbitrary::{Options, datum, row, row_type};
use proptest::prelude::*;

use crate::cases::cases;

const SCALARS: Options = Options {
    depth: 0,
    columns: 4,
    scalars: |_| true,
    nulls: false,
};

/// A row, and the same row with another value in one column: any other, or the one next to it.
fn neighbours(options: Options) -> impl Strategy<Value = (RowType, OwnedRow, OwnedRow)> {
    let row_and_column = row_type(options).prop_flat_map(|row_type| {
        let (row, column) = (row(&row_type), 0..row_type.len());
        (Just(row_type), row, column)
    });
    row_and_column.prop_flat_map(|(row_type, row, column)| {
        let data_type = &row_type.fields()[column].data_type;
        let next = Just(next(data_type.kind(), &row[column]));
        let other = prop_oneof![datum(data_type), next].prop_map({
            let row = row.clone();
            move |value| {
                let mut other = row.clone();
                other[column] = value;
                other
            }
        });
        (Just(row_type), Just(row), other)
    })
}

/// The next value of a type, where one loses its last digit first; that of texts and bytes may be the same.
fn next(kind: &Kind, value: &Datum<'static>) -> Datum<'static> {
    let unit = |digits: u8, precision: u8| 10_i64.pow(u32::from(digits.saturating_sub(precision)));
    let later = |moment: &Timestamp, precision: u8| {
        let nanos = moment.nanos().unwrap();
        Timestamp::from_nanos(nanos.checked_add(unit(9, precision)).unwrap_or(nanos))
    };
    match (kind, value) {
        (Kind::Time(precision), Datum::Time(millis)) => {
            Datum::Time((millis + unit(3, *precision) as i32) % 86_400_000)
        }
        (Kind::Timestamp(precision), Datum::Timestamp(moment)) => Datum::Timestamp(later(moment, *precision)),
        (Kind::TimestampLtz(precision), Datum::TimestampLtz(moment)) => {
            Datum::TimestampLtz(later(moment, *precision))
        }
        (_, Datum::Date(days)) => Datum::Date(days + 1),
        (_, Datum::TinyInt(value)) => value.wrapping_add(1).into(),
        (_, Datum::SmallInt(value)) => value.wrapping_add(1).into(),
        (_, Datum::Int(value)) => value.wrapping_add(1).into(),
        (_, Datum::BigInt(value)) => value.wrapping_add(1).into(),
        (_, Datum::Float(value)) => value.next_down().into(),
        (_, Datum::Double(value)) => value.next_down().into(),
        (_, Datum::Boolean(value)) => (!value).into(),
        (_, Datum::Decimal(value)) => Decimal::new(value.unscaled() / 10, value.scale()).into(),
        (_, value) => value.clone(),
    }
}

/// Whether two rows hold the same values, as far as bytes tell: 0 and -0 are not the same.
fn same(row: &OwnedRow, other: &OwnedRow) -> bool {
    format!("{row:?}") == format!("{other:?}")
}

fn check_keys(format: KeyFormat, options: Options) {
    cases(
        &format!("{format:?} keys"),
        &neighbours(options),
        |(row_type, row, other)| {
            let columns: Vec<_> = (0..row_type.len()).collect();
            let encoder = KeyEncoder::new(format, &row_type, &columns).unwrap();
            let key = |row: &OwnedRow| {
                let mut key = Vec::new();
                encoder.encode(row, &mut key).unwrap();
                key
            };
            prop_assert_eq!(key(&row) == key(&other), same(&row, &other));
            Ok(())
        },
    );
}

#[test]
fn different_rows_have_different_keys() {
    check_keys(KeyFormat::Fluss, SCALARS);
    check_keys(KeyFormat::Paimon, SCALARS);
}

/// Iceberg counts microseconds, and takes one column of some types.
#[test]
fn different_values_have_different_iceberg_keys() {
    let options = Options {
        columns: 1,
        scalars: |kind| {
            !matches!(
                kind,
                Kind::Boolean | Kind::TinyInt | Kind::SmallInt | Kind::TimestampLtz(_) | Kind::Timestamp(7..)
            )
        },
        ..SCALARS
    };
    check_keys(KeyFormat::Iceberg, options);
}

/// Decimals cannot be partition keys, and a `$` in a text is not allowed in a name.
const PARTITION_KEYS: Options = Options {
    scalars: |kind| !matches!(kind, Kind::Decimal { .. }),
    ..SCALARS
};

#[test]
fn different_rows_have_different_partitions() {
    cases(
        "partition names",
        &neighbours(PARTITION_KEYS),
        |(row_type, row, other)| {
            let keys: Vec<_> = (0..row_type.len()).collect();
            let name = |row: &OwnedRow| partition_name(&row_type, &keys, row).unwrap();
            let (found, others) = (name(&row), name(&other));
            prop_assert_eq!(found == others, same(&row, &other));
            let texts: Vec<_> = row_type
                .fields()
                .iter()
                .zip(&row)
                .map(|(field, value)| partition_value(&field.data_type, value).unwrap())
                .collect();
            prop_assert_eq!(texts.join("$"), found.to_string());
            Ok(())
        },
    );
}

/// Servers drop the partitions whose names sort before that of the oldest to keep (`descriptors.md` §6.1).
#[test]
fn names_from_the_clock_sort_as_time_does() {
    const UNITS: [AutoPartitionUnit; 5] = [
        AutoPartitionUnit::Year,
        AutoPartitionUnit::Quarter,
        AutoPartitionUnit::Month,
        AutoPartitionUnit::Day,
        AutoPartitionUnit::Hour,
    ];
    // Years 2000 to 8999, and a thousand more either way.
    let now = (946_684_800_000..221_845_392_000_000_i64).prop_map(Timestamp::from_millis);
    cases(
        "names from the clock",
        &(now, -1_000..999_i32),
        |(now, offset)| {
            for unit in UNITS {
                let (earlier, later) = (unit.text(now, offset), unit.text(now, offset + 1));
                if offset > -900 || !matches!(unit, AutoPartitionUnit::Year) {
                    prop_assert!(earlier < later, "{unit:?}: {earlier} {later}");
                }
            }
            Ok(())
        },
    );
}
