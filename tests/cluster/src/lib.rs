//! A real Apache Fluss cluster on this machine, for tests, demos and benchmarks.
//!
//! [`Cluster::start`] runs ZooKeeper, a coordinator and tablet servers as plain `java` processes on free ports of
//! 127.0.0.1, with their data in a fresh temporary directory, and returns when every server names every other one.
//! Nothing outlives the handle, nor the process that holds it, however that process ends. Calls block; none of them
//! needs an async runtime.
//!
//! ```no_run
//! use fluss_cluster::{Cluster, Spec};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), fluss_cluster::Error> {
//! let cluster = Cluster::start(Spec::new().tablet_servers(3))?;
//! let target = cluster.bootstrap();
//! cluster.tablet_server(1)?.kill()?;
//! cluster.wait_ready(Duration::from_secs(30))?; // the others have noticed
//! # Ok(())
//! # }
//! ```
//!
//! [`Served::start`] runs `fluss serve` in the same way: a node of one process. [`Spec::behind_tls`] puts a proxy that ends TLS
//! before each server of a cluster, [`Front::start`] before any other.
//!
//! The crate knows nothing of the clients that it serves: it asks servers and ZooKeeper with frames of its own, so that
//! a broken client cannot break the fixture.

mod cluster;
mod config;
mod error;
mod front;
mod jars;
mod peer;
mod ports;
mod probe;
mod process;
mod programs;
mod replicas;
mod served;
mod server;
mod spec;
mod zookeeper;

pub use cluster::Cluster;
pub use error::Error;
pub use front::{Front, Tls};
pub use jars::{FLUSS_VERSION, Jars, JavaClient};
pub use peer::Peer;
pub use probe::{Members, members};
pub use programs::has_java;
pub use served::Served;
pub use server::{Role, Server};
pub use spec::{ALICE, ROOT, Spec, User};
