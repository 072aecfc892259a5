use jiff::tz::{Offset, TimeZone as Zone};

/// A time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeZone(Zone);

impl TimeZone {
    /// The zone of this machine.
    pub fn of_the_machine() -> Self {
        Self(Zone::system())
    }

    /// A zone by its name (`Europe/Paris`), or by its distance from Greenwich (`GMT+8`, `+05:30`). A name that nobody
    /// knows means Greenwich.
    pub fn named(name: &str) -> Self {
        let zone = Zone::get(name).ok().or_else(|| fixed(name));
        Self(zone.unwrap_or(Zone::UTC))
    }

    /// What the clocks of the zone show at a time, as if it were UTC; both in milliseconds since the epoch.
    pub(super) fn local_ms(&self, now_ms: i64) -> i64 {
        let offset = jiff::Timestamp::from_millisecond(now_ms).map(|now| self.0.to_offset(now));
        now_ms.saturating_add(offset.map_or(0, |offset| i64::from(offset.seconds()) * 1_000))
    }
}

/// Reads `GMT+8`, `UTC-03:30` or `+05:30`.
fn fixed(name: &str) -> Option<Zone> {
    let upper = name.to_ascii_uppercase();
    let text = ["GMT", "UTC"]
        .iter()
        .find_map(|prefix| upper.strip_prefix(prefix))
        .unwrap_or(&upper);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = text.split_once(':').unwrap_or((text, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=18).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?;
    Some(Zone::fixed(offset))
}
