//! Arrow columns of any type into Python values, which are those of [`super::to_python`] where tables have the type.

use std::fmt::Display;

use arrow::array::{
    Array, ArrayAccessor, ArrayIter, ArrowPrimitiveType, AsArray, OffsetSizeTrait, PrimitiveArray,
    RecordBatch,
};
use arrow::datatypes::{
    ArrowTimestampType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use fluss_client::types::Timestamp;
use pyo3::BoundObject;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::{moment, number};
use crate::error::{self, Fault};

const MICROS_PER_DAY: i64 = 86_400_000_000;

type Values<'py> = PyResult<Vec<Bound<'py, PyAny>>>;

/// Adds the rows of a batch to a list, each as a tuple or as a dict.
pub(crate) fn extend_rows(list: &Bound<'_, PyList>, batch: &RecordBatch, as_dict: bool) -> PyResult<()> {
    let py = list.py();
    let schema = batch.schema_ref();
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| {
        let values =
            values(py, array).map_err(|error| unreadable(py, error, field.name(), field.data_type()))?;
        Ok(values.into_iter())
    });
    let mut columns: Vec<_> = columns.collect::<PyResult<_>>()?;
    let names = schema
        .fields()
        .iter()
        .map(|field| PyString::intern(py, field.name()));
    let names: Vec<_> = names.collect();
    for _ in 0..batch.num_rows() {
        let row = columns.iter_mut().filter_map(Iterator::next);
        if as_dict {
            let dict = PyDict::new(py);
            for (name, value) in names.iter().zip(row) {
                dict.set_item(name, value)?;
            }
            list.append(dict)?;
        } else {
            list.append(PyTuple::new(py, row.collect::<Vec<_>>())?)?;
        }
    }
    Ok(())
}

/// Says which column holds what no Python value can.
fn unreadable(py: Python<'_>, error: PyErr, column: &str, data_type: &dyn Display) -> PyErr {
    if !error.is_instance_of::<PyOverflowError>(py) && !error.is_instance_of::<PyValueError>(py) {
        return error;
    }
    let message = format!(
        "column '{column}': a value of {data_type} is outside of what Python's type holds; read it as Arrow"
    );
    Fault::new("DataError", message).with_column(column).into()
}

