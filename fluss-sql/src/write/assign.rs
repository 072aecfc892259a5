//! `SET column = value`.

use datafusion::sql::sqlparser::ast::{Assignment, AssignmentTarget, Expr, Ident, ObjectName};

use super::target::Target;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names;

/// What columns are set to, by their positions.
///
/// # Errors
///
/// A column that there is not, that is set twice, that is of the primary key, or that servers fill in.
pub(super) fn assignments(target: &Target, set: Vec<Assignment>) -> Result<Vec<(usize, Expr)>> {
    let mut assigned: Vec<(usize, Expr)> = Vec::new();
    for (name, value) in pairs(set)? {
        let at = Position::of(name.span.start);
        let column = target.column(&name)?;
        let refuse = |what: String| Err(Error::unsupported(what).at(at));
        if target.key.contains(&column) {
            return refuse(format!(
                "setting '{}', which is of the primary key: delete the row and insert another; changing a key",
                name.value
            ));
        }
        if target.counter == Some(column) {
            return refuse(format!("setting '{}', which servers fill in,", name.value));
        }
        if assigned.iter().any(|(other, _)| *other == column) {
            let text = format!("column '{}' is set twice", name.value);
            return Err(Error::new(ErrorKind::Syntax, text).at(at));
        }
        assigned.push((column, value));
    }
    Ok(assigned)
}

/// Each column that is set, and what it is set to.
fn pairs(set: Vec<Assignment>) -> Result<Vec<(Ident, Expr)>> {
    let mut pairs = Vec::new();
    for assignment in set {
        match (assignment.target, assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => pairs.push((column(&name)?, value)),
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) if names.len() == values.len() => {
                for (name, value) in names.iter().zip(values) {
                    pairs.push((column(name)?, value));
                }
            }
            (AssignmentTarget::Tuple(names), _) => {
                let at = names.first().and_then(names::place);
                return Err(
                    Error::unsupported("SET of several columns to anything but as many values").at(at),
                );
            }
        }
    }
    Ok(pairs)
}

/// The column that a name with or without its table means.
pub(super) fn column(name: &ObjectName) -> Result<Ident> {
    let parts = names::parts(name)?;
    let last = parts.last().map(|last| (*last).clone());
    last.ok_or_else(|| Error::new(ErrorKind::Syntax, "a column without a name"))
}
