//! What all plans and queries of a session have in common: functions, rules, memory.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::prelude::SessionConfig;
use jiff::tz::TimeZone;

use super::common_types::CommonTypes;
use super::paced::CooperativeJoins;
use crate::error::Result;
use crate::options::Options;

/// What plans and queries of a session have in common.
pub(crate) fn engine(options: &Options) -> Result<SessionState> {
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config(options))
        .with_runtime_env(runtime(options)?)
        .with_analyzer_rules(vec![
            Arc::new(ResolveGroupingFunction::new()),
            Arc::new(common_types()),
            Arc::new(TypeCoercion::new()),
        ])
        .with_physical_optimizer_rule(Arc::new(CooperativeJoins))
        .build();
    Ok(state)
}

/// What has no zone is local time.
pub(super) fn common_types() -> CommonTypes {
    CommonTypes {
        zone: TimeZone::system(),
    }
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
    let zone = TimeZone::system();
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
