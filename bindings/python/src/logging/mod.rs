//! Events of the client on their way to Python's `logging`.
//!
//! An event becomes a record, with the fields of the spans that it happened in, and waits for the interpreter: whoever emits it
//! waits for nobody. Records are taken over by the next call of the client that ends, or else by a thread of their own; then
//! `fluss._logging` gives them to their loggers. What no logger wants is not formatted, and costs a comparison: the loggers'
//! levels are known here. `logging` tells nobody when they change, so they are read again whenever a call begins to wait, which
//! takes ten attributes.

mod events;

use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use self::events::{Fields, Listener, Value};
use crate::handover::Handover;
use crate::own::PerProcess;

/// The loggers, and the targets of the events that they are told. A logger comes before its parent, and the root is the parent
/// of the last.
const LOGGERS: [(&str, &str); 7] = [
    ("fluss.client.writer", "fluss::client::writer"),
    ("fluss.client.scanner", "fluss::client::scanner"),
    ("fluss.client.lookup", "fluss::client::lookup"),
    ("fluss.client", "fluss::client"),
    ("fluss.rpc", "fluss::rpc"),
    ("fluss.server", "fluss::server"),
    ("fluss", "fluss"),
];

/// The lowest level that each logger wants, as `logging` numbers them.
static LEVELS: [AtomicI32; LOGGERS.len()] = [const { AtomicI32::new(i32::MAX) }; LOGGERS.len()];

/// How many records may wait for the interpreter. Those that come then are counted and left out.
const MOST_WAITING: usize = 10_000;

static RECORDS: PerProcess<Handover<Record>> = PerProcess::new(|| Handover::new(tell));

/// How many records there was no room for.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Something that happened.
struct Record {
    logger: &'static str,
    level: i32,
    /// In seconds since the epoch.
    moment: f64,
    file: &'static str,
    line: u32,
    fields: Fields,
}

/// The level as `logging` numbers it. It has none below `DEBUG`, and room for five.
const fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

/// The logger of a target, and the lowest level that it wants. What is none of ours has none.
fn logger(target: &str) -> Option<(&'static str, i32)> {
    let mut loggers = LOGGERS.iter().zip(&LEVELS);
    let ((name, _), level) = loggers.find(|((_, known), _)| target == *known)?;
    Some((name, level.load(Ordering::Relaxed)))
}

/// Gives events to Python's loggers from now on, unless the process does something else with them.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let subscriber = Registry::default().with(Listener);
        // `fluss serve`, where the package carries the program, prints them.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Whether a logger wants the events of a target at a level.
fn is_wanted(target: &str, level: Level) -> bool {
    logger(target).is_some_and(|(_, least)| number(level) >= least)
}

/// Whether any logger wants events of a level.
fn is_wanted_anywhere(level: Level) -> bool {
    LEVELS
        .iter()
        .any(|least| number(level) >= least.load(Ordering::Relaxed))
}

/// Has a record wait for the interpreter.
fn add(record: Record) {
    if !RECORDS.get().add(record, MOST_WAITING) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the levels are read from: `LOGGERS`, the root above them, and what knows of `logging.disable`.
struct Sources {
    loggers: Vec<Py<PyAny>>,
    root: Py<PyAny>,
    manager: Py<PyAny>,
}

impl Sources {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static SOURCES: PyOnceLock<Sources> = PyOnceLock::new();
        SOURCES.get_or_try_init(py, || {
            let logging = py.import("logging")?;
            let named = |(name, _)| logging.call_method1("getLogger", (name,)).map(Bound::unbind);
            let root = logging.getattr("root")?;
            Ok(Self {
                loggers: LOGGERS.into_iter().map(named).collect::<PyResult<_>>()?,
                manager: root.getattr("manager")?.unbind(),
                root: root.unbind(),
            })
        })
    }
}

/// A level among the attributes of `source`. One that is too large for a number here is above all events.
fn level_of(py: Python<'_>, source: &Py<PyAny>, attribute: &Bound<'_, PyString>) -> PyResult<i32> {
    let level = source.bind(py).getattr(attribute)?;
    Ok(level.extract().unwrap_or(i32::MAX))
}

/// Reads the levels that the loggers want, as they are now.
pub(crate) fn read_levels(py: Python<'_>) -> PyResult<()> {
    let sources = Sources::get(py)?;
    let level = intern!(py, "level");
    let disabled = level_of(py, &sources.manager, intern!(py, "disable"))?;
    let root = level_of(py, &sources.root, level)?;
    let mut wanted = vec![("", root)];
    let mut is_changed = false;
    for (((name, _), logger), known) in LOGGERS.iter().zip(&sources.loggers).zip(&LEVELS).rev() {
        let own = level_of(py, logger, level)?;
        let mut outer = wanted.iter().rev().filter(|(outer, _)| name.starts_with(outer));
        let effective = if own == 0 {
            outer.next().map_or(root, |(_, level)| *level)
        } else {
            own
        };
        wanted.push((*name, effective));
        let least = effective.max(disabled.saturating_add(1));
        is_changed |= known.swap(least, Ordering::Relaxed) != least;
    }
    if is_changed {
        tracing::callsite::rebuild_interest_cache();
    }
    Ok(())
}

/// Gives what waits to its loggers. Returns what is meant for the program rather than for a broken handler, such as an
/// interrupt.
pub(crate) fn hand_over(py: Python<'_>) -> PyResult<()> {
    let records = RECORDS.known().map(Handover::waiting).unwrap_or_default();
    if records.is_empty() {
        Ok(())
    } else {
        give(py, records)
    }
}

fn tell(py: Python<'_>, records: Vec<Record>) {
    if let Err(error) = read_levels(py).and_then(|()| give(py, records)) {
        error.write_unraisable(py, None);
    }
}

fn give(py: Python<'_>, records: Vec<Record>) -> PyResult<()> {
    let given = || {
        let records = records.into_iter().map(|record| record.into_python(py));
        let records: Vec<_> = records.collect::<PyResult<_>>()?;
        let lost = LOST.swap(0, Ordering::Relaxed);
        py.import(intern!(py, "fluss._logging"))?
            .call_method1(intern!(py, "handle"), (records, lost))
            .map(drop)
    };
    given().or_else(|error: PyErr| {
        if error.is_instance_of::<PyException>(py) {
            error.write_unraisable(py, None);
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Lets no record come any more, after those that are there. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_logging(py: Python<'_>) -> PyResult<()> {
    RECORDS.get().end(py);
    hand_over(py)
}

/// An event as `fluss._logging` takes it: logger, level, message, fields, moment, file and line.
type Told = (&'static str, i32, String, Py<PyDict>, f64, &'static str, u32);

impl Record {
    fn into_python(self, py: Python<'_>) -> PyResult<Told> {
        let Fields { message, named } = self.fields;
        let fields = PyDict::new(py);
        for (name, value) in named {
            match value {
                Value::Number(number) => fields.set_item(name, number)?,
                Value::Flag(flag) => fields.set_item(name, flag)?,
                Value::Text(text) => fields.set_item(name, text)?,
            }
        }
        let fields = fields.unbind();
        Ok((
            self.logger,
            self.level,
            message,
            fields,
            self.moment,
            self.file,
            self.line,
        ))
    }
}
