//! What tables are made of: data types, schemas, descriptors, paths, and the values in their rows.

mod civil;
mod data_type;
mod datum;
mod decimal;
mod descriptor;
mod json;
mod parse;
mod path;
mod places;
mod property;
mod schema;
mod suggest;
mod time;

pub(crate) use civil::Year;
pub use civil::{CivilDate, CivilTime};
pub use data_type::{DataType, Field, Kind, RowType};
pub use datum::{Datum, OwnedRow, Row};
pub use decimal::Decimal;
pub use descriptor::{DatabaseDescriptor, TableDescriptor, TableDescriptorBuilder, TableInfo};
pub use path::{PartitionName, PartitionSpec, PhysicalTablePath, TablePath, check_name};
pub use places::Places;
pub use property::{Compression, KvFormat, LakeFormat, LogFormat, TableProperties, ZstdLevel};
pub use schema::{AggregateFunction, Column, Schema, SchemaBuilder};
pub use suggest::{did_you_mean, suggestion};
pub use time::Timestamp;

/// A name, descriptor or type that the protocol does not allow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDefinition(pub(crate) String);

impl InvalidDefinition {
    /// What is wrong, as a sentence.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
