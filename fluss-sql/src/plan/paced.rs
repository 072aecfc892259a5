//! Joins that give way: a query that is stopped ends soon, and others get their turns.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::Stream;

use super::turns::in_turns;
use crate::cpu::give_way;

/// So many pairs of rows a join by nested loops looks at before it gives way.
const PAIRS: usize = 4 << 20;

/// Makes joins give way.
///
/// What they read and what they return counts against the turn of their task. A join by nested loops holds all rows of one
/// side against each batch of the other, and does nothing else meanwhile: it gets those batches in pieces that are the
/// smaller the more rows there are to hold against, and gives way before each.
#[derive(Debug)]
pub(super) struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rewritten = plan.transform_up(|plan| {
            if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
                let join = by_pieces(join)?;
                return Ok(Transformed::yes(gives_way(join)));
            }
            if !is_join(&plan) {
                return Ok(Transformed::no(plan));
            }
            let inputs = plan.children().into_iter().cloned().map(cooperative);
            let inputs = inputs.collect();
            let join = replace_children_if_necessary(plan, inputs)?;
            Ok(Transformed::yes(gives_way(join)))
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join by nested loops that gets one side in pieces, and gives way between those that it computes its condition for.
fn by_pieces(join: &NestedLoopJoinExec) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let held = Arc::new(AtomicUsize::new(0));
    let (left, right) = (
        Paced::counting(join.left(), &held),
        Paced::slicing(join.right(), &held),
    );
    let join = NestedLoopJoinExecBuilder::new(left, right, *join.join_type())
        .with_projection_ref(join.projection().clone())
        .with_filter(join.filter().map(in_turns))
        .build()?;
    Ok(Arc::new(join))
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.is::<CrossJoinExec>() || plan.is::<SortMergeJoinExec>()
}

fn cooperative(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    if plan.is::<CooperativeExec>() {
        return plan;
    }
    Arc::new(CooperativeExec::new(plan))
}

/// Counts what comes of a join against the turns of its task, and of its thread.
fn gives_way(join: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    cooperative(Paced::giving_way(join))
}

/// A side of a join by nested loops, or what comes of another one.
#[derive(Clone, Debug)]
struct Paced {
    input: Arc<dyn ExecutionPlan>,
    role: Role,
    /// The rows of the side that is held, as far as it was read.
    held: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// It is held: its rows are counted.
    Counts,
    /// It comes in pieces.
    Slices,
    /// It is as it comes.
    GivesWay,
}

impl Paced {
    fn counting(input: &Arc<dyn ExecutionPlan>, held: &Arc<AtomicUsize>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self {
            input: input.clone(),
            role: Role::Counts,
            held: held.clone(),
        })
    }

    fn slicing(input: &Arc<dyn ExecutionPlan>, held: &Arc<AtomicUsize>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self {
            input: input.clone(),
            role: Role::Slices,
            held: held.clone(),
        })
    }

    fn giving_way(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self {
            input,
            role: Role::GivesWay,
            held: Arc::default(),
        })
    }
}

impl DisplayAs for Paced {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacedExec")
    }
}

impl ExecutionPlan for Paced {
    fn name(&self) -> &'static str {
        "PacedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let input = children.pop().unwrap_or_else(|| self.input.clone());
        Ok(Arc::new(Self {
            input,
            ..(*self).clone()
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let input = children.pop().unwrap_or_else(|| self.input.clone());
        Ok(Arc::new(Self {
            input,
            ..(*self).clone()
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        Ok(Box::pin(PacedStream {
            input: self.input.execute(partition, context)?,
            role: self.role,
            held: self.held.clone(),
            open: None,
            gave_way: true,
        }))
    }
}

struct PacedStream {
    input: SendableRecordBatchStream,
    role: Role,
    held: Arc<AtomicUsize>,
    /// What is left of the last batch.
    open: Option<RecordBatch>,
    /// Whether the next piece may go.
    gave_way: bool,
}

impl Stream for PacedStream {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if !self.gave_way {
            self.gave_way = true;
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match self.open.take() {
            Some(open) => open,
            None => match std::task::ready!(self.input.as_mut().poll_next(task)) {
                Some(Ok(batch)) => batch,
                ended => return Poll::Ready(ended),
            },
        };
        give_way();
        match self.role {
            Role::Counts => {
                self.held.fetch_add(batch.num_rows(), Ordering::Relaxed);
                return Poll::Ready(Some(Ok(batch)));
            }
            Role::GivesWay => return Poll::Ready(Some(Ok(batch))),
            Role::Slices => {}
        }
        self.gave_way = false;
        let rows = PAIRS / self.held.load(Ordering::Relaxed).max(1);
        let rows = rows.clamp(1, batch.num_rows().max(1));
        if rows >= batch.num_rows() {
            return Poll::Ready(Some(Ok(batch)));
        }
        let piece = batch.slice(0, rows);
        self.open = Some(batch.slice(rows, batch.num_rows() - rows));
        Poll::Ready(Some(Ok(piece)))
    }
}

impl RecordBatchStream for PacedStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::StreamExt;

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[tokio::test]
    async fn the_more_rows_are_held_the_smaller_are_the_pieces() {
        for (held, sizes) in [
            (0, vec![100]),
            (PAIRS / 40, vec![40, 40, 20]),
            (2 * PAIRS, vec![1; 100]),
        ] {
            let input = futures::stream::iter([Ok(batch(100))]);
            let stream = PacedStream {
                input: Box::pin(RecordBatchStreamAdapter::new(batch(0).schema(), input)),
                role: Role::Slices,
                held: Arc::new(AtomicUsize::new(held)),
                open: None,
                gave_way: true,
            };
            let found: Vec<usize> = stream.map(|piece| piece.unwrap().num_rows()).collect().await;
            assert_eq!(found, sizes, "{held}");
        }
    }
}
