//! A plan over one table as steps on batches: conditions and expressions, one batch at a time.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatchOptions, StringArray,
    TimestampMillisecondArray,
};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Column, DFSchema};
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use fluss_client::filter::Predicate;
use fluss_client::id::Offset;
use fluss_client::{ChangeType, ScanBatch};

use crate::error::{Error, ErrorKind, Result};
use crate::names;
use crate::time::UTC;

/// Steps from a scanner's batches to the rows of a query.
pub(super) struct Pipeline {
    /// The columns of the table that are read, in this order.
    pub(super) columns: Vec<String>,
    /// What the scanner tests.
    pub(super) predicate: Option<Predicate>,
    input: Input,
    steps: Vec<Step>,
    schema: SchemaRef,
}

enum Step {
    /// Keeps the rows that hold a condition.
    Filter(Arc<dyn PhysicalExpr>),
    /// Makes columns of columns.
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
    /// Keeps no row.
    Nothing,
}

/// The columns that the first step sees.
struct Input {
    sources: Vec<Source>,
    schema: SchemaRef,
}

#[derive(Clone, Copy)]
enum Source {
    /// Of the scanner's batch, by its place there.
    Column(usize),
    ChangeType,
    Offset,
    Timestamp,
    Bucket,
}

/// The rows of a batch, and which ones of the scanner's batch they are.
pub(super) struct Computed {
    pub(super) batch: RecordBatch,
    /// What the conditions have kept, one of the other.
    kept: Vec<BooleanArray>,
}

impl Pipeline {
    /// The steps of an optimized plan over one table, whose columns are `table`. `push` makes of a condition one that the
    /// scanner tests as it is meant, where there is one.
    ///
    /// # Errors
    ///
    /// A plan that is more than conditions and expressions.
    pub(super) fn new(
        plan: &LogicalPlan,
        table: &Schema,
        engine: &SessionState,
        push: &dyn Fn(&Expr) -> Option<Predicate>,
    ) -> Result<Self> {
        let mut builder = Builder {
            table,
            engine,
            push,
            predicate: None,
            steps: Vec::new(),
        };
        let (columns, input) = builder.plan(plan)?;
        let Builder { predicate, steps, .. } = builder;
        let schema = steps.iter().rev().find_map(|step| match step {
            Step::Project(_, schema) => Some(schema.clone()),
            Step::Filter(_) => None,
            Step::Nothing => Some(Arc::new(plan.schema().as_arrow().clone())),
        });
        Ok(Self {
            columns,
            predicate,
            schema: schema.unwrap_or_else(|| input.schema.clone()),
            input,
            steps,
        })
    }

    /// The schema of the rows.
    pub(super) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch.
    pub(super) fn compute(&self, scanned: &ScanBatch) -> Result<Computed> {
        let mut batch = self.input.of(scanned)?;
        let mut kept = Vec::new();
        for step in &self.steps {
            match step {
                Step::Project(expressions, schema) => batch = project(&batch, expressions, schema)?,
                Step::Nothing => batch = RecordBatch::new_empty(self.schema.clone()),
                Step::Filter(condition) => {
                    let held = held(&batch, condition)?;
                    if held.true_count() < held.len() {
                        batch = filter_record_batch(&batch, &held)?;
                        kept.push(held);
                    }
                }
            }
            if batch.num_rows() == 0 {
                break;
            }
        }
        Ok(Computed { batch, kept })
    }
}

impl Computed {
    /// The first rows, and the offset behind the last one of them; nothing if there are no more rows than that.
    pub(super) fn first(&self, rows: usize, scanned: &ScanBatch) -> Option<(RecordBatch, Offset)> {
        if rows == 0 || rows >= self.batch.num_rows() {
            return None;
        }
        let mut row = rows - 1;
        for held in self.kept.iter().rev() {
            row = held.values().set_indices().nth(row)?;
        }
        Some((self.batch.slice(0, rows), scanned.offset(row) + 1))
    }
}

