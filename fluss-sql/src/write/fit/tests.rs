use arrow::array::{
    Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, Int64Builder, ListArray, MapBuilder,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Decimal128Type, Fields, Float64Type, Int16Type, Int32Type, TimeUnit};
use proptest::prelude::*;

use super::*;

fn field(data_type: &str) -> Field {
    Field::new("c", data_type.parse().unwrap())
}

/// The Arrow type of a column, as scans show it.
fn wire(data_type: &DataType) -> ArrowType {
    match data_type.kind() {
        Kind::Boolean => ArrowType::Boolean,
        Kind::TinyInt => ArrowType::Int8,
        Kind::SmallInt => ArrowType::Int16,
        Kind::Int => ArrowType::Int32,
        Kind::BigInt => ArrowType::Int64,
        Kind::Float => ArrowType::Float32,
        Kind::Double => ArrowType::Float64,
        Kind::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
        Kind::Binary(length) => ArrowType::FixedSizeBinary(*length as i32),
        Kind::Bytes => ArrowType::Binary,
        Kind::Date => ArrowType::Date32,
        Kind::Time(_) => ArrowType::Time32(TimeUnit::Millisecond),
        Kind::Timestamp(_) => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        Kind::TimestampLtz(_) => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Array(element) => {
            let field = arrow::datatypes::Field::new("element", wire(element), element.is_nullable());
            ArrowType::List(Arc::new(field))
        }
        _ => ArrowType::Utf8,
    }
}

fn fitted(array: impl Array + 'static, data_type: &str) -> Result<ArrayRef, String> {
    let (array, field): (ArrayRef, Field) = (Arc::new(array), field(data_type));
    fit(&array, &field, &wire(&field.data_type), 0).map_err(|error| error.message)
}

#[test]
fn numbers_fit_if_nothing_is_lost() {
    let given = Int64Array::from(vec![Some(127), None, Some(-128)]);
    let fit = fitted(given, "TINYINT").unwrap();
    assert_eq!(fit.data_type(), &ArrowType::Int8);
    assert_eq!((fit.null_count(), fit.len()), (1, 3));
    let fault = fitted(Int64Array::from(vec![5, 300]), "TINYINT").unwrap_err();
    assert_eq!(fault, "column 'c': 300 does not fit TINYINT (row 2)");
    let fault = fitted(Float64Array::from(vec![1.0, 1.5]), "INT").unwrap_err();
    assert_eq!(fault, "column 'c': 1.5 has more digits than INT (row 2)");
    let fault = fitted(Int64Array::from(vec![(1 << 53) + 1]), "DOUBLE").unwrap_err();
    assert_eq!(
        fault,
        "column 'c': 9007199254740993 has more digits than DOUBLE (row 1)"
    );
    let decimal = |digits: i128| {
        Decimal128Array::from(vec![digits])
            .with_precision_and_scale(6, 3)
            .unwrap()
    };
    assert!(fitted(decimal(12_340), "DECIMAL(4,2)").is_ok());
    let fault = fitted(decimal(12_345), "DECIMAL(4,2)").unwrap_err();
    assert_eq!(
        fault,
        "column 'c': 12.345 has more digits than DECIMAL(4,2) (row 1)"
    );
    assert!(
        fitted(decimal(123_450), "DECIMAL(4,2)")
            .unwrap_err()
            .contains("does not fit")
    );
    assert!(fitted(decimal(5_000), "INT").is_ok());
    assert!(fitted(decimal(5_001), "INT").is_err());
}

#[test]
fn a_decimal_becomes_the_nearest_double() {
    let digits = Decimal128Array::from(vec![12_345_678_901_234_567_890_i128]);
    let fit = fitted(digits.with_precision_and_scale(20, 20).unwrap(), "DOUBLE").unwrap();
    let nearest: f64 = "0.12345678901234567890".parse().unwrap();
    assert_eq!(
        fit.as_primitive::<Float64Type>().value(0).to_bits(),
        nearest.to_bits()
    );
    assert!(
        fitted(Float64Array::from(vec![1e300]), "FLOAT")
            .unwrap_err()
            .contains("does not fit FLOAT")
    );
    assert!(fitted(Float64Array::from(vec![f64::NAN, f64::INFINITY, 0.1]), "FLOAT").is_ok());
}

