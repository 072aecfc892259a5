//! What the program obeys while its cluster runs, one command a line.
//!
//! `kill`, `stop`, `cont` and `restart`, each with `cs` (the coordinator) or `ts ID` (a tablet server); `ready SECONDS`
//! waits until the running servers agree on who is running; `in-sync TABLE_ID SECONDS` waits until every replica of a table
//! is in sync, and answers with the leaders of its buckets; `describe` repeats the first line; `quit` ends the cluster.

use std::time::Duration;

use fluss_cluster::{Cluster, Error, Role, Server, User};
use serde_json::{Value, json};

/// One line of the input.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Act(Action, Role),
    Ready(Duration),
    InSync(i64, Duration),
    Describe,
    Quit,
}

/// What can be done to a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Action {
    Kill,
    Stop,
    Cont,
    Restart,
}

impl Command {
    /// Reads a line; the error names what is not understood.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let command = match words.as_slice() {
            ["quit"] => Some(Self::Quit),
            ["describe"] => Some(Self::Describe),
            ["ready", within] => seconds(within).map(Self::Ready),
            ["in-sync", table, within] => table
                .parse()
                .ok()
                .zip(seconds(within))
                .map(|(table, within)| Self::InSync(table, within)),
            [action, "cs"] => Action::named(action).map(|action| Self::Act(action, Role::Coordinator)),
            [action, "ts", id] => Action::named(action)
                .zip(id.parse().ok())
                .map(|(action, id)| Self::Act(action, Role::TabletServer(id))),
            _ => None,
        };
        command.ok_or_else(|| format!("no such command: {line}"))
    }

    /// Does it; the value is what the answer carries.
    pub(crate) fn obey(&self, cluster: &Cluster) -> Result<Value, Error> {
        match self {
            Self::Act(action, role) => {
                let server = cluster.server(*role)?;
                action.apply(server)?;
                Ok(describe(server))
            }
            Self::Ready(within) => cluster.wait_ready(*within).map(|()| Value::Null),
            Self::InSync(table, within) => cluster.wait_in_sync(*table, *within).map(Value::from),
            Self::Describe => Ok(description(cluster)),
            Self::Quit => Ok(Value::Null),
        }
    }
}

fn seconds(word: &str) -> Option<Duration> {
    word.parse().ok().map(Duration::from_secs)
}

impl Action {
    fn named(word: &str) -> Option<Self> {
        match word {
            "kill" => Some(Self::Kill),
            "stop" => Some(Self::Stop),
            "cont" => Some(Self::Cont),
            "restart" => Some(Self::Restart),
            _ => None,
        }
    }

    fn apply(self, server: &Server) -> Result<(), Error> {
        match self {
            Self::Kill => server.kill(),
            Self::Stop => server.stop(),
            Self::Cont => server.resume(),
            Self::Restart => server.restart(),
        }
    }
}

/// Everything that a client or a test needs to know of the cluster.
pub(crate) fn description(cluster: &Cluster) -> Value {
    let tablet_servers: Vec<Value> = cluster.tablet_servers().iter().map(describe).collect();
    let users: Vec<Value> = cluster.users().iter().map(account).collect();
    json!({
        "ok": true,
        "bootstrap": cluster.bootstrap(),
        "coordinator": describe(cluster.coordinator()),
        "tablet_servers": tablet_servers,
        "users": users,
        "directory": cluster.directory(),
    })
}

fn account(user: &User) -> Value {
    json!({"name": user.name, "password": user.password})
}

fn describe(server: &Server) -> Value {
    let id = match server.role() {
        Role::Coordinator => Value::Null,
        Role::TabletServer(id) => id.into(),
    };
    json!({
        "id": id,
        "pid": server.pid(),
        "address": server.address().to_string(),
        "own_address": server.own_address().to_string(),
        "internal_address": server.internal_address().to_string(),
        "running": server.is_running(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_its_commands() {
        assert_eq!(
            Command::parse("kill ts 1"),
            Ok(Command::Act(Action::Kill, Role::TabletServer(1)))
        );
        assert_eq!(
            Command::parse("restart cs"),
            Ok(Command::Act(Action::Restart, Role::Coordinator))
        );
        assert_eq!(
            Command::parse("ready 30"),
            Ok(Command::Ready(Duration::from_secs(30)))
        );
        assert_eq!(
            Command::parse("in-sync 7 30"),
            Ok(Command::InSync(7, Duration::from_secs(30)))
        );
        assert!(Command::parse("in-sync 7").is_err());
        assert!(Command::parse("kill").is_err());
        assert!(Command::parse("kill ts one").is_err());
    }
}
