//! The step of a plan that reads.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use fluss_client::Table;
use fluss_client::types::TablePath;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::runtime::Handle;

use super::part::{By, Columns, Part, Read, RowCount};
use super::seek::Seek;
use super::stream::Resized;
use crate::cpu::Entered;

/// So many parts are read side by side at most; if there are more, one after another.
const MAX_PARTITIONS: usize = 64;

/// What a step of a plan reads.
pub(super) struct Reading<'f> {
    pub(super) table: Table,
    pub(super) read: Read,
    pub(super) client: Handle,
    pub(super) columns: Columns,
    pub(super) parts: Vec<Part>,
    pub(super) filters: &'f [Expr],
    pub(super) count: RowCount,
    pub(super) limit: Option<usize>,
    pub(super) seek: Option<Seek>,
}

/// Reads a table: one partition for each bucket.
#[derive(Clone, Debug)]
pub(super) struct FlussScan {
    path: TablePath,
    read: Read,
    is_keyed: bool,
    client: Handle,
    columns: Arc<Columns>,
    /// The parts of each partition, which are read one after another.
    partitions: Vec<Vec<Part>>,
    /// The conditions, as they are shown.
    filters: Vec<String>,
    count: RowCount,
    limit: Option<usize>,
    /// How rows are looked up instead, if a join wants few.
    seek: Option<Seek>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FlussScan {
    pub(super) fn new(reading: Reading<'_>) -> Self {
        let groups = reading.parts.len().clamp(1, MAX_PARTITIONS);
        let mut partitions = vec![Vec::new(); groups];
        for (index, part) in reading.parts.into_iter().enumerate() {
            if let Some(group) = partitions.get_mut(index % groups) {
                group.push(part);
            }
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(reading.columns.schema.clone()),
            Partitioning::UnknownPartitioning(groups),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            path: reading.table.info().path.clone(),
            is_keyed: reading.table.info().has_primary_key(),
            read: reading.read,
            client: reading.client,
            columns: Arc::new(reading.columns),
            partitions,
            filters: reading.filters.iter().map(shown).collect(),
            count: reading.count,
            limit: reading.limit,
            seek: reading.seek,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The rows of a partition as they come. What a join wants of the table is known once it asks for the first.
    fn rows(&self, partition: usize) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
        let parts = self.partitions.get(partition).cloned().unwrap_or_default();
        let columns = self.columns.clone();
        let Some(seek) = self.seek.clone().filter(|seek| seek.key().is_some()) else {
            return read(parts, columns);
        };
        let decided = async move {
            match seek.decide(&columns) {
                Some(part) if partition == 0 => read(vec![part], columns),
                Some(_) => stream::empty().boxed(),
                None => read(parts, columns),
            }
        };
        stream::once(decided).flatten().boxed()
    }

    /// What is read, in a few words.
    fn what(&self) -> String {
        let first = self.partitions.first().and_then(|parts| parts.first());
        if let Some(Part::LookUp(look_up)) = first {
            let keys = look_up.keys.num_rows();
            let by = match look_up.by {
                By::Key(_) => "keys",
                By::Prefix(_) => "prefixes",
            };
            let columns: Vec<_> = look_up
                .keys
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
            return format!("look-up of {keys} {by} ({})", columns.join(", "));
        }
        let (what, at) = match self.read {
            Read::Rows(at) => ("rows", at),
            Read::Log(at) if self.is_keyed => ("changes", at),
            Read::Log(at) => ("log", at),
        };
        match at.map(|at| jiff::Timestamp::from_millisecond(at.millis())) {
            Some(Ok(at)) => format!("{what} as of {at}"),
            _ => what.to_owned(),
        }
    }
}

/// The rows of parts, of one after another.
fn read(parts: Vec<Part>, columns: Arc<Columns>) -> BoxStream<'static, Result<RecordBatch, DataFusionError>> {
    stream::iter(parts)
        .flat_map(move |part| part.stream(columns.clone()))
        .boxed()
}

/// A condition without the name of its table.
fn shown(filter: &Expr) -> String {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let bare = filter.clone().transform(|part| {
        Ok(match part {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::from_name(column.name))),
            other => Transformed::no(other),
        })
    });
    bare.map_or_else(
        |_| filter.to_string(),
        |bare| bare.data.human_display().to_string(),
    )
}

impl DisplayAs for FlussScan {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buckets: usize = self.partitions.iter().map(Vec::len).sum();
        let columns: Vec<_> = self
            .columns
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let columns = columns.join(", ");
        if matches!(format, DisplayFormatType::TreeRender) {
            writeln!(f, "table={}", self.path)?;
            writeln!(f, "read={}", self.what())?;
            return writeln!(f, "columns={columns}");
        }
        write!(f, "FlussScan: {}, read={}", self.path, self.what())?;
        if !matches!(
            self.partitions.first().and_then(|parts| parts.first()),
            Some(Part::LookUp(_))
        ) {
            write!(f, ", buckets={buckets}")?;
        }
        write!(f, ", columns=[{columns}]")?;
        if !self.filters.is_empty() {
            write!(f, ", filter={}", self.filters.join(" AND "))?;
        }
        if let Some(key) = self.seek.as_ref().and_then(Seek::key) {
            write!(f, ", or look-ups by {key} if a join wants few")?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        match self.count {
            RowCount::Exactly(rows) => write!(f, ", records={rows}"),
            RowCount::Unknown | RowCount::About(_) => Ok(()),
        }
    }
}

impl ExecutionPlan for FlussScan {
    fn name(&self) -> &'static str {
        "FlussScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        for filter in self.seek.iter().flat_map(Seek::filters) {
            if visit(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>, DataFusionError> {
        let filters = pushed
            .parent_filters
            .iter()
            .map(|pushed| pushed.filter.clone())
            .collect();
        // Whoever has a condition tests it all the same.
        let mut told = FilterPushdownPropagation::all_unsupported(pushed);
        if phase == FilterPushdownPhase::Post
            && let Some(seek) = self.seek.as_ref().and_then(|seek| seek.with(filters))
        {
            let node = Self {
                seek: Some(seek),
                ..self.clone()
            };
            let node: Arc<dyn ExecutionPlan> = Arc::new(node);
            told.updated_node = Some(node);
        }
        Ok(told)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(Arc::new(Self {
            seek: self.seek.as_ref().map(Seek::anew),
            metrics: ExecutionPlanMetricsSet::new(),
            ..(*self).clone()
        }))
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let batches = Entered::stream(&self.client, self.rows(partition));
        let schema = self.columns.schema.clone();
        let sized = Resized::new(schema.clone(), batches.boxed(), self.limit);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let counted = sized.map(move |batch| {
            if let Ok(batch) = &batch {
                metrics.record_output(batch.num_rows());
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>, DataFusionError> {
        let mut statistics = Statistics::new_unknown(&self.columns.schema);
        if args.partition().is_none() {
            statistics.num_rows = match self.count {
                RowCount::Unknown => Precision::Absent,
                RowCount::About(rows) => Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX)),
                RowCount::Exactly(rows) => Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX)),
            };
        }
        Ok(Arc::new(statistics))
    }
}
