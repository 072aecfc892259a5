//! Rows into Python values.

use std::sync::Arc;

use fluss_client::types::{DataType, Datum, Field, Kind, Row, RowType};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::moment::{self, Timestamp};
use super::number;
use crate::error::Fault;

/// How moments and days come out.
#[derive(Clone, Copy)]
enum Moments {
    /// As `datetime` has them: nanoseconds cut, years 1 to 9999.
    Datetime,
    /// As they are stored: [`Timestamp`] and days since 1970-01-01.
    Exact,
}

/// How maps come out.
#[derive(Clone, Copy)]
pub(crate) enum Maps {
    /// As a dict, where the keys allow it.
    Dict,
    /// As a list of pairs.
    Pairs,
}

impl Maps {
    pub(crate) const fn of(pairs: bool) -> Self {
        if pairs { Self::Pairs } else { Self::Dict }
    }
}

/// What the caller wants values to look like.
#[derive(Clone, Copy)]
struct Looks {
    moments: Moments,
    maps: Maps,
}

/// The names and types of a row's columns, ready for making dicts.
pub(crate) struct RowShape {
    row_type: RowType,
    names: Vec<Py<PyString>>,
    maps: Maps,
}

impl RowShape {
    pub(crate) fn new(py: Python<'_>, row_type: RowType, maps: Maps) -> Arc<Self> {
        let names = row_type
            .fields()
            .iter()
            .map(|field| PyString::intern(py, &field.name).unbind())
            .collect();
        Arc::new(Self {
            row_type,
            names,
            maps,
        })
    }

    /// The type of the row.
    pub(crate) const fn row_type(&self) -> &RowType {
        &self.row_type
    }

    /// Whether MAPs come as lists of pairs.
    pub(crate) const fn has_pairs(&self) -> bool {
        matches!(self.maps, Maps::Pairs)
    }

    /// The row as a dict. With `exact`, TIMESTAMP and `TIMESTAMP_LTZ` come as [`Timestamp`], DATE as days since
    /// 1970-01-01.
    pub(crate) fn dict<'py>(
        &self,
        py: Python<'py>,
        row: &dyn Row,
        exact: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let values = (0..self.names.len()).map(|index| row.datum(index));
        self.dict_of(py, values, exact)
    }

    /// The same of values that need no row.
    pub(crate) fn dict_of<'py, 'v>(
        &self,
        py: Python<'py>,
        values: impl IntoIterator<Item = Datum<'v>>,
        exact: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let looks = self.looks(exact);
        let dict = PyDict::new(py);
        let columns = self.row_type.fields().iter().zip(&self.names);
        for ((field, name), datum) in columns.zip(values) {
            dict.set_item(name, shown(py, &datum, field, looks)?)?;
        }
        Ok(dict)
    }

    /// The value of a column, by its place.
    pub(crate) fn value_of<'py>(
        &self,
        py: Python<'py>,
        column: usize,
        datum: &Datum<'_>,
        exact: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.row_type.field(column) {
            Some(field) => shown(py, datum, field, self.looks(exact)),
            None => Ok(py.None().into_bound(py)),
        }
    }

    const fn looks(&self, exact: bool) -> Looks {
        Looks {
            moments: if exact { Moments::Exact } else { Moments::Datetime },
            maps: self.maps,
        }
    }
}

/// The value of a column; an error says which.
fn shown<'py>(
    py: Python<'py>,
    datum: &Datum<'_>,
    field: &Field,
    looks: Looks,
) -> PyResult<Bound<'py, PyAny>> {
    value(py, datum, &field.data_type, looks)
        .map_err(|error| unreadable(py, error, &field.name, &field.data_type))
}

/// Says which column holds what no `datetime` can.
fn unreadable(py: Python<'_>, error: PyErr, column: &str, data_type: &DataType) -> PyErr {
    if !error.is_instance_of::<PyOverflowError>(py) && !error.is_instance_of::<PyValueError>(py) {
        return error;
    }
    if let Kind::Time(_) = data_type.kind() {
        let message =
            format!("column '{column}': a value of {data_type} is not a time of day; read it as Arrow");
        return Fault::new("DataError", message).with_column(column).into();
    }
    let message = format!(
        "column '{column}': a value of {data_type} is outside the years 1 to 9999 of datetime; \
         read the row with exact=True, or as Arrow"
    );
    Fault::new("DataError", message).with_column(column).into()
}

