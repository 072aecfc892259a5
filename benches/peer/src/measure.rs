//! Clocks of the process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Wall clock and the processor time of the whole process.
#[derive(Debug)]
pub struct Clock {
    wall: Instant,
    cpu: f64,
}

/// What a clock has measured, in seconds.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Clock {
    /// Starts both.
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    /// How long it runs.
    pub fn seconds(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }

    pub(crate) fn stop(&self) -> Times {
        Times {
            wall: self.seconds(),
            cpu: cpu_seconds() - self.cpu,
        }
    }
}

/// The duration below which `percent` of the sorted `durations` are.
pub(crate) fn percentile_micros(durations: &[Duration], percent: usize) -> u64 {
    let last = durations.len().saturating_sub(1);
    durations
        .get(last * percent / 100)
        .map_or(0, |duration| duration.as_micros() as u64)
}

/// `VmHWM` of the process.
pub fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// User and system time of all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32).as_secs_f64()
}
