//! What stands within expressions.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Subscript, Value,
};

use super::{Refusals, order_is_known};
use crate::error::Result;

/// Refuses what an expression has that is not carried. What is within it is judged by itself.
pub(super) fn expression(expression: &Expr) -> Result<()> {
    let refuse = || Refusals::of(expression);
    let no = |what: &str| refuse().any(true, what);
    match expression {
        Expr::Function(call) => function(call),
        Expr::Cast { format, array, .. } => {
            refuse().any(format.is_some(), "CAST with a format")?;
            refuse().any(*array, "CAST to an array of a type")
        }
        Expr::Like { any, .. } | Expr::ILike { any, .. } => refuse().any(*any, "LIKE ANY"),
        Expr::JsonAccess { .. } => no("a path into JSON"),
        Expr::IsNormalized { .. } => no("IS NORMALIZED"),
        Expr::InUnnest { .. } => no("IN UNNEST"),
        Expr::RLike { .. } => no("RLIKE or REGEXP (write ~), which"),
        Expr::Convert { .. } => no("CONVERT"),
        Expr::Collate { .. } => no("COLLATE"),
        Expr::MatchAgainst { .. } => no("MATCH … AGAINST"),
        Expr::OuterJoin(_) => no("(+)"),
        Expr::Prior(_) => no("PRIOR"),
        Expr::MemberOf(_) => no("MEMBER OF"),
        Expr::Prefixed { .. } => no("a prefix of an expression"),
        Expr::Named { .. } => no("a name in an expression"),
        Expr::Lambda(_) => no("a function in an expression (->)"),
        Expr::CompoundFieldAccess { access_chain, .. } => {
            for access in access_chain {
                if let AccessExpr::Subscript(Subscript::Slice { stride, .. }) = access {
                    refuse().any(stride.is_some(), "a slice with a stride")?;
                }
            }
            Ok(())
        }
        // The planner takes these, or refuses them by name.
        _ => Ok(()),
    }
}

/// `TIMESTAMP '…'` is of microseconds, unless its text has more digits: none is lost.
pub(super) fn keep_nanoseconds(expression: &mut Expr) {
    let Expr::TypedString(literal) = expression else {
        return;
    };
    let DataType::Timestamp(precision @ None, _) = &mut literal.data_type else {
        return;
    };
    if let Value::SingleQuotedString(text) = &literal.value.value {
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        if fraction.chars().take_while(char::is_ascii_digit).count() > 6 {
            *precision = Some(9);
        }
    }
}

/// A number with an exponent is a DOUBLE: the planner would make a decimal of it.
pub(super) fn exponent_is_double(expression: &mut Expr) {
    let Expr::Value(value) = expression else {
        return;
    };
    let Value::Number(text, _) = &value.value else {
        return;
    };
    if text.contains(['e', 'E']) {
        let text = Value::SingleQuotedString(text.clone()).with_span(value.span);
        *expression = Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(Expr::Value(text)),
            data_type: DataType::Double(ExactNumberInfo::None),
            array: false,
            format: None,
        };
    }
}

/// `AT TIME ZONE 'UTC'` is no `TIMESTAMP_LTZ`, whose zone in plans is that name and whose times are local ones.
pub(super) fn utc_is_meant(expression: &mut Expr) {
    if let Expr::AtTimeZone { time_zone, .. } = expression
        && let Expr::Value(zone) = time_zone.as_mut()
        && let Value::SingleQuotedString(name) = &mut zone.value
        && name.eq_ignore_ascii_case("UTC")
    {
        "+00:00".clone_into(name);
    }
}

fn function(call: &Function) -> Result<()> {
    let refuse = Refusals::of(call);
    let Function {
        name: _,
        uses_odbc_syntax,
        parameters,
        args,
        filter: _,
        null_treatment: _,
        over: _,
        within_group,
    } = call;
    refuse.any(*uses_odbc_syntax, "a function in braces ({fn …})")?;
    refuse.any(
        *parameters != FunctionArguments::None,
        "a function with two lists of arguments",
    )?;
    order_is_known(within_group)?;
    let FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: _,
        args: _,
        clauses,
    }) = args
    else {
        return Ok(());
    };
    for clause in clauses {
        match clause {
            FunctionArgumentClause::OrderBy(order) => order_is_known(order)?,
            FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
            FunctionArgumentClause::Limit(_) => refuse.any(true, "LIMIT among arguments")?,
            FunctionArgumentClause::OnOverflow(_) => refuse.any(true, "ON OVERFLOW")?,
            FunctionArgumentClause::Having(_) => refuse.any(true, "HAVING among arguments")?,
            FunctionArgumentClause::Separator(_) => refuse.any(true, "SEPARATOR")?,
            FunctionArgumentClause::JsonNullClause(_) | FunctionArgumentClause::JsonReturningClause(_) => {
                refuse.any(true, "a clause of JSON functions")?;
            }
        }
    }
    Ok(())
}
