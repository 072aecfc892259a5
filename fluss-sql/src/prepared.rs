//! Statements that are carried out many times.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::Statement as Parsed;

use crate::carry::carry_out;
use crate::context::{Context, Shared};
use crate::cpu;
use crate::dispatch::Statement;
use crate::error::{Error, ErrorKind, Result};
use crate::plan;
use crate::run::Outcome;
use crate::text::Text;
use crate::value::Parameters;
use crate::write;

/// A parameter of a prepared statement.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ParameterType {
    /// How it is marked: `$1`, `$name`.
    pub name: String,
    /// Its type, where the statement tells it.
    pub data_type: Option<DataType>,
}

/// A statement that was parsed and checked. It is planned anew each time: tables may have changed.
pub struct Prepared {
    shared: Arc<Shared>,
    text: Text,
    parameters: Vec<ParameterType>,
    schema: Option<SchemaRef>,
}

impl Prepared {
    pub(crate) async fn new(shared: Arc<Shared>, text: Text) -> Result<Self> {
        let statement = Statement::parse(&text)?;
        let context = Context::new(&shared, Parameters::default());
        let (schema, types) = match statement {
            Statement::Query(query) => {
                match plan::describe(&context, *query).await {
                    Ok((schema, types)) => (Some(schema), types),
                    // Without values not every statement can be planned.
                    Err(error)
                        if !text.placeholders.is_empty()
                            && matches!(error.kind, ErrorKind::Type | ErrorKind::Other) =>
                    {
                        (None, HashMap::default())
                    }
                    Err(error) => return Err(error),
                }
            }
            _ => (None, HashMap::default()),
        };
        let parameter = |name: &String| ParameterType {
            data_type: types.get(name).cloned().flatten(),
            name: name.clone(),
        };
        Ok(Self {
            parameters: text.placeholders.iter().map(parameter).collect(),
            shared,
            text,
            schema,
        })
    }

    /// Carries it out.
    ///
    /// # Errors
    ///
    /// As [`Session::execute`](crate::Session::execute).
    ///
    /// # Cancellation
    ///
    /// As [`Session::execute`](crate::Session::execute).
    pub async fn execute(&self, parameters: impl Into<Parameters>) -> Result<Outcome> {
        let (context, text) = (Context::new(&self.shared, parameters.into()), self.text.clone());
        cpu::run(async move {
            context.check_parameters(&text.placeholders)?;
            carry_out(&context, &text).await
        })
        .await
    }

    /// Carries a statement that writes out for each row of a batch, whose columns are the parameters in their order, and
    /// returns how many rows were written. An `INSERT` of values is one write of all rows.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), of the first row that fails; the error tells how many rows were written before.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops it; part may have been written.
    pub async fn execute_many(&self, parameters: RecordBatch) -> Result<u64> {
        let (context, text) = (
            Context::new(&self.shared, Parameters::default()),
            self.text.clone(),
        );
        cpu::run(async move {
            let statement = written(&text)?;
            if parameters.num_columns() != text.placeholders.len() {
                return Err(counts(text.placeholders.len(), parameters.num_columns()));
            }
            write::execute_batch(&context, &statement, &text.placeholders, &parameters).await
        })
        .await
    }

    /// The same for rows of values.
    ///
    /// # Errors
    ///
    /// As [`execute_many`](Self::execute_many).
    ///
    /// # Cancellation
    ///
    /// As [`execute_many`](Self::execute_many).
    pub async fn execute_rows(&self, rows: Vec<Parameters>) -> Result<u64> {
        let (context, text) = (
            Context::new(&self.shared, Parameters::default()),
            self.text.clone(),
        );
        cpu::run(async move {
            let statement = written(&text)?;
            for parameters in &rows {
                context.with(parameters).check_parameters(&text.placeholders)?;
            }
            write::execute_many(&context, &statement, &rows).await
        })
        .await
    }

    /// How many parameters it has.
    pub fn parameter_count(&self) -> usize {
        self.parameters.len()
    }

    /// The parameters, in the order in which they come in the text.
    pub fn parameter_types(&self) -> &[ParameterType] {
        &self.parameters
    }

    /// The schema of the rows of a query, where it does not depend on values.
    pub const fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }
}

/// A statement that writes.
fn written(text: &Text) -> Result<Parsed> {
    if let Statement::Write(statement) = Statement::parse(text)? {
        return Ok(*statement);
    }
    let reason = "only INSERT, UPDATE and DELETE are carried out for many rows of parameters";
    Err(Error::new(ErrorKind::Other, reason).at(text.start()))
}

/// That there are more or fewer columns than parameters.
fn counts(parameters: usize, columns: usize) -> Error {
    let text = format!("the statement has {parameters} parameters, and {columns} columns were given");
    Error::new(ErrorKind::Type, text)
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
