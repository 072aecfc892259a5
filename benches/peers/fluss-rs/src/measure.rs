//! Clocks of the process.

use std::time::{Duration, Instant};

/// What Linux counts processor time of a process in, a hundredth of a second.
const TICK: f64 = 0.01;

/// Wall clock and the processor time of the whole process.
pub struct Clock {
    wall: Instant,
    cpu: f64,
}

/// What a clock has measured, in seconds.
pub struct Times {
    pub wall: f64,
    pub cpu: f64,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    pub fn stop(&self) -> Times {
        Times {
            wall: self.wall.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - self.cpu,
        }
    }
}

/// The duration below which `percent` of the sorted `durations` are.
pub fn percentile_micros(durations: &[Duration], percent: usize) -> u128 {
    let last = durations.len().saturating_sub(1);
    durations.get(last * percent / 100).map_or(0, Duration::as_micros)
}

/// `VmHWM` of the process.
pub fn peak_rss_kib() -> u64 {
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
