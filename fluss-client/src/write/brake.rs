//! How a bucket is left alone whose server falls behind (`v1_0.md` §6.2).

use std::time::Duration;

use tokio::time::Instant;

/// Holds up what is to be sent to one bucket, as long as its server asks for it.
#[derive(Debug, Default)]
pub(super) struct Brake {
    until: Option<Instant>,
}

impl Brake {
    /// Takes note of how far behind the server says that it is, with a write that it has stored: 0 is not at all, and 1 wants
    /// the whole pause of `most`. Returns for how long nothing is sent now, if so.
    pub(super) fn on_pressure(&mut self, pressure: f32, most: Duration, now: Instant) -> Option<Duration> {
        let share = if pressure.is_nan() {
            0.0
        } else {
            pressure.clamp(0.0, 1.0)
        };
        // Whole milliseconds, as other clients do.
        let millis = most.as_secs_f64() * 1000.0 * f64::from(share) * f64::from(share);
        self.hold(Duration::from_millis(millis as u64), now)
    }

    /// Takes note of a write that the server had no room for.
    pub(super) fn on_refusal(&mut self, most: Duration, now: Instant) -> Option<Duration> {
        self.hold(most, now)
    }

    fn hold(&mut self, pause: Duration, now: Instant) -> Option<Duration> {
        let pause = Some(pause).filter(|pause| !pause.is_zero());
        self.until = pause.map(|pause| now + pause);
        pause
    }

    /// Nothing is known any more: another server may lead the bucket.
    pub(super) const fn release(&mut self) {
        self.until = None;
    }

    /// Until when nothing is sent, if that is not over.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(3);

    #[test]
    fn the_pause_grows_with_the_square_of_the_pressure() {
        let now = Instant::now();
        let pause = |pressure| Brake::default().on_pressure(pressure, MOST, now);
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(pause(0.5), millis(750));
        assert_eq!(pause(0.8), millis(1920));
        assert_eq!(pause(1.0), Some(MOST));
        assert_eq!(pause(7.0), Some(MOST));
        assert_eq!(pause(0.01), None, "less than a millisecond");
        for none in [0.0, -1.0, f32::NAN] {
            assert_eq!(pause(none), None);
        }
    }

    #[test]
    fn the_last_answer_counts() {
        let now = Instant::now();
        let mut brake = Brake::default();
        brake.on_refusal(MOST, now);
        assert_eq!(brake.until(now), Some(now + MOST));
        assert_eq!(brake.until(now + MOST), None);
        brake.on_pressure(0.5, MOST, now);
        assert_eq!(brake.until(now), Some(now + Duration::from_millis(750)));
        brake.on_pressure(0.0, MOST, now);
        assert_eq!(brake.until(now), None);
        brake.on_refusal(MOST, now);
        brake.release();
        assert_eq!(brake.until(now), None);
    }

    #[test]
    fn who_wants_no_pause_gets_none() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        assert_eq!(brake.on_refusal(Duration::ZERO, now), None);
        assert_eq!(brake.on_pressure(0.9, Duration::ZERO, now), None);
        assert_eq!(brake.until(now), None);
    }
}
