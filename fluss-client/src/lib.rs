//! The client for Apache Fluss: log tables with an Arrow data path.
//!
//! ```no_run
//! use fluss_client::{StartOffset, types::TablePath};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connection = fluss_client::connect("fluss://localhost:9123").await?;
//! let table = connection.table(&TablePath::new("fluss", "events")).await?;
//!
//! let writer = table.append_writer()?;
//! writer.append(&[1_i64.into(), "login".into()]).await?;
//! writer.flush().await?;
//!
//! let scanner = table.scan().log_scanner()?;
//! scanner.subscribe_all(StartOffset::Earliest).await?;
//! for (bucket, record) in scanner.poll(Duration::from_secs(1)).await?.iter() {
//!     println!("{bucket} offset {}: {:?}", record.offset, record.row);
//! }
//! # Ok(())
//! # }
//! ```

pub use fluss_core::client::*;
pub use fluss_core::{DecodeError, ValueError, arrow, id, record, row, types};
pub use fluss_rpc::api::ServerRole;
pub use fluss_rpc::code::ErrorCode;
pub use fluss_rpc::net::{ConnectError, Credentials, InvalidAddress, RequestError, ServerAddress};
pub use fluss_rpc::sasl::Mechanism;

/// The scheme of a cluster's target.
const CLUSTER: &str = "fluss://";

/// Connects to a target: `fluss://host:port`, or `fluss://host:port,host:port` to name several servers to begin with.
///
/// # Errors
///
/// A target of another form, or a cluster that cannot be reached: see [`Connection::open`].
pub async fn connect(target: &str) -> Result<Connection> {
    Connection::open(options(target)?).await
}

/// The default options for a target, to be changed before [`Connection::open`].
///
/// # Errors
///
/// A target that is not of the form that [`connect`] takes.
pub fn options(target: &str) -> Result<ClientOptions> {
    let refuse = |reason: String| Context::new("connect").error(ErrorKind::InvalidArgument(reason));
    let servers = target
        .strip_prefix(CLUSTER)
        .ok_or_else(|| refuse(format!("target '{target}': 'fluss://host:port' expected")))?;
    let servers: Vec<ServerAddress> = servers
        .trim_end_matches('/')
        .split(',')
        .map(|server| {
            server
                .parse()
                .map_err(|error: InvalidAddress| refuse(error.to_string()))
        })
        .collect::<Result<_>>()?;
    Ok(ClientOptions::new(servers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_servers() {
        let options = options("fluss://a:1,[::1]:2").unwrap();
        let servers: Vec<_> = options
            .bootstrap_servers
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(servers, ["a:1", "[::1]:2"]);
    }

    #[test]
    fn other_targets_are_refused_with_what_is_wrong() {
        let error = options("http://a:1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "connect: target 'http://a:1': 'fluss://host:port' expected"
        );
        assert!(options("fluss://").is_err());
        assert!(options("fluss://a").is_err());
    }
}
