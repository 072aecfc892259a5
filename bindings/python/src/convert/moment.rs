//! Days, times of day and moments.

use fluss_client::types::{self, CivilDate, CivilTime, Datum};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use super::fault::{Result, mismatch, object, shown};
use super::numpy;

/// 1970-01-01 in Python's count of days.
const EPOCH_ORDINAL: i64 = 719_163;
const DATES: &str = "a datetime.date";
const MOMENTS: &str = "a datetime.datetime without tzinfo, or a Timestamp";
const MILLIS_PER_DAY: i64 = 86_400_000;
const MILLIS_PER_SECOND: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A moment of any year, exact to the nanosecond: what `datetime` cannot hold.
///
/// `millis` are milliseconds since 1970-01-01T00:00 (in UTC for `TIMESTAMP_LTZ`), rounded down; `nanos` (0 to 999,999)
/// the nanoseconds within that millisecond.
#[pyclass(frozen, eq, ord, hash, from_py_object, module = "fluss.types")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(types::Timestamp);

impl From<types::Timestamp> for Timestamp {
    fn from(moment: types::Timestamp) -> Self {
        Self(moment)
    }
}

#[pymethods]
impl Timestamp {
    #[new]
    #[pyo3(signature = (millis, nanos=0))]
    fn new(millis: i64, nanos: u32) -> PyResult<Self> {
        types::Timestamp::new(millis, nanos)
            .map(Self)
            .ok_or_else(|| PyValueError::new_err(format!("nanos must be 0 to 999999, not {nanos}")))
    }

    #[getter]
    fn millis(&self) -> i64 {
        self.0.millis()
    }

    #[getter]
    fn nanos(&self) -> u32 {
        self.0.nanos_of_milli()
    }

    fn __repr__(&self) -> String {
        format!(
            "Timestamp(millis={}, nanos={})",
            self.0.millis(),
            self.0.nanos_of_milli()
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, (i64, u32)) {
        (
            py.get_type::<Self>().into_any(),
            (self.0.millis(), self.0.nanos_of_milli()),
        )
    }
}

/// What of the module `datetime` conversions need, looked up once.
struct Calendar {
    datetime: Py<PyAny>,
    date: Py<PyAny>,
    time: Py<PyAny>,
    utc: Py<PyAny>,
    epoch: Py<PyAny>,
    epoch_utc: Py<PyAny>,
}

impl Calendar {
    fn of(py: Python<'_>) -> PyResult<&Self> {
        static CALENDAR: PyOnceLock<Calendar> = PyOnceLock::new();
        CALENDAR.get_or_try_init(py, || Self::import(py))
    }

    fn import(py: Python<'_>) -> PyResult<Self> {
        let module = py.import("datetime")?;
        let datetime = module.getattr("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        Ok(Self {
            epoch: datetime.call1((1970, 1, 1))?.unbind(),
            epoch_utc: datetime.call1((1970, 1, 1, 0, 0, 0, 0, &utc))?.unbind(),
            utc: utc.unbind(),
            datetime: datetime.unbind(),
            date: module.getattr("date")?.unbind(),
            time: module.getattr("time")?.unbind(),
        })
    }
}

