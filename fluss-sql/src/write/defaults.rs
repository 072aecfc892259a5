//! Values of columns that a statement leaves out.
//!
//! Tables have no defaults of their own: they are properties of the table, `sql.default.<column>`, which this room obeys and other
//! writers do not know. The value of such a property is a literal or `CURRENT_TIMESTAMP`.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value,
};
use fluss_client::types::TableInfo;

use crate::error::{Error, ErrorKind, Result};
use crate::text;

/// What the properties of a table begin with that are defaults of its columns.
const DEFAULT: &str = "sql.default.";

/// The property that is the default of a column.
pub(crate) fn property(column: &str) -> String {
    format!("{DEFAULT}{column}")
}

/// The defaults of a table's columns, by the columns' positions.
pub(super) fn defaults(info: &TableInfo) -> Result<BTreeMap<usize, Expr>> {
    let properties = info.descriptor.custom_properties().iter();
    let of_columns = properties.filter_map(|(key, text)| {
        let column = info.row_type().index_of(key.strip_prefix(DEFAULT)?)?;
        Some((column, key, text))
    });
    let read = |(column, key, text): (usize, &String, &String)| {
        let broken = |error: Error| {
            let text = format!("the property '{key}' is no default: {}", error.message);
            Error::new(ErrorKind::Other, text)
        };
        Ok((column, parse(text).map_err(broken)?))
    };
    of_columns.map(read).collect()
}

/// The default that a text is.
fn parse(text: &str) -> Result<Expr> {
    let mut parser = text::parser(text::tokenize(text)?);
    let expr = parser.parse_expr()?;
    text::end(&parser)?;
    check(&expr)?;
    Ok(expr)
}

/// Refuses what is neither a literal nor the time.
///
/// # Errors
///
/// Any other expression.
pub(crate) fn check(expr: &Expr) -> Result<()> {
    let is_default = match expr {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::UnaryOp { op, expr } => {
            let is_sign = matches!(op, UnaryOperator::Minus | UnaryOperator::Plus);
            is_sign && matches!(&**expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
        }
        Expr::TypedString(_) => true,
        Expr::Nested(inner) => return check(inner),
        other => is_now(other),
    };
    if is_default {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "DEFAULT {expr}: a default is a literal or CURRENT_TIMESTAMP; an expression as default"
    )))
}

/// Whether an expression is the present time: `now()`, `CURRENT_TIMESTAMP` or `LOCALTIMESTAMP`, with or without digits.
pub(super) fn is_now(expr: &Expr) -> bool {
    let Expr::Function(Function {
        name,
        args,
        over: None,
        filter: None,
        ..
    }) = expr
    else {
        return false;
    };
    let name = name.to_string();
    let is_plain = match args {
        FunctionArguments::None => true,
        FunctionArguments::List(list) => match list.args.as_slice() {
            [] => true,
            // How many digits are kept is for the column.
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(digits)))] => {
                matches!(digits.value, Value::Number(..))
            }
            _ => false,
        },
        FunctionArguments::Subquery(_) => false,
    };
    is_plain
        && ["now", "current_timestamp", "localtimestamp"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether an expression is the word DEFAULT.
pub(super) fn is_default(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_a_literal_or_the_time() {
        for good in [
            "1",
            "-1.5",
            "'a'",
            "TRUE",
            "NULL",
            "X'00ff'",
            "CURRENT_TIMESTAMP",
            "now()",
            "DATE '2024-01-01'",
            "(7)",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["a", "1 + 1", "random()", "(SELECT 1)", "$1", "-a", "1 2", ""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(is_now(&parse("CURRENT_TIMESTAMP(3)").unwrap()));
        assert!(is_now(&parse("Current_Timestamp").unwrap()) && is_now(&parse("NOW()").unwrap()));
    }

    #[test]
    fn the_word_default_is_none_in_quotes() {
        let expr = |text: &str| text::parser(text::tokenize(text).unwrap()).parse_expr().unwrap();
        assert!(is_default(&expr("DEFAULT")) && is_default(&expr("default")));
        assert!(!is_default(&expr("\"default\"")) && !is_default(&expr("'default'")));
    }
}
