//! What programs connect to.

use std::fmt;
use std::path::PathBuf;

use fluss_rpc::net::ServerAddress;

/// The scheme of a cluster's target.
pub(super) const CLUSTER: &str = "fluss://";
/// That of one whose servers are the addresses of a name.
pub(super) const DISCOVER: &str = "fluss+discover://";
/// What begins the targets of embedded nodes, and of those among them that keep nothing.
pub(super) const EMBEDDED: &str = "embedded:";
const MEMORY: &str = "memory:";

/// What a program connects to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Target {
    /// `fluss://host:port,host:port`: a cluster, or a node in another process, by servers to begin with.
    Servers(Vec<ServerAddress>),
    /// `fluss+discover://name:port`: a cluster whose servers to begin with are all addresses of a name, which is looked up
    /// each time.
    Discover(ServerAddress),
    /// `embedded:./data`: a node in this process that keeps its tables in a directory, where `~/` is the user's home. All
    /// connections of the process share it, however they write the directory; other processes are refused.
    Directory(PathBuf),
    /// `embedded::memory:name`: a node in this process that keeps its tables in memory. The connections that give the same
    /// name share it; without a name (`embedded::memory:`) each has its own.
    Memory(Option<String>),
}

/// The target of an embedded node, from what stands behind its scheme.
pub(super) fn embedded(place: &str) -> Result<Target, String> {
    match place.strip_prefix(':') {
        None => directory(place).map(Target::Directory),
        Some(memory) => match memory.strip_prefix(MEMORY) {
            Some("") => Ok(Target::Memory(None)),
            Some(name) => Ok(Target::Memory(Some(name.to_owned()))),
            None => Err(format!(
                "behind '{EMBEDDED}:' stands '{MEMORY}', with a name or without"
            )),
        },
    }
}

/// The directory of an embedded target, if it is one that was meant.
fn directory(place: &str) -> Result<PathBuf, String> {
    let memory = format!("'{EMBEDDED}:{MEMORY}' is a node in memory");
    if place.is_empty() {
        return Err(format!("the directory is missing behind '{EMBEDDED}'"));
    }
    // As in the address of a cluster: what follows is no host, and hardly a directory at the root.
    if let Some(rest) = place.strip_prefix("//") {
        let path = rest.trim_start_matches('/');
        let written = if path.is_empty() { "data" } else { shown(path) };
        return Err(format!(
            "no '//' here; '{EMBEDDED}./{written}' or '{EMBEDDED}/{written}' is a directory, {memory}"
        ));
    }
    if place == MEMORY.trim_end_matches(':') || place.starts_with(MEMORY) {
        return Err(format!("{memory}, '{EMBEDDED}./{}' a directory", shown(place)));
    }
    let Some(rest) = place.strip_prefix('~') else {
        return Ok(place.into());
    };
    let below = match rest.strip_prefix('/') {
        Some(below) => below,
        None if rest.is_empty() => "",
        None => {
            return Err("only '~/', the home of the user, is known; write the directory in full".to_owned());
        }
    };
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let home = home.ok_or("the home directory is not known; write the directory in full")?;
    Ok(if below.is_empty() { home } else { home.join(below) })
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers(servers) => {
                let servers: Vec<_> = servers
                    .iter()
                    .map(|server| encoded(&server.to_string()))
                    .collect();
                write!(f, "{CLUSTER}{}", servers.join(","))
            }
            Self::Discover(name) => write!(f, "{DISCOVER}{}", encoded(&name.to_string())),
            Self::Directory(path) => write!(f, "{EMBEDDED}{}", encoded(&path.to_string_lossy())),
            Self::Memory(name) => {
                write!(
                    f,
                    "{EMBEDDED}:{MEMORY}{}",
                    encoded(name.as_deref().unwrap_or_default())
                )
            }
        }
    }
}

/// As much of a directory as cannot be an option whose '?' was forgotten.
fn shown(place: &str) -> &str {
    place.split(['&', '=']).next().unwrap_or_default()
}

/// A text as it stands in a connection string.
fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('?', "%3F")
}

/// A text that names nothing to connect to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("connection string: {0}")]
pub struct InvalidTarget(String);

impl InvalidTarget {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
