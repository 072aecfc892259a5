//! Parts of syntax trees that statements which write have in common.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Value, VisitMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::cells::{Now, zone};
use super::defaults::{is_default, is_now};
use super::target::Target;
use crate::error::Result;
use crate::plan;
use crate::text;
use crate::value::Value as Parameter;

/// What the columns of the query are called, before their numbers: no column of a table is likely to be.
const COLUMN: &str = "__fluss_column_";

/// Refuses each of these that is there.
macro_rules! refuse {
    ($($is_there:expr => $what:literal,)+) => {
        $(if $is_there {
            return Err(Error::unsupported($what));
        })+
    };
}
pub(super) use refuse;

/// A query to put expressions into.
pub(super) fn template(text: &str) -> Result<Query> {
    let mut parser = text::parser(text::tokenize(text)?);
    Ok(*parser.parse_query()?)
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

pub(super) fn item(expr: Expr, place: usize) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', format!("{COLUMN}{place}")),
    }
}

/// An expression as any query may have it: DEFAULT and the present time as what they are.
pub(super) fn plain(target: &Target, expr: &Expr, column: usize, now: Now) -> Result<Expr> {
    if is_default(expr) {
        return match target.defaults.get(&column) {
            Some(default) => plain(target, default, column, now),
            None => Ok(null()),
        };
    }
    if is_now(expr) {
        let text = Value::SingleQuotedString(now.text(target, column)?);
        return Ok(Expr::Value(text.with_empty_span()));
    }
    let mut expr = expr.clone();
    put_now(&mut expr, now.micros(target, column)?)?;
    Ok(expr)
}

/// Puts the present time in the place of `now()` and its like, in microseconds: servers keep no more digits by default, and no
/// value is rounded.
fn put_now(node: &mut impl VisitMut, micros: i64) -> Result<()> {
    let put = visit_expressions_mut(node, |expr| {
        if !is_now(expr) {
            return ControlFlow::Continue(());
        }
        let moment = TimestampMicrosecondArray::from(vec![micros]).with_timezone(zone());
        match plan::literal(&Parameter::Arrow(Arc::new(moment)), Span::empty()) {
            Ok(literal) => {
                *expr = literal;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    });
    match put {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The same in a query whose columns are written to these columns: with as many digits as a column has where the present time is
/// all that it is.
pub(super) fn put_now_in_query(
    query: &mut Query,
    target: &Target,
    columns: &[usize],
    now: Now,
) -> Result<()> {
    if let SetExpr::Select(select) = query.body.as_mut() {
        for (item, column) in select.projection.iter_mut().zip(columns) {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    put_now(expr, now.micros(target, *column)?)?;
                }
                // What is behind it goes to columns that are not known here.
                _ => break,
            }
        }
    }
    put_now(query, now.all_micros())
}
