//! Data types.

use fluss_client::types::{self, Field, Kind, RowType};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::{self, Fault};

/// The type of a column.
#[pyclass(frozen, eq, hash, module = "fluss.types")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct DataType(pub(crate) types::DataType);

/// A type as an argument: a [`DataType`] or its text.
pub(crate) struct TypeArgument(pub(crate) types::DataType);

impl<'py> FromPyObject<'_, 'py> for TypeArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(data_type) = object.cast::<DataType>() {
            return Ok(Self(data_type.get().0.clone()));
        }
        let text: String = object.extract().map_err(|_| not_a_type(object))?;
        text.parse()
            .map(Self)
            .map_err(|error: types::InvalidDefinition| Fault::from(error).into())
    }
}

/// What is wrong with an argument that is no type.
fn not_a_type(object: Borrowed<'_, '_, PyAny>) -> PyErr {
    let name = object
        .getattr("__name__")
        .and_then(|name| name.extract::<String>());
    if let (true, Ok(name)) = (object.is_callable(), name) {
        return error::kind(format!(
            "a type is expected, and not the function that makes it: DataTypes.{name}(), with its brackets"
        ));
    }
    let kind = object.get_type().qualname();
    let kind = kind.map_or_else(|_| "this".to_owned(), |kind| kind.to_string());
    error::kind(format!(
        "a type of fluss.DataTypes or the text of one is expected, such as 'INT', and not {kind}"
    ))
}

#[pymethods]
impl DataType {
    #[new]
    fn new(text: TypeArgument) -> Self {
        Self(text.0)
    }

    #[staticmethod]
    fn array(element: TypeArgument) -> Self {
        Self(types::DataType::array(element.0))
    }

    #[staticmethod]
    fn map(key: TypeArgument, value: TypeArgument) -> Self {
        Self(types::DataType::map(key.0, value.0))
    }

    #[staticmethod]
    fn row(fields: Vec<(String, TypeArgument)>) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type.0));
        Self(types::DataType::row(RowType::new(fields)))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, (String,)) {
        (py.get_type::<Self>().into_any(), (self.0.to_string(),))
    }

    fn not_null(&self) -> Self {
        Self(self.0.clone().not_null())
    }

    #[getter]
    fn nullable(&self) -> bool {
        self.0.is_nullable()
    }

    #[getter]
    fn element_type(&self) -> Option<Self> {
        match self.0.kind() {
            Kind::Array(element) => Some(Self((**element).clone())),
            _ => None,
        }
    }

    #[getter]
    fn key_type(&self) -> Option<Self> {
        match self.0.kind() {
            Kind::Map(key, _) => Some(Self((**key).clone())),
            _ => None,
        }
    }

    #[getter]
    fn value_type(&self) -> Option<Self> {
        match self.0.kind() {
            Kind::Map(_, value) => Some(Self((**value).clone())),
            _ => None,
        }
    }

    #[getter]
    fn fields(&self) -> Option<Vec<(String, Self)>> {
        match self.0.kind() {
            Kind::Row(row) => Some(named_types(row)),
            _ => None,
        }
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = PyString::new(py, &self.0.to_string());
        Ok(format!("DataType({})", text.repr()?))
    }
}

/// The fields of a row with their types.
pub(crate) fn named_types(row: &RowType) -> Vec<(String, DataType)> {
    row.fields()
        .iter()
        .map(|field| (field.name.clone(), DataType(field.data_type.clone())))
        .collect()
}

/// The text by which `get_columns` names a type: in small letters, without parameters that are the default, and with
/// names and types of a row's fields kept apart by a colon.
pub(crate) fn short_text(data_type: &types::DataType) -> String {
    let not_null = if data_type.is_nullable() { "" } else { " NOT NULL" };
    format!("{}{not_null}", short_kind(data_type.kind()))
}

fn short_kind(kind: &Kind) -> String {
    match kind {
        Kind::Array(element) => format!("array<{}>", short_text(element)),
        Kind::Map(key, value) => format!("map<{},{}>", short_text(key), short_text(value)),
        Kind::Row(row) => {
            let field = |field: &Field| format!("{}: {}", field.name, short_text(&field.data_type));
            let fields: Vec<_> = row.fields().iter().map(field).collect();
            format!("row<{}>", fields.join(", "))
        }
        Kind::Time(0) => "time".to_owned(),
        Kind::Timestamp(6) => "timestamp".to_owned(),
        Kind::TimestampLtz(6) => "timestamp_ltz".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}
