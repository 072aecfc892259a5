use arrow::array::{AsArray, Int64Array};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use fluss_client::filter::col;
use fluss_client::id::{BucketId, TableBucket, TableId};
use fluss_client::types::Timestamp;

use super::super::clock;
use super::*;

/// The table `t` with two columns, and the hidden ones.
#[derive(Debug)]
struct Changes {
    takes_filters: bool,
}

fn table() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
    ])
}

#[async_trait]
impl TableProvider for Changes {
    fn schema(&self) -> SchemaRef {
        let hidden = names::HIDDEN.iter().filter_map(|name| {
            let (_, data_type) = Source::hidden(name)?;
            Some(Arc::new(Field::new(*name, data_type, false)))
        });
        let fields: Vec<FieldRef> = table().fields().iter().cloned().chain(hidden).collect();
        Arc::new(Schema::new(fields))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        let taken = if self.takes_filters {
            TableProviderFilterPushDown::Exact
        } else {
            TableProviderFilterPushDown::Unsupported
        };
        Ok(vec![taken; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        unreachable!("it is only planned")
    }
}

/// Has the scanner test `id > number`.
fn push(expression: &Expr) -> Option<Predicate> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Gt,
        right,
    }) = expression
    else {
        return None;
    };
    match (&**left, &**right) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Int64(Some(number)), _)) => {
            Some(col(column.name.clone()).gt(*number))
        }
        _ => None,
    }
}

async fn pipeline_with(text: &str, takes_filters: bool, pushes: bool) -> Result<Pipeline> {
    let context = SessionContext::new();
    context.register_table("t", Arc::new(Changes { takes_filters }))?;
    let plan = context.sql(text).await?.into_unoptimized_plan();
    let plan = context.state().optimize(&clock::let_run(plan)?)?;
    let push = |expression: &Expr| push(expression).filter(|_| pushes);
    Pipeline::new(&plan, &table(), &context.state(), &push)
}

async fn pipeline(text: &str) -> Pipeline {
    pipeline_with(text, false, false).await.unwrap()
}

/// What the scanner returns of five rows from offset 100 on.
fn scanned(columns: &[String]) -> ScanBatch {
    let column = |name: &String| -> (String, ArrayRef) {
        match name.as_str() {
            "id" => (name.clone(), Arc::new(Int64Array::from_iter_values(0..5))),
            _ => (
                name.clone(),
                Arc::new(StringArray::from(vec![
                    Some("a"),
                    Some("b"),
                    None,
                    Some("d"),
                    Some("e"),
                ])),
            ),
        }
    };
    let fields: Vec<_> = columns
        .iter()
        .map(|name| table().field_with_name(name).unwrap().clone())
        .collect();
    let arrays = columns.iter().map(|name| column(name).1).collect();
    ScanBatch {
        bucket: TableBucket::new(TableId(1), BucketId(3)),
        base_offset: 100,
        kept: None,
        timestamp: Timestamp::from_millis(7),
        schema_id: None,
        change_types: Some([ChangeType::Insert; 5].into()),
        batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(),
    }
}

fn compute(pipeline: &Pipeline) -> RecordBatch {
    pipeline.compute(&scanned(&pipeline.columns)).unwrap().batch
}

fn numbers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    batch.column(column).as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn only_columns_that_are_needed_are_read() {
    assert_eq!(pipeline("SELECT name FROM t").await.columns, ["name"]);
    let by_name = pipeline("SELECT id + 1 AS next FROM t WHERE name <> 'b'").await;
    assert_eq!(by_name.columns, ["id", "name"]);
    assert_eq!(by_name.schema().field(0).name(), "next");
    assert_eq!(numbers(&compute(&by_name), 0), [1, 4, 5]);
    // Rows are counted by a column where none is asked for.
    let constant = pipeline("SELECT 7 AS n FROM t").await;
    assert_eq!(constant.columns, ["id"]);
    assert_eq!(numbers(&compute(&constant), 0), [7; 5]);
}

#[tokio::test]
async fn hidden_columns_tell_where_a_row_is() {
    let all = pipeline("SELECT _change_type, _offset, _timestamp, _bucket FROM t WHERE _offset >= 103").await;
    let batch = compute(&all);
    let changes: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(changes, ["+I", "+I"]);
    assert_eq!(numbers(&batch, 1), [103, 104]);
    let times = batch.column(2).as_primitive::<TimestampMillisecondType>();
    assert_eq!(times.values(), &[7, 7]);
    assert_eq!(batch.column(3).as_primitive::<Int32Type>().values(), &[3, 3]);
    let rows = pipeline("SELECT * FROM t").await;
    assert_eq!(compute(&rows).num_columns(), 6);
}

