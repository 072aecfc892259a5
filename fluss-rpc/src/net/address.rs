//! Where a server listens.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host name or IP address, and a port. As text: `host:port`, with IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerAddress {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The one of the host's addresses that is meant. Without, it is looked up.
    at: Option<IpAddr>,
}

impl ServerAddress {
    /// Joins a host, without brackets, and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            at: None,
        }
    }

    /// The same server at one of the addresses of its host. Its certificate is still one of the host.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Self {
        self.at = Some(address);
        self
    }

    /// The one of the host's addresses that is meant.
    pub const fn address(&self) -> Option<IpAddr> {
        self.at
    }

    /// Whether it is on this machine, as far as its text tells: `localhost`, `::1`, or an address in 127.0.0.0/8.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |problem| InvalidAddress {
            text: without_login(text),
            problem,
        };
        if text.contains('@') {
            return Err(invalid("a user and a password are not part of an address"));
        }
        let (host, port) = text
            .trim()
            .rsplit_once(':')
            .ok_or(invalid("the port is missing"))?;
        let port = port
            .parse()
            .map_err(|_| invalid("the port is not a number up to 65535"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host,
            None if host.contains([':', '[', ']']) => return Err(invalid("an IPv6 address needs brackets")),
            None => host,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(invalid("the host is missing"));
        }
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        match self.at {
            Some(address) => write!(f, " ({address})"),
            None => Ok(()),
        }
    }
}

/// The text of an address or URL without a user and a password, should there be any: for messages.
pub fn without_login(text: &str) -> String {
    let Some((before, rest)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
    let slashes = if scheme.is_empty() { "" } else { "//" };
    format!("{scheme}{slashes}***@{rest}")
}

/// A text that is not the address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the address of a server: {problem}")]
pub struct InvalidAddress {
    text: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_their_text() {
        for (text, host, port) in [
            ("localhost:9123", "localhost", 9123),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[::1]:65535", "::1", 65535),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!(address, ServerAddress::new(host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn a_loopback_address_is_known_by_its_text() {
        for host in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(ServerAddress::new(host, 1).is_loopback(), "{host}");
        }
        for host in [
            "localhost.example.com",
            "127.0.0.1.example.com",
            "128.0.0.1",
            "0.0.0.0",
            "::",
            "db",
        ] {
            assert!(!ServerAddress::new(host, 1).is_loopback(), "{host}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let refused = "alice:pw@h:1".parse::<ServerAddress>().unwrap_err().to_string();
        let expected =
            "`***@h:1` is not the address of a server: a user and a password are not part of an address";
        assert_eq!(refused, expected);
        assert!("alice@h:1".parse::<ServerAddress>().is_err());
        assert_eq!(without_login("fluss://alice:p@w@h:1"), "fluss://***@h:1");
        assert_eq!(without_login("h:1"), "h:1");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "localhost",
            ":9123",
            "localhost:",
            "localhost:65536",
            "::1:9123",
            "[]:1",
            "a b:1",
        ] {
            assert!(text.parse::<ServerAddress>().is_err(), "{text}");
        }
    }
}
