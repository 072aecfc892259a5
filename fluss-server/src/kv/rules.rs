//! What a table does with what is written to it: its properties, read once (`behaviour.md` §3.2 to §3.5).

use std::collections::BTreeMap;

use fluss_core::types::{Kind, Schema, TableInfo};

use super::aggregate::Function;
use super::error::Error;

/// How the rows of a key are merged.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Engine {
    /// The new row wins.
    LastRow,
    /// The first row stays.
    FirstRow,
    /// The row with the larger version in this column wins; the new one if they are the same.
    Versioned(usize),
    /// Each column by its function; nothing for the columns of the key.
    Aggregation(Vec<Option<Function>>),
}

/// What becomes of deletes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deletes {
    Allow,
    /// Passed over.
    Ignore,
    /// Refused.
    Disable,
}

/// The rules of a table.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Rules {
    pub(super) engine: Engine,
    pub(super) deletes: Deletes,
    /// Whether the changelog lacks what updates replace.
    pub(super) wal: bool,
    /// The positions of the primary key's columns, partition keys among them.
    pub(super) key: Vec<usize>,
    pub(super) counter: Option<Counter>,
    /// A column that is neither of the key nor nullable: then there are no partial updates.
    pub(super) required: Option<String>,
}

/// The auto-increment column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counter {
    pub(super) column: usize,
    /// The largest number that it holds.
    pub(super) most: i64,
}

impl Rules {
    /// Reads the rules of a table that was created.
    pub(super) fn of(info: &TableInfo) -> Result<Self, Error> {
        let (schema, properties) = (info.schema(), info.descriptor.properties());
        let engine = engine(schema, properties)?;
        let key = schema
            .indexes_of(schema.primary_key())
            .map_err(|error| invalid(error.to_string()))?;
        let required = schema
            .columns()
            .iter()
            .enumerate()
            .find(|(position, column)| !column.data_type.is_nullable() && !key.contains(position));
        Ok(Self {
            deletes: deletes(&engine, properties)?,
            engine,
            wal: is(properties, "table.changelog.image", "wal"),
            counter: counter(schema),
            required: required.map(|(_, column)| column.name.clone()),
            key,
        })
    }
}

fn engine(schema: &Schema, properties: &BTreeMap<String, String>) -> Result<Engine, Error> {
    const ENGINE: &str = "table.merge-engine";
    const VERSION: &str = "table.merge-engine.versioned.ver-column";
    let Some(name) = properties.get(ENGINE) else {
        return Ok(Engine::LastRow);
    };
    match name.to_ascii_lowercase().as_str() {
        "first_row" => Ok(Engine::FirstRow),
        "versioned" => {
            let column = properties.get(VERSION);
            let position = column.and_then(|column| schema.row_type().index_of(column));
            position
                .map(Engine::Versioned)
                .ok_or_else(|| invalid(format!("property '{VERSION}' names no column")))
        }
        "aggregation" => {
            let columns = schema.columns().iter();
            let functions = columns.map(|column| {
                let is_key = schema.primary_key().contains(&column.name);
                (!is_key).then(|| Function::of(column.aggregate.as_ref()))
            });
            Ok(Engine::Aggregation(functions.collect()))
        }
        other => Err(invalid(format!(
            "property '{ENGINE}': there is no engine '{other}'"
        ))),
    }
}

fn deletes(engine: &Engine, properties: &BTreeMap<String, String>) -> Result<Deletes, Error> {
    const BEHAVIOR: &str = "table.delete.behavior";
    let Some(name) = properties.get(BEHAVIOR) else {
        let merges = *engine != Engine::LastRow;
        return Ok(if merges { Deletes::Ignore } else { Deletes::Allow });
    };
    match name.to_ascii_lowercase().as_str() {
        "allow" => Ok(Deletes::Allow),
        "ignore" => Ok(Deletes::Ignore),
        "disable" => Ok(Deletes::Disable),
        other => Err(invalid(format!("property '{BEHAVIOR}': there is no '{other}'"))),
    }
}

fn counter(schema: &Schema) -> Option<Counter> {
    let column = schema.row_type().index_of(schema.auto_increment()?)?;
    let most = match schema.row_type().field(column)?.data_type.kind() {
        Kind::Int => i32::MAX.into(),
        _ => i64::MAX,
    };
    Some(Counter { column, most })
}

fn is(properties: &BTreeMap<String, String>, key: &str, value: &str) -> bool {
    properties
        .get(key)
        .is_some_and(|given| given.eq_ignore_ascii_case(value))
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::InvalidProperty(reason.into())
}
