//! Statements that are carried out many times.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::carry::carry_out;
use crate::context::{Context, Shared};
use crate::cpu;
use crate::dispatch::Statement;
use crate::error::{Error, ErrorKind, Result};
use crate::plan;
use crate::run::Outcome;
use crate::text::Text;
use crate::value::{Parameters, Value};

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
    /// returns how many rows were written.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), of the first row that fails; the error tells how many rows were written before.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops it; part may have been written.
    pub async fn execute_many(&self, parameters: RecordBatch) -> Result<u64> {
        let mut written = 0;
        for row in 0..parameters.num_rows() {
            let columns = parameters.columns().iter();
            let values: Vec<Value> = columns.map(|column| Value::Arrow(column.slice(row, 1))).collect();
            written += self.changed(values.into(), written).await?;
        }
        Ok(written)
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
        let mut written = 0;
        for parameters in rows {
            written += self.changed(parameters, written).await?;
        }
        Ok(written)
    }

    async fn changed(&self, parameters: Parameters, before: u64) -> Result<u64> {
        let outcome = self.execute(parameters).await;
        match outcome.map_err(|error| error.after_writing(before))? {
            Outcome::Changed(rows) => Ok(rows),
            Outcome::Done => Ok(0),
            Outcome::Rows(_) => {
                let reason = "a query is carried out for one row of parameters at a time";
                Err(Error::new(ErrorKind::Other, reason))
            }
        }
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

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}
