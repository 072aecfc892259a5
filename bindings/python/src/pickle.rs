//! Columns as bytes, for `pickle`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::error::Fault;

/// Batches of one schema as an Arrow IPC stream.
pub(crate) fn to_bytes(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, Fault> {
    let write = || {
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        for batch in batches {
            writer.write(batch)?;
        }
        writer.into_inner()
    };
    write().map_err(|error| fault(&error))
}

/// What [`to_bytes`] has written.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>), Fault> {
    let read = || {
        let reader = StreamReader::try_new(bytes, None)?;
        let schema = reader.schema();
        Ok((schema, reader.collect::<Result<_, ArrowError>>()?))
    };
    read().map_err(|error| fault(&error))
}

fn fault(error: &ArrowError) -> Fault {
    Fault::new("DataError", error.to_string())
}