/// The values of an array.
pub(crate) fn values<'py>(py: Python<'py>, array: &dyn Array) -> Values<'py> {
    match array.data_type() {
        DataType::Null => Ok(vec![py.None().into_bound(py); array.len()]),
        DataType::Boolean => each(py, array.as_boolean(), |value| {
            Ok(value.into_pyobject(py)?.to_owned().into_any())
        }),
        DataType::Int8 => numbers::<Int8Type, _>(py, array),
        DataType::Int16 => numbers::<Int16Type, _>(py, array),
        DataType::Int32 => numbers::<Int32Type, _>(py, array),
        DataType::Int64 => numbers::<Int64Type, _>(py, array),
        DataType::UInt8 => numbers::<UInt8Type, _>(py, array),
        DataType::UInt16 => numbers::<UInt16Type, _>(py, array),
        DataType::UInt32 => numbers::<UInt32Type, _>(py, array),
        DataType::UInt64 => numbers::<UInt64Type, _>(py, array),
        DataType::Float16 => each(py, array.as_primitive::<Float16Type>(), |value| {
            Ok(value.to_f64().into_pyobject(py)?.into_any())
        }),
        DataType::Float32 => each(py, array.as_primitive::<Float32Type>(), |value| {
            Ok(f64::from(value).into_pyobject(py)?.into_any())
        }),
        DataType::Float64 => numbers::<Float64Type, _>(py, array),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            let class = number::decimal_type(py)?;
            texts(py, array, |text| class.call1((text,)))
        }
        DataType::Utf8 => each(py, array.as_string::<i32>(), |value| {
            Ok(PyString::new(py, value).into_any())
        }),
        DataType::LargeUtf8 => each(py, array.as_string::<i64>(), |value| {
            Ok(PyString::new(py, value).into_any())
        }),
        DataType::Utf8View => each(py, array.as_string_view(), |value| {
            Ok(PyString::new(py, value).into_any())
        }),
        DataType::Binary => each(py, array.as_binary::<i32>(), |value| {
            Ok(PyBytes::new(py, value).into_any())
        }),
        DataType::LargeBinary => each(py, array.as_binary::<i64>(), |value| {
            Ok(PyBytes::new(py, value).into_any())
        }),
        DataType::BinaryView => each(py, array.as_binary_view(), |value| {
            Ok(PyBytes::new(py, value).into_any())
        }),
        DataType::FixedSizeBinary(_) => each(py, array.as_fixed_size_binary(), |value| {
            Ok(PyBytes::new(py, value).into_any())
        }),
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_) => times(py, array),
        DataType::Timestamp(unit, zone) => moments(py, array, *unit, zone.is_some()),
        DataType::List(_) => lists::<i32>(py, array),
        DataType::LargeList(_) => lists::<i64>(py, array),
        DataType::FixedSizeList(_, _) => each(py, array.as_fixed_size_list(), |list| list_of(py, &list)),
        DataType::Map(..) => each(py, array.as_map(), |entries| map(py, &entries)),
        DataType::Struct(fields) => {
            let rows = array.as_struct();
            let columns = rows.columns().iter().map(|column| values(py, column));
            let columns: Vec<_> = columns.collect::<PyResult<_>>()?;
            let row = |index: usize| -> PyResult<_> {
                if rows.is_null(index) {
                    return Ok(py.None().into_bound(py));
                }
                let dict = PyDict::new(py);
                for (field, column) in fields.iter().zip(&columns) {
                    dict.set_item(field.name(), column.get(index))?;
                }
                Ok(dict.into_any())
            };
            (0..rows.len()).map(row).collect()
        }
        DataType::Dictionary(_, of) => {
            let plain = arrow::compute::cast(array, of).map_err(|error| error::defect(&error.to_string()))?;
            values(py, &plain)
        }
        // Intervals and the like, which Python has no type for.
        _ => texts(py, array, |text| Ok(PyString::new(py, text).into_any())),
    }
}

/// The values of an array that are there, each by `make`; None for the others.
fn each<'py, A: ArrayAccessor>(
    py: Python<'py>,
    array: A,
    make: impl Fn(A::Item) -> PyResult<Bound<'py, PyAny>>,
) -> Values<'py> {
    let none = || Ok(py.None().into_bound(py));
    ArrayIter::new(array)
        .map(|value| value.map_or_else(none, &make))
        .collect()
}

fn numbers<'py, T, N>(py: Python<'py>, array: &dyn Array) -> Values<'py>
where
    T: ArrowPrimitiveType<Native = N>,
    N: IntoPyObject<'py>,
    N::Error: Into<PyErr>,
{
    each(py, array.as_primitive::<T>(), |value| {
        let object = value.into_pyobject(py).map_err(Into::into)?;
        Ok(object.into_any().into_bound())
    })
}

/// The values as Arrow writes them.
fn texts<'py>(
    py: Python<'py>,
    array: &dyn Array,
    make: impl Fn(&str) -> PyResult<Bound<'py, PyAny>>,
) -> Values<'py> {
    let defect = |error: arrow::error::ArrowError| error::defect(&error.to_string());
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(defect)?;
    let value = |index: usize| {
        if array.is_null(index) {
            return Ok(py.None().into_bound(py));
        }
        make(&formatter.value(index).try_to_string().map_err(defect)?)
    };
    (0..array.len()).map(value).collect()
}

