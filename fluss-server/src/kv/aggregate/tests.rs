use fluss_core::types::{AggregateFunction, Datum, Decimal};

use super::{Function, bitmap};
use crate::Failure;

fn function(name: &str) -> Function {
    Function::of(Some(&AggregateFunction {
        name: name.to_owned(),
        parameters: std::collections::BTreeMap::new(),
    }))
}

fn merge<'v>(name: &str, old: impl Into<Datum<'v>>, new: impl Into<Datum<'v>>) -> Result<Datum<'v>, Failure> {
    function(name)
        .merge(old.into(), new.into())
        .map_err(Failure::from)
}

#[track_caller]
fn check<'v>(
    name: &str,
    old: impl Into<Datum<'v>>,
    new: impl Into<Datum<'v>>,
    expected: impl Into<Datum<'v>>,
) {
    assert_eq!(merge(name, old, new), Ok(expected.into()));
}

#[test]
fn integers_wrap_around() {
    check("sum", i8::MAX, 1_i8, i8::MIN);
    check("sum", i16::MIN, -1_i16, i16::MAX);
    check("sum", i32::MAX, 2, i32::MIN + 1);
    check("product", 1_i64 << 40, 1_i64 << 23, i64::MIN);
    check("sum", 1.5_f32, 2.25_f32, 3.75_f32);
    check("product", 1.5, 4.0, 6.0);
}

#[test]
fn decimals_keep_their_scale() {
    let decimal = |unscaled| Decimal::new(unscaled, 2);
    check("sum", decimal(150), decimal(-275), decimal(-125));
    check("product", decimal(150), decimal(-275), decimal(-413));
    check("product", decimal(10), decimal(5), decimal(1));
    let large = 10_i128.pow(38) - 1;
    check("product", decimal(large), decimal(100), decimal(large));
    assert!(merge("sum", decimal(large), decimal(1)).is_err());
    assert!(merge("product", decimal(large), decimal(large)).is_err());
}

#[test]
fn the_larger_and_the_smaller_are_found() {
    check("max", 1, 2, 2);
    check("max", "b", "ab", "b");
    check("min", "b", "ab", "ab");
    check("min", Datum::Date(3), Datum::Date(4), Datum::Date(3));
    check(
        "max",
        Decimal::new(-1, 1),
        Decimal::new(-2, 1),
        Decimal::new(-1, 1),
    );
}

#[test]
fn nulls_are_passed_over_but_by_the_last_value() {
    for name in [
        "sum",
        "max",
        "first_value",
        "FIRST-VALUE-IGNORE-NULLS",
        "last_value_ignore_nulls",
        "no such",
    ] {
        check(name, Datum::Null, 1, 1);
        check(name, 1, Datum::Null, 1);
    }
    check("last_value", 1, Datum::Null, Datum::Null);
    check("first_value", 1, 2, 1);
    check("last_value_ignore_nulls", 1, 2, 2);
    check("no such", 1, 2, 2);
}

#[test]
fn texts_are_joined_and_truths_combined() {
    check("listagg", "a", "b", "a,b");
    let spaced = AggregateFunction {
        name: "String-Agg".to_owned(),
        parameters: [("delimiter".to_owned(), " - ".to_owned())].into(),
    };
    let joined = Function::of(Some(&spaced)).merge("a".into(), "".into());
    assert_eq!(joined.unwrap(), "a - ".into());
    check("bool_and", true, false, false);
    check("bool_or", true, false, true);
}

fn bitmap32(numbers: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let bitmap: roaring::RoaringBitmap = numbers.iter().copied().collect();
    bitmap.serialize_into(&mut bytes).unwrap();
    bytes
}

/// As a 0.9.1 server stores it.
fn bitmap64(numbers: &[u16]) -> Vec<u8> {
    let head = [1_u8, 1, 0, 0, 0, 0, 0, 0, 0, 4].into_iter().chain([0; 17]);
    let mut bytes: Vec<u8> = head.chain([1, 0, 0, 0, 0xFE, 1, 0, 0, 0, 1, 2]).collect();
    bytes.extend((numbers.len() as u32).to_le_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(1_u128.to_le_bytes());
    bytes
}

#[test]
fn bitmaps_are_united() {
    check(
        "rbm32",
        bitmap32(&[1, 3, 1 << 31]),
        bitmap32(&[2, 3]),
        bitmap32(&[1, 2, 3, 1 << 31]),
    );
    check(
        "rbm64",
        bitmap64(&[1, 300]),
        bitmap64(&[0, 300, 65_535]),
        bitmap64(&[0, 1, 300, 65_535]),
    );
    check("rbm64", vec![0], bitmap64(&[7]), bitmap64(&[7]));
    check("rbm64", bitmap64(&[7]), vec![0], bitmap64(&[7]));
}

#[test]
fn bitmaps_that_cannot_be_read_are_refused() {
    let good = || bitmap32(&[1]);
    assert!(merge("rbm32", good(), b"bitmap".as_slice()).is_err());
    assert!(merge("rbm32", [good(), vec![0]].concat(), good()).is_err());
    let cut = &bitmap64(&[1])[..40];
    assert!(merge("rbm64", cut, bitmap64(&[1])).is_err());
    assert!(merge("rbm64", bitmap64(&[1]), good()).is_err());
    let many: Vec<u16> = (0..4_096).collect();
    assert!(merge("rbm64", bitmap64(&many), bitmap64(&[1])).is_ok());
    assert!(merge("rbm64", bitmap64(&many), bitmap64(&[5_000])).is_err());
    assert!(bitmap::union(bitmap::Bits::B32, &Datum::from(1), &Datum::from(1)).is_err());
}
