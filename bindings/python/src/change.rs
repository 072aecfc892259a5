//! Changes of tables.

use fluss_client as client;
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
    #[pyo3(signature = (name, data_type, comment=None))]
    fn add_column(name: String, data_type: TypeArgument, comment: Option<String>) -> Self {
        Self(client::TableChange::AddColumn {
            name,
            data_type: data_type.0,
            comment,
        })
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
            } => {
                let comment = comment.as_ref().map(|comment| format!(", {comment:?}"));
                let comment = comment.unwrap_or_default();
                format!("TableChange.add_column({name:?}, \"{data_type}\"{comment})")
            }
            client::TableChange::BucketCount { count } => format!("TableChange.bucket_count({count})"),
            other => format!("TableChange({other:?})"),
        }
    }
}