/// Which rows hold a condition.
fn held(batch: &RecordBatch, condition: &Arc<dyn PhysicalExpr>) -> Result<BooleanArray> {
    let value = condition.evaluate(batch)?.into_array(batch.num_rows())?;
    let Some(held) = value.as_boolean_opt() else {
        return Err(Error::new(
            ErrorKind::Type,
            format!("{condition} is no condition"),
        ));
    };
    Ok(match held.nulls() {
        None => held.clone(),
        Some(_) => prep_null_mask_filter(held),
    })
}

fn project(
    batch: &RecordBatch,
    expressions: &[Arc<dyn PhysicalExpr>],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |expression: &Arc<dyn PhysicalExpr>| expression.evaluate(batch)?.into_array(rows);
    let columns: Result<Vec<_>, _> = expressions.iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns?,
        &options,
    )?)
}

impl Input {
    fn of(&self, scanned: &ScanBatch) -> Result<RecordBatch> {
        let rows = scanned.batch.num_rows();
        let columns: Result<Vec<_>> = self.sources.iter().map(|source| source.of(scanned)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = self.schema.clone();
        Ok(RecordBatch::try_new_with_options(schema, columns?, &options)?)
    }
}

impl Source {
    /// Of a column that every table has.
    fn hidden(name: &str) -> Option<(Self, DataType)> {
        Some(match name {
            names::CHANGE_TYPE => (Self::ChangeType, DataType::Utf8),
            names::OFFSET => (Self::Offset, DataType::Int64),
            names::TIMESTAMP => (
                Self::Timestamp,
                DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
            ),
            names::BUCKET => (Self::Bucket, DataType::Int32),
            _ => return None,
        })
    }

    fn of(self, scanned: &ScanBatch) -> Result<ArrayRef> {
        let rows = scanned.batch.num_rows();
        Ok(match self {
            Self::Column(place) => {
                let column = scanned.batch.columns().get(place).cloned();
                column.ok_or_else(|| defect("a column that was not read"))?
            }
            Self::ChangeType => Arc::new(change_types(scanned, rows)),
            Self::Offset => Arc::new(scanned.offsets()),
            Self::Timestamp => {
                let times = TimestampMillisecondArray::from_value(scanned.timestamp.millis(), rows);
                Arc::new(times.with_timezone(UTC))
            }
            Self::Bucket => Arc::new(Int32Array::from_value(scanned.bucket.bucket.get(), rows)),
        })
    }
}

fn change_types(scanned: &ScanBatch, rows: usize) -> StringArray {
    let texts: Box<dyn Iterator<Item = &str>> = match &scanned.change_types {
        Some(types) => Box::new(types.iter().map(|change| change.short())),
        None => Box::new(std::iter::repeat_n(ChangeType::AppendOnly.short(), rows)),
    };
    StringArray::from_iter_values(texts)
}

struct Builder<'a> {
    table: &'a Schema,
    engine: &'a SessionState,
    push: &'a dyn Fn(&Expr) -> Option<Predicate>,
    predicate: Option<Predicate>,
    steps: Vec<Step>,
}

