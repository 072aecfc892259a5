//! Events that Python's loggers want, as records.

use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{Record, add, is_wanted, is_wanted_anywhere, logger, number};

/// What an event or a span says of itself.
#[derive(Clone, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    pub(super) named: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
pub(super) enum Value {
    Number(i64),
    Flag(bool),
    Text(String),
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.named.retain(|(name, _)| *name != field.name());
        self.named.push((field.name(), value));
    }

    /// Those of an event, and those of the span around it that it does not have itself.
    fn within(mut self, outer: &Self) -> Self {
        for (name, value) in &outer.named {
            if !self.named.iter().any(|(known, _)| known == name) {
                self.named.push((name, value.clone()));
            }
        }
        self
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::Number(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Flag(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.set(field, Value::Text(format!("{value:?}")));
        }
    }
}

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