fn is(value: &Bound<'_, PyAny>, class: &Py<PyAny>) -> bool {
    value.is_instance(class.bind(value.py())).unwrap_or(false)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn broken(error: PyErr) -> fluss_client::ValueError {
    object(error.to_string())
}

/// Whether the value is a `datetime`.
pub(super) fn is_datetime(value: &Bound<'_, PyAny>) -> bool {
    Calendar::of(value.py()).is_ok_and(|calendar| is(value, &calendar.datetime))
}

/// A DATE out of a date which is not also a time.
pub(super) fn date(value: &Bound<'_, PyAny>) -> Result<Datum<'static>> {
    let calendar = Calendar::of(value.py()).map_err(broken)?;
    if !is(value, &calendar.date) || is(value, &calendar.datetime) {
        return match Numpy::of(value) {
            Some(time) => time.date(value),
            None => Err(mismatch("DATE", DATES, value)),
        };
    }
    let ordinal: i64 = attribute(
        &value
            .call_method0(intern!(value.py(), "toordinal"))
            .map_err(broken)?,
    )?;
    i32::try_from(ordinal - EPOCH_ORDINAL)
        .map(Datum::Date)
        .map_err(|_| object(format!("{} does not fit DATE", shown(value))))
}

/// A TIME out of a time without a zone; milliseconds are all that is stored.
pub(super) fn time(value: &Bound<'_, PyAny>, precision: u8) -> Result<Datum<'static>> {
    let py = value.py();
    let calendar = Calendar::of(py).map_err(broken)?;
    if !is(value, &calendar.time) || !value.getattr(intern!(py, "tzinfo")).map_err(broken)?.is_none() {
        return Err(mismatch("TIME", "a datetime.time without tzinfo", value));
    }
    let micros = micros_of_day(value)?;
    let digits = u32::from(precision.min(3));
    if micros % 10_i64.pow(6 - digits) != 0 {
        return Err(object(format!(
            "{} has more digits of the second than TIME({precision}) stores",
            shown(value)
        )));
    }
    Ok(Datum::Time((micros / 1_000) as i32))
}

/// The microseconds since midnight of a `datetime.time`.
pub(super) fn micros_of_day(value: &Bound<'_, PyAny>) -> Result<i64> {
    let py = value.py();
    let part = |name| {
        value
            .getattr(name)
            .map_err(broken)
            .and_then(|part| attribute(&part))
    };
    let seconds =
        part(intern!(py, "hour"))? * 3_600 + part(intern!(py, "minute"))? * 60 + part(intern!(py, "second"))?;
    Ok(seconds * MICROS_PER_SECOND + part(intern!(py, "microsecond"))?)
}

/// Whether the value is a `date` that is no `datetime`.
#[cfg(feature = "sql")]
pub(super) fn is_date(value: &Bound<'_, PyAny>) -> bool {
    Calendar::of(value.py()).is_ok_and(|calendar| is(value, &calendar.date) && !is(value, &calendar.datetime))
}

/// Whether the value is a `time` without a zone.
#[cfg(feature = "sql")]
pub(super) fn is_time_of_day(value: &Bound<'_, PyAny>) -> bool {
    let naive = || {
        value
            .getattr(intern!(value.py(), "tzinfo"))
            .is_ok_and(|zone| zone.is_none())
    };
    Calendar::of(value.py()).is_ok_and(|calendar| is(value, &calendar.time)) && naive()
}

/// A moment out of a datetime, aware exactly if `utc`, or out of a [`Timestamp`]; no digit beyond the precision.
pub(super) fn moment(value: &Bound<'_, PyAny>, precision: u8, utc: bool) -> Result<types::Timestamp> {
    let moment = match value.cast::<Timestamp>() {
        Ok(exact) => exact.get().0,
        Err(_) => match Numpy::of(value).filter(|_| !utc) {
            Some(time) => time.moment(value)?,
            None => from_datetime(value, utc)?,
        },
    };
    let name = if utc { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
    if moment.fits(precision) {
        Ok(moment)
    } else {
        let reason = format!(
            "{} has more digits of the second than {name}({precision}) stores",
            shown(value)
        );
        Err(object(reason))
    }
}

fn from_datetime(value: &Bound<'_, PyAny>, utc: bool) -> Result<types::Timestamp> {
    let py = value.py();
    let calendar = Calendar::of(py).map_err(broken)?;
    if !is(value, &calendar.datetime) || is_aware(value)? != utc {
        return Err(if utc {
            mismatch(
                "TIMESTAMP_LTZ",
                "a datetime.datetime with tzinfo, or a Timestamp",
                value,
            )
        } else {
            mismatch("TIMESTAMP", MOMENTS, value)
        });
    }
    let epoch = if utc { &calendar.epoch_utc } else { &calendar.epoch };
    let since = value.sub(epoch.bind(py)).map_err(broken)?;
    let part = |name| {
        since
            .getattr(name)
            .map_err(broken)
            .and_then(|part| attribute(&part))
    };
    let seconds = part(intern!(py, "seconds"))?;
    let micros = part(intern!(py, "microseconds"))?;
    let millis = part(intern!(py, "days"))? * MILLIS_PER_DAY + seconds * MILLIS_PER_SECOND + micros / 1_000;
    let nanos = micros % 1_000 * 1_000 + nanosecond(value)?;
    types::Timestamp::new(millis, nanos as u32)
        .ok_or_else(|| object(format!("{} is no moment", shown(value))))
}

/// A `datetime64` that is a time: a count of units since 1970.
struct Numpy {
    count: i128,
    unit: String,
}

impl Numpy {
    fn of(value: &Bound<'_, PyAny>) -> Option<Self> {
        let py = value.py();
        if numpy::kind(value)? != "M" || value.ne(value).unwrap_or(true) {
            return None;
        }
        let told = || -> PyResult<(i64, String, i64)> {
            let data = py
                .import(intern!(py, "numpy"))?
                .getattr(intern!(py, "datetime_data"))?;
            let (unit, step) = data.call1((value.getattr(intern!(py, "dtype"))?,))?.extract()?;
            let count = value.call_method1(intern!(py, "astype"), ("int64",))?;
            Ok((count.call_method0(intern!(py, "item"))?.extract()?, unit, step))
        };
        let (count, unit, step) = told().ok()?;
        Some(Self {
            count: i128::from(count) * i128::from(step),
            unit,
        })
    }

    /// A DATE out of one that counts days or more.
    fn date(&self, value: &Bound<'_, PyAny>) -> Result<Datum<'static>> {
        if !["D", "W", "M", "Y"].contains(&self.unit.as_str()) {
            return Err(mismatch("DATE", DATES, value));
        }
        let days = value.call_method1("astype", ("datetime64[D]",));
        let days = days.and_then(|days| {
            days.call_method1("astype", ("int64",))?
                .call_method0("item")?
                .extract::<i64>()
        });
        i32::try_from(days.map_err(broken)?)
            .map(Datum::Date)
            .map_err(|_| object(format!("{} does not fit DATE", shown(value))))
    }

    /// A moment out of one that counts hours or less.
    fn moment(&self, value: &Bound<'_, PyAny>) -> Result<types::Timestamp> {
        let misfit = || object(format!("{} does not fit TIMESTAMP", shown(value)));
        let nanos = match self.unit.as_str() {
            "h" => self.count * 3_600_000_000_000,
            "m" => self.count * 60_000_000_000,
            "s" => self.count * 1_000_000_000,
            "ms" => self.count * 1_000_000,
            "us" => self.count * 1_000,
            "ns" => self.count,
            unit @ ("ps" | "fs" | "as") => {
                let step = match unit {
                    "ps" => 1_000,
                    "fs" => 1_000_000,
                    _ => 1_000_000_000,
                };
                if self.count % step != 0 {
                    return Err(misfit());
                }
                self.count / step
            }
            _ => return Err(mismatch("TIMESTAMP", MOMENTS, value)),
        };
        let millis = i64::try_from(nanos.div_euclid(1_000_000)).map_err(|_| misfit())?;
        types::Timestamp::new(millis, nanos.rem_euclid(1_000_000) as u32).ok_or_else(misfit)
    }
}

pub(super) fn is_aware(value: &Bound<'_, PyAny>) -> Result<bool> {
    let py = value.py();
    if value.getattr(intern!(py, "tzinfo")).map_err(broken)?.is_none() {
        return Ok(false);
    }
    let offset = value.call_method0(intern!(py, "utcoffset")).map_err(broken)?;
    Ok(!offset.is_none())
}

/// The nanoseconds beyond microseconds that pandas' datetimes have.
fn nanosecond(value: &Bound<'_, PyAny>) -> Result<i64> {
    let py = value.py();
    let plain = Calendar::of(py).is_ok_and(|calendar| value.get_type().is(calendar.datetime.bind(py)));
    if plain {
        return Ok(0);
    }
    value
        .getattr(intern!(py, "nanosecond"))
        .map_or(Ok(0), |nanos| attribute(&nanos))
}

fn attribute(value: &Bound<'_, PyAny>) -> Result<i64> {
    value.extract().map_err(broken)
}

/// A `datetime.date`; an error beyond its years.
pub(super) fn date_to_python(py: Python<'_>, days: i32) -> PyResult<Bound<'_, PyAny>> {
    let CivilDate { year, month, day } = CivilDate::from_days(i64::from(days));
    Calendar::of(py)?.date.bind(py).call1((year, month, day))
}

/// A `datetime.time`.
pub(super) fn time_to_python(py: Python<'_>, millis: i32) -> PyResult<Bound<'_, PyAny>> {
    time_of_day_to_python(py, i64::from(millis) * 1_000)
}

/// A `datetime.time` so many microseconds after midnight.
pub(super) fn time_of_day_to_python(py: Python<'_>, micros: i64) -> PyResult<Bound<'_, PyAny>> {
    let seconds = micros / MICROS_PER_SECOND;
    let parts = (
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        micros % MICROS_PER_SECOND,
    );
    Calendar::of(py)?.time.bind(py).call1(parts)
}

/// A `datetime.timedelta` of so many microseconds.
pub(super) fn duration_to_python(py: Python<'_>, micros: i64) -> PyResult<Bound<'_, PyAny>> {
    const MICROS_PER_DAY: i64 = 1_000 * MILLIS_PER_DAY;
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("datetime")?.getattr("timedelta")?.unbind())
    })?;
    let (days, rest) = (
        micros.div_euclid(MICROS_PER_DAY),
        micros.rem_euclid(MICROS_PER_DAY),
    );
    class.bind(py).call1((days, 0, rest))
}

/// A `datetime.datetime`, aware if `utc`; nanoseconds are cut; an error beyond its years.
pub(super) fn moment_to_python(
    py: Python<'_>,
    moment: types::Timestamp,
    utc: bool,
) -> PyResult<Bound<'_, PyAny>> {
    let calendar = Calendar::of(py)?;
    let civil = CivilTime::from(moment);
    let datetime = calendar.datetime.bind(py);
    let zone = utc.then(|| calendar.utc.bind(py));
    match (pickled(&civil), zone) {
        (Some(state), None) => datetime.call1((PyBytes::new(py, &state),)),
        (Some(state), Some(zone)) => datetime.call1((PyBytes::new(py, &state), zone)),
        // Python says what is wrong with such a year.
        (None, _) => datetime.call1((civil.date.year, civil.date.month, civil.date.day)),
    }
}

/// What a `datetime.datetime` is pickled as, from which it is made more quickly than from seven numbers.
fn pickled(civil: &CivilTime) -> Option<[u8; 10]> {
    let CivilDate { year, month, day } = civil.date;
    if !(1..=9_999).contains(&year) {
        return None;
    }
    let [y1, y0] = (year as u16).to_be_bytes();
    let [_, u2, u1, u0] = (civil.nanos / 1_000).to_be_bytes();
    let [month, day, hour, minute, second] =
        [month, day, civil.hour, civil.minute, civil.second].map(|part| part as u8);
    Some([y1, y0, month, day, hour, minute, second, u2, u1, u0])
}
