//! Events that Python's loggers want, as records.

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::levels::{is_wanted, is_wanted_anywhere, logger, number};
use super::queue::add;
use super::record::{Fields, Record};

/// Takes the events that Python's loggers want.
pub(super) struct Listener;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_wanted(metadata.target(), *metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let all = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
        let wanted = all.into_iter().find(|level| is_wanted_anywhere(*level));
        Some(wanted.map_or(LevelFilter::OFF, LevelFilter::from_level))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields = fields.within(outer);
            }
        }
        let metadata = event.metadata();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        add(Record {
            logger: logger(metadata.target()).map_or("fluss", |(name, _)| name),
            level: number(*metadata.level()),
            moment: since.map_or(0.0, |since| since.as_secs_f64()),
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
            fields,
        });
    }
}