#[test]
fn text_is_read_as_its_column_has_it() {
    let text = |text: &str| StringArray::from(vec![text]);
    assert!(fitted(text("17"), "INT").is_ok());
    assert!(
        fitted(text("x"), "INT")
            .unwrap_err()
            .contains("'x' does not fit INT")
    );
    assert!(fitted(text("1.5"), "INT").is_err());
    assert!(fitted(text("1.50"), "DECIMAL(4,1)").is_ok());
    assert!(fitted(text("1.55"), "DECIMAL(4,1)").is_err());
    assert!(fitted(text("2024-02-29"), "DATE").is_ok());
    assert!(fitted(text("2023-02-29"), "DATE").is_err());
    assert!(fitted(text("12:30:01.5"), "TIME(3)").is_ok());
    assert!(fitted(text("12:30:01.5"), "TIME(0)").is_err());
    assert!(fitted(text("2024-02-29 12:00:00.123456"), "TIMESTAMP(6)").is_ok());
    assert!(fitted(text("2024-02-29 12:00:00.1234567"), "TIMESTAMP(6)").is_err());
    assert!(fitted(text("abc"), "CHAR(3)").is_ok());
    assert_eq!(
        fitted(text("abcd"), "CHAR(3)").unwrap_err(),
        "column 'c': 'abcd' is longer than CHAR(3) (row 1)"
    );
    assert!(fitted(text("ab"), "BINARY(2)").is_ok());
    assert!(
        fitted(text("abc"), "BINARY(2)")
            .unwrap_err()
            .contains("has 3 bytes")
    );
}

#[test]
fn what_is_of_another_kind_is_refused() {
    let fault = fitted(Int32Array::from(vec![7]), "STRING").unwrap_err();
    assert_eq!(
        fault,
        "column 'c': 7 is of type Int32, and the column is STRING (row 1)"
    );
    assert!(fitted(Int32Array::from(vec![1]), "BOOLEAN").is_err());
    assert!(fitted(Date32Array::from(vec![1]), "INT").is_err());
}

#[test]
fn a_null_is_refused_where_there_is_to_be_none() {
    let given: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let column = field("INT NOT NULL");
    let error = fit(&given, &column, &ArrowType::Int32, 10).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Constraint);
    assert_eq!(
        error.message,
        "column 'c': NULL, and the column is NOT NULL (row 12)"
    );
}

#[test]
fn moments_keep_their_digits_and_their_meaning() {
    let nanos = TimestampNanosecondArray::from(vec![1_000]);
    assert!(fitted(nanos, "TIMESTAMP(6)").is_ok());
    let nanos = TimestampNanosecondArray::from(vec![1_001]);
    assert!(
        fitted(nanos, "TIMESTAMP(6)")
            .unwrap_err()
            .contains("has more digits than TIMESTAMP(6)")
    );
    let micros = TimestampMicrosecondArray::from(vec![1_500]).with_timezone("UTC");
    assert!(fitted(micros, "TIMESTAMP_LTZ(6)").is_ok());
    let before = TimestampNanosecondArray::from(vec![-1_000]);
    let fit = fitted(before, "TIMESTAMP(6)").unwrap();
    assert_eq!(
        fit.as_primitive::<arrow::datatypes::TimestampMicrosecondType>()
            .value(0),
        -1
    );
}

#[test]
fn an_element_that_does_not_fit_is_told_with_its_row() {
    let lists = vec![Some(vec![Some(1)]), None, Some(vec![Some(2), Some(70_000)])];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
    let fault = fitted(lists, "ARRAY<SMALLINT>").unwrap_err();
    assert_eq!(fault, "column 'c': 70000 does not fit SMALLINT (row 3)");
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    let fit = fitted(lists, "ARRAY<SMALLINT>").unwrap();
    assert_eq!(
        fit.as_list::<i32>().values().as_primitive::<Int16Type>().value(0),
        1
    );
}

