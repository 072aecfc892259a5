//! Python values into rows. Nothing is rounded, and every fault names its column.

use std::borrow::Cow;

use fluss_client::ValueError;
use fluss_client::types::{DataType, Datum, Field, Kind, OwnedRow, Row, RowType};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyInt, PyList, PyMemoryView, PyString, PyTuple};

use super::fault::{Result, mismatch, object, shown};
use super::{missing, moment, number, numpy};

/// A row of a table out of a list, a tuple or a dict.
pub(crate) fn row_from_python(row: &Bound<'_, PyAny>, row_type: &RowType) -> Result<OwnedRow> {
    fields(row, row_type, "a row")
}

/// The fields of a document by their names. Those that the table does not have are null, and told of by whoever looks
/// them up.
pub(crate) fn document_from_python(
    document: &Bound<'_, PyDict>,
    row_type: &RowType,
) -> Result<Vec<(String, Datum<'static>)>> {
    let field = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let Ok(name) = name.extract::<String>() else {
            return Err(mismatch("the name of a column", "a str", &name));
        };
        let place = row_type.index_of(&name);
        let value = match place.and_then(|place| row_type.field(place)) {
            Some(field) => field_value(&value, field)?,
            None => Datum::Null,
        };
        Ok((name, value))
    };
    document.iter().map(field).collect()
}

/// A key out of a list, a tuple or a dict, or out of its only value. Where `all` says what whole rows are, a row with
/// the key is taken too.
pub(crate) fn key_from_python(
    key: &Bound<'_, PyAny>,
    key_type: &RowType,
    all: Option<&RowType>,
) -> Result<OwnedRow> {
    let is_row =
        key.is_instance_of::<PyDict>() || key.is_instance_of::<PyList>() || key.is_instance_of::<PyTuple>();
    if let (false, [field]) = (is_row, key_type.fields()) {
        return Ok(vec![field_value(key, field)?]);
    }
    match (all, key.len()) {
        (Some(all), Ok(length)) if is_row && length != key_type.len() && length == all.len() => {
            let mut row = row_from_python(key, all)?;
            let mut take = |field: &Field| {
                let place = all.index_of(&field.name).and_then(|place| row.get_mut(place));
                place.map_or(Datum::Null, |datum| std::mem::replace(datum, Datum::Null))
            };
            Ok(key_type.fields().iter().map(&mut take).collect())
        }
        _ => fields(key, key_type, "a key"),
    }
}

/// A key that is looked up at once. One of a single column costs no allocation, if it is a plain text or number.
pub(crate) enum Key<'k> {
    One([Datum<'k>; 1]),
    Several(OwnedRow),
}

impl Row for Key<'_> {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(values) => values.as_slice().len(),
        }
    }

    fn datum(&self, index: usize) -> Datum<'_> {
        match self {
            Self::One(values) => values.datum(index),
            Self::Several(values) => values.datum(index),
        }
    }
}

impl<'k> Key<'k> {
    /// The same key as by [`key_from_python`].
    pub(crate) fn from_python(key: &'k Bound<'_, PyAny>, key_type: &RowType) -> Result<Self> {
        if let [field] = key_type.fields() {
            if matches!(field.data_type.kind(), Kind::String)
                && let Ok(text) = key.cast::<PyString>()
                && let Ok(text) = text.to_str()
            {
                return Ok(Self::One([Datum::String(Cow::Borrowed(text))]));
            }
            if key.is_exact_instance_of::<PyInt>() {
                return Ok(Self::One([field_value(key, field)?]));
            }
        }
        key_from_python(key, key_type, None).map(Self::Several)
    }

    /// Whether one of its values is null: no row has such a key.
    pub(crate) fn has_null(&self) -> bool {
        match self {
            Self::One([value]) => value.is_null(),
            Self::Several(values) => values.iter().any(Datum::is_null),
        }
    }
}

