//! The extension module `fluss._fluss`: the glue between the client and the Python package.
//!
//! Each operation has one entry here, which returns a `pending::Pending`; the faces in `python/fluss` wait for it or
//! await it. Values go through `convert`, errors through `error`, and bulk data as Arrow.

mod admin;
mod arrow;
mod awaited;
mod batch;
mod blocking;
mod bounds;
mod bucket;
mod change;
mod closing;
mod columns;
mod config;
mod connection;
mod convert;
mod descriptor;
mod documents;
mod error;
mod exit;
mod handover;
mod import;
mod join;
mod library;
mod logging;
mod lookup;
mod metrics;
mod own;
mod parts;
mod path;
mod pending;
mod pickle;
mod plan;
mod positions;
mod program;
mod reader;
mod reading;
mod records;
mod replica;
mod runtime;
mod scanner;
mod schema;
#[cfg(feature = "sql")]
mod sql;
mod stay;
mod streams;
mod table;
mod task;
mod types;
mod writer;
mod writing;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _fluss(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    exit::register(module)?;
    module.add_function(wrap_pyfunction!(arrow::assume_utc, module)?)?;
    module.add_function(wrap_pyfunction!(config::check_option, module)?)?;
    module.add_function(wrap_pyfunction!(config::environment_options, module)?)?;
    module.add_function(wrap_pyfunction!(config::options_of, module)?)?;
    module.add_function(wrap_pyfunction!(config::without_secrets, module)?)?;
    module.add_function(wrap_pyfunction!(config::parse_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(config::parse_millis, module)?)?;
    module.add_function(wrap_pyfunction!(error::is_retriable, module)?)?;
    module.add_function(wrap_pyfunction!(join::joined, module)?)?;
    module.add_function(wrap_pyfunction!(join::key_columns, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::metric_values, module)?)?;
    module.add_function(wrap_pyfunction!(program::run_program, module)?)?;
    #[cfg(feature = "sql")]
    sql::register(module)?;
    module.add_class::<admin::Admin>()?;
    module.add_class::<admin::KvSnapshotLease>()?;
    module.add_class::<admin::OffsetSpec>()?;
    module.add_class::<arrow::ArrowTable>()?;
    module.add_class::<arrow::ArrowStream>()?;
    module.add_class::<batch::RecordBatch>()?;
    module.add_class::<bucket::TableBucket>()?;
    module.add_class::<columns::ArrowColumn>()?;
    module.add_class::<columns::ArrowSchema>()?;
    module.add_class::<change::TableChange>()?;
    module.add_class::<connection::Connection>()?;
    module.add_class::<convert::Timestamp>()?;
    module.add_class::<descriptor::TableDescriptor>()?;
    module.add_class::<descriptor::TableInfo>()?;
    module.add_class::<documents::Documents>()?;
    module.add_class::<lookup::Lookuper>()?;
    module.add_class::<lookup::PrefixLookuper>()?;
    module.add_class::<parts::ArrowParts>()?;
    module.add_class::<path::TablePath>()?;
    module.add_class::<pending::Pending>()?;
    module.add_class::<plan::BucketRead>()?;
    module.add_class::<plan::RowReader>()?;
    module.add_class::<plan::TableRead>()?;
    module.add_class::<positions::Positions>()?;
    module.add_class::<reader::BoundedReader>()?;
    module.add_class::<records::ScanRecord>()?;
    module.add_class::<records::ScanRecords>()?;
    module.add_class::<replica::ReplicaCore>()?;
    module.add_class::<replica::ReplicaReads>()?;
    module.add_class::<replica::ReplicaScan>()?;
    module.add_class::<scanner::LogScanner>()?;
    module.add_class::<schema::Schema>()?;
    module.add_class::<schema::SchemaBuilder>()?;
    module.add_class::<streams::EventReader>()?;
    module.add_class::<streams::EventStreams>()?;
    module.add_class::<table::Table>()?;
    module.add_class::<types::DataType>()?;
    module.add_class::<writer::AppendWriter>()?;
    module.add_class::<writer::UpsertWriter>()?;
    module.add_class::<writing::WriteHandle>()
}
