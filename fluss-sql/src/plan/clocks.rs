//! Instants of what clocks show here, and what clocks show at an instant.

use std::hash::{Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use jiff::tz::TimeZone;

use crate::error::{Error, ErrorKind};
use crate::time::{self, Moments, UTC};

/// The instants of dates, times or texts. One that is none is null, if `or_null`, and otherwise an error.
pub(super) fn instant(of: Expr, unit: TimeUnit, zone: &TimeZone, or_null: bool) -> Expr {
    Clock::new(true, unit, zone, or_null).of(of)
}

/// The times without zone of instants, dates or texts. One that is none is null, if `or_null`, and otherwise an error.
pub(super) fn local(of: Expr, unit: TimeUnit, zone: &TimeZone, or_null: bool) -> Expr {
    Clock::new(false, unit, zone, or_null).of(of)
}

/// A function of one argument, of which no statement knows the name.
#[derive(Debug, PartialEq, Eq)]
struct Clock {
    signature: Signature,
    to_instant: bool,
    unit: TimeUnit,
    zone: TimeZone,
    or_null: bool,
}

impl Hash for Clock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.to_instant, self.unit, self.or_null).hash(state);
    }
}

impl Clock {
    fn new(to_instant: bool, unit: TimeUnit, zone: &TimeZone, or_null: bool) -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
            to_instant,
            unit,
            zone: zone.clone(),
            or_null,
        }
    }

    fn of(self, argument: Expr) -> Expr {
        ScalarUDF::new_from_impl(self).call(vec![argument])
    }

    fn data_type(&self) -> DataType {
        DataType::Timestamp(self.unit, self.to_instant.then(|| UTC.into()))
    }

    fn column(&self, given: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
        let moments = Moments::of(given)?.ok_or_else(|| {
            let text = format!("{} is no time", given.data_type());
            DataFusionError::from(Error::new(ErrorKind::Type, text))
        })?;
        let mut counts = Vec::with_capacity(given.len());
        for row in 0..given.len() {
            if given.is_null(row) {
                counts.push(None);
                continue;
            }
            let moment = moments.get(row, self.to_instant, &self.zone);
            let count = moment.and_then(|moment| time::joined(moment, self.unit));
            if count.is_none() && !self.or_null {
                let value = match given.as_string_opt::<i32>() {
                    Some(texts) => format!("'{}'", texts.value(row)),
                    None => ScalarValue::try_from_array(given, row)?.to_string(),
                };
                let text = format!("{value} is no {}", self.name().to_ascii_uppercase());
                return Err(Error::new(ErrorKind::Type, text).into());
            }
            counts.push(count);
        }
        Ok(time::column(counts, self.unit, self.to_instant))
    }
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        if self.to_instant {
            "timestamp_ltz"
        } else {
            "timestamp"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(self.data_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        match arguments.args.as_slice() {
            [ColumnarValue::Scalar(value)] => {
                let column = self.column(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?))
            }
            [ColumnarValue::Array(given)] => Ok(ColumnarValue::Array(self.column(given)?)),
            _ => Err(DataFusionError::Internal(format!(
                "{} takes one argument",
                self.name()
            ))),
        }
    }
}
