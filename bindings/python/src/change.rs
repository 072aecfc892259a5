//! Changes of tables.

use std::collections::BTreeMap;

use fluss_client as client;
use fluss_client::types::AggregateFunction;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::types::TypeArgument;

/// A change of a table.
#[pyclass(frozen, eq, from_py_object, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TableChange(pub(crate) client::TableChange);

#[pymethods]
impl TableChange {
    #[staticmethod]
    fn set(key: &str, value: &str) -> Self {
        Self(client::TableChange::set(key, value))
    }

    #[staticmethod]
    fn reset(key: &str) -> Self {
        Self(client::TableChange::reset(key))
    }

    #[staticmethod]
    #[pyo3(signature = (name, data_type, comment=None, aggregate=None, parameters=None))]
    fn add_column(
        name: String,
        data_type: TypeArgument,
        comment: Option<String>,
        aggregate: Option<&str>,
        parameters: Option<BTreeMap<String, String>>,
    ) -> PyResult<Self> {
        if aggregate.is_none() && parameters.is_some() {
            return Err(PyValueError::new_err(
                "there are parameters, and no aggregate function that takes them",
            ));
        }
        let aggregate = aggregate.map(|function| AggregateFunction {
            name: function.to_lowercase(),
            parameters: parameters.unwrap_or_default(),
        });
        Ok(Self(client::TableChange::AddColumn {
            name,
            data_type: data_type.0,
            comment,
            aggregate,
        }))
    }

    #[staticmethod]
    fn bucket_count(count: i32) -> Self {
        Self(client::TableChange::bucket_count(count))
    }

    fn __repr__(&self) -> String {
        match &self.0 {
            client::TableChange::Set { key, value } => format!("TableChange.set({key:?}, {value:?})"),
            client::TableChange::Reset { key } => format!("TableChange.reset({key:?})"),
            client::TableChange::AddColumn {
                name,
                data_type,
                comment,
                aggregate,
            } => {
                let comment = comment.as_ref().map(|comment| format!(", {comment:?}"));
                let aggregate = aggregate
                    .as_ref()
                    .map(|function| format!(", aggregate={:?}", function.name));
                let (comment, aggregate) = (comment.unwrap_or_default(), aggregate.unwrap_or_default());
                format!("TableChange.add_column({name:?}, \"{data_type}\"{comment}{aggregate})")
            }
            client::TableChange::BucketCount { count } => format!("TableChange.bucket_count({count})"),
            other => format!("TableChange({other:?})"),
        }
    }
}
