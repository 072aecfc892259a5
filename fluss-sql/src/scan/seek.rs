//! Look-ups in the place of a read, once a join knows which keys it wants.

use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use fluss_client::Table;
use fluss_client::filter::Predicate;
use fluss_client::types::Kind;

use super::filters::scalar;
use super::keys::{MAX_KEYS, Wanted};
use super::part::{Columns, Part};

/// What is needed to look rows up, once their keys are known.
#[derive(Clone, Debug)]
pub(super) struct Seek {
    table: Table,
    /// The only column of the primary key.
    key: String,
    predicate: Option<Predicate>,
    /// What is known of keys once the other side of a join is read.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// What is read instead of the table, once it is decided; the first partition that runs decides for all.
    decided: Arc<OnceLock<Option<Part>>>,
}

impl Seek {
    /// Nothing for tables whose keys have several columns, or floating-point numbers.
    pub(super) fn new(table: &Table, predicate: Option<&Predicate>) -> Option<Self> {
        let schema = table.info().schema();
        let [key] = schema.primary_key() else {
            return None;
        };
        let kind = schema.column(key)?.data_type.kind();
        (!matches!(kind, Kind::Float | Kind::Double)).then(|| Self {
            table: table.clone(),
            key: key.clone(),
            predicate: predicate.cloned(),
            filters: Vec::new(),
            decided: Arc::default(),
        })
    }

    /// The same, with conditions that become known while the plan runs. Nothing if none of them is on the key.
    pub(super) fn with(&self, filters: Vec<Arc<dyn PhysicalExpr>>) -> Option<Self> {
        let filters: Vec<_> = filters
            .into_iter()
            .filter(|filter| self.is_on_key(filter))
            .collect();
        (!filters.is_empty()).then(|| Self {
            filters: self.filters.iter().cloned().chain(filters).collect(),
            decided: Arc::default(),
            ..self.clone()
        })
    }

    /// The same, for another run.
    pub(super) fn anew(&self) -> Self {
        Self {
            decided: Arc::default(),
            ..self.clone()
        }
    }

    /// The conditions that become known while the plan runs.
    pub(super) fn filters(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.filters
    }

    /// The column by which rows are looked up, if conditions on it become known.
    pub(super) fn key(&self) -> Option<&str> {
        (!self.filters.is_empty()).then_some(self.key.as_str())
    }

    /// What is read instead of the table, if few keys are wanted by now.
    pub(super) fn decide(&self, columns: &Columns) -> Option<Part> {
        let decide = || {
            let keys = self.filters.iter().find_map(|filter| self.keys(filter))?;
            let wanted = Wanted { whole: true, keys };
            Part::look_up(&self.table, wanted, columns, self.predicate.as_ref()).ok()
        };
        self.decided.get_or_init(decide).clone()
    }

    fn is_on_key(&self, filter: &Arc<dyn PhysicalExpr>) -> bool {
        if let Some(column) = filter.downcast_ref::<Column>() {
            return column.name() == self.key;
        }
        filter.children().into_iter().any(|child| self.is_on_key(child))
    }

    /// The keys that a condition leaves by now, if they are few.
    fn keys(&self, filter: &Arc<dyn PhysicalExpr>) -> Option<RecordBatch> {
        let known = snapshot_physical_expr(filter.clone()).ok()?;
        self.among(&known)
    }

    fn among(&self, known: &Arc<dyn PhysicalExpr>) -> Option<RecordBatch> {
        if let Some(both) = known.downcast_ref::<BinaryExpr>() {
            return match both.op() {
                Operator::And => self.among(both.left()).or_else(|| self.among(both.right())),
                _ => None,
            };
        }
        let list = known.downcast_ref::<InListExpr>()?;
        let column = list.expr().downcast_ref::<Column>()?;
        if list.negated() || column.name() != self.key || list.is_empty() || list.len() > MAX_KEYS {
            return None;
        }
        let data_type = &self.table.info().schema().column(&self.key)?.data_type;
        let mut seen = std::collections::HashSet::new();
        let mut values: Vec<ScalarValue> = Vec::with_capacity(list.len());
        for value in list.list() {
            let value = value.downcast_ref::<Literal>()?.value();
            // A null is equal to nothing.
            if value.is_null() || !seen.insert(value.clone()) {
                continue;
            }
            scalar(value, data_type)?;
            values.push(value.clone());
        }
        if values.is_empty() {
            return None;
        }
        let array = ScalarValue::iter_to_array(values).ok()?;
        RecordBatch::try_from_iter([(self.key.as_str(), array)]).ok()
    }
}
