//! Clocks of the process.

use std::time::{Duration, Instant};

/// What Linux counts processor time of a process in, a hundredth of a second.
const TICK: f64 = 0.01;

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

    pub(crate) fn stop(&self) -> Times {
        Times {
            wall: self.wall.elapsed().as_secs_f64(),
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
pub(crate) fn peak_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// `utime` and `stime`, the 12th and 13th field after the name of the program.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() * TICK
}
