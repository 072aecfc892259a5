//! What happened, for Python's loggers.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tracing::field::{Field, Visit};

/// Something that happened.
pub(super) struct Record {
    pub(super) logger: &'static str,
    pub(super) level: i32,
    /// In seconds since the epoch.
    pub(super) moment: f64,
    pub(super) file: &'static str,
    pub(super) line: u32,
    pub(super) fields: Fields,
}

/// What an event or a span says of itself.
#[derive(Clone, Default)]
pub(super) struct Fields {
    message: String,
    named: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
enum Value {
    Number(i64),
    Flag(bool),
    Text(String),
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.named.retain(|(name, _)| *name != field.name());
        self.named.push((field.name(), value));
    }

    /// Those of an event, and those of the span around it that it does not have itself.
    pub(super) fn within(mut self, outer: &Self) -> Self {
        for (name, value) in &outer.named {
            if !self.named.iter().any(|(known, _)| known == name) {
                self.named.push((name, value.clone()));
            }
        }
        self
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.set(field, Value::Text(format!("{value:?}")));
        }
    }
}

/// An event as `fluss._logging` takes it: logger, level, message, fields, moment, file and line.
pub(super) type Told = (&'static str, i32, String, Py<PyDict>, f64, &'static str, u32);

impl Record {
    /// The record for `fluss._logging`.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Told> {
        let Fields { message, named } = self.fields;
        let fields = PyDict::new(py);
        for (name, value) in named {
            match value {
                Value::Number(number) => fields.set_item(name, number)?,
                Value::Flag(flag) => fields.set_item(name, flag)?,
                Value::Text(text) => fields.set_item(name, text)?,
            }
        }
        let fields = fields.unbind();
        Ok((
            self.logger,
            self.level,
            message,
            fields,
            self.moment,
            self.file,
            self.line,
        ))
    }
}
