//! Python values into parameters of SQL statements, whose types nothing tells but the values themselves.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListArray, MapArray, NullArray, StringArray, StructArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use fluss_client::types::{Datum, Decimal, Kind};
use fluss_sql::{Parameters, Value};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple,
};

use super::fault::{Result, object, shown};
use super::{missing, moment, number, numpy};
use crate::error::{self, Fault};

/// The most digits of a DECIMAL.
const MAX_PRECISION: u8 = 38;

/// The parameters of a statement: a list or tuple of values for `?`, or a dict for `$name`; none out of None.
pub(crate) fn parameters_from_python(given: Option<&Bound<'_, PyAny>>) -> PyResult<Parameters> {
    let Some(given) = given.filter(|given| !given.is_none()) else {
        return Ok(Parameters::default());
    };
    if let Ok(dict) = given.cast::<PyDict>() {
        let named = dict.iter().map(|(name, value)| {
            let name: String = name
                .extract()
                .map_err(|_| error::kind("the names of parameters are texts, as 'id' is of $id"))?;
            let value =
                value_from_python(&value).map_err(|fault| Fault::from(fault.within(&format!("${name}"))))?;
            Ok((name, value))
        });
        return Ok(Parameters::named(named.collect::<PyResult<Vec<_>>>()?));
    }
    if given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>() {
        return Err(error::kind(format!(
            "parameters are a list or tuple, one value for each '?', or a dict: ({},), not {}",
            shown(given),
            shown(given)
        )));
    }
    let values = given.try_iter().map_err(|_| {
        error::kind(format!(
            "parameters are a list or tuple, one value for each '?', or a dict, not {}",
            shown(given)
        ))
    })?;
    let mut positional = Vec::new();
    for (place, value) in (1..).zip(values) {
        let value = value_from_python(&value?)
            .map_err(|fault| Fault::from(fault.within(&format!("parameter {place}"))))?;
        positional.push(value);
    }
    Ok(Parameters::from(positional))
}

/// The parameters of a statement that is carried out once for each.
pub(crate) fn rows_from_python(given: &Bound<'_, PyAny>) -> PyResult<Vec<Parameters>> {
    let rows = given.try_iter().map_err(|_| {
        error::kind(format!(
            "rows of parameters are a list of lists or tuples, not {}",
            shown(given)
        ))
    })?;
    rows.map(|row| parameters_from_python(Some(&row?))).collect()
}

fn value_from_python(value: &Bound<'_, PyAny>) -> Result<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    match present(value)? {
        Some(found) => Ok(found),
        None if missing::is_missing(value, &Kind::String) => Ok(Value::Null),
        None => match numpy::plain(value) {
            Some(plain) => value_from_python(&plain),
            None => Err(object(format!(
                "{} is of a type that no parameter has",
                shown(value)
            ))),
        },
    }
}

fn present(value: &Bound<'_, PyAny>) -> Result<Option<Value>> {
    if let Ok(value) = value.cast::<PyBool>() {
        return Ok(Some(Value::Bool(value.is_true())));
    }
    if value.is_instance_of::<PyInt>() {
        return integer(value).map(Some);
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return Ok(Some(Value::Float(value.value())));
    }
    if let Ok(text) = value.cast::<PyString>() {
        let text = text
            .to_cow()
            .map_err(|_| object(format!("{} is no valid Unicode", shown(value))))?;
        return Ok(Some(Value::Text(text.into_owned())));
    }
    if let Some(bytes) = bytes(value) {
        return Ok(Some(Value::Bytes(bytes)));
    }
    if number::is_decimal(value) {
        return decimal(value).map(Some);
    }
    if moment::is_date(value) {
        return match moment::date(value)? {
            Datum::Date(days) => Ok(Some(Value::Date(days))),
            _ => Ok(None),
        };
    }
    if moment::is_time_of_day(value) {
        return Ok(Some(Value::Time(moment::micros_of_day(value)? * 1_000)));
    }
    if moment::is_datetime(value) || value.is_instance_of::<moment::Timestamp>() || is_datetime64(value) {
        return if missing::is_missing(value, &Kind::String) {
            Ok(Some(Value::Null))
        } else {
            instant(value).map(Some)
        };
    }
    if let Ok(list) = value.cast::<PyList>() {
        return self::list(list.iter()).map(Some);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return self::list(tuple.iter()).map(Some);
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return self::dict(dict).map(Some);
    }
    Ok(None)
}

