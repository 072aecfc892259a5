//! Arrow data through the C interface.
//!
//! `pyo3-arrow` would do it but for Arrow 59, which counts the offset of a slice twice where it has rows in rows, or in lists
//! of a fixed size, and panics. Here slices are resolved before arrays are made.
#![expect(
    unsafe_code,
    reason = "what is behind a pointer of another library is its word"
)]

use std::ffi::CStr;
use std::sync::Arc;

use arrow::array::{Array, RecordBatchIterator};
use arrow::array::{ArrayData, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const SCHEMA: &CStr = c"arrow_schema";
const ARRAY: &CStr = c"arrow_array";
const STREAM: &CStr = c"arrow_array_stream";

type Reader = Box<dyn RecordBatchReader + Send>;

/// The batches of anything with `__arrow_c_array__` or `__arrow_c_stream__`; nothing if it has neither.
pub(crate) fn reader(data: &Bound<'_, PyAny>) -> PyResult<Option<Result<Reader, ArrowError>>> {
    let py = data.py();
    if let Some(export) = data.getattr_opt(intern!(py, "__arrow_c_array__"))? {
        let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = export.call0()?.extract()?;
        return Ok(Some(one_batch(&schema, &array)?));
    }
    let Some(export) = data.getattr_opt(intern!(py, "__arrow_c_stream__"))? else {
        return Ok(None);
    };
    let capsule: Bound<'_, PyCapsule> = export.call0()?.cast_into()?;
    let pointer = capsule
        .pointer_checked(Some(STREAM))?
        .cast::<FFI_ArrowArrayStream>();
    // SAFETY: a capsule of this name has a stream, which is moved out of it.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr()) };
    Ok(Some(
        Stream::open(stream).map(|stream| Box::new(stream) as Reader),
    ))
}

fn one_batch(
    schema: &Bound<'_, PyCapsule>,
    array: &Bound<'_, PyCapsule>,
) -> PyResult<Result<Reader, ArrowError>> {
    let schema = schema.pointer_checked(Some(SCHEMA))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(ARRAY))?.cast::<FFI_ArrowArray>();
    // SAFETY: capsules of these names have a schema and an array, which is moved out of it.
    let (schema, array) = unsafe { (schema.as_ref(), FFI_ArrowArray::from_raw(array.as_ptr())) };
    Ok(columns_of(schema).and_then(|(schema, rows)| {
        let batch = batch(&schema, &rows, array)?;
        Ok(Box::new(RecordBatchIterator::new([Ok(batch)], schema)) as Reader)
    }))
}

/// The columns of a schema, and the type of its rows.
fn columns_of(schema: &FFI_ArrowSchema) -> Result<(SchemaRef, DataType), ArrowError> {
    let field = Field::try_from(schema)?;
    let DataType::Struct(fields) = field.data_type() else {
        let reason = format!("columns are needed, not a single array of {}", field.data_type());
        return Err(ArrowError::SchemaError(reason));
    };
    let schema = Schema::new_with_metadata(fields.clone(), field.metadata().clone());
    Ok((Arc::new(schema), field.data_type().clone()))
}

fn batch(schema: &SchemaRef, rows: &DataType, mut array: FFI_ArrowArray) -> Result<RecordBatch, ArrowError> {
    pass_over_buffers(&mut array, rows);
    // SAFETY: whoever exports an array says what type it has.
    let data = unsafe { from_ffi_and_data_type(array, rows.clone()) }?;
    let rows = StructArray::from(resolved(&data, 0, data.len()));
    if rows.null_count() > 0 {
        return Err(ArrowError::InvalidArgumentError(
            "a row is null as a whole".to_owned(),
        ));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), rows.columns().to_vec(), &options)
}

/// Passes over the buffers of columns of nulls: polars exports one for each, where Arrow has none.
fn pass_over_buffers(array: &mut FFI_ArrowArray, data_type: &DataType) {
    let children: Vec<&DataType> = match data_type {
        DataType::Null => {
            array.n_buffers = 0;
            return;
        }
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child.data_type()],
        _ => return,
    };
    for (index, child_type) in children.into_iter().take(array.num_children()).enumerate() {
        // SAFETY: there are so many children, which are the array's own.
        let child = unsafe { (*array.children.add(index)).as_mut() };
        if let Some(child) = child {
            pass_over_buffers(child, child_type);
        }
    }
}

/// A part of an array, whose rows and lists of a fixed size have no offset: it is passed on to what is in them.
fn resolved(data: &ArrayData, offset: usize, length: usize) -> ArrayData {
    let start = data.offset() + offset;
    let children = |resolve: &dyn Fn(&ArrayData) -> ArrayData| -> Vec<ArrayData> {
        data.child_data().iter().map(resolve).collect()
    };
    let builder = match data.data_type() {
        DataType::Struct(_) => {
            let nulls = data.nulls().map(|nulls| nulls.slice(offset, length));
            let builder = ArrayData::builder(data.data_type().clone())
                .len(length)
                .nulls(nulls);
            builder.child_data(children(&|child| resolved(child, start, length)))
        }
        DataType::FixedSizeList(_, width) => {
            let width = usize::try_from(*width).unwrap_or_default();
            let nulls = data.nulls().map(|nulls| nulls.slice(offset, length));
            let builder = ArrayData::builder(data.data_type().clone())
                .len(length)
                .nulls(nulls);
            builder.child_data(children(&|child| resolved(child, start * width, length * width)))
        }
        _ => {
            let part = data.slice(offset, length);
            let children = children(&|child| resolved(child, 0, child.len()));
            part.into_builder().child_data(children)
        }
    };
    // SAFETY: these are the values of `data`, each in its place.
    unsafe { builder.build_unchecked() }
}

/// Batches that another library makes as they are asked for.
struct Stream {
    source: FFI_ArrowArrayStream,
    schema: SchemaRef,
    rows: DataType,
}

impl Stream {
    fn open(mut stream: FFI_ArrowArrayStream) -> Result<Self, ArrowError> {
        let released = || ArrowError::CDataInterface("the stream has been read already".to_owned());
        let get_schema = stream.get_schema.ok_or_else(released)?;
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: the stream is open, and the schema is written to.
        let code = unsafe { get_schema(&raw mut stream, &raw mut schema) };
        if code != 0 {
            return Err(failure(&mut stream, code));
        }
        let (schema, rows) = columns_of(&schema)?;
        Ok(Self {
            source: stream,
            schema,
            rows,
        })
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let get_next = self.source.get_next?;
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: the stream is open, and the array is written to.
        let code = unsafe { get_next(&raw mut self.source, &raw mut array) };
        if code != 0 {
            return Some(Err(failure(&mut self.source, code)));
        }
        (!array.is_released()).then(|| batch(&self.schema, &self.rows, array))
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// What a stream says of its failure.
fn failure(stream: &mut FFI_ArrowArrayStream, code: i32) -> ArrowError {
    // SAFETY: the stream is open; the text is copied before anything else is asked of it.
    let told = stream.get_last_error.and_then(|told| unsafe {
        let text = told(&raw mut *stream);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    });
    ArrowError::CDataInterface(told.unwrap_or_else(|| format!("the stream failed with code {code}")))
}