fn times<'py>(py: Python<'py>, array: &dyn Array) -> Values<'py> {
    macro_rules! counted {
        ($type:ty, $value:ident => $make:expr) => {
            each(py, array.as_primitive::<$type>(), |$value| $make)
        };
    }
    let of_day = |micros: i64| moment::time_of_day_to_python(py, micros);
    let lasting = |micros: i64| moment::duration_to_python(py, micros);
    match array.data_type() {
        DataType::Date32 => {
            counted!(arrow::array::types::Date32Type, days => moment::date_to_python(py, days))
        }
        DataType::Date64 => counted!(arrow::array::types::Date64Type, millis => {
            let days = (millis * 1_000).div_euclid(MICROS_PER_DAY);
            moment::date_to_python(py, i32::try_from(days).unwrap_or(i32::MAX))
        }),
        DataType::Time32(TimeUnit::Second) => {
            counted!(Time32SecondType, count => of_day(i64::from(count) * 1_000_000))
        }
        DataType::Time32(_) => counted!(Time32MillisecondType, count => of_day(i64::from(count) * 1_000)),
        DataType::Time64(TimeUnit::Microsecond) => counted!(Time64MicrosecondType, count => of_day(count)),
        DataType::Time64(_) => counted!(Time64NanosecondType, count => of_day(count / 1_000)),
        DataType::Duration(TimeUnit::Second) => {
            counted!(DurationSecondType, count => lasting(count.saturating_mul(1_000_000)))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            counted!(DurationMillisecondType, count => lasting(count.saturating_mul(1_000)))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            counted!(DurationMicrosecondType, count => lasting(count))
        }
        _ => counted!(DurationNanosecondType, count => lasting(count.div_euclid(1_000))),
    }
}

fn moments<'py>(py: Python<'py>, array: &dyn Array, unit: TimeUnit, utc: bool) -> Values<'py> {
    match unit {
        TimeUnit::Second => moments_of(py, array.as_primitive::<TimestampSecondType>(), utc, 1),
        TimeUnit::Millisecond => moments_of(py, array.as_primitive::<TimestampMillisecondType>(), utc, 1_000),
        TimeUnit::Microsecond => moments_of(
            py,
            array.as_primitive::<TimestampMicrosecondType>(),
            utc,
            1_000_000,
        ),
        TimeUnit::Nanosecond => moments_of(
            py,
            array.as_primitive::<TimestampNanosecondType>(),
            utc,
            1_000_000_000,
        ),
    }
}

fn moments_of<'py, T: ArrowTimestampType>(
    py: Python<'py>,
    array: &PrimitiveArray<T>,
    utc: bool,
    per_second: i64,
) -> Values<'py> {
    each(py, array, |count| {
        let seconds = count.div_euclid(per_second);
        let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
        let millis = seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000);
        let moment = Timestamp::new(millis, (nanos % 1_000_000) as u32);
        let moment = moment.ok_or_else(|| error::defect("a moment that is none"))?;
        moment::moment_to_python(py, moment, utc)
    })
}

fn lists<'py, O: OffsetSizeTrait>(py: Python<'py>, array: &dyn Array) -> Values<'py> {
    each(py, array.as_list::<O>(), |list| list_of(py, &list))
}

fn list_of<'py>(py: Python<'py>, elements: &dyn Array) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyList::new(py, values(py, elements)?)?.into_any())
}

/// A dict; or a list of pairs if the keys come as lists or dicts, which cannot be keys.
fn map<'py>(py: Python<'py>, entries: &arrow::array::StructArray) -> PyResult<Bound<'py, PyAny>> {
    let [keys, items] = entries.columns() else {
        return Err(error::defect("a map without keys and values"));
    };
    let pairs = values(py, keys)?.into_iter().zip(values(py, items)?);
    if keys.data_type().is_nested() {
        return Ok(PyList::new(py, pairs.collect::<Vec<_>>())?.into_any());
    }
    let dict = PyDict::new(py);
    for (key, item) in pairs {
        dict.set_item(key, item)?;
    }
    Ok(dict.into_any())
}
