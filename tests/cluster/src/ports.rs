//! Ports that stay ours: no other cluster and no outgoing connection can take them, not even while a server is down.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::error::{Attempt, Error};

/// Below the range from which Linux takes ports for outgoing connections (32768 and up).
const FIRST: u16 = 20_000;
const COUNT: u32 = 10_000;

/// A port of 127.0.0.1, reserved for as long as this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// Locked; the operating system releases it however this process ends.
    _reservation: File,
}

impl Port {
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    /// Reserves the port if no other cluster holds it and nothing listens on it.
    fn reserve(number: u16) -> Result<Option<Self>, Error> {
        let directory = reservations()?;
        let path = directory.join(number.to_string());
        let file = File::create(&path).attempt(|| format!("create {}", path.display()))?;
        let free = file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
        Ok(free.then_some(Self {
            number,
            _reservation: file,
        }))
    }
}

/// Hands out ports, each one once.
#[derive(Debug)]
pub(crate) struct Ports {
    next: u32,
    end: u32,
}

impl Ports {
    /// Begins at another place in every process, so that clients of an ended cluster do not meet a new one.
    pub(crate) fn new() -> Self {
        let start = std::process::id().wrapping_mul(97) % COUNT;
        Self {
            next: start,
            end: start + COUNT,
        }
    }

    /// Reserves the next free port.
    pub(crate) fn take(&mut self) -> Result<Port, Error> {
        while self.next < self.end {
            let number = FIRST + (self.next % COUNT) as u16;
            self.next += 1;
            if let Some(port) = Port::reserve(number)? {
                return Ok(port);
            }
        }
        Err(Error::NoFreePort)
    }
}

fn reservations() -> Result<PathBuf, Error> {
    let directory = std::env::temp_dir().join("fluss-cluster-ports");
    fs::create_dir_all(&directory).attempt(|| format!("create {}", directory.display()))?;
    Ok(directory)
}
