//! Connection strings, taken apart (`docs/connection-strings.md`).
//!
//! ```text
//! fluss://user:password@host:port,host:port/database?option=value&option=value
//! fluss+discover://user:password@name:port/database?option=value
//! embedded:directory?option=value
//! embedded::memory:name?option=value
//! ```
//!
//! What is refused is quoted as far as it can be no part of a password.

use std::net::Ipv6Addr;
use std::str::FromStr;

use fluss_core::types::check_name;
use fluss_rpc::net::ServerAddress;

use super::target::{self, CLUSTER, DISCOVER, EMBEDDED, InvalidTarget, Target};

/// The port of servers that name none.
const PORT: u16 = 9123;

/// What a connection string says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) target: Target,
    pub(super) login: Option<(String, String)>,
    pub(super) database: Option<String>,
    /// Keys and values, in their order.
    pub(super) options: Vec<(String, String)>,
}

impl Parts {
    /// Takes a string apart. Without a scheme it is a list of servers.
    pub(super) fn read(text: &str) -> Result<Self, InvalidTarget> {
        let text = text.trim();
        let parts = if let Some(rest) = strip_scheme(text, EMBEDDED) {
            embedded(rest)
        } else if let Some(rest) = strip_scheme(text, DISCOVER) {
            cluster(rest, true)
        } else if let Some(rest) = strip_scheme(text, CLUSTER) {
            cluster(rest, false)
        } else if let Some((scheme, _)) = text.split_once("://") {
            Err(unknown_scheme(scheme))
        } else {
            cluster(text, false)
        };
        parts.map_err(InvalidTarget::new)
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    /// Reads where a connection string leads.
    ///
    /// # Errors
    ///
    /// A text that leads nowhere, or that says more: who the user is, a database, options. With those it is for
    /// [`Connection::builder`](crate::Connection::builder).
    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let parts = Parts::read(text)?;
        if parts.login.is_some() || parts.database.is_some() || !parts.options.is_empty() {
            return Err(InvalidTarget::new(
                "a user, a database and options are no part of where it leads: give it to what connects",
            ));
        }
        Ok(parts.target)
    }
}

/// The rest of a text that begins with a scheme, in whatever case.
fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (begin, rest) = text.split_at_checked(scheme.len())?;
    begin.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn unknown_scheme(scheme: &str) -> String {
    // It may be anything, if somebody has put a password there.
    let is_word = scheme.len() < 20
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let shown = if is_word {
        format!("'{scheme}://'")
    } else {
        "what it begins with".to_owned()
    };
    format!("{shown} is not known: it begins with '{CLUSTER}', '{DISCOVER}' or '{EMBEDDED}'")
}

fn embedded(rest: &str) -> Result<Parts, String> {
    let (place, query) = split(rest, '?');
    if let Some((before, _)) = place.split_once('@')
        && !before.starts_with(':')
        && before.contains(':')
        && !before.contains('/')
    {
        return Err(format!(
            "an embedded node asks nobody who they are: no user and password behind '{EMBEDDED}'; a directory with ':' and '@' in its name begins with './'"
        ));
    }
    Ok(Parts {
        target: target::embedded(&decoded(place).map_err(|fault| format!("in the directory {fault}"))?)?,
        login: None,
        database: None,
        options: options(query)?,
    })
}

fn cluster(rest: &str, discover: bool) -> Result<Parts, String> {
    let (before, query) = split(rest, '?');
    let (authority, path) = split(before, '/');
    let is_cut = |cut: &str| cut.split_once('@').is_some_and(|(begin, _)| !begin.contains('='));
    if is_cut(path) {
        return Err("a '/' in a user or a password is written as %2F".to_owned());
    }
    if !before.contains('@') && is_cut(query) {
        return Err("a '?' in a user or a password is written as %3F".to_owned());
    }
    let (login, hosts) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((login, hosts)) => (Some(self::login(login)?), hosts),
    };
    let servers: Vec<ServerAddress> = hosts.split(',').map(server).collect::<Result<_, _>>()?;
    let target = match <[ServerAddress; 1]>::try_from(servers) {
        Ok([name]) if discover => Target::Discover(name),
        Ok(one) => Target::Servers(one.into()),
        Err(_) if discover => {
            return Err(format!(
                "'{DISCOVER}' takes one name, whose addresses are the servers, and not a list"
            ));
        }
        Err(servers) => Target::Servers(servers),
    };
    Ok(Parts {
        target,
        login,
        database: database(path)?,
        options: options(query)?,
    })
}

