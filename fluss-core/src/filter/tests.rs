use arrow::array::BooleanArray;

use super::*;
use crate::arrow::{ColumnsBuilder, user_schema, with_schema};
use crate::row::partition_name;
use crate::types::{DataType, Decimal, Field, OwnedRow, RowType, Timestamp};

fn types() -> RowType {
    RowType::new([
        Field::new("n", DataType::int()),
        Field::new("s", DataType::string()),
        Field::new("x", DataType::double()),
        Field::new("d", DataType::decimal(5, 2).unwrap()),
        Field::new("at", DataType::timestamp_ltz(3).unwrap()),
        Field::new("tags", DataType::array(DataType::int())),
    ])
}

fn row(n: Option<i32>, s: Option<&'static str>, x: f64) -> OwnedRow {
    vec![
        n.into(),
        s.into(),
        x.into(),
        n.map(|n| Decimal::new(i128::from(n) * 100, 2)).into(),
        Datum::TimestampLtz(Timestamp::from_millis(i64::from(n.unwrap_or(0)))),
        Datum::Null,
    ]
}

/// Which of five rows hold a condition.
fn held(predicate: &Predicate) -> Vec<usize> {
    let mut columns = ColumnsBuilder::new(&types(), 5);
    for row in [
        row(Some(1), Some("ab"), 0.0),
        row(Some(2), None, -0.0),
        row(None, Some("b"), f64::NAN),
        row(Some(4), Some("abc"), -f64::NAN),
        row(Some(5), Some(""), f64::INFINITY),
    ] {
        columns.append(&row).unwrap();
    }
    let batch = columns.finish().unwrap();
    let filter = Filter::new(predicate, &types()).unwrap();
    let positions = |held: BooleanArray| -> Vec<usize> {
        assert_eq!(arrow::array::Array::null_count(&held), 0);
        held.iter()
            .enumerate()
            .filter(|(_, held)| *held == Some(true))
            .map(|(row, _)| row)
            .collect()
    };
    let wire = positions(filter.matches(&batch).unwrap());
    let shown = with_schema(&batch, &user_schema(&types())).unwrap();
    assert_eq!(positions(filter.matches(&shown).unwrap()), wire);
    wire
}

#[test]
fn nulls_compare_to_nothing() {
    assert_eq!(held(&col("n").ge(2)), [1, 3, 4]);
    assert_eq!(held(&!col("n").ge(2)), [0]);
    assert_eq!(held(&col("n").ne(2)), [0, 3, 4]);
    assert_eq!(held(&col("n").is_null()), [2]);
    assert_eq!(held(&col("n").is_not_null()), [0, 1, 3, 4]);
    assert_eq!(held(&col("n").is_in([1, 4])), [0, 3]);
    assert_eq!(held(&!col("n").is_in([1, 4])), [1, 4]);
    assert_eq!(held(&col("tags").is_null()).len(), 5);
    assert!(held(&col("n").is_in(Vec::<i32>::new())).is_empty());
}

#[test]
fn conditions_combine_in_three_values() {
    assert_eq!(held(&(col("n").gt(1) & col("s").starts_with("a"))), [3]);
    assert_eq!(held(&(col("n").gt(1) | col("s").eq("b"))), [1, 2, 3, 4]);
    assert_eq!(held(&!(col("n").gt(1) | col("s").eq("b"))), [0]);
    assert_eq!(held(&Predicate::All(vec![])).len(), 5);
    assert!(held(&Predicate::Any(vec![])).is_empty());
}

#[test]
fn text_is_found_in_its_place() {
    assert_eq!(held(&col("s").starts_with("ab")), [0, 3]);
    assert_eq!(held(&col("s").ends_with("b")), [0, 2]);
    assert_eq!(held(&col("s").contains("b")), [0, 2, 3]);
    assert_eq!(held(&col("s").contains("%")), [0; 0]);
    assert_eq!(held(&col("s").lt("abc")), [0, 4]);
}

#[test]
fn there_is_one_zero_and_one_nan() {
    assert_eq!(held(&col("x").eq(0.0)), [0, 1]);
    assert_eq!(held(&col("x").is_in([-0.0])), [0, 1]);
    assert_eq!(held(&col("x").eq(f64::NAN)), [2, 3]);
    assert_eq!(held(&col("x").gt(1)), [2, 3, 4]);
}

#[test]
fn numbers_are_widened_and_never_rounded() {
    assert_eq!(held(&col("n").eq(4_i64)), [3]);
    assert_eq!(held(&col("d").ge(4)), [3, 4]);
    assert_eq!(held(&col("d").lt(Decimal::new(15, 1))), [0]);
    assert_eq!(
        held(&col("at").gt(Datum::TimestampLtz(Timestamp::from_millis(1)))),
        [1, 3, 4]
    );
    let fault = |predicate: Predicate| Filter::new(&predicate, &types()).unwrap_err().to_string();
    assert_eq!(
        fault(col("n").eq(i64::MAX)),
        format!("column 'n': {} is beyond the range of INT", i64::MAX)
    );
    assert!(fault(col("d").eq(Decimal::new(1_001, 3))).starts_with("column 'd': "));
    assert!(fault(col("n").eq("1")).starts_with("column 'n': "));
    assert!(fault(col("x").eq(i64::MAX)).starts_with("column 'x': "));
    assert!(fault(col("n").eq(Datum::Null)).contains("ask whether it is null"));
    assert_eq!(fault(col("z").is_null()), "column 'z': there is no such column");
    assert!(fault(col("n").starts_with("1")).contains("has no text"));
    assert!(fault(col("tags").eq(1)).contains("can only be tested for null"));
}

#[test]
fn partitions_are_ruled_out_by_what_their_names_tell() {
    let types = RowType::new([
        Field::new("region", DataType::string()),
        Field::new("day", DataType::date()),
        Field::new("n", DataType::int()),
    ]);
    let name = partition_name(&types, &[0, 1], &["eu".into(), Datum::Date(19_782), 7.into()]).unwrap();
    let may = |predicate: Predicate| {
        Filter::new(&predicate, &types)
            .unwrap()
            .may_match(&types, &[0, 1], &name)
    };
    assert!(may(col("region").eq("eu")));
    assert!(!may(col("region").eq("us")));
    assert!(!may(col("region").eq("us") & col("n").eq(1)));
    assert!(may(col("region").eq("us") | col("n").eq(1)));
    assert!(may(!(col("region").eq("us") & col("n").eq(1))));
    assert!(!may(!col("region").is_in(["eu"])));
    assert!(!may(col("day").gt(Datum::Date(19_782))));
    assert!(may(col("day").ge(Datum::Date(19_782))));
    assert!(!may(col("region").is_null()));
    assert!(may(col("n").is_null()));
}
