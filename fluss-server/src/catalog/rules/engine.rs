//! Merge engines and what belongs to them (`behaviour.md` §3.4, `descriptors.md` §3.3).

use fluss_core::types::{AggregateFunction, Column, Kind};
use tracing::warn;

use super::draft::Draft;
use super::invalid_config;
use crate::Failure;

const ENGINE: &str = "table.merge-engine";
const DELETE: &str = "table.delete.behavior";
const VERSION_COLUMN: &str = "table.merge-engine.versioned.ver-column";

/// A table with a merge engine ignores deletes unless it says otherwise.
pub(super) fn fill(draft: &mut Draft) {
    if draft.properties.contains_key(ENGINE) && draft.is_keyed() {
        draft
            .properties
            .entry(DELETE.to_owned())
            .or_insert_with(|| "IGNORE".to_owned());
    }
}

pub(super) fn check(draft: &Draft) -> Result<(), Failure> {
    for column in draft.schema().columns() {
        check_column(draft, column)?;
    }
    if !draft.is_keyed() {
        return check_log_table(draft);
    }
    let deletes = draft.keyword(DELETE, "ALLOW");
    match draft.keyword(ENGINE, "").as_str() {
        engine @ ("FIRST_ROW" | "VERSIONED") if deletes == "ALLOW" => Err(invalid_config(format!(
            "'{DELETE}': merge engine {engine} cannot allow deletes"
        ))),
        "VERSIONED" => check_version_column(draft),
        "AGGREGATION" => check_aggregation(draft),
        _ => Ok(()),
    }
}

fn check_log_table(draft: &Draft) -> Result<(), Failure> {
    match [ENGINE, DELETE]
        .iter()
        .find(|key| draft.properties.contains_key(**key))
    {
        Some(key) => Err(invalid_config(format!(
            "'{key}' needs a table with a primary key"
        ))),
        None => Ok(()),
    }
}

fn check_version_column(draft: &Draft) -> Result<(), Failure> {
    let name = draft
        .property(VERSION_COLUMN)
        .ok_or_else(|| invalid_config(format!("merge engine VERSIONED needs '{VERSION_COLUMN}'")))?;
    let column = draft
        .schema()
        .column(name)
        .ok_or_else(|| invalid_config(format!("'{VERSION_COLUMN}': column '{name}' does not exist")))?;
    match column.data_type.kind() {
        Kind::Int | Kind::BigInt | Kind::Timestamp(_) | Kind::TimestampLtz(_) => Ok(()),
        _ => Err(invalid_config(format!(
            "'{VERSION_COLUMN}': column '{name}' is not INT, BIGINT, TIMESTAMP or TIMESTAMP_LTZ"
        ))),
    }
}

fn check_aggregation(draft: &Draft) -> Result<(), Failure> {
    if draft.keyword("table.changelog.image", "FULL") == "WAL" {
        return Err(invalid_config(
            "merge engine AGGREGATION needs 'table.changelog.image' FULL",
        ));
    }
    Ok(())
}

/// Checks the aggregate function of a column: only the aggregation merge engine has any.
pub(super) fn check_column(draft: &Draft, column: &Column) -> Result<(), Failure> {
    match &column.aggregate {
        Some(function) if takes(&function.name).is_some() && draft.keyword(ENGINE, "") != "AGGREGATION" => {
            Err(invalid_config(format!(
                "column '{}': aggregate function {} needs '{ENGINE}' AGGREGATION",
                column.name, function.name
            )))
        }
        _ => check_function(column),
    }
}

/// What an aggregate function takes.
#[derive(Clone, Copy)]
enum Takes {
    Numbers,
    Ordered,
    Anything,
    Text,
    Booleans,
    Bitmaps,
}

fn takes(function: &str) -> Option<Takes> {
    Some(match function {
        "sum" | "product" => Takes::Numbers,
        "max" | "min" => Takes::Ordered,
        "last_value" | "last_value_ignore_nulls" | "first_value" | "first_value_ignore_nulls" => {
            Takes::Anything
        }
        "listagg" | "string_agg" => Takes::Text,
        "bool_and" | "bool_or" => Takes::Booleans,
        "rbm32" | "rbm64" => Takes::Bitmaps,
        _ => return None,
    })
}

impl Takes {
    const fn accepts(self, kind: &Kind) -> bool {
        match self {
            Self::Anything => true,
            Self::Numbers => is_number(kind),
            Self::Ordered => is_number(kind) || is_text(kind) || is_time(kind),
            Self::Text => is_text(kind),
            Self::Booleans => matches!(kind, Kind::Boolean),
            Self::Bitmaps => matches!(kind, Kind::Bytes),
        }
    }
}

const fn is_number(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::TinyInt
            | Kind::SmallInt
            | Kind::Int
            | Kind::BigInt
            | Kind::Float
            | Kind::Double
            | Kind::Decimal { .. }
    )
}

const fn is_text(kind: &Kind) -> bool {
    matches!(kind, Kind::Char(_) | Kind::String)
}

const fn is_time(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Date | Kind::Time(_) | Kind::Timestamp(_) | Kind::TimestampLtz(_)
    )
}

/// Whether there is such a function. A column with another merges as one without, as on a real server.
pub(super) fn is_known(function: &AggregateFunction) -> bool {
    let known = takes(&function.name).is_some();
    if !known {
        warn!(
            target: crate::TARGET,
            function = function.name,
            "an unknown aggregate function is left out"
        );
    }
    known
}

fn check_function(column: &Column) -> Result<(), Failure> {
    let Some(function) = &column.aggregate else {
        return Ok(());
    };
    let Some(takes) = takes(&function.name) else {
        return Ok(());
    };
    let fault = |reason: String| {
        Err(invalid_config(format!(
            "column '{}': function {} {reason}",
            column.name, function.name
        )))
    };
    if !takes.accepts(column.data_type.kind()) {
        return fault(format!("does not take {}", column.data_type));
    }
    for (key, value) in &function.parameters {
        match (takes, key.as_str()) {
            (Takes::Text, "delimiter") if value.is_empty() => {
                return fault("has an empty delimiter".to_owned());
            }
            (Takes::Text, "delimiter") => {}
            _ => return fault(format!("has no parameter '{key}'")),
        }
    }
    Ok(())
}
