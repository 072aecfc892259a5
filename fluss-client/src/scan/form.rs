//! How fetched batches are laid out.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use fluss_core::arrow::arrow_schema;
use fluss_core::types::{Places, RowType};

/// How batches are laid out that were written under one schema and fetched in one way.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) held: RowType,
    pub(super) wire_schema: SchemaRef,
    /// The positions of the columns that are decoded, ascending.
    pub(super) decoded: Vec<usize>,
    /// Where among these the columns are that are needed; nothing for those that the schema does not have.
    pub(super) places: Places,
    /// Whether batches can be checked: the server does not compute the checksum of a projected batch anew.
    pub(super) is_whole: bool,
}

/// How batches are laid out that were written under one schema.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) whole: Arc<Form>,
    /// With no more columns than are needed; nothing if the schema does not have them where the table has
    /// them (`behaviour.md` §4.3), or if all are fetched anyway.
    pub(super) projected: Option<Arc<Form>>,
}

impl Form {
    /// Of batches that hold these columns, those at these places are needed.
    pub(super) fn new(held: RowType, places: &Places, is_whole: bool) -> Arc<Self> {
        let decoded: BTreeSet<usize> = places.iter().flatten().collect();
        let decoded: Vec<usize> = decoded.into_iter().collect();
        let place = |place: Option<usize>| decoded.binary_search(&place?).ok();
        Arc::new(Self {
            wire_schema: arrow_schema(&held),
            held,
            places: places.iter().map(place).collect(),
            decoded,
            is_whole,
        })
    }
}