#[tokio::test]
async fn expressions_and_conditions_stand_on_each_other() {
    let text = "SELECT s.label, s.twice FROM (SELECT CASE WHEN id % 2 = 0 THEN 'even' ELSE name END AS label, \
                id * 2 AS twice FROM t WHERE id > 0) AS s WHERE s.twice < 8 AND s.label IS NOT NULL";
    let batch = compute(&pipeline(text).await);
    let labels: Vec<_> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(labels, ["b", "even", "d"]);
    assert_eq!(numbers(&batch, 1), [2, 4, 6]);
}

#[tokio::test]
async fn a_condition_is_pushed_to_the_scanner_where_it_can_be_tested() {
    let text = "SELECT name FROM t WHERE id > 2 AND name LIKE '%d%'";
    for takes_filters in [false, true] {
        let pushed = pipeline_with(text, takes_filters, true).await.unwrap();
        assert_eq!(pushed.predicate, Some(col("id").gt(2_i64)), "{takes_filters}");
        assert_eq!(pushed.schema().fields().len(), 1);
        let whole = pipeline_with(text, takes_filters, false).await.unwrap();
        assert_eq!(whole.predicate, None);
        for pipeline in [pushed, whole] {
            let batch = compute(&pipeline);
            assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1));
            assert_eq!(batch.column(0).as_string::<i32>().value(0), "d");
        }
    }
    // Another column of that name is none of the table's.
    let text = "SELECT * FROM (SELECT -id AS id FROM t) AS s WHERE s.id > -3";
    let computed = pipeline_with(text, false, true).await.unwrap();
    assert_eq!(numbers(&compute(&computed), 0), [0, -1, -2]);
}

#[tokio::test]
async fn the_first_rows_tell_where_they_end() {
    let text = "SELECT twice FROM (SELECT id * 2 AS twice FROM t WHERE id <> 1) AS s WHERE random() >= 0 AND twice <> 4";
    let pipeline = pipeline(text).await;
    let scanned = scanned(&pipeline.columns);
    let computed = pipeline.compute(&scanned).unwrap();
    assert_eq!(numbers(&computed.batch, 0), [0, 6, 8]);
    let (first, up_to) = computed.first(2, &scanned).unwrap();
    assert_eq!((numbers(&first, 0), up_to), (vec![0, 6], 104));
    assert_eq!(computed.first(1, &scanned).unwrap().1, 101);
    assert!(computed.first(3, &scanned).is_none());
}

#[tokio::test]
async fn a_condition_that_never_holds_leaves_no_rows() {
    let nothing = pipeline("SELECT name, id FROM t WHERE 1 = 2").await;
    assert_eq!(compute(&nothing).num_rows(), 0);
    let names: Vec<_> = nothing
        .schema()
        .fields()
        .iter()
        .map(|field| field.name())
        .collect();
    assert_eq!(names, ["name", "id"]);
}

#[tokio::test]
async fn the_time_is_when_a_row_passes() {
    let text = "SELECT CAST(now() AS BIGINT) AS n, current_date() AS d, id FROM t WHERE now() > '2020-01-01'";
    let pipeline = pipeline(text).await;
    let first = numbers(&compute(&pipeline), 0);
    assert_eq!(first.len(), 5);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while numbers(&compute(&pipeline), 0) == first {
        assert!(std::time::Instant::now() < deadline, "it stands still");
    }
}

#[tokio::test]
async fn a_plan_that_needs_more_is_refused() {
    for (text, what) in [
        ("SELECT count(*) FROM t", "an aggregate"),
        ("SELECT DISTINCT id FROM t", "an aggregate"),
        ("SELECT id FROM t ORDER BY id", "ORDER BY"),
        ("SELECT id, row_number() OVER () FROM t", "a window function"),
        ("SELECT a.id FROM t AS a, t AS b", "a join"),
        ("SELECT id FROM t UNION ALL SELECT id FROM t", "UNION"),
        ("SELECT id FROM t LIMIT 3", "LIMIT within the query"),
        ("SELECT 1", "a query without a table"),
    ] {
        let refused = pipeline_with(text, false, false)
            .await
            .err()
            .map(|error| error.message);
        assert_eq!(
            refused,
            Some(format!("{what} with EMIT CHANGES is not supported")),
            "{text}"
        );
    }
}
