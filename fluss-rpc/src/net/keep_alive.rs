//! When silent connections are probed.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// When a silent connection is probed, so that one that leads nowhere any more is noticed while nobody uses it, and one that
/// firewalls would forget is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeepAlive {
    /// After such a silence. As the system does, which is often two hours.
    pub interval: Option<Duration>,
    /// How long the answer to a probe may take before the connection is given up. As the system does.
    pub timeout: Option<Duration>,
}

impl KeepAlive {
    pub(super) fn set(self, stream: &TcpStream) -> io::Result<()> {
        let mut keep_alive = TcpKeepalive::new();
        if let Some(interval) = self.interval {
            keep_alive = keep_alive.with_time(whole_seconds(interval));
        }
        #[cfg(not(windows))]
        if let Some(timeout) = self.timeout {
            // One probe, and its answer has so long.
            keep_alive = keep_alive.with_interval(whole_seconds(timeout)).with_retries(1);
        }
        SockRef::from(stream).set_tcp_keepalive(&keep_alive)
    }
}

/// Systems count in seconds, and take no zero.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_millis().div_ceil(1_000).clamp(1, 32_767) as u64)
}