fn fields(row: &Bound<'_, PyAny>, row_type: &RowType, what: &str) -> Result<Vec<Datum<'static>>> {
    if let Ok(dict) = row.cast::<PyDict>() {
        return from_dict(dict, row_type);
    }
    if let Ok(list) = row.cast::<PyList>() {
        check_length(list.len(), row_type, what)?;
        return in_order(list.iter(), row_type);
    }
    if let Ok(tuple) = row.cast::<PyTuple>() {
        check_length(tuple.len(), row_type, what)?;
        return in_order(tuple.iter(), row_type);
    }
    Err(mismatch(what, "a list, a tuple or a dict", row))
}

fn check_length(length: usize, row_type: &RowType, what: &str) -> Result<()> {
    if length == row_type.len() {
        Ok(())
    } else {
        Err(object(format!(
            "{what} of {length} values, {} are needed",
            row_type.len()
        )))
    }
}

fn in_order<'py>(
    values: impl Iterator<Item = Bound<'py, PyAny>>,
    row_type: &RowType,
) -> Result<Vec<Datum<'static>>> {
    row_type
        .fields()
        .iter()
        .zip(values)
        .map(|(field, value)| field_value(&value, field))
        .collect()
}

fn from_dict(dict: &Bound<'_, PyDict>, row_type: &RowType) -> Result<Vec<Datum<'static>>> {
    let of_field = |field: &Field| match dict.get_item(&field.name) {
        Ok(Some(value)) => field_value(&value, field),
        _ => Err(ValueError::column(&field.name, "it is missing")),
    };
    let values: Vec<_> = row_type.fields().iter().map(of_field).collect::<Result<_>>()?;
    if dict.len() == values.len() {
        Ok(values)
    } else {
        Err(unknown_key(dict, row_type))
    }
}

fn unknown_key(dict: &Bound<'_, PyDict>, row_type: &RowType) -> ValueError {
    let known = |key: &Bound<'_, PyAny>| {
        key.extract::<String>()
            .is_ok_and(|key| row_type.index_of(&key).is_some())
    };
    match dict.keys().iter().find(|key| !known(key)) {
        Some(key) => ValueError::column(key.to_string(), "there is no such column"),
        None => object("the dict changed while it was read"),
    }
}