impl Builder<'_> {
    /// Adds the steps of a plan, and returns what its table is to be read of.
    fn plan(&mut self, plan: &LogicalPlan) -> Result<(Vec<String>, Input)> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.plan(&alias.input),
            LogicalPlan::Filter(filter) => {
                let read = self.plan(&filter.input)?;
                self.filter(split_conjunction(&filter.predicate), filter.input.schema())?;
                Ok(read)
            }
            LogicalPlan::Projection(projection) => {
                let read = self.plan(&projection.input)?;
                self.project(&projection.expr, projection.input.schema(), &projection.schema)?;
                Ok(read)
            }
            LogicalPlan::TableScan(scan) => self.scan(scan),
            // No row holds the conditions.
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                self.steps.push(Step::Nothing);
                self.read(&DFSchema::empty())
            }
            other => {
                let what = format!("{} with EMIT CHANGES", name(other));
                Err(Error::unsupported(what))
            }
        }
    }

    /// Keeps the rows that hold all conditions. The scanner tests those that nothing is before.
    fn filter(&mut self, conditions: Vec<&Expr>, input: &DFSchema) -> Result<()> {
        let is_first = self.steps.is_empty();
        let mut left = None;
        for condition in conditions {
            match (self.push)(condition).filter(|_| is_first && self.is_of_table(condition)) {
                Some(predicate) => {
                    self.predicate = Some(match self.predicate.take() {
                        Some(before) => before & predicate,
                        None => predicate,
                    });
                }
                None => {
                    left = Some(match left.take() {
                        Some(before) => Expr::and(before, condition.clone()),
                        None => condition.clone(),
                    });
                }
            }
        }
        if let Some(condition) = left {
            self.steps.push(Step::Filter(self.physical(&condition, input)?));
        }
        Ok(())
    }

    /// Whether a condition is on nothing but columns of the table.
    fn is_of_table(&self, condition: &Expr) -> bool {
        let columns = condition.column_refs();
        let mut columns = columns.into_iter();
        columns.all(|column| self.table.column_with_name(&column.name).is_some())
    }

    fn project(&mut self, expressions: &[Expr], input: &DFSchema, output: &DFSchema) -> Result<()> {
        let physical: Result<Vec<_>> = expressions
            .iter()
            .map(|expression| self.physical(expression, input))
            .collect();
        let physical = physical?;
        let field = |(expression, field): (&Arc<dyn PhysicalExpr>, &FieldRef)| {
            let of_value = expression.return_field(input.as_arrow())?;
            Ok(of_value.as_ref().clone().with_name(field.name()))
        };
        let fields: Result<Vec<Field>> = physical.iter().zip(output.fields()).map(field).collect();
        let schema = Arc::new(Schema::new(fields?));
        self.steps.push(Step::Project(physical, schema));
        Ok(())
    }

    fn scan(&mut self, scan: &TableScan) -> Result<(Vec<String>, Input)> {
        if scan.fetch.is_some() {
            return Err(Error::unsupported("LIMIT within the query with EMIT CHANGES"));
        }
        if scan.filters.is_empty() {
            return self.read(&scan.projected_schema);
        }
        // Conditions that the plan has left to the table may be on columns that nothing else needs.
        let whole = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
        self.filter(scan.filters.iter().collect(), &whole)?;
        if self.steps.is_empty() {
            return self.read(&scan.projected_schema);
        }
        let shown: Vec<Expr> = scan
            .projected_schema
            .fields()
            .iter()
            .map(|field| Expr::Column(Column::new(Some(scan.table_name.clone()), field.name())))
            .collect();
        self.project(&shown, &whole, &scan.projected_schema)?;
        self.read(&whole)
    }

    /// Reads these columns.
    fn read(&self, schema: &DFSchema) -> Result<(Vec<String>, Input)> {
        let (mut columns, mut sources, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in schema.fields() {
            let name = wanted.name();
            let (source, field) = if let Some((_, field)) = self.table.column_with_name(name) {
                columns.push(name.clone());
                (Source::Column(columns.len() - 1), field.clone())
            } else {
                let (source, data_type) = Source::hidden(name).ok_or_else(|| defect(name))?;
                (source, Field::new(name, data_type, false))
            };
            if field.data_type() != wanted.data_type() {
                return Err(defect(name));
            }
            sources.push(source);
            fields.push(field);
        }
        // Rows are counted by some column.
        if let Some(first) = self.table.fields().first().filter(|_| columns.is_empty()) {
            columns.push(first.name().clone());
        }
        let schema = Arc::new(Schema::new(fields));
        Ok((columns, Input { sources, schema }))
    }

    fn physical(&self, expression: &Expr, input: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        let properties = self.engine.execution_props();
        let context = PhysicalPlanningContext::default();
        Ok(create_physical_expr(expression, input, properties, &context)?)
    }
}

fn defect(column: &str) -> Error {
    let reason = format!("the plan and the table do not agree on the column '{column}'");
    Error::new(ErrorKind::Other, reason)
}

/// What a step of a plan is called in a text.
fn name(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Aggregate(_) => "an aggregate",
        LogicalPlan::Window(_) => "a window function",
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Join(_) => "a join",
        LogicalPlan::Union(_) => "UNION",
        LogicalPlan::Distinct(_) => "DISTINCT",
        LogicalPlan::Limit(_) => "LIMIT within the query",
        LogicalPlan::Unnest(_) => "unnest",
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => "a query without a table",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
        LogicalPlan::Subquery(_) => "a subquery in an expression",
        _ => "this query",
    }
}

#[cfg(test)]
mod tests;
