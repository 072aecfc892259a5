//! The time in a query that does not end: `now()` is when a row passes, not when the query began.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// The functions that ask for the time. The planner would ask them once.
const CLOCKS: [&str; 3] = ["now", "current_date", "current_time"];

/// The same plan, which asks for the time whenever it is evaluated.
pub(super) fn let_run(plan: LogicalPlan) -> Result<LogicalPlan> {
    let of_function = |expression: Expr| match expression {
        Expr::ScalarFunction(ScalarFunction { func, args }) if CLOCKS.contains(&func.name()) => {
            let func = Arc::new(ScalarUDF::new_from_impl(Running::new(func)));
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                func,
                args,
            })))
        }
        other => Ok(Transformed::no(other)),
    };
    let of_node = |plan: LogicalPlan| plan.map_expressions(|expression| expression.transform_up(of_function));
    Ok(plan.transform_up(of_node)?.data)
}

/// A function of the time that is asked anew for each batch.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Running {
    clock: Arc<ScalarUDF>,
    signature: Signature,
}

impl Running {
    fn new(clock: Arc<ScalarUDF>) -> Self {
        Self {
            signature: Signature {
                volatility: Volatility::Volatile,
                ..clock.signature().clone()
            },
            clock,
        }
    }
}

impl ScalarUDFImpl for Running {
    fn name(&self) -> &str {
        self.clock.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.clock.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.clock.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut properties = ExecutionProps::new();
        let config = arguments.config_options;
        properties.mark_start_execution(config.clone());
        let context = SimplifyContext::builder()
            .with_config_options(config)
            .with_query_execution_start_time(properties.query_execution_start_time)
            .build();
        let asked = self.clock.simplify(Vec::new(), &context)?;
        let ExprSimplifyResult::Simplified(Expr::Literal(value, _)) = asked else {
            return internal_err!("{} does not tell the time", self.name());
        };
        Ok(ColumnarValue::Scalar(value))
    }
}
