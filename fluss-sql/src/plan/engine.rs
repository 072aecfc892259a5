//! What all plans and queries of a session have in common: functions, rules, memory.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::prelude::SessionConfig;

use crate::error::Result;
use crate::options::Options;

/// What plans and queries of a session have in common.
pub(crate) fn engine(options: &Options) -> Result<SessionState> {
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config(options))
        .with_runtime_env(runtime(options)?)
        .with_physical_optimizer_rule(Arc::new(CooperativeJoins))
        .build();
    Ok(state)
}

fn config(options: &Options) -> SessionConfig {
    let mut config = SessionConfig::new().with_information_schema(false);
    if let Some(parallelism) = options.parallelism {
        config = config.with_target_partitions(parallelism.max(1));
    }
    let own = config.options_mut();
    // Names are as tables have them.
    own.sql_parser.enable_ident_normalization = false;
    own.sql_parser.parse_float_as_decimal = true;
    own.sql_parser.map_string_types_to_utf8view = false;
    own.sql_parser.collect_spans = true;
    // Times without zone are local time, and so is what `now()` shows.
    let zone = jiff::tz::TimeZone::system();
    own.execution.time_zone = Some(zone.iana_name().unwrap_or("UTC").to_owned());
    // What can spill does, and what cannot is told to need too much.
    own.execution.collect_statistics = true;
    config
}

fn runtime(options: &Options) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let mut builder = RuntimeEnvBuilder::new();
    if let Some(bytes) = options.memory_limit {
        builder = builder.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    if let Some(directory) = &options.spill_directory {
        let mode = DiskManagerMode::Directories(vec![directory.clone()]);
        builder = builder.with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode));
    }
    builder.build_arc()
}

/// Makes joins give way: what they read and what they return counts against the turn of their task, so that a query that is
/// stopped ends within milliseconds.
#[derive(Debug)]
struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rewritten = plan.transform_up(|plan| {
            if !is_join(&plan) {
                return Ok(Transformed::no(plan));
            }
            let inputs = plan
                .children()
                .into_iter()
                .map(|input| cooperative(input.clone()));
            let inputs = inputs.collect();
            Ok(Transformed::yes(cooperative(replace_children_if_necessary(
                plan, inputs,
            )?)))
        });
        Ok(rewritten?.data)
    }

    fn name(&self) -> &'static str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>()
        || plan.is::<NestedLoopJoinExec>()
        || plan.is::<CrossJoinExec>()
        || plan.is::<SortMergeJoinExec>()
}

fn cooperative(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    if plan.is::<CooperativeExec>() {
        return plan;
    }
    Arc::new(CooperativeExec::new(plan))
}
