//! Which keys a condition leaves, where those are few.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use fluss_client::types::{Kind, TableInfo};

use super::filters::scalar;
use crate::error::Result;

/// How many keys are looked up instead of reading the table.
pub(super) const MAX_KEYS: usize = 4_096;

/// Keys to look up.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Whether they are whole primary keys, or else what some begin with.
    pub(super) whole: bool,
    /// The columns of the keys, one row for each.
    pub(super) keys: RecordBatch,
}

/// The keys that conditions leave, if they leave a few: those of whole primary keys, or of a bucket key that others begin with.
pub(super) fn wanted(filters: &[Expr], info: &TableInfo) -> Result<Option<Wanted>> {
    let pinned = pinned(filters, info);
    let primary = info.schema().primary_key();
    if let Some(keys) = product(primary, &pinned)? {
        return Ok(Some(Wanted { whole: true, keys }));
    }
    // Rows are looked up by the bucket key if the primary key goes on behind it.
    let (partition, bucket) = (info.descriptor.partition_keys(), info.descriptor.bucket_keys());
    let physical = info.physical_primary_key();
    let is_prefix = bucket.len() < physical.len() && physical.iter().zip(bucket).all(|(own, key)| own == key);
    if !is_prefix || bucket.is_empty() {
        return Ok(None);
    }
    let columns: Vec<String> = partition.iter().chain(bucket).cloned().collect();
    let keys = product(&columns, &pinned)?;
    Ok(keys.map(|keys| Wanted { whole: false, keys }))
}

/// The values that conditions leave for columns, where they are few.
fn pinned(filters: &[Expr], info: &TableInfo) -> BTreeMap<String, Vec<ScalarValue>> {
    let mut pinned: BTreeMap<String, Vec<ScalarValue>> = BTreeMap::new();
    let mut open: Vec<&Expr> = filters.iter().collect();
    while let Some(filter) = open.pop() {
        let found = match filter {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::And,
                right,
            }) => {
                open.extend([left.as_ref(), right.as_ref()]);
                continue;
            }
            other => values(other),
        };
        let Some((column, values)) = found else {
            continue;
        };
        let Some(data_type) = info.schema().column(column).map(|column| &column.data_type) else {
            continue;
        };
        // A value of another type is none of this column's keys as they are.
        let fits = |value: &&ScalarValue| scalar(value, data_type).is_some();
        if matches!(data_type.kind(), Kind::Float | Kind::Double) || !values.iter().all(fits) {
            continue;
        }
        let mut values: Vec<ScalarValue> = values.into_iter().cloned().collect();
        if let Some(known) = pinned.get_mut(column) {
            known.retain(|value| values.contains(value));
        } else {
            let mut seen = std::collections::HashSet::new();
            values.retain(|value| seen.insert(value.clone()));
            pinned.insert(column.to_owned(), values);
        }
    }
    pinned
}

/// The values that a condition leaves for a column: `=`, `IN`, or `OR` of those.
fn values(filter: &Expr) -> Option<(&str, Vec<&ScalarValue>)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), op, right.as_ref()) {
            (Expr::Column(column), Operator::Eq, Expr::Literal(value, _))
            | (Expr::Literal(value, _), Operator::Eq, Expr::Column(column)) => {
                Some((&column.name, vec![value]))
            }
            (left, Operator::Or, right) => {
                let ((column, mut found), (other, more)) = (values(left)?, values(right)?);
                found.extend(more);
                (column == other).then_some((column, found))
            }
            _ => None,
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => {
            let Expr::Column(column) = expr.as_ref() else {
                return None;
            };
            let literal = |value: &'_ Expr| matches!(value, Expr::Literal(..));
            if !list.iter().all(literal) {
                return None;
            }
            let values = list.iter().filter_map(|value| match value {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            });
            Some((&column.name, values.collect()))
        }
        _ => None,
    }
}

/// All combinations of the values of some columns, if all of them have a few.
fn product(columns: &[String], pinned: &BTreeMap<String, Vec<ScalarValue>>) -> Result<Option<RecordBatch>> {
    if columns.is_empty() {
        return Ok(None);
    }
    let mut lists = Vec::with_capacity(columns.len());
    let mut rows = 1_usize;
    for column in columns {
        let Some(values) = pinned.get(column) else {
            return Ok(None);
        };
        rows = rows.saturating_mul(values.len());
        lists.push(values);
    }
    if rows > MAX_KEYS || rows == 0 {
        return Ok(None);
    }
    let mut arrays: Vec<(&String, ArrayRef)> = Vec::with_capacity(columns.len());
    let mut each = rows;
    for (column, values) in columns.iter().zip(lists) {
        each /= values.len();
        let row = |row: usize| values.get((row / each) % values.len()).cloned();
        let spread = (0..rows).filter_map(row);
        arrays.push((column, ScalarValue::iter_to_array(spread)?));
    }
    Ok(Some(RecordBatch::try_from_iter(arrays)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_are_looked_up() {
        let pinned = BTreeMap::from([
            (
                "a".to_owned(),
                vec![ScalarValue::from(1_i64), ScalarValue::from(2_i64)],
            ),
            (
                "b".to_owned(),
                vec![
                    ScalarValue::from("x"),
                    ScalarValue::from("y"),
                    ScalarValue::from("z"),
                ],
            ),
        ]);
        let columns = ["a".to_owned(), "b".to_owned()];
        let keys = product(&columns, &pinned).unwrap().unwrap();
        assert_eq!(keys.num_rows(), 6);
        let shown = arrow::util::pretty::pretty_format_batches(&[keys])
            .unwrap()
            .to_string();
        assert_eq!(shown.matches("| 1 ").count(), 3);
        assert_eq!(shown.matches("| z ").count(), 2);
        assert!(product(&["c".to_owned()], &pinned).unwrap().is_none());
    }

    #[test]
    fn a_condition_leaves_values_of_one_column() {
        use datafusion::prelude::{col, lit};
        let either = col("a").eq(lit(1_i64)).or(lit(2_i64).eq(col("a")));
        let (column, found) = values(&either).unwrap();
        assert_eq!((column, found.len()), ("a", 2));
        assert!(values(&col("a").eq(lit(1_i64)).or(col("b").eq(lit(1_i64)))).is_none());
        assert!(values(&col("a").gt(lit(1_i64))).is_none());
        assert!(values(&col("a").in_list(vec![lit(1_i64)], true)).is_none());
    }
}
