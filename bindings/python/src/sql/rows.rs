//! Rows of queries, as they come.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch as Columns;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use fluss_rpc::sync::Mutex;
use fluss_sql::Rows;
use futures::TryStreamExt;
use futures::future::{Either, select};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};
use pyo3_arrow::error::PyArrowResult;
use tokio::sync::watch;

use crate::arrow::ArrowTable;
use crate::convert::extend_rows;
use crate::error::Fault;
use crate::own::Own;
use crate::pending::{Limit, Pending};
use crate::reading::{Polled, Reading, Shelf, Source};

/// How long a look at the first rows waits for those of a query that does not end.
const GLANCE: Duration = Duration::from_millis(200);

/// Name, type and whether it takes nulls.
type Column = (String, String, bool);

/// The rows of a query, as they come. Whoever lets go of it stops the query.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct SqlRows {
    reading: Reading<Query>,
    schema: SchemaRef,
    query_id: u64,
    follows: bool,
    standing: Own<Arc<Mutex<Standing>>>,
    stop: watch::Sender<bool>,
}

/// Where a query stands, for those who ask while somebody reads.
#[derive(Clone, Default)]
struct Standing {
    position: Option<String>,
    is_caught_up: bool,
    has_ended: bool,
}

impl SqlRows {
    pub(super) fn new(rows: Rows) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (schema, query_id) = (rows.schema().clone(), rows.query_id());
        let standing = Arc::<Mutex<Standing>>::default();
        let query = Query {
            rows,
            shelf: Shelf::default(),
            failure: None,
            stopped,
            standing: standing.clone(),
        };
        let position = query.rows.position().ok();
        let follows = position.is_some();
        query.note(position);
        Self {
            reading: Reading::new(query, schema.clone()),
            schema,
            query_id,
            follows,
            standing: Own::new(standing),
            stop,
        }
    }

    fn standing(&self) -> PyResult<Standing> {
        Ok(self.standing.get()?.lock().clone())
    }
}

#[pymethods]
impl SqlRows {
    #[getter]
    fn query_id(&self) -> String {
        self.query_id.to_string()
    }

    /// Name, type and whether it takes nulls, of each column.
    #[getter]
    fn columns(&self) -> Vec<Column> {
        columns(&self.schema)
    }

    /// Whether the query has `EMIT CHANGES`, and does not end by itself.
    #[getter]
    const fn follows(&self) -> bool {
        self.follows
    }

    fn begin(&self) -> PyResult<()> {
        self.reading.begin()
    }

    fn next_batch(&self) -> PyResult<Pending> {
        self.reading.next_batch()
    }

    fn read_all(&self) -> PyResult<Pending> {
        self.reading.read_all()
    }

    /// The next rows as tuples or dicts, within a limit of time: none if none have come by then; None at the end.
    #[pyo3(signature = (as_dict=false, limit=None))]
    fn next_rows(&self, as_dict: bool, limit: Option<Limit>) -> PyResult<Pending> {
        let limit = limit.map(Limit::duration).transpose()?;
        self.reading.poll(limit, move |py, polled| match polled {
            Polled::Batch(batch) => Ok(list_of(py, std::slice::from_ref(batch), as_dict)?.into_any()),
            Polled::Nothing => Ok(PyList::empty(py).into_any()),
            Polled::End => Ok(py.None().into_bound(py)),
        })
    }

    /// All rows that are left as tuples or dicts.
    #[pyo3(signature = (as_dict=false))]
    fn all_rows(&self, as_dict: bool) -> PyResult<Pending> {
        self.reading
            .read_as(move |py, batches| Ok(list_of(py, batches, as_dict)?.into_any()))
    }

    /// The first rows, at least so many unless there are fewer; they stay unread.
    fn preview(&self, rows: usize) -> PyResult<Pending> {
        let source = self.reading.source()?.clone();
        let schema = self.schema.clone();
        let limit = self.follows.then_some(GLANCE);
        let looked = async move { source.lock().await.look(rows, limit).await };
        Ok(Pending::new(looked, |py, batches| {
            ArrowTable::new(schema, batches).into_bound_py_any(py)
        }))
    }

    /// Stops the query: nothing comes any more.
    fn cancel(&self) {
        self.stop.send_replace(true);
    }

    /// From where another query goes on behind the rows that were read.
    #[getter]
    fn position(&self) -> PyResult<Option<String>> {
        Ok(self.standing()?.position)
    }

    fn is_caught_up(&self) -> PyResult<bool> {
        Ok(self.standing()?.is_caught_up)
    }

    /// Whether nothing comes any more.
    fn is_complete(&self) -> PyResult<bool> {
        Ok(*self.stop.borrow() || self.standing()?.has_ended)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_schema(py)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.reading.export_stream(py, requested_schema)
    }
}

/// A query that is read once.
struct Query {
    rows: Rows,
    shelf: Shelf<Columns, String>,
    /// Why it could not be read to its end.
    failure: Option<fluss_sql::Error>,
    stopped: watch::Receiver<bool>,
    standing: Arc<Mutex<Standing>>,
}

