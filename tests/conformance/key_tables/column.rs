//! Columns, and the values that are tried in them.

use fluss_client::types::{DataType, Datum, Decimal, Kind};
use fluss_tests::arbitrary::datum;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::aggregates::{DEFAULT, Function};

/// A column, and the values that are tried.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    /// The function that the schema declares.
    pub declared: Option<Function>,
    pub values: BoxedStrategy<Datum<'static>>,
}

impl Column {
    /// Of values of all kinds.
    pub fn any(name: &str, data_type: DataType) -> Self {
        Self {
            name: name.to_owned(),
            values: datum(&data_type),
            data_type,
            declared: None,
        }
    }

    /// Of so few values that they come again.
    pub fn few(name: &str, data_type: DataType) -> Self {
        let mut column = Self::any(name, data_type);
        let values = vec(column.values.clone(), 6);
        // One draw for the whole column.
        let drawn = values
            .new_tree(&mut TestRunner::deterministic())
            .unwrap()
            .current();
        column.values = select([drawn, vec![Datum::Null]].concat()).boxed();
        column
    }

    /// Of values that can be put together many times: integers may overflow, nothing is rounded. A CHAR has its full
    /// length.
    pub fn tame(name: &str, data_type: DataType) -> Self {
        let mut column = Self::any(name, data_type);
        let value = match column.data_type.kind() {
            Kind::Float => select(vec![1.0_f32, -1.0, 2.0, 0.5])
                .prop_map(Datum::from)
                .boxed(),
            Kind::Double => select(vec![1.0_f64, -1.0, 2.0, 0.5])
                .prop_map(Datum::from)
                .boxed(),
            Kind::Decimal { scale, .. } => {
                let (scale, unit) = (*scale, 10_i128.pow(u32::from(*scale)));
                select(vec![unit, -unit, 2 * unit])
                    .prop_map(move |unscaled| Decimal::new(unscaled, scale).into())
                    .boxed()
            }
            Kind::Char(length) => vec(proptest::char::range(' ', '~'), *length as usize)
                .prop_map(|chars| Datum::from(String::from_iter(chars)))
                .boxed(),
            Kind::String => "[a-zäöü🎉,]{0,3}".prop_map(Datum::from).boxed(),
            _ => return column,
        };
        column.values = prop_oneof![1 => Just(Datum::Null), 4 => value].boxed();
        column
    }

    /// Merged by a function.
    pub fn merged(mut self, function: Function) -> Self {
        self.declared = Some(function);
        self
    }

    /// By what the column is merged if the table aggregates.
    pub fn function(&self) -> Function {
        self.declared.unwrap_or(DEFAULT)
    }
}