pub(super) fn field_value(value: &Bound<'_, PyAny>, field: &Field) -> Result<Datum<'static>> {
    datum(value, &field.data_type).map_err(|fault| fault.within(&field.name))
}

fn datum(value: &Bound<'_, PyAny>, data_type: &DataType) -> Result<Datum<'static>> {
    if value.is_none() {
        return null_for(value, data_type);
    }
    match present(value, data_type.kind()) {
        Ok(datum) => Ok(datum),
        Err(_) if missing::is_missing(value, data_type.kind()) => null_for(value, data_type),
        Err(fault) => match numpy::plain(value) {
            Some(plain) => datum(&plain, data_type),
            None => Err(fault),
        },
    }
}

fn null_for(value: &Bound<'_, PyAny>, data_type: &DataType) -> Result<Datum<'static>> {
    if data_type.is_nullable() {
        Ok(Datum::Null)
    } else {
        Err(object(format!(
            "it is NOT NULL, but the value is {}",
            shown(value)
        )))
    }
}

fn present(value: &Bound<'_, PyAny>, kind: &Kind) -> Result<Datum<'static>> {
    Ok(match kind {
        Kind::Boolean => Datum::Boolean(boolean(value)?),
        Kind::TinyInt => Datum::TinyInt(number::integer(value, "TINYINT")?),
        Kind::SmallInt => Datum::SmallInt(number::integer(value, "SMALLINT")?),
        Kind::Int => Datum::Int(number::integer(value, "INT")?),
        Kind::BigInt => Datum::BigInt(number::integer(value, "BIGINT")?),
        Kind::Float => Datum::Float(number::float(value)?),
        Kind::Double => Datum::Double(number::double(value)?),
        Kind::Char(_) | Kind::String => Datum::String(text(value, kind)?),
        Kind::Binary(_) | Kind::Bytes => Datum::Bytes(bytes(value, kind)?),
        &Kind::Decimal { precision, scale } => Datum::Decimal(number::decimal(value, precision, scale)?),
        Kind::Date => moment::date(value)?,
        &Kind::Time(precision) => moment::time(value, precision)?,
        &Kind::Timestamp(precision) => Datum::Timestamp(moment::moment(value, precision, false)?),
        &Kind::TimestampLtz(precision) => Datum::TimestampLtz(moment::moment(value, precision, true)?),
        Kind::Array(element) => Datum::Array(array(value, element)?),
        Kind::Map(key, item) => Datum::Map(map(value, key, item)?),
        Kind::Row(row) => Datum::Row(fields(value, row, "ROW")?),
        _ => return Err(object(format!("{kind} cannot be written from Python"))),
    })
}

fn boolean(value: &Bound<'_, PyAny>) -> Result<bool> {
    value
        .cast::<PyBool>()
        .map(PyBoolMethods::is_true)
        .map_err(|_| mismatch("BOOLEAN", "a bool", value))
}

fn text(value: &Bound<'_, PyAny>, kind: &Kind) -> Result<Cow<'static, str>> {
    let text = value
        .cast::<PyString>()
        .map_err(|_| mismatch(&kind.to_string(), "a str", value))?;
    let text = text
        .to_cow()
        .map_err(|_| object(format!("{} is no valid Unicode", shown(value))))?;
    match kind {
        &Kind::Char(limit) if text.chars().count() > limit as usize => {
            Err(object(format!("{} is longer than {kind}", shown(value))))
        }
        _ => Ok(Cow::Owned(text.into_owned())),
    }
}

fn bytes(value: &Bound<'_, PyAny>, kind: &Kind) -> Result<Cow<'static, [u8]>> {
    let bytes = if let Ok(bytes) = value.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        bytes.to_vec()
    } else if value.is_instance_of::<PyMemoryView>()
        && let Ok(bytes) = value.call_method0("tobytes")
        && let Ok(bytes) = bytes.cast::<PyBytes>()
    {
        bytes.as_bytes().to_vec()
    } else {
        return Err(mismatch(
            &kind.to_string(),
            "bytes, a bytearray or a memoryview",
            value,
        ));
    };
    match kind {
        &Kind::Binary(length) if bytes.len() != length as usize => Err(object(format!(
            "{} bytes are not the {length} of {kind}",
            bytes.len()
        ))),
        _ => Ok(Cow::Owned(bytes)),
    }
}

fn array(value: &Bound<'_, PyAny>, element: &DataType) -> Result<Vec<Datum<'static>>> {
    let wrong = || mismatch("ARRAY", "a list or another iterable of values", value);
    if value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyDict>()
    {
        return Err(wrong());
    }
    let mut elements = Vec::new();
    for (position, item) in value.try_iter().map_err(|_| wrong())?.enumerate() {
        let item = item.map_err(|error| object(error.to_string()))?;
        elements.push(datum(&item, element).map_err(|fault| fault.within(&format!("[{position}]")))?);
    }
    Ok(elements)
}

fn map(
    value: &Bound<'_, PyAny>,
    key: &DataType,
    item: &DataType,
) -> Result<Vec<(Datum<'static>, Datum<'static>)>> {
    let entry = |(k, v): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let at = format!("[{}]", shown(&k));
        let convert = || Ok((datum(&k, key)?, datum(&v, item)?));
        convert().map_err(|fault: ValueError| fault.within(&at))
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        return dict.iter().map(entry).collect();
    }
    let wrong = || mismatch("MAP", "a dict or a list of pairs", value);
    let pairs = value.cast::<PyList>().map_err(|_| wrong())?;
    pairs
        .iter()
        .map(|pair| entry(pair.extract().map_err(|_| wrong())?))
        .collect()
}
