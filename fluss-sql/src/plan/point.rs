//! The short way of `SELECT … FROM t WHERE key = value`: one look-up, without a plan, while the server tells what the table is.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor,
    UnaryOperator, Value as Literal, WildcardAdditionalOptions,
};
use fluss_client::types::{Kind, TableInfo};
use fluss_client::{Lookuper, Table};
use futures::future::join;

use super::find;
use crate::context::Context;
use crate::error::Result;
use crate::names::TableName;
use crate::run::Rows;

/// The rows of a query that looks one key up; nothing if it is any other query.
pub(super) async fn rows(context: &Context, query: &Query) -> Result<Option<Rows>> {
    let Some(asked) = Asked::of(query) else {
        return Ok(None);
    };
    if asked.name.0.len() == 1
        && context
            .shared
            .state
            .lock()
            .views
            .contains_key(&asked.name.to_string())
    {
        return Ok(None);
    }
    if context.shared.state.lock().transaction.is_some() {
        return Ok(None);
    }
    let name = TableName::of_object(asked.name, &context.database())?;
    if name.changelog {
        return Ok(None);
    }
    // The table may have changed since it was looked up in last: it is asked for what it is now, and for the row as if it were
    // the same, at once.
    let path = name.path.clone();
    let known = context.shared.state.lock().looked_up.get(&path).cloned();
    let early = known
        .as_ref()
        .and_then(|(table, lookuper)| asked.look_up(table, lookuper));
    let early = async {
        let look_up = early?;
        let found = context.client(look_up.find()).await;
        Some((look_up, found))
    };
    let (table, early) = join(find(context, name), early).await;
    let Some((_, table)) = table? else {
        return Ok(None);
    };
    if let Some((known, _)) = &known
        && is_same(known.info(), table.info())
        && let Some((look_up, found)) = early
    {
        return look_up.shown(&found?).map(Some);
    }
    if table.info().schema().primary_key().is_empty() {
        return Ok(None);
    }
    let lookuper = table.lookup().lookuper()?;
    let Some(look_up) = asked.look_up(&table, &lookuper) else {
        return Ok(None);
    };
    let found = context.client(look_up.find()).await?;
    let shown = look_up.shown(&found)?;
    let looked_up = &mut context.shared.state.lock().looked_up;
    if looked_up.len() >= MAX_KNOWN {
        looked_up.clear();
    }
    looked_up.insert(path, (table, lookuper));
    Ok(Some(shown))
}

/// How many tables are remembered.
const MAX_KNOWN: usize = 64;

fn is_same(known: &TableInfo, now: &TableInfo) -> bool {
    (known.id, known.schema_id) == (now.id, now.schema_id)
}

/// One key to be looked up, and what is shown of its row.
struct LookUp {
    lookuper: Lookuper,
    key: RecordBatch,
    /// Columns, and what they are called.
    columns: Vec<(String, String)>,
}

impl LookUp {
    async fn find(&self) -> fluss_client::Result<RecordBatch> {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        self.lookuper.find_arrow(&self.key, Some(&names)).await
    }

    fn shown(&self, found: &RecordBatch) -> Result<Rows> {
        let schema = found.schema();
        let fields = schema.fields().iter().zip(&self.columns);
        let fields = fields.map(|(field, (_, shown))| field.as_ref().clone().with_name(shown.as_str()));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        let shown = RecordBatch::try_new(Arc::new(schema), found.columns().to_vec())?;
        Ok(Rows::of_batch(shown))
    }
}

/// What a query asks of a table by its key.
struct Asked<'q> {
    name: &'q ObjectName,
    /// What the table is called in it.
    alias: Option<&'q str>,
    projection: &'q [SelectItem],
    keys: Vec<(String, Key)>,
}

enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    /// As a column of a type; nothing if that cannot hold it.
    fn array(&self, data_type: &DataType) -> Option<ArrayRef> {
        let array: ArrayRef = match self {
            Self::Number(number) => Arc::new(Int64Array::from(vec![*number])),
            Self::Text(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        };
        let exact = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        cast_with_options(&array, data_type, &exact).ok()
    }
}