impl Query {
    /// The next batch that has rows, without those that came back.
    async fn pull(&mut self) -> Result<Option<Columns>, Fault> {
        loop {
            if let Some(error) = self.failure.clone() {
                return Err(error.into());
            }
            if *self.stopped.borrow() {
                self.rows.cancel();
                return Ok(None);
            }
            let mut stopped = self.stopped.clone();
            let stop = async move {
                // Whoever could stop it may have let go, and another reads on.
                if stopped.wait_for(|stopped| *stopped).await.is_err() {
                    pending::<()>().await;
                }
            };
            let pulled = match select(pin!(stop), self.rows.try_next()).await {
                Either::Left(_) => continue,
                Either::Right((pulled, _)) => pulled,
            };
            match pulled {
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(batch) => return Ok(batch),
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// The next batch, and where the query stands behind it.
    async fn advance(&mut self) -> Result<Option<(Columns, Option<String>)>, Fault> {
        if *self.stopped.borrow() {
            self.shelf.clear();
        }
        if let Some(read) = self.shelf.pop() {
            return Ok(Some(read));
        }
        let batch = self.pull().await?;
        Ok(batch.map(|batch| (batch, self.rows.position().ok())))
    }

    /// Notes where the query stands for whoever has got all that was given out.
    fn note(&self, position: Option<String>) {
        *self.standing.lock() = Standing {
            position,
            is_caught_up: self.shelf.is_empty() && self.rows.is_caught_up(),
            has_ended: self.shelf.is_empty() && self.rows.has_ended(),
        };
    }

    fn position(&self) -> Option<String> {
        self.standing.lock().position.clone()
    }

    /// The first rows, which stay unread.
    async fn look(&mut self, rows: usize, limit: Option<Duration>) -> Result<Vec<Columns>, Fault> {
        let more = async {
            while self.shelf.batches().map(Columns::num_rows).sum::<usize>() < rows {
                let Some(batch) = self.pull().await? else {
                    break;
                };
                let position = self.rows.position().ok();
                self.shelf.push(batch, position);
            }
            Ok::<_, Fault>(())
        };
        match limit {
            Some(limit) => tokio::time::timeout(limit, more).await.unwrap_or(Ok(()))?,
            None => more.await?,
        }
        self.note(self.position());
        Ok(self.shelf.batches().cloned().collect())
    }
}

impl Source for Query {
    type Batch = Columns;
    type Object = ArrowTable;

    async fn next(&mut self) -> Result<Option<Columns>, Fault> {
        let next = self.advance().await?;
        let (batch, stands) = self.shelf.give(next, self.position());
        self.note(stands);
        Ok(batch)
    }

    async fn rest(&mut self) -> Result<Vec<Columns>, Fault> {
        self.check_unread()?;
        while let Some(batch) = self.pull().await? {
            let position = self.rows.position().ok();
            self.shelf.push(batch, position);
        }
        let (batches, stands) = self.shelf.give_all(self.position());
        self.note(stands);
        Ok(batches)
    }

    fn put_back(&mut self, batches: Vec<Columns>) {
        let stands = self.shelf.put_back(batches);
        self.note(stands);
    }

    fn has_ended(&self) -> bool {
        self.shelf.has_ended()
    }

    fn check_unread(&self) -> Result<(), Fault> {
        self.shelf
            .check_unread("the rows were read to their end: run the statement again")
    }

    fn show(&self, batch: Columns) -> Result<Columns, Fault> {
        Ok(batch)
    }

    fn columns(batch: Columns) -> Columns {
        batch
    }

    fn object(batch: Columns, schema: SchemaRef) -> ArrowTable {
        ArrowTable::new(schema, vec![batch])
    }
}

/// The columns of a table as SQL describes them, and its rows as tuples, the first ones if there is a limit.
#[pyfunction]
#[pyo3(signature = (table, limit=None))]
pub(crate) fn sql_rows<'py>(
    py: Python<'py>,
    table: &ArrowTable,
    limit: Option<usize>,
) -> PyResult<(Vec<Column>, Bound<'py, PyList>)> {
    let list = PyList::empty(py);
    for batch in table.batches() {
        let wanted = limit.map_or(usize::MAX, |limit| limit.saturating_sub(list.len()));
        extend_rows(&list, &batch.slice(0, wanted.min(batch.num_rows())), false)?;
    }
    Ok((columns(table.schema_ref()), list))
}

fn list_of<'py>(py: Python<'py>, batches: &[Columns], as_dict: bool) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for batch in batches {
        extend_rows(&list, batch, as_dict)?;
    }
    Ok(list)
}

fn columns(schema: &SchemaRef) -> Vec<Column> {
    let fields = schema.fields().iter();
    let column = fields.map(|field| {
        (
            field.name().clone(),
            type_name(field.data_type()),
            field.is_nullable(),
        )
    });
    column.collect()
}

/// A type as SQL calls it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float16 | DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".to_owned(),
        DataType::FixedSizeBinary(length) => format!("BINARY({length})"),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(*unit)),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => format!("ARRAY<{}>", type_name(element.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<String> = fields.iter().map(|field| type_name(field.data_type())).collect();
                format!("MAP<{}>", parts.join(", "))
            }
            other => format!("MAP<{other}>"),
        },
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| format!("{} {}", field.name(), type_name(field.data_type()));
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::Dictionary(_, of) => type_name(of),
        other => other.to_string().to_uppercase(),
    }
}

/// How many digits of the second a unit of time has.
const fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
