//! Events of the client on their way to Python's `logging`.
//!
//! An event becomes a record, with the fields of the spans that it happened in, and waits for the interpreter: whoever emits it
//! waits for nobody. Records are taken over by the next call of the client that ends, or else by a thread of their own; then
//! `fluss._logging` gives them to their loggers. What no logger wants is not formatted, and costs a comparison: the loggers'
//! levels are known here. `logging` tells nobody when they change, so they are read again whenever a call begins to wait, which
//! takes ten attributes.

mod events;
mod levels;
mod queue;
mod record;

use std::sync::Once;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

use self::events::Listener;
pub(crate) use self::levels::read_levels;
pub(crate) use self::queue::{end_logging, hand_over};

/// Gives events to Python's loggers from now on, unless the process does something else with them.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let subscriber = Registry::default().with(Listener);
        // `fluss serve`, where the package carries the program, prints them.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}
