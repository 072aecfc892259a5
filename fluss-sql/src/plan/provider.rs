//! What a planner is told of tables and functions: for one statement, as they are now.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{DFSchema, DataFusionError, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::ViewTable;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
    TypePlanner,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::ParserOptions;
use datafusion::sql::sqlparser::ast::{
    Expr as Parsed, Spanned, TableFactor, TableVersion, Value as Literal, ValueWithSpan,
};
use fluss_client::Table;
use fluss_client::types::Timestamp;
use tokio::runtime::Handle;

use super::types::{Times, Types};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Position, Result};
use crate::names::TableName;
use crate::scan::{FlussTable, Read};
use crate::transaction::Overlay;

/// The tables and views that a statement names, as they are now.
#[derive(Clone, Default)]
pub(super) struct Sources {
    pub(super) tables: HashMap<TableName, Table>,
    /// Views by their names.
    pub(super) views: HashMap<String, LogicalPlan>,
    /// What the open transaction has written to tables.
    pub(super) overlays: HashMap<TableName, Arc<Overlay>>,
    /// Whether columns that are hidden unless they are named are there.
    pub(super) hidden: bool,
    /// Whether it is worth to ask how many rows tables have.
    pub(super) counted: bool,
    /// Whether changes are followed: tables are their logs.
    pub(super) followed: bool,
}

impl Sources {
    /// What is read of a table.
    pub(super) fn table(
        &self,
        name: &TableName,
        at: Option<Timestamp>,
        client: &Handle,
    ) -> Option<FlussTable> {
        let table = self.tables.get(name)?;
        let read = match (name.changelog, table.info().has_primary_key()) {
            (false, true) if !self.followed => Read::Rows(at),
            _ => Read::Log(at),
        };
        let mut found = FlussTable::new(table.clone(), read, client.clone(), self.hidden, self.counted);
        if let (None, Some(overlay)) = (at, self.overlays.get(name)) {
            found = found.under(overlay.clone());
        }
        Some(found)
    }
}

pub(super) struct Provider<'s> {
    engine: &'s SessionState,
    sources: &'s Sources,
    database: String,
    client: Handle,
    relations: Vec<Arc<dyn RelationPlanner>>,
    expressions: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<dyn TypePlanner>,
}

impl<'s> Provider<'s> {
    pub(super) fn new(engine: &'s SessionState, sources: &'s Sources, context: &Context) -> Self {
        let moments = Moments {
            sources: sources.clone(),
            database: context.database(),
            client: context.shared.client.clone(),
        };
        let zone = engine.config_options().execution.time_zone.as_deref();
        let own: Arc<dyn ExprPlanner> = Arc::new(Times);
        Self {
            engine,
            sources,
            database: context.database(),
            client: context.shared.client.clone(),
            relations: vec![Arc::new(moments)],
            expressions: std::iter::once(own)
                .chain(engine.expr_planners().iter().cloned())
                .collect(),
            types: Arc::new(Types {
                zone: zone.unwrap_or("UTC").into(),
            }),
        }
    }
}

pub(super) fn parser_options(engine: &SessionState) -> ParserOptions {
    let own = &engine.config_options().sql_parser;
    ParserOptions {
        parse_float_as_decimal: own.parse_float_as_decimal,
        enable_ident_normalization: own.enable_ident_normalization,
        enable_options_value_normalization: own.enable_options_value_normalization,
        support_varchar_with_length: own.support_varchar_with_length,
        map_string_types_to_utf8view: own.map_string_types_to_utf8view,
        collect_spans: own.collect_spans,
        default_null_ordering: own.default_null_ordering.as_str().into(),
    }
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        if let TableReference::Bare { table } = &name
            && let Some(view) = self.sources.views.get(table.as_ref())
        {
            return Ok(provider_as_source(Arc::new(ViewTable::new(view.clone(), None))));
        }
        let found = TableName::of_reference(&name, &self.database);
        match found.and_then(|name| self.sources.table(&name, None, &self.client)) {
            Some(table) => Ok(provider_as_source(Arc::new(table))),
            None => Err(missing(&name, &self.database).into()),
        }
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        let Some(function) = self.engine.table_functions().get(&name.to_ascii_lowercase()) else {
            let text = format!("there is no table function '{name}'");
            return Err(Error::new(ErrorKind::NotFound, text).into());
        };
        let known = SimplifyContext::builder()
            .with_config_options(self.engine.config_options().clone())
            .with_query_execution_start_time(self.engine.execution_props().query_execution_start_time)
            .build();
        let (simplifier, nothing) = (ExprSimplifier::new(known), DFSchema::empty());
        let simple = |arg| simplifier.simplify(simplifier.coerce(arg, &nothing)?);
        let args = args.into_iter().map(simple).collect::<Result<Vec<_>, _>>()?;
        let args = TableFunctionArgs::new(&args, self.engine);
        Ok(provider_as_source(
            function.create_table_provider_with_args(args)?,
        ))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> Result<Arc<dyn TableSource>, DataFusionError> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expressions
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(self.types.clone())
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.engine.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.engine.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.engine.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.engine.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.engine.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.engine.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.engine.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.engine.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.engine.window_functions().keys().cloned().collect()
    }
}

/// What is said about a table that is not there.
pub(super) fn missing(name: &TableReference, database: &str) -> Error {
    let shown = match name {
        TableReference::Bare { table } => format!("{database}.{table}"),
        other => other.to_string(),
    };
    Error::new(ErrorKind::NotFound, format!("there is no table '{shown}'"))
}

/// Plans tables as of a moment. The moment is a number of milliseconds by now.
struct Moments {
    sources: Sources,
    database: String,
    client: Handle,
}

impl fmt::Debug for Moments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moments").finish_non_exhaustive()
    }
}

impl RelationPlanner for Moments {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning, DataFusionError> {
        let place = Position::of(relation.span().start);
        let TableFactor::Table {
            name,
            alias,
            version: Some(version),
            ..
        } = relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(at) = read_version(&version) else {
            return plan_err!("AS OF was not planned");
        };
        let reference = context.object_name_to_table_reference(name)?;
        let found = TableName::of_reference(&reference, &self.database);
        let Some(table) = found.and_then(|name| self.sources.table(&name, Some(at), &self.client)) else {
            let error = match &reference {
                TableReference::Bare { table } if self.sources.views.contains_key(table.as_ref()) => {
                    Error::unsupported("AS OF of a view")
                }
                _ => missing(&reference, &self.database),
            };
            return Err(error.at(place).into());
        };
        let plan = LogicalPlanBuilder::scan(reference, provider_as_source(Arc::new(table)), None)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan, alias,
        ))))
    }
}

/// A moment as it stands in a syntax tree once it is known.
pub(super) fn write_version(at: Timestamp) -> TableVersion {
    let number = Literal::Number(at.millis().to_string(), false);
    TableVersion::ForSystemTimeAsOf(Parsed::Value(number.into()))
}

fn read_version(version: &TableVersion) -> Option<Timestamp> {
    let TableVersion::ForSystemTimeAsOf(Parsed::Value(ValueWithSpan {
        value: Literal::Number(millis, _),
        ..
    })) = version
    else {
        return None;
    };
    millis.parse().ok().map(Timestamp::from_millis)
}