fn value<'py>(
    py: Python<'py>,
    datum: &Datum<'_>,
    data_type: &DataType,
    looks: Looks,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match (datum, data_type.kind()) {
        (Datum::Null, _) => py.None().into_bound(py),
        (Datum::Boolean(value), _) => value.into_pyobject(py)?.to_owned().into_any(),
        (Datum::TinyInt(value), _) => value.into_pyobject(py)?.into_any(),
        (Datum::SmallInt(value), _) => value.into_pyobject(py)?.into_any(),
        (Datum::Int(value), _) => value.into_pyobject(py)?.into_any(),
        (Datum::BigInt(value), _) => value.into_pyobject(py)?.into_any(),
        (Datum::Float(value), _) => f64::from(*value).into_pyobject(py)?.into_any(),
        (Datum::Double(value), _) => value.into_pyobject(py)?.into_any(),
        (Datum::String(value), _) => PyString::new(py, value).into_any(),
        (Datum::Bytes(value), _) => PyBytes::new(py, value).into_any(),
        (Datum::Decimal(value), _) => number::decimal_type(py)?.call1((value.to_string(),))?,
        (Datum::Date(days), _) => match looks.moments {
            Moments::Datetime => moment::date_to_python(py, *days)?,
            Moments::Exact => days.into_pyobject(py)?.into_any(),
        },
        (Datum::Time(millis), _) => moment::time_to_python(py, *millis)?,
        (Datum::Timestamp(value), _) => moment_value(py, *value, false, looks.moments)?,
        (Datum::TimestampLtz(value), _) => moment_value(py, *value, true, looks.moments)?,
        (Datum::Array(elements), Kind::Array(element)) => array(py, elements, element, looks)?,
        (Datum::Map(entries), Kind::Map(key, item)) => map(py, entries, key, item, looks)?,
        (Datum::Row(fields), Kind::Row(row_type)) => nested(py, fields, row_type, looks)?,
        (other, _) => {
            let message = format!("a value of {} in a column of {data_type}", other.kind_name());
            return Err(Fault::new("ProtocolError", message).into());
        }
    })
}

fn moment_value(
    py: Python<'_>,
    moment: fluss_client::types::Timestamp,
    utc: bool,
    moments: Moments,
) -> PyResult<Bound<'_, PyAny>> {
    match moments {
        Moments::Datetime => moment::moment_to_python(py, moment, utc),
        Moments::Exact => Ok(Bound::new(py, Timestamp::from(moment))?.into_any()),
    }
}

fn array<'py>(
    py: Python<'py>,
    elements: &[Datum<'_>],
    element: &DataType,
    looks: Looks,
) -> PyResult<Bound<'py, PyAny>> {
    let list = PyList::empty(py);
    for datum in elements {
        list.append(value(py, datum, element, looks)?)?;
    }
    Ok(list.into_any())
}

/// A dict; or a list of pairs if that is wanted, or if the keys come as lists or dicts, which cannot be keys.
fn map<'py>(
    py: Python<'py>,
    entries: &[(Datum<'_>, Datum<'_>)],
    key: &DataType,
    item: &DataType,
    looks: Looks,
) -> PyResult<Bound<'py, PyAny>> {
    let pairs = entries
        .iter()
        .map(|(k, v)| Ok((value(py, k, key, looks)?, value(py, v, item, looks)?)));
    if matches!(looks.maps, Maps::Pairs) || key.is_nested() {
        let list = PyList::empty(py);
        pairs
            .into_iter()
            .try_for_each(|pair: PyResult<_>| list.append(pair?))?;
        return Ok(list.into_any());
    }
    let dict = PyDict::new(py);
    pairs.into_iter().try_for_each(|pair: PyResult<_>| {
        let (key, item) = pair?;
        dict.set_item(key, item)
    })?;
    Ok(dict.into_any())
}

fn nested<'py>(
    py: Python<'py>,
    fields: &[Datum<'_>],
    row_type: &RowType,
    looks: Looks,
) -> PyResult<Bound<'py, PyAny>> {
    let dict = PyDict::new(py);
    for (field, datum) in row_type.fields().iter().zip(fields) {
        dict.set_item(&field.name, value(py, datum, &field.data_type, looks)?)?;
    }
    Ok(dict.into_any())
}
