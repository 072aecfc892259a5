//! Rows whose keys exist already.
//!
//! They are looked up before the statement writes. Another writer may come in between: nothing guards against that.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::logical_expr::Expr as Logical;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{
    Assignment, ConflictTarget, DoUpdate, Expr, ExprWithAlias, Ident, OnConflict, OnConflictAction, OnInsert,
    visit_expressions, visit_expressions_mut,
};
use jiff::Timestamp;

use super::assign::assignments;
use super::cells::{Now, zone};
use super::syntax::plain;
use super::target::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::grammar;
use crate::options::OnDuplicate;
use crate::plan;
use crate::transaction::rows_at;

/// The row that is to be inserted, in expressions of ON CONFLICT.
const EXCLUDED: &str = "excluded";

/// What becomes of a row whose key exists.
pub(super) enum Conflict {
    /// It is written.
    Upsert,
    /// The statement is refused.
    Error,
    /// It is left out.
    Nothing,
    /// The row that exists is changed.
    Update(Box<Update>),
}

/// How a row that exists is changed.
pub(super) struct Update {
    /// What columns are set to, by their positions.
    assignments: Vec<(usize, Expr)>,
    selection: Option<Expr>,
    /// What the table is called.
    name: Ident,
}

impl Conflict {
    /// What a statement says, or the session's options.
    pub(super) fn new(
        context: &Context,
        target: &Target,
        on: Option<OnInsert>,
        name: &Ident,
    ) -> Result<Self> {
        let action = match on {
            None if target.has_key() && context.options().on_duplicate == OnDuplicate::Error => {
                return Ok(Self::Error);
            }
            None => return Ok(Self::Upsert),
            Some(OnInsert::OnConflict(OnConflict {
                conflict_target,
                action,
            })) => {
                target.need_key("ON CONFLICT")?;
                check_target(target, conflict_target.as_ref())?;
                action
            }
            Some(_) => return Err(Error::unsupported("ON DUPLICATE KEY UPDATE")),
        };
        match action {
            OnConflictAction::DoNothing => Ok(Self::Nothing),
            OnConflictAction::DoUpdate(DoUpdate {
                assignments,
                selection,
            }) => {
                let update = Update::new(context, target, assignments, selection, name)?;
                Ok(Self::Update(Box::new(update)))
            }
        }
    }

    /// How EXPLAIN tells it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Error => "insert, keys that exist are refused",
            Self::Nothing => "insert, keys that exist are left out",
            Self::Update(_) => "insert, keys that exist are updated",
        }
    }
}

/// Refuses a conflict on anything but the primary key.
fn check_target(target: &Target, conflict: Option<&ConflictTarget>) -> Result<()> {
    match conflict {
        None => Ok(()),
        Some(ConflictTarget::OnConstraint(_)) => Err(Error::unsupported("ON CONFLICT ON CONSTRAINT")),
        Some(ConflictTarget::Columns(columns)) => {
            let named = columns.iter().map(|name| target.column(name));
            let named = named.collect::<Result<HashSet<_>>>()?;
            if named == target.key.iter().copied().collect() {
                return Ok(());
            }
            let key = target.key_names().join(", ");
            let given: Vec<_> = columns.iter().map(|name| name.value.as_str()).collect();
            Err(Error::unsupported(format!(
                "ON CONFLICT ({}) where the primary key is ({key})",
                given.join(", ")
            )))
        }
    }
}

impl Update {
    fn new(
        context: &Context,
        target: &Target,
        set: Vec<Assignment>,
        selection: Option<Expr>,
        name: &Ident,
    ) -> Result<Self> {
        if target.merge_engine().is_some() {
            return Err(Error::unsupported(
                "ON CONFLICT DO UPDATE of a table with a merge engine",
            ));
        }
        let (now, mut assignments) = (Now::new(), assignments(target, set)?);
        let mut selection = selection;
        for (column, expr) in &mut assignments {
            *expr = plain(target, expr, *column, now)?;
            qualify(context, expr, target, name)?;
        }
        if let Some(expr) = &mut selection {
            qualify(context, expr, target, name)?;
        }
        Ok(Self {
            assignments,
            selection,
            name: name.clone(),
        })
    }

