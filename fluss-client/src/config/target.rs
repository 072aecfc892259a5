//! What programs connect to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use fluss_rpc::net::{InvalidAddress, ServerAddress, without_login};

/// The scheme of a cluster's target.
const CLUSTER: &str = "fluss://";
/// What begins the targets of embedded nodes, and of those among them that keep nothing.
const EMBEDDED: &str = "embedded:";
const MEMORY: &str = "memory:";

/// What a program connects to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Target {
    /// `fluss://host:port,host:port`: a cluster, or a node in another process, by servers to begin with.
    Servers(Vec<ServerAddress>),
    /// `embedded:./data`: a node in this process that keeps its tables in a directory, where `~/` is the user's home. All
    /// connections of the process share it, however they write the directory; other processes are refused.
    Directory(PathBuf),
    /// `embedded::memory:name`: a node in this process that keeps its tables in memory. The connections that give the same
    /// name share it; without a name (`embedded::memory:`) each has its own.
    Memory(Option<String>),
}

impl Target {
    /// Reads the option `bootstrap.servers`: `host:port,host:port`, or an embedded target.
    ///
    /// # Errors
    ///
    /// As of a whole target's text.
    pub fn of_bootstrap(text: &str) -> Result<Self, InvalidTarget> {
        if text.starts_with(EMBEDDED) || text.starts_with(CLUSTER) {
            text.parse()
        } else {
            format!("{CLUSTER}{text}").parse()
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = |reason: String| InvalidTarget {
            text: without_login(text),
            reason,
        };
        if text.starts_with(CLUSTER) && text.contains('@') {
            let reason = "a user and a password are not part of it: give them as credentials, or with the options \
                          client.security.protocol (SASL), client.security.sasl.username and …password";
            return Err(invalid(reason.to_owned()));
        }
        if let Some(servers) = text.strip_prefix(CLUSTER) {
            let servers = servers.trim_end_matches('/').split(',').map(str::parse);
            let servers: Result<_, InvalidAddress> = servers.collect();
            return Ok(Self::Servers(
                servers.map_err(|error| invalid(error.to_string()))?,
            ));
        }
        let Some(place) = text.strip_prefix(EMBEDDED) else {
            return Err(invalid(
                "'fluss://host:port', 'embedded:directory' or 'embedded::memory:' expected".to_owned(),
            ));
        };
        match place.strip_prefix(':') {
            None => directory(place).map(Self::Directory).map_err(invalid),
            Some(memory) => match memory.strip_prefix(MEMORY) {
                Some("") => Ok(Self::Memory(None)),
                Some(name) => Ok(Self::Memory(Some(name.to_owned()))),
                None => Err(invalid(format!("'{EMBEDDED}:{MEMORY}' expected"))),
            },
        }
    }
}

/// The directory of an embedded target, if it is one that was meant.
fn directory(place: &str) -> Result<PathBuf, String> {
    let memory = format!("'{EMBEDDED}:{MEMORY}' is a node in memory");
    if place.is_empty() {
        return Err("the directory is missing".to_owned());
    }
    // As in the address of a cluster: what follows is no host, and hardly a directory at the root.
    if let Some(rest) = place.strip_prefix("//") {
        let path = rest.trim_start_matches('/');
        let written = if path.is_empty() { "data" } else { path };
        return Err(format!(
            "no '//' here; '{EMBEDDED}./{written}' or '{EMBEDDED}/{written}' is a directory, {memory}"
        ));
    }
    if place == MEMORY.trim_end_matches(':') || place.starts_with(MEMORY) {
        return Err(format!("{memory}, '{EMBEDDED}./{place}' a directory"));
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
                let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
                write!(f, "{CLUSTER}{}", servers.join(","))
            }
            Self::Directory(path) => write!(f, "{EMBEDDED}{}", path.display()),
            Self::Memory(name) => write!(f, "{EMBEDDED}:{MEMORY}{}", name.as_deref().unwrap_or_default()),
        }
    }
}

/// A text that names nothing to connect to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("target '{text}': {reason}")]
pub struct InvalidTarget {
    text: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_their_text() {
        for (text, target) in [
            (
                "fluss://a:1,[::1]:2",
                Target::Servers(vec![ServerAddress::new("a", 1), ServerAddress::new("::1", 2)]),
            ),
            ("embedded:./data", Target::Directory("./data".into())),
            ("embedded:/a b", Target::Directory("/a b".into())),
            ("embedded::memory:", Target::Memory(None)),
            ("embedded::memory:x", Target::Memory(Some("x".to_owned()))),
        ] {
            assert_eq!(text.parse(), Ok(target.clone()));
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn a_tilde_is_the_home_of_the_user() {
        let home = std::env::home_dir().unwrap();
        for (text, path) in [
            ("embedded:~", home.clone()),
            ("embedded:~/", home.clone()),
            ("embedded:~/x/y", home.join("x/y")),
            ("embedded:./~/x", "./~/x".into()),
            ("embedded:a~", "a~".into()),
        ] {
            assert_eq!(text.parse(), Ok(Target::Directory(path)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_is_wrong() {
        let refusal = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        assert_eq!(
            refusal("http://a:1"),
            "target 'http://a:1': 'fluss://host:port', 'embedded:directory' or 'embedded::memory:' expected"
        );
        assert_eq!(
            refusal("embedded:"),
            "target 'embedded:': the directory is missing"
        );
        assert_eq!(
            refusal("embedded::disk:"),
            "target 'embedded::disk:': 'embedded::memory:' expected"
        );
        for text in ["embedded://memory", "embedded:////memory"] {
            assert_eq!(
                refusal(text),
                format!(
                    "target '{text}': no '//' here; 'embedded:./memory' or 'embedded:/memory' is a directory, \
                     'embedded::memory:' is a node in memory"
                )
            );
        }
        for text in ["memory", "memory:", "memory:x"] {
            assert_eq!(
                refusal(&format!("embedded:{text}")),
                format!(
                    "target 'embedded:{text}': 'embedded::memory:' is a node in memory, 'embedded:./{text}' a directory"
                )
            );
        }
        assert_eq!(
            refusal("embedded:~bob/x"),
            "target 'embedded:~bob/x': only '~/', the home of the user, is known; write the directory in full"
        );
        for secret in ["pw", "p@w", "p,w", "p/w", "p:w"] {
            for text in [
                format!("fluss://alice:{secret}@host:9123"),
                format!("flus://alice:{secret}@host:9123"),
            ] {
                let refused = refusal(&text);
                assert!(refused.contains("://***@host:9123'"), "{refused}");
                assert!(
                    !refused.contains("alice") && !refused.contains(secret),
                    "{refused}"
                );
            }
            let options = Target::of_bootstrap(&format!("alice:{secret}@host:9123"));
            let refused = options.unwrap_err().to_string();
            assert!(!refused.contains(secret), "{refused}");
        }
        assert!("fluss://".parse::<Target>().is_err());
        assert!("fluss://a".parse::<Target>().is_err());
    }
}