/// What is before a character, and what is behind the first of it.
fn split(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

fn login(text: &str) -> Result<(String, String), String> {
    if text.contains('@') {
        return Err("an '@' in a user or a password is written as %40".to_owned());
    }
    let Some((user, password)) = text.split_once(':') else {
        return Err("the password is missing: before the '@' stands 'user:password'".to_owned());
    };
    let plain = |what: &str, text: &str| match decoded(text) {
        Ok(text) if text.is_empty() => Err(format!(
            "the {what} is empty: before the '@' stands 'user:password'"
        )),
        Ok(text) => Ok(text),
        Err(fault) => Err(format!("in the {what} {fault}")),
    };
    Ok((plain("user", user)?, plain("password", password)?))
}

fn server(text: &str) -> Result<ServerAddress, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let Some((host, port)) = bracketed.split_once(']') else {
                return Err("the ']' of an IPv6 address is missing".to_owned());
            };
            if !port.is_empty() && !port.starts_with(':') {
                return Err("behind the ']' of an IPv6 address stands ':port'".to_owned());
            }
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            // It is not quoted: a password may be part of it, whose '@' was forgotten.
            Some((_, port)) if port.contains(':') => {
                return Err("a server is 'host:port', and an IPv6 address '[address]:port'".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_bracketed = text.starts_with('[');
    let host = decoded(host).map_err(|fault| format!("in a host {fault}"))?;
    if host.is_empty() {
        return Err(if text.is_empty() {
            "a server is missing: they are written as 'host:port,host:port'".to_owned()
        } else {
            "the host is missing before the port".to_owned()
        });
    } // What is behind the '%' is the network that it is in.
    if is_bracketed && split(&host, '%').0.parse::<Ipv6Addr>().is_err() {
        return Err("in brackets stands an IPv6 address".to_owned());
    }
    if let Some(fault) = host
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || "/?#@[]\\=&".contains(*c))
    {
        return Err(format!("no host has a {fault:?}"));
    }
    let port = match port {
        None => PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("the port of '{host}' is no number from 1 to 65535"))?,
    };
    Ok(ServerAddress::new(host, port))
}

fn database(path: &str) -> Result<Option<String>, String> {
    let name = path.strip_suffix('/').unwrap_or(path);
    if name.is_empty() {
        return Ok(None);
    }
    if name.contains('/') {
        return Err("behind the '/' stands one database".to_owned());
    }
    if name.contains(['=', '&']) {
        return Err("behind the '/' stands a database, and options behind a '?'".to_owned());
    }
    let name = decoded(name).map_err(|fault| format!("in the database {fault}"))?;
    check_name("database", &name).map_err(|error| error.to_string())?;
    Ok(Some(name))
}

fn options(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut options: Vec<(String, String)> = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let Some((key, value)) = option.split_once('=') else {
            // It may be the rest of a value that nobody should see.
            return Err(
                "an option is written as 'option=value'; an '&' in a value is written as %26".to_owned(),
            );
        };
        let key = decoded(key).map_err(|fault| format!("in the name of an option {fault}"))?;
        let value = decoded(value).map_err(|fault| format!("in the value of option '{key}' {fault}"))?;
        options.push((key, value));
    }
    Ok(options)
}

/// The text without percent-encoding.
fn decoded(text: &str) -> Result<String, &'static str> {
    const FAULT: &str = "a '%' is followed by two hexadecimal digits; itself it is written as %25";
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut next = || bytes.next().and_then(digit);
                let (Some(high), Some(low)) = (next(), next()) else {
                    return Err(FAULT);
                };
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(plain).map_err(|_| "the encoded bytes are no UTF-8")
}