/// A map of text to numbers, and a struct, as they come from a caller without types.
fn map(entries: &[(&str, i64)]) -> ArrayRef {
    let mut built = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (key, value) in entries {
        built.keys().append_value(key);
        built.values().append_value(*value);
    }
    built.append(true).unwrap();
    Arc::new(built.finish())
}

#[test]
fn a_map_is_a_row_where_one_is_wanted_and_a_struct_a_map() {
    let column = field("ROW<x INT,y STRING>");
    let fields = Fields::from(vec![
        arrow::datatypes::Field::new("x", ArrowType::Int32, true),
        arrow::datatypes::Field::new("y", ArrowType::Utf8, true),
    ]);
    let wire = ArrowType::Struct(fields.clone());
    let row = fit(&map(&[("x", 7)]), &column, &wire, 0).unwrap();
    let row = row.as_struct();
    assert_eq!(row.column(0).as_primitive::<Int32Type>().value(0), 7);
    assert!(row.column(1).is_null(0));
    let error = fit(&map(&[("z", 7)]), &column, &wire, 0).unwrap_err();
    assert!(error.message.contains("'z'"), "{error}");

    let given = StructArray::from(vec![
        (fields[0].clone(), Arc::new(Int32Array::from(vec![1])) as ArrayRef),
        (
            Arc::new(arrow::datatypes::Field::new("b", ArrowType::Int64, true)),
            Arc::new(Int64Array::from(vec![None])) as ArrayRef,
        ),
    ]);
    let entries = Fields::from(vec![
        arrow::datatypes::Field::new("key", ArrowType::Utf8, false),
        arrow::datatypes::Field::new("value", ArrowType::Int64, true),
    ]);
    let entries = arrow::datatypes::Field::new("entries", ArrowType::Struct(entries), false);
    let wire = ArrowType::Map(Arc::new(entries), false);
    let given: ArrayRef = Arc::new(given);
    let fitted = fit(&given, &field("MAP<STRING,BIGINT>"), &wire, 0).unwrap();
    let fitted = fitted.as_map();
    assert_eq!(fitted.value_length(0), 2);
    assert_eq!(fitted.keys().as_string::<i32>().value(1), "b");
    assert!(fitted.values().is_null(1));
}

#[test]
fn a_float_is_a_decimal_by_its_digits() {
    let decimal = |value: f64, data_type: &str| {
        let fitted = fitted(Float64Array::from(vec![value]), data_type)?;
        Ok::<_, String>(fitted.as_primitive::<Decimal128Type>().value_as_string(0))
    };
    assert_eq!(decimal(19.99, "DECIMAL(38,18)").unwrap(), "19.990000000000000000");
    assert_eq!(decimal(1e3, "DECIMAL(10,2)").unwrap(), "1000.00");
    assert!(
        decimal(19.999, "DECIMAL(10,2)")
            .unwrap_err()
            .contains("has more digits")
    );
    assert!(
        decimal(f64::NAN, "DECIMAL(10,2)")
            .unwrap_err()
            .contains("does not fit")
    );
    assert!(
        decimal(1e300, "DECIMAL(10,2)")
            .unwrap_err()
            .contains("does not fit")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_fits_is_what_was_given(number: i64) {
        match fitted(Int64Array::from(vec![number]), "INT") {
            Ok(fit) => prop_assert_eq!(i64::from(fit.as_primitive::<Int32Type>().value(0)), number),
            Err(_) => prop_assert!(i32::try_from(number).is_err()),
        }
        match fitted(Int64Array::from(vec![number]), "DOUBLE") {
            Ok(fit) => prop_assert_eq!(fit.as_primitive::<Float64Type>().value(0) as i128, i128::from(number)),
            Err(_) => prop_assert!(number.unsigned_abs() > 1 << 53),
        }
    }
}
