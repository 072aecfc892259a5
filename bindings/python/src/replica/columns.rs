//! How keys and rows of a replica are converted.

use std::sync::Arc;

use fluss_client::DecodeError;
use fluss_client::types::{Kind, RowType};
use fluss_replica::{self as replica, Error, HeldRow, Layout, Rows};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::convert::{Key, RowShape};
use crate::error::{self, Fault};

/// How keys and rows are converted.
pub(super) struct Columns {
    pub(super) layout: Layout,
    pub(super) key_type: RowType,
    /// For many keys, of which some may be null.
    pub(super) nullable_key: RowType,
    pub(super) shape: Arc<RowShape>,
}

/// What kind of value a column is asked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Any,
    String,
    Bytes,
    Int,
    Float,
    Bool,
}

impl Wanted {
    fn check(self, name: &str, kind: &Kind) -> PyResult<()> {
        let (fits, of) = match self {
            Self::Any => return Ok(()),
            Self::String => (matches!(kind, Kind::String | Kind::Char(_)), "a str"),
            Self::Bytes => (matches!(kind, Kind::Bytes | Kind::Binary(_)), "bytes"),
            Self::Int => {
                let fits = matches!(kind, Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt);
                (fits, "an int")
            }
            Self::Float => (matches!(kind, Kind::Float | Kind::Double), "a float"),
            Self::Bool => (matches!(kind, Kind::Boolean), "a bool"),
        };
        if fits {
            return Ok(());
        }
        Err(error::kind(format!(
            "column '{name}' is {kind}: its values are not {of}"
        )))
    }
}

impl Columns {
    pub(super) fn key<'k>(&self, key: &'k Bound<'_, PyAny>) -> PyResult<Key<'k>> {
        Ok(Key::from_python(key, &self.key_type).map_err(Fault::from)?)
    }

    pub(super) fn keys<'k>(&self, keys: &'k [Bound<'_, PyAny>]) -> PyResult<Vec<Key<'k>>> {
        let key =
            |key: &'k Bound<'_, PyAny>| Ok(Key::from_python(key, &self.nullable_key).map_err(Fault::from)?);
        keys.iter().map(key).collect()
    }

    /// The place of a column whose values are of a kind.
    pub(super) fn place(&self, replica: &replica::Replica, name: &str, wanted: Wanted) -> PyResult<usize> {
        let row_type = self.shape.row_type();
        let place = row_type
            .index_of(name)
            .map_or_else(|| replica.read(|rows| rows.column(name)), Ok);
        let place = place.map_err(Fault::from)?;
        if let Some(field) = row_type.field(place) {
            wanted.check(name, field.data_type.kind())?;
        }
        Ok(place)
    }
}

/// Reads of one call.
pub(super) struct Reading<'r> {
    pub(super) replica: &'r replica::Replica,
    pub(super) columns: &'r Columns,
    pub(super) exact: bool,
}

impl Reading<'_> {
    /// Whether what is read has the columns that all was made for.
    pub(super) fn fits(&self, rows: &Rows<'_>) -> bool {
        rows.layout() == self.columns.layout
    }

    pub(super) fn damaged(&self, error: &DecodeError) -> PyErr {
        let (path, reason) = (self.replica.directory().to_owned(), error.to_string());
        Fault::from(Error::Damaged { path, reason }).into()
    }

    pub(super) fn dict<'py>(&self, py: Python<'py>, row: HeldRow<'_>) -> PyResult<Bound<'py, PyDict>> {
        let values = row.values().map_err(|error| self.damaged(&error))?;
        self.columns.shape.dict_of(py, values, self.exact)
    }

    pub(super) fn value<'py>(
        &self,
        py: Python<'py>,
        row: HeldRow<'_>,
        column: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let value = row.value(column).map_err(|error| self.damaged(&error))?;
        self.columns.shape.value_of(py, column, &value, self.exact)
    }
}

pub(super) fn row<'r>(rows: &'r mut Rows<'_>, key: &Key<'_>) -> PyResult<Option<HeldRow<'r>>> {
    Ok(rows.get(key).map_err(Fault::from)?)
}

/// Keys one by one. Those of an iterator are taken before anything is read: it may be code that reads, too.
pub(super) fn listed<'py>(keys: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = keys.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    if let Ok(tuple) = keys.cast::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    let is_one = keys.is_instance_of::<PyString>()
        || keys.is_instance_of::<PyBytes>()
        || keys.is_instance_of::<PyByteArray>()
        || keys.is_instance_of::<PyDict>();
    match keys.try_iter() {
        Ok(keys) if !is_one => keys.collect(),
        _ => {
            let kind = keys.get_type().qualname()?;
            Err(error::kind(format!(
                "keys are given as a list of them, not as {kind}"
            )))
        }
    }
}
