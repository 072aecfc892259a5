//! The functions of the aggregation merge engine (`behaviour.md` §3.4).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use fluss_client::types::{AggregateFunction, Datum, Decimal};

/// A function by its name, with the delimiter that some have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    name: &'static str,
    delimiter: Option<&'static str>,
}

/// What a column without function is merged by.
pub const DEFAULT: Function = Function::new("last_value_ignore_nulls");

impl Function {
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            delimiter: None,
        }
    }

    pub const fn delimited(name: &'static str, delimiter: &'static str) -> Self {
        Self {
            name,
            delimiter: Some(delimiter),
        }
    }

    /// The function as schemas declare it.
    pub fn declaration(self) -> AggregateFunction {
        let delimiter = self
            .delimiter
            .map(|text| ("delimiter".to_owned(), text.to_owned()));
        AggregateFunction {
            name: self.name.to_owned(),
            parameters: BTreeMap::from_iter(delimiter),
        }
    }

    /// What becomes of a value when another is written.
    pub fn merge(self, old: &Datum<'static>, new: &Datum<'static>) -> Datum<'static> {
        match self.name {
            "last_value" => return new.clone(),
            _ if old.is_null() => return new.clone(),
            _ if new.is_null() => return old.clone(),
            _ => {}
        }
        let merged = match self.name {
            "sum" => return arithmetic(old, new, |a, b, _| a + b, |a, b| a + b),
            "product" => return arithmetic(old, new, |a, b, unit| a * b / unit, |a, b| a * b),
            "listagg" | "string_agg" => return joined(old, self.delimiter.unwrap_or(","), new),
            "bool_and" => return Datum::Boolean(truth(old) && truth(new)),
            "bool_or" => return Datum::Boolean(truth(old) || truth(new)),
            "last_value_ignore_nulls" => new,
            "max" if order(new, old).is_gt() => new,
            "min" if order(new, old).is_lt() => new,
            "first_value" | "first_value_ignore_nulls" | "max" | "min" => old,
            other => panic!("{other}"),
        };
        merged.clone()
    }
}

fn truth(value: &Datum<'_>) -> bool {
    *value == Datum::Boolean(true)
}

fn joined(old: &Datum<'_>, delimiter: &str, new: &Datum<'_>) -> Datum<'static> {
    let (Datum::String(old), Datum::String(new)) = (old, new) else {
        panic!("{old:?} {new:?}")
    };
    Datum::from(format!("{old}{delimiter}{new}"))
}

/// Integers are calculated exactly and then cut to their width, decimals as integers of so many units for 1.
fn arithmetic(
    old: &Datum<'_>,
    new: &Datum<'_>,
    integers: fn(i128, i128, i128) -> i128,
    floats: fn(f64, f64) -> f64,
) -> Datum<'static> {
    match (old, new) {
        (Datum::TinyInt(a), Datum::TinyInt(b)) => (integers((*a).into(), (*b).into(), 1) as i8).into(),
        (Datum::SmallInt(a), Datum::SmallInt(b)) => (integers((*a).into(), (*b).into(), 1) as i16).into(),
        (Datum::Int(a), Datum::Int(b)) => (integers((*a).into(), (*b).into(), 1) as i32).into(),
        (Datum::BigInt(a), Datum::BigInt(b)) => (integers((*a).into(), (*b).into(), 1) as i64).into(),
        (Datum::Float(a), Datum::Float(b)) => (floats((*a).into(), (*b).into()) as f32).into(),
        (Datum::Double(a), Datum::Double(b)) => floats(*a, *b).into(),
        (Datum::Decimal(a), Datum::Decimal(b)) => {
            let unit = 10_i128.pow(a.scale().into());
            Decimal::new(integers(a.unscaled(), b.unscaled(), unit), a.scale()).into()
        }
        other => panic!("{other:?}"),
    }
}

/// How values of one type are ordered; strings by their bytes.
pub fn order(a: &Datum<'_>, b: &Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::TinyInt(a), Datum::TinyInt(b)) => a.cmp(b),
        (Datum::SmallInt(a), Datum::SmallInt(b)) => a.cmp(b),
        (Datum::Int(a), Datum::Int(b))
        | (Datum::Date(a), Datum::Date(b))
        | (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        (Datum::BigInt(a), Datum::BigInt(b)) => a.cmp(b),
        (Datum::Float(a), Datum::Float(b)) => a.total_cmp(b),
        (Datum::Double(a), Datum::Double(b)) => a.total_cmp(b),
        (Datum::String(a), Datum::String(b)) => a.cmp(b),
        (Datum::Decimal(a), Datum::Decimal(b)) => a.unscaled().cmp(&b.unscaled()),
        (Datum::Timestamp(a), Datum::Timestamp(b)) | (Datum::TimestampLtz(a), Datum::TimestampLtz(b)) => {
            a.cmp(b)
        }
        other => panic!("{other:?}"),
    }
}