impl Asked<'_> {
    /// The key of a table that is asked for; nothing if that takes a plan.
    fn look_up(&self, table: &Table, lookuper: &Lookuper) -> Option<LookUp> {
        let info = table.info();
        let key_columns = info.schema().primary_key();
        if key_columns.len() != self.keys.len() {
            return None;
        }
        let schema = table.arrow_schema();
        let mut key: Vec<(String, ArrayRef)> = Vec::with_capacity(key_columns.len());
        for column in key_columns {
            let (_, value) = self.keys.iter().find(|(own, _)| own == column)?;
            let field = schema.field_with_name(column).ok()?;
            let fits = match info.schema().column(column)?.data_type.kind() {
                Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt => matches!(value, Key::Number(_)),
                Kind::String => matches!(value, Key::Text(_)),
                _ => false,
            };
            if !fits {
                return None;
            }
            key.push((column.clone(), value.array(field.data_type())?));
        }
        Some(LookUp {
            lookuper: lookuper.clone(),
            key: RecordBatch::try_from_iter(key).ok()?,
            columns: self.columns(&schema)?,
        })
    }
}

impl<'q> Asked<'q> {
    fn of(query: &'q Query) -> Option<Self> {
        let is_bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        let SetExpr::Select(select) = query.body.as_ref() else {
            return None;
        };
        let Select {
            distinct,
            projection,
            from,
            selection: Some(selection),
            group_by: GroupByExpr::Expressions(groups, modifiers),
            having: None,
            named_window,
            qualify: None,
            ..
        } = select.as_ref()
        else {
            return None;
        };
        let is_simple = matches!(distinct, None | Some(Distinct::All))
            && groups.is_empty()
            && modifiers.is_empty()
            && named_window.is_empty();
        let [tables] = from.as_slice() else {
            return None;
        };
        let TableFactor::Table {
            name,
            alias,
            args: None,
            version: None,
            ..
        } = &tables.relation
        else {
            return None;
        };
        let is_column = |item: &SelectItem| match item {
            SelectItem::Wildcard(options) => is_plain(options),
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            }
            _ => false,
        };
        if !projection.iter().all(is_column) {
            return None;
        }
        if !is_bare
            || !is_simple
            || !tables.joins.is_empty()
            || alias.as_ref().is_some_and(|alias| !alias.columns.is_empty())
        {
            return None;
        }
        let table = name.0.last()?.as_ident()?.value.as_str();
        let mut asked = Self {
            name,
            alias: Some(alias.as_ref().map_or(table, |alias| alias.name.value.as_str())),
            projection,
            keys: Vec::new(),
        };
        asked.conditions(selection).then_some(asked)
    }

    /// Takes a condition apart. Whether it asks for nothing but values of columns, each named once.
    fn conditions(&mut self, condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => self.conditions(inner),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => self.conditions(left) && self.conditions(right),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => {
                let pair = self.column(left).zip(key(right));
                let Some((column, key)) = pair.or_else(|| self.column(right).zip(key(left))) else {
                    return false;
                };
                let is_new = self.keys.iter().all(|(known, _)| *known != column);
                self.keys.push((column, key));
                is_new
            }
            _ => false,
        }
    }

    fn column(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Identifier(name) => Some(name.value.clone()),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] if self.alias == Some(table.value.as_str()) => Some(column.value.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The columns to show, and what they are called; nothing if they are not all columns of the table, each once.
    fn columns(&self, schema: &Schema) -> Option<Vec<(String, String)>> {
        let mut columns: Vec<(String, String)> = Vec::new();
        for item in self.projection {
            match item {
                SelectItem::Wildcard(options) if is_plain(options) => {
                    let all = schema.fields().iter().map(|field| field.name().clone());
                    columns.extend(all.map(|name| (name.clone(), name)));
                }
                SelectItem::UnnamedExpr(expression) => {
                    let name = self.column(expression)?;
                    columns.push((name.clone(), name));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    columns.push((self.column(expr)?, alias.value.clone()));
                }
                _ => return None,
            }
        }
        let (mut seen, mut shown) = (HashSet::new(), HashSet::new());
        let mut is_of_table = |(name, own): &(String, String)| {
            schema.column_with_name(name).is_some() && seen.insert(name.clone()) && shown.insert(own.clone())
        };
        columns.iter().all(&mut is_of_table).then_some(columns)
    }
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    options.opt_except.is_none() && options.opt_exclude.is_none()
}

fn key(expression: &Expr) -> Option<Key> {
    match expression {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, false) => digits.parse().ok().map(Key::Number),
            Literal::SingleQuotedString(text) => Some(Key::Text(text.clone())),
            _ => None,
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match key(expr)? {
            Key::Number(number) => number.checked_neg().map(Key::Number),
            Key::Text(_) => None,
        },
        Expr::Nested(inner) => key(inner),
        _ => None,
    }
}
