//! `NOT IN (query)` within OR: what is not known is kept out.
//!
//! Alone in a condition the planner does it right. Within OR, or below NOT, it takes a null for a value that is not there.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Select, UnaryOperator};

use crate::error::Result;
use crate::text;

/// Writes `v NOT IN (query)` in the conditions of a SELECT, within OR, as the same with NOT EXISTS. A condition may be false
/// then where it was not known. In those of joins it is refused: see [`grammar`](crate::grammar).
pub(super) fn rewrite(select: &mut Select) -> Result<()> {
    let conditions = select.selection.iter_mut().chain(&mut select.having);
    for condition in conditions.chain(&mut select.qualify) {
        within(condition, false, false)?;
    }
    Ok(())
}

fn within(condition: &mut Expr, is_negated: bool, is_nested: bool) -> Result<()> {
    match condition {
        Expr::Nested(inner) => within(inner, is_negated, is_nested),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => within(expr, !is_negated, is_nested),
        Expr::BinaryOp { left, op, right } => {
            // What is below NOT is OR where it is AND.
            let is_nested = match op {
                BinaryOperator::And => is_nested || is_negated,
                BinaryOperator::Or => is_nested || !is_negated,
                _ => return Ok(()),
            };
            within(left, is_negated, is_nested)?;
            within(right, is_negated, is_nested)
        }
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } if is_nested && *negated != is_negated => {
            *condition = may_be_in(expr, subquery, *negated)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a query may return a value, or, if it is negated, whether it certainly does not.
fn may_be_in(value: &Expr, query: &Query, is_negated: bool) -> Result<Expr> {
    let not = if is_negated { "NOT " } else { "" };
    let text = format!(
        "{not}EXISTS (SELECT 1 FROM ({query}) AS \"__fluss_in\" (\"__fluss_value\") WHERE \"__fluss_in\".\"__fluss_value\" = ({value}) \
         OR \"__fluss_in\".\"__fluss_value\" IS NULL OR ({value}) IS NULL)"
    );
    Ok(text::parser(text::tokenize(&text)?).parse_expr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        let mut condition = text::parser(text::tokenize(text).unwrap()).parse_expr().unwrap();
        within(&mut condition, false, false).unwrap();
        condition.to_string()
    }

    #[test]
    fn what_may_be_unknown_within_or_is_asked_otherwise() {
        for same in [
            "v NOT IN (SELECT w FROM u) AND a",
            "NOT (v IN (SELECT w FROM u))",
            "a OR v IN (SELECT w FROM u)",
            "NOT (a OR v IN (SELECT w FROM u))",
        ] {
            assert_eq!(rewritten(same), same);
        }
        for other in [
            "a OR v NOT IN (SELECT w FROM u)",
            "NOT (a AND v IN (SELECT w FROM u))",
            "a OR NOT (b OR v IN (SELECT w FROM u))",
        ] {
            assert!(rewritten(other).contains("EXISTS"), "{other}");
        }
    }
}
