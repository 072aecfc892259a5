//! The short way of `SELECT … FROM t WHERE key = value`: one look-up, without a plan.

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
use fluss_client::types::Kind;

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
    let Some((_, table)) = find(context, name).await? else {
        return Ok(None);
    };
    let info = table.info();
    let key_columns = info.schema().primary_key();
    if key_columns.is_empty() || key_columns.len() != asked.keys.len() {
        return Ok(None);
    }
    let schema = table.arrow_schema();
    let mut keys: Vec<(String, ArrayRef)> = Vec::with_capacity(key_columns.len());
    for column in key_columns {
        let known = asked.keys.iter().find(|(own, _)| own == column);
        let (Some((_, value)), Ok(field)) = (known, schema.field_with_name(column)) else {
            return Ok(None);
        };
        let kind = info.schema().column(column).map(|column| column.data_type.kind());
        let fits = match kind {
            Some(Kind::TinyInt | Kind::SmallInt | Kind::Int | Kind::BigInt) => {
                matches!(value, Key::Number(_))
            }
            Some(Kind::String) => matches!(value, Key::Text(_)),
            _ => false,
        };
        let Some(array) = value.array(field.data_type()).filter(|_| fits) else {
            return Ok(None);
        };
        keys.push((column.clone(), array));
    }
    let Some(columns) = asked.columns(&schema) else {
        return Ok(None);
    };
    let keys = RecordBatch::try_from_iter(keys)?;
    let lookuper = table.lookup().lookuper()?;
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let found = context.client(lookuper.find_arrow(&keys, Some(&names))).await?;
    let fields = found
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, (_, shown))| field.as_ref().clone().with_name(shown.as_str()))
        .collect::<Vec<_>>();
    let shown = RecordBatch::try_new(Arc::new(Schema::new(fields)), found.columns().to_vec())?;
    Ok(Some(Rows::of_batch(shown)))
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
