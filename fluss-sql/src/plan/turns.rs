//! Conditions of joins that let other threads go between the pieces that they are computed for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::utils::JoinFilter;

use crate::cpu::give_way;

/// A condition, which is computed for some thousand pairs of rows at a time, and between them lets others go.
#[derive(Clone, Debug)]
struct InTurns(Arc<dyn PhysicalExpr>);

/// The same filter of a join, in turns.
pub(super) fn in_turns(filter: &JoinFilter) -> JoinFilter {
    let condition = Arc::new(InTurns(filter.expression().clone()));
    JoinFilter::new(
        condition,
        filter.column_indices().to_vec(),
        filter.schema().clone(),
    )
}

impl PartialEq for InTurns {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for InTurns {}

impl Hash for InTurns {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for InTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for InTurns {
    fn data_type(&self, input: &Schema) -> Result<DataType, DataFusionError> {
        self.0.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool, DataFusionError> {
        self.0.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef, DataFusionError> {
        self.0.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue, DataFusionError> {
        give_way();
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        Ok(Arc::new(Self(children.pop().unwrap_or_else(|| self.0.clone()))))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