fn integer(value: &Bound<'_, PyAny>) -> Result<Value> {
    if let Ok(small) = value.extract::<i64>() {
        return Ok(Value::Int(small));
    }
    match value.extract::<i128>() {
        Ok(large) if Decimal::new(large, 0).fits(MAX_PRECISION) => {
            Ok(Value::Decimal(large, MAX_PRECISION, 0))
        }
        _ => Err(object(format!(
            "{} has more than {MAX_PRECISION} digits",
            shown(value)
        ))),
    }
}

fn bytes(value: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Some(bytes.as_bytes().to_vec());
    }
    if let Ok(bytes) = value.cast::<PyByteArray>() {
        return Some(bytes.to_vec());
    }
    if value.is_instance_of::<PyMemoryView>() {
        let bytes = value.call_method0("tobytes").ok()?;
        return Some(bytes.cast::<PyBytes>().ok()?.as_bytes().to_vec());
    }
    None
}

fn decimal(value: &Bound<'_, PyAny>) -> Result<Value> {
    let misfit = || object(format!("{} does not fit DECIMAL({MAX_PRECISION})", shown(value)));
    let text = value.str().map_err(|_| misfit())?;
    let number = number::parse_decimal(&text.to_string_lossy()).ok_or_else(misfit)?;
    let digits = number
        .unscaled()
        .unsigned_abs()
        .checked_ilog10()
        .map_or(1, |log| log + 1);
    let precision = u8::try_from(digits).unwrap_or(u8::MAX).max(number.scale());
    match i8::try_from(number.scale()) {
        Ok(scale) if precision <= MAX_PRECISION => Ok(Value::Decimal(number.unscaled(), precision, scale)),
        _ => Err(misfit()),
    }
}

fn is_datetime64(value: &Bound<'_, PyAny>) -> bool {
    numpy::kind(value).as_deref() == Some("M")
}

/// A moment of no zone, or of one: of a datetime that is aware.
fn instant(value: &Bound<'_, PyAny>) -> Result<Value> {
    let utc = moment::is_datetime(value) && moment::is_aware(value)?;
    let misfit = || object(format!("{} is outside of the years that SQL has", shown(value)));
    let found = moment::moment(value, 9, utc)?;
    let nanos = i64::from(found.nanos_of_milli());
    let micros = found.millis().checked_mul(1_000).ok_or_else(misfit)? + nanos / 1_000;
    if nanos % 1_000 == 0 {
        return Ok(if utc {
            Value::Instant(micros)
        } else {
            Value::Timestamp(micros)
        });
    }
    let nanos = micros.checked_mul(1_000).ok_or_else(misfit)? + nanos % 1_000;
    let array = TimestampNanosecondArray::from(vec![nanos]);
    let array = if utc { array.with_timezone("UTC") } else { array };
    Ok(Value::Arrow(Arc::new(array)))
}

