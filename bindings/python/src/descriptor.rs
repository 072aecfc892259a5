//! What tables are to be, and what the server says that they are.

use std::collections::BTreeMap;

use fluss_client::types;
use pyo3::prelude::*;

use crate::error::Fault;
use crate::path::{PathArgument, TablePath};
use crate::schema::{Names, Schema, SchemaArgument, hash_of};

/// What a table is to be when it is created.
#[pyclass(frozen, eq, from_py_object, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TableDescriptor(pub(crate) types::TableDescriptor);

#[pymethods]
impl TableDescriptor {
    #[new]
    #[pyo3(signature = (schema, *, partition_keys=None, bucket_count=None, bucket_keys=None, comment=None,
                        log_format=None, kv_format=None, properties=None, custom_properties=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        schema: SchemaArgument,
        partition_keys: Option<Names>,
        bucket_count: Option<i32>,
        bucket_keys: Option<Names>,
        comment: Option<String>,
        log_format: Option<String>,
        kv_format: Option<String>,
        properties: Option<BTreeMap<String, String>>,
        custom_properties: Option<BTreeMap<String, String>>,
    ) -> Result<Self, Fault> {
        let bucket_keys = bucket_keys.unwrap_or_default().0;
        let mut builder =
            types::TableDescriptor::builder(schema.0).partitioned_by(partition_keys.unwrap_or_default().0);
        builder = match bucket_count {
            Some(count) => builder.distributed_by(count, bucket_keys),
            None => builder.bucket_keys(bucket_keys),
        };
        if let Some(comment) = comment {
            builder = builder.comment(comment);
        }
        let formats = [("table.log.format", log_format), ("table.kv.format", kv_format)];
        let formats = formats
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        for (key, value) in properties.unwrap_or_default().into_iter().chain(formats) {
            builder = builder.property(key, value);
        }
        for (key, value) in custom_properties.unwrap_or_default() {
            builder = builder.custom_property(key, value);
        }
        Ok(Self(builder.build()?))
    }

    #[staticmethod]
    fn builder(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        py.import("fluss.metadata")?
            .getattr("TableDescriptorBuilder")?
            .call0()
    }

    fn get_schema(&self) -> Schema {
        Schema(self.0.schema().clone())
    }

    #[getter]
    fn comment(&self) -> Option<&str> {
        self.0.comment()
    }

    #[getter]
    fn bucket_count(&self) -> Option<i32> {
        self.0.bucket_count()
    }

    fn get_bucket_keys(&self) -> &[String] {
        self.0.bucket_keys()
    }

    fn get_partition_keys(&self) -> &[String] {
        self.0.partition_keys()
    }

    fn get_properties(&self) -> BTreeMap<String, String> {
        self.0.properties().clone()
    }

    fn get_custom_properties(&self) -> BTreeMap<String, String> {
        self.0.custom_properties().clone()
    }

    fn to_json(&self) -> String {
        String::from_utf8_lossy(&self.0.to_json()).into_owned()
    }

    #[staticmethod]
    fn from_json(json: &str) -> Result<Self, Fault> {
        Ok(Self(types::TableDescriptor::from_json(json.as_bytes())?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((py.get_type::<Self>().getattr("from_json")?, (self.to_json(),)))
    }

    fn __hash__(&self) -> u64 {
        hash_of(&self.0.to_json())
    }

    fn __repr__(&self) -> String {
        format!("TableDescriptor({})", self.to_json())
    }
}

/// A table as it stands on the server.
#[pyclass(frozen, eq, module = "fluss.metadata")]
#[derive(PartialEq, Eq)]
pub(crate) struct TableInfo(pub(crate) types::TableInfo);

/// What a table's info is made of, beside its path: table and schema by number, the descriptor, the buckets, and when it
/// was created and altered.
type InfoParts = (i64, i16, String, (i32, i64), i64, i64);

#[pymethods]
impl TableInfo {
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (TablePath, InfoParts))> {
        let info = &self.0;
        let parts = (
            info.id.get(),
            info.schema_id.get(),
            self.get_table_descriptor().to_json(),
            (info.bucket_count, info.bucket_count_epoch),
            info.created_time,
            info.modified_time,
        );
        let restore = py.get_type::<Self>().getattr("_restore")?;
        Ok((restore, (self.table_path(), parts)))
    }

    #[staticmethod]
    fn _restore(path: PathArgument, parts: InfoParts) -> Result<Self, Fault> {
        let (id, schema_id, descriptor, buckets, created_time, modified_time) = parts;
        let (bucket_count, bucket_count_epoch) = buckets;
        let descriptor = types::TableDescriptor::from_json(descriptor.as_bytes())?;
        Ok(Self(types::TableInfo {
            path: path.whole()?,
            id: id.into(),
            schema_id: schema_id.into(),
            properties: types::TableProperties::parse(descriptor.properties())?,
            descriptor,
            bucket_count,
            bucket_count_epoch,
            created_time,
            modified_time,
        }))
    }

    fn __hash__(&self) -> u64 {
        hash_of(&(&self.0.path, self.0.id, self.0.schema_id, self.0.modified_time))
    }

    #[getter]
    fn table_path(&self) -> TablePath {
        TablePath(self.0.path.clone())
    }

    #[getter]
    fn table_id(&self) -> i64 {
        self.0.id.get()
    }

    #[getter]
    fn schema_id(&self) -> i16 {
        self.0.schema_id.get()
    }

    #[getter]
    fn num_buckets(&self) -> i32 {
        self.0.bucket_count
    }

    #[getter]
    fn bucket_count_epoch(&self) -> i64 {
        self.0.bucket_count_epoch
    }

    #[getter]
    fn comment(&self) -> Option<&str> {
        self.0.descriptor.comment()
    }

    #[getter]
    fn created_time(&self) -> i64 {
        self.0.created_time
    }

    #[getter]
    fn modified_time(&self) -> i64 {
        self.0.modified_time
    }

    fn get_table_descriptor(&self) -> TableDescriptor {
        TableDescriptor(self.0.descriptor.clone())
    }

    fn get_schema(&self) -> Schema {
        Schema(self.0.schema().clone())
    }

    fn get_column_names(&self) -> Vec<&str> {
        self.0
            .schema()
            .columns()
            .iter()
            .map(|column| column.name.as_str())
            .collect()
    }

    fn get_column_count(&self) -> usize {
        self.0.schema().columns().len()
    }

    fn get_primary_keys(&self) -> &[String] {
        self.0.schema().primary_key()
    }

    fn get_bucket_keys(&self) -> &[String] {
        self.0.descriptor.bucket_keys()
    }

    fn get_partition_keys(&self) -> &[String] {
        self.0.descriptor.partition_keys()
    }

    fn get_properties(&self) -> BTreeMap<String, String> {
        self.0.descriptor.properties().clone()
    }

    fn get_custom_properties(&self) -> BTreeMap<String, String> {
        self.0.descriptor.custom_properties().clone()
    }

    fn has_primary_key(&self) -> bool {
        self.0.has_primary_key()
    }

    fn is_partitioned(&self) -> bool {
        self.0.is_partitioned()
    }

    fn __repr__(&self) -> String {
        format!(
            "TableInfo(table_path='{}', table_id={}, num_buckets={})",
            self.0.path, self.0.id, self.0.bucket_count
        )
    }
}
