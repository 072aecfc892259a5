//! Which events Python's loggers want.

use std::sync::atomic::{AtomicI32, Ordering};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;
use tracing::Level;

/// The loggers, and the targets of the events that they are told. A logger comes before its parent, and the root is the parent
/// of the last.
const LOGGERS: [(&str, &str); 8] = [
    ("fluss.client.writer", "fluss::client::writer"),
    ("fluss.client.scanner", "fluss::client::scanner"),
    ("fluss.client.lookup", "fluss::client::lookup"),
    ("fluss.client", "fluss::client"),
    ("fluss.replica", "fluss::replica"),
    ("fluss.rpc", "fluss::rpc"),
    ("fluss.server", "fluss::server"),
    ("fluss", "fluss"),
];

/// The lowest level that each logger wants, as `logging` numbers them.
static LEVELS: [AtomicI32; LOGGERS.len()] = [const { AtomicI32::new(i32::MAX) }; LOGGERS.len()];

/// The level as `logging` numbers it. It has none below `DEBUG`, and room for five.
pub(super) const fn number(level: Level) -> i32 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

/// The logger of a target, and the lowest level that it wants. What is none of ours has none.
pub(super) fn logger(target: &str) -> Option<(&'static str, i32)> {
    let mut loggers = LOGGERS.iter().zip(&LEVELS);
    let ((name, _), level) = loggers.find(|((_, known), _)| target == *known)?;
    Some((name, level.load(Ordering::Relaxed)))
}

/// Whether a logger wants the events of a target at a level.
pub(super) fn is_wanted(target: &str, level: Level) -> bool {
    logger(target).is_some_and(|(_, least)| number(level) >= least)
}

/// Whether any logger wants events of a level.
pub(super) fn is_wanted_anywhere(level: Level) -> bool {
    LEVELS
        .iter()
        .any(|least| number(level) >= least.load(Ordering::Relaxed))
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