/// An ARRAY.
fn list<'py>(elements: impl Iterator<Item = Bound<'py, PyAny>>) -> Result<Value> {
    let numbered = elements.enumerate();
    let elements = numbered.map(|(place, element)| {
        value_from_python(&element).map_err(|fault| fault.within(&format!("[{place}]")))
    });
    let elements = united(&elements.collect::<Result<Vec<_>>>()?)?;
    let field = Arc::new(Field::new("element", elements.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([elements.len()]);
    let list = ListArray::try_new(field, offsets, elements, None).map_err(broken)?;
    Ok(Value::Arrow(Arc::new(list)))
}

/// A MAP, or a ROW if the keys are texts and the values of different types.
fn dict(dict: &Bound<'_, PyDict>) -> Result<Value> {
    let (mut keys, mut items) = (Vec::new(), Vec::new());
    for (key, value) in dict {
        let item = value_from_python(&value).map_err(|fault| fault.within(&format!("[{}]", shown(&key))))?;
        keys.push(value_from_python(&key)?);
        items.push(item);
    }
    match united(&items) {
        Ok(items) => map(united(&keys)?, items),
        Err(fault) => row(&keys, &items).unwrap_or(Err(fault)),
    }
}

/// A ROW with these fields; nothing if their names are no texts.
fn row(names: &[Value], items: &[Value]) -> Option<Result<Value>> {
    let columns: Vec<ArrayRef> = items.iter().map(array_of).collect();
    let field = |(name, column): (&Value, &ArrayRef)| match name {
        Value::Text(name) => Some(Field::new(name, column.data_type().clone(), true)),
        _ => None,
    };
    let fields: Fields = names
        .iter()
        .zip(&columns)
        .map(field)
        .collect::<Option<Vec<_>>>()?
        .into();
    let row = StructArray::try_new(fields, columns, None).map_err(broken);
    Some(row.map(|row| Value::Arrow(Arc::new(row))))
}

/// A MAP with these entries.
fn map(keys: ArrayRef, items: ArrayRef) -> Result<Value> {
    let fields = Fields::from(vec![
        Field::new("key", keys.data_type().clone(), false),
        Field::new("value", items.data_type().clone(), true),
    ]);
    let offsets = OffsetBuffer::from_lengths([keys.len()]);
    let entries = StructArray::try_new(fields.clone(), vec![keys, items], None).map_err(broken)?;
    let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let map = MapArray::try_new(field, offsets, entries, None, false).map_err(broken)?;
    Ok(Value::Arrow(Arc::new(map)))
}

/// Values as one array of the type that all of them have, or fit.
fn united(values: &[Value]) -> Result<ArrayRef> {
    let arrays: Vec<ArrayRef> = values.iter().map(array_of).collect();
    let mut common = DataType::Null;
    for array in &arrays {
        common = common_type(common, array.data_type())?;
    }
    let cast_one = |array: &ArrayRef| cast(array, &common).map_err(broken);
    let arrays: Vec<ArrayRef> = arrays.iter().map(cast_one).collect::<Result<_>>()?;
    if arrays.is_empty() {
        return Ok(Arc::new(NullArray::new(0)));
    }
    let parts: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    concat(&parts).map_err(broken)
}

fn common_type(one: DataType, other: &DataType) -> Result<DataType> {
    use DataType::{Decimal128, Float64, Int64, List, Null, Struct};
    Ok(match (&one, other) {
        _ if one == *other => one,
        (Null, _) => other.clone(),
        (_, Null) => one,
        (Int64, Float64) | (Float64, Int64) => Float64,
        (Int64, Decimal128(_, scale)) | (Decimal128(_, scale), Int64) => Decimal128(MAX_PRECISION, *scale),
        (Decimal128(_, scale), Decimal128(_, other)) => Decimal128(MAX_PRECISION, *scale.max(other)),
        (List(field), List(other)) => List(common_field(field, other)?),
        (Struct(fields), Struct(others)) if same_names(fields, others) => {
            let pairs = fields.iter().zip(others);
            let common = pairs.map(|(field, other)| common_field(field, other));
            Struct(common.collect::<Result<_>>()?)
        }
        _ => {
            return Err(object(format!(
                "its values are of different types, {one} and {other}"
            )));
        }
    })
}

fn common_field(one: &FieldRef, other: &FieldRef) -> Result<FieldRef> {
    let common = common_type(one.data_type().clone(), other.data_type())?;
    Ok(Arc::new(one.as_ref().clone().with_data_type(common)))
}

fn same_names(some: &Fields, others: &Fields) -> bool {
    some.iter()
        .map(|field| field.name())
        .eq(others.iter().map(|field| field.name()))
}

fn array_of(value: &Value) -> ArrayRef {
    match value {
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::Int(value) => Arc::new(Int64Array::from(vec![*value])),
        Value::Float(value) => Arc::new(Float64Array::from(vec![*value])),
        Value::Decimal(digits, precision, scale) => {
            let array = Decimal128Array::from(vec![*digits]);
            match array.with_precision_and_scale(*precision, *scale) {
                Ok(array) => Arc::new(array),
                Err(_) => Arc::new(NullArray::new(1)),
            }
        }
        Value::Text(value) => Arc::new(StringArray::from(vec![value.as_str()])),
        Value::Bytes(value) => Arc::new(BinaryArray::from(vec![value.as_slice()])),
        Value::Date(days) => Arc::new(Date32Array::from(vec![*days])),
        Value::Time(nanos) => Arc::new(Time64NanosecondArray::from(vec![*nanos])),
        Value::Timestamp(micros) => Arc::new(TimestampMicrosecondArray::from(vec![*micros])),
        Value::Instant(micros) => {
            Arc::new(TimestampMicrosecondArray::from(vec![*micros]).with_timezone("UTC"))
        }
        Value::Arrow(array) => array.clone(),
        _ => Arc::new(NullArray::new(1)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: arrow::error::ArrowError) -> fluss_client::ValueError {
    object(error.to_string())
}