    /// The rows that exist as they are to be, of those that are to be changed. `excluded` are the rows that were to be
    /// inserted instead.
    pub(super) fn apply(
        &self,
        context: &Context,
        target: &Target,
        existing: &RecordBatch,
        excluded: &RecordBatch,
        first: usize,
    ) -> Result<RecordBatch> {
        let both = Both::new(context, &self.name.value, existing, excluded)?;
        let wanted = match &self.selection {
            None => None,
            Some(selection) => Some(both.flags(selection)?),
        };
        let kept: Vec<u32> = match wanted {
            None => (0..existing.num_rows() as u32).collect(),
            Some(wanted) => (0..wanted.len() as u32)
                .filter(|row| is_true(&wanted, *row as usize))
                .collect(),
        };
        // Expressions are evaluated for the rows that are changed, and no others: they may fail for those.
        let existing = rows_at(existing, &kept)?;
        let both = Both::new(context, &self.name.value, &existing, &rows_at(excluded, &kept)?)?;
        let mut values: Vec<ArrayRef> = existing.columns().to_vec();
        let columns = target.given();
        for (column, expr) in &self.assignments {
            let computed = both.value(expr)?;
            let fitted = target.fit(&[*column], &[computed], first)?;
            let place = columns.iter().position(|other| other == column);
            if let (Some(slot), Some(fitted)) = (
                place.and_then(|place| values.get_mut(place)),
                fitted.columns().first(),
            ) {
                *slot = fitted.clone();
            }
        }
        target.batch(&columns, values, existing.num_rows())
    }
}

fn is_true(flags: &BooleanArray, row: usize) -> bool {
    flags.is_valid(row) && flags.value(row)
}

/// Has names without a table mean the table's columns, puts parameters in, and refuses subqueries.
fn qualify(context: &Context, expr: &mut Expr, target: &Target, name: &Ident) -> Result<()> {
    let is_subquery = |expr: &Expr| {
        matches!(
            expr,
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }
        )
    };
    let found = visit_expressions(expr, |expr| {
        if is_subquery(expr) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    if found.is_break() {
        return Err(Error::unsupported("a subquery in ON CONFLICT DO UPDATE"));
    }
    grammar::check_expression(expr)?;
    plan::bind(expr, &context.parameters)?;
    let _ = visit_expressions_mut(expr, |expr| {
        match expr {
            Expr::Identifier(column) if target.info().row_type().index_of(&column.value).is_some() => {
                *expr = Expr::CompoundIdentifier(vec![name.clone(), column.clone()]);
            }
            Expr::CompoundIdentifier(parts) => {
                if let [table, _] = parts.as_mut_slice()
                    && table.quote_style.is_none()
                    && table.value.eq_ignore_ascii_case(EXCLUDED)
                {
                    EXCLUDED.clone_into(&mut table.value);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(())
}

/// Rows that exist beside those that were to be inserted.
struct Both<'c> {
    context: &'c Context,
    schema: DFSchema,
    rows: RecordBatch,
}

impl<'c> Both<'c> {
    fn new(context: &'c Context, name: &str, existing: &RecordBatch, excluded: &RecordBatch) -> Result<Self> {
        let table = TableReference::bare(name.to_owned());
        let qualified = |table: &TableReference, batch: &RecordBatch| {
            let fields = batch.schema().fields().clone();
            let table = table.clone();
            fields
                .iter()
                .map(move |field| (Some(table.clone()), field.clone()))
                .collect::<Vec<_>>()
        };
        let mut fields = qualified(&table, existing);
        fields.extend(qualified(&TableReference::bare(EXCLUDED), excluded));
        let schema = DFSchema::new_with_metadata(fields, HashMap::new())?;
        let columns = existing
            .columns()
            .iter()
            .chain(excluded.columns())
            .cloned()
            .collect();
        let rows = RecordBatch::try_new(Arc::clone(schema.inner()), columns)?;
        Ok(Self {
            context,
            schema,
            rows,
        })
    }

    /// An expression as it can be evaluated.
    fn physical(&self, expr: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        let engine = &self.context.shared.engine;
        let parsed = ExprWithAlias {
            expr: expr.clone(),
            alias: None,
        };
        let logical = engine.create_logical_expr_from_sql_expr(parsed, &self.schema)?;
        let now = Timestamp::now().as_microsecond();
        let bound = logical.transform_up(|expr| match &expr {
            Logical::ScalarFunction(function) if function.name() == "now" => {
                let value = ScalarValue::TimestampMicrosecond(Some(now), Some(zone()));
                Ok(Transformed::yes(Logical::Literal(value, None)))
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        let simple = plan::simplified(engine, bound.data, &self.schema)?;
        Ok(engine.create_physical_expr(simple, &self.schema)?)
    }

    fn value(&self, expr: &Expr) -> Result<ArrayRef> {
        let value = self.physical(expr)?.evaluate(&self.rows)?;
        Ok(value.into_array(self.rows.num_rows())?)
    }

    fn flags(&self, expr: &Expr) -> Result<BooleanArray> {
        let flags = self.value(expr)?;
        if *flags.data_type() == ArrowType::Null {
            return Ok(BooleanArray::new_null(flags.len()));
        }
        let given = flags.data_type().clone();
        flags.as_boolean_opt().cloned().ok_or_else(|| {
            let text = format!("the WHERE of ON CONFLICT is of type {given}, not a truth value");
            Error::new(ErrorKind::Type, text)
        })
    }
}
