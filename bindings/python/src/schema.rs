//! Schemas.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use fluss_client::types::{self, AggregateFunction};
use fluss_core::arrow::{row_type, user_schema};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};
use pyo3_arrow::PySchema;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::convert::{Maps, RowShape, row_from_python};
use crate::error::{self, Fault};
use crate::types::{DataType, TypeArgument, named_types, short_text};

/// The columns of a table and its primary key.
#[pyclass(frozen, eq, from_py_object, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Schema(pub(crate) types::Schema);

#[pymethods]
impl Schema {
    #[new]
    #[pyo3(signature = (schema, primary_keys=None, auto_increment_column=None))]
    fn new(
        schema: PySchema,
        primary_keys: Option<Names>,
        auto_increment_column: Option<String>,
    ) -> Result<Self, Fault> {
        let row_type = row_type(&schema.into_inner())?;
        let builder = types::Schema::builder().primary_key(primary_keys.unwrap_or_default().0);
        let builder = row_type.fields().iter().fold(builder, |builder, field| {
            builder.column(&field.name, field.data_type.clone())
        });
        let builder = auto_increment_column
            .into_iter()
            .fold(builder, types::SchemaBuilder::auto_increment);
        Ok(Self(builder.build()?))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, user_schema(self.0.row_type()).as_ref())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let json = PyBytes::new(py, &self.0.to_json());
        Ok((py.get_type::<Self>().getattr("_restore")?, (json,)))
    }

    #[staticmethod]
    fn _restore(json: &[u8]) -> Result<Self, Fault> {
        Ok(Self(types::Schema::from_json(json)?))
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.0.to_json())
    }

    #[staticmethod]
    fn new_builder() -> SchemaBuilder {
        SchemaBuilder(types::Schema::builder())
    }

    fn get_column_names(&self) -> Vec<&str> {
        self.0
            .columns()
            .iter()
            .map(|column| column.name.as_str())
            .collect()
    }

    fn get_column_types(&self) -> Vec<String> {
        self.0
            .columns()
            .iter()
            .map(|column| short_text(&column.data_type))
            .collect()
    }

    fn get_columns(&self) -> Vec<(&str, String)> {
        self.0
            .columns()
            .iter()
            .map(|column| (column.name.as_str(), short_text(&column.data_type)))
            .collect()
    }

    #[getter]
    fn data_types(&self) -> BTreeMap<String, DataType> {
        named_types(self.0.row_type()).into_iter().collect()
    }

    fn get_primary_keys(&self) -> &[String] {
        self.0.primary_key()
    }

    fn get_auto_increment_columns(&self) -> Vec<&str> {
        self.0.auto_increment().into_iter().collect()
    }

    fn get_comment(&self, column: &str) -> Option<&str> {
        self.0.column(column)?.comment.as_deref()
    }

    fn to_json(&self) -> String {
        String::from_utf8_lossy(&self.0.to_json()).into_owned()
    }

    #[staticmethod]
    fn from_json(json: &str) -> Result<Self, Fault> {
        Ok(Self(types::Schema::from_json(json.as_bytes())?))
    }

    /// The row that a table of this schema would store and give back.
    #[pyo3(signature = (row, *, exact=false))]
    fn check_row<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        exact: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let row = row_from_python(row, self.0.row_type()).map_err(Fault::from)?;
        RowShape::new(py, self.0.row_type().clone(), Maps::Dict).dict(py, &row, exact)
    }

    fn __repr__(&self) -> String {
        let columns: Vec<_> = self
            .0
            .columns()
            .iter()
            .map(|column| format!("{} {}", column.name, column.data_type))
            .collect();
        let key = self.0.primary_key();
        let key = if key.is_empty() {
            String::new()
        } else {
            format!(", PRIMARY KEY ({})", key.join(", "))
        };
        format!("Schema({}{key})", columns.join(", "))
    }
}

/// Names of columns as an argument: any sequence of them, but not one text.
#[derive(Default)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl<'py> FromPyObject<'_, 'py> for Names {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(name) = object.extract::<String>() {
            return Err(error::kind(format!(
                "columns are given as a list of their names: ['{name}'], not '{name}'"
            )));
        }
        Ok(Self(object.extract()?))
    }
}

/// A schema as an argument.
pub(crate) struct SchemaArgument(pub(crate) types::Schema);

impl<'py> FromPyObject<'_, 'py> for SchemaArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(schema) = object.cast::<Schema>() {
            return Ok(Self(schema.get().0.clone()));
        }
        if object.hasattr("__arrow_c_schema__")? {
            return Err(error::kind(
                "a fluss.Schema is expected, and not one of Arrow: fluss.Schema(schema, primary_keys=[…]) makes one of it",
            ));
        }
        let kind = object.get_type().qualname()?;
        Err(error::kind(format!("a fluss.Schema is expected, and not {kind}")))
    }
}

/// Puts a schema together.
#[pyclass(module = "fluss.metadata")]
pub(crate) struct SchemaBuilder(types::SchemaBuilder);

impl SchemaBuilder {
    fn change(&mut self, change: impl FnOnce(types::SchemaBuilder) -> types::SchemaBuilder) {
        self.0 = change(mem::take(&mut self.0));
    }
}

#[pymethods]
impl SchemaBuilder {
    fn column<'py>(mut slf: PyRefMut<'py, Self>, name: &str, data_type: TypeArgument) -> PyRefMut<'py, Self> {
        slf.change(|builder| builder.column(name, data_type.0));
        slf
    }

    fn with_comment<'py>(mut slf: PyRefMut<'py, Self>, comment: &str) -> PyRefMut<'py, Self> {
        slf.change(|builder| builder.comment(comment));
        slf
    }

    #[pyo3(signature = (function, parameters=None))]
    fn with_aggregate<'py>(
        mut slf: PyRefMut<'py, Self>,
        function: &str,
        parameters: Option<BTreeMap<String, String>>,
    ) -> PyRefMut<'py, Self> {
        let function = AggregateFunction {
            name: function.to_lowercase(),
            parameters: parameters.unwrap_or_default(),
        };
        slf.change(|builder| builder.aggregate(function));
        slf
    }

    fn primary_key(mut slf: PyRefMut<'_, Self>, columns: Names) -> PyRefMut<'_, Self> {
        slf.change(|builder| builder.primary_key(columns.0));
        slf
    }

    fn enable_auto_increment<'py>(mut slf: PyRefMut<'py, Self>, column: &str) -> PyRefMut<'py, Self> {
        slf.change(|builder| builder.auto_increment(column));
        slf
    }

    fn build(&self) -> Result<Schema, Fault> {
        Ok(Schema(self.0.clone().build()?))
    }
}

/// The hash of what a value is made of.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
