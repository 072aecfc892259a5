//! What a query names: tables, and columns that are hidden unless they are named.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, TableFactor, VisitMut, VisitorMut};

use crate::error::{Error, Result};
use crate::names::{self, TableName};

/// What a query names.
#[derive(Debug, Default)]
pub(super) struct References {
    /// Tables, as they are written.
    pub(super) tables: Vec<ObjectName>,
    /// Whether a column that is hidden is named anywhere.
    pub(super) hidden: bool,
}

/// What a query, and all within it, names. What a WITH clause names is among it.
pub(super) fn references(query: &mut Query) -> Result<References> {
    let mut collector = Collector(References::default());
    match query.visit(&mut collector) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(collector.0),
    }
}

impl References {
    /// The tables by their paths, each once.
    pub(super) fn names(&self, database: &str) -> Result<BTreeSet<TableName>> {
        let names = self
            .tables
            .iter()
            .map(|name| TableName::of_object(name, database));
        names.collect()
    }
}

struct Collector(References);

impl VisitorMut for Collector {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table { name, args: None, .. } = factor {
            self.0.tables.push(name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        let column = match expression {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        self.0.hidden |= column.is_some_and(|column| names::is_hidden(&column.value));
        ControlFlow::Continue(())
    }
}
