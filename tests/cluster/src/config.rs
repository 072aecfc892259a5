//! The configuration files of every kind of process.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use crate::front::HOST;
use crate::ports::Port;
use crate::spec::{ALICE, ROOT, Spec, User};

/// The ports of one server: what is for clients; if they log in or come by TLS, a listener for the servers among themselves; and
/// the front that clients connect to instead, if there is one.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) client: Port,
    pub(crate) internal: Option<Port>,
    pub(crate) front: Option<Port>,
}

/// `key: value` for each line of a `server.yaml`.
pub(crate) type Properties = BTreeMap<String, String>;

/// The file for ZooKeeper. A short tick permits short sessions, so that a dead server is noticed in seconds; longer ones are
/// permitted, too.
///
/// Each write takes 10 ms, and none waits for a disk, which may be busy. Where writes follow each other more closely the
/// coordinator misses some: then about one table of two hundred never gets leaders.
pub(crate) fn zookeeper(data: &Path, port: &Port) -> String {
    let port = port.address().port();
    format!(
        "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
         tickTime=500\nflushDelay=10\nmaxWriteQueuePollTime=10\nforceSync=no\nmaxSessionTimeout=120000\nmaxClientCnxns=0\n",
        data.display()
    )
}

/// What coordinator and tablet servers have in common.
pub(crate) fn server(spec: &Spec, zookeeper: &Port, listeners: &Listeners, remote: &Path) -> Properties {
    let mut properties = Properties::new();
    set(&mut properties, "zookeeper.address", zookeeper.address());
    set(&mut properties, "zookeeper.client.session-timeout", "3 s");
    set(&mut properties, "remote.data.dir", remote.display());
    set(
        &mut properties,
        "default.replication.factor",
        spec.replication_factor(),
    );
    listen(&mut properties, spec, listeners);
    properties
}

/// What a tablet server has besides.
pub(crate) fn tablet_server(properties: &mut Properties, id: u32, data: &Path) {
    set(properties, "tablet-server.id", id);
    set(properties, "data.dir", data.display());
}

/// What `fluss serve` has.
pub(crate) fn node(users: &[User]) -> Properties {
    let mut properties = Properties::new();
    if !users.is_empty() {
        authorize(&mut properties);
    }
    properties
}

/// The text of a configuration file; what the user of the fixture asked for wins.
pub(crate) fn yaml(mut properties: Properties, wanted: &Properties) -> String {
    properties.extend(wanted.clone());
    let lines: Vec<String> = properties
        .iter()
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect();
    lines.concat()
}

fn set(properties: &mut Properties, key: &str, value: impl Display) {
    properties.insert(key.to_owned(), value.to_string());
}

fn listen(properties: &mut Properties, spec: &Spec, listeners: &Listeners) {
    let client = listeners.client.address();
    let Some(internal) = &listeners.internal else {
        set(properties, "bind.listeners", format!("FLUSS://{client}"));
        return;
    };
    let internal = internal.address();
    set(
        properties,
        "bind.listeners",
        format!("INTERNAL://{internal},CLIENT://{client}"),
    );
    let advertised = match &listeners.front {
        Some(front) => format!("{HOST}:{}", front.address().port()),
        None => client.to_string(),
    };
    set(
        properties,
        "advertised.listeners",
        format!("CLIENT://{advertised}"),
    );
    set(properties, "internal.listener.name", "INTERNAL");
    if spec.sasl {
        secure(properties);
    }
}

fn secure(properties: &mut Properties) {
    let account = |user: User| format!("user_{}=\"{}\"", user.name, user.password);
    let jaas = format!(
        "org.apache.fluss.security.auth.sasl.plain.PlainLoginModule required {} {};",
        account(ROOT),
        account(ALICE)
    );
    set(
        properties,
        "security.protocol.map",
        "CLIENT:SASL,INTERNAL:PLAINTEXT",
    );
    set(properties, "security.sasl.enabled.mechanisms", "PLAIN");
    set(properties, "security.sasl.plain.jaas.config", jaas);
    authorize(properties);
}

fn authorize(properties: &mut Properties) {
    set(properties, "authorizer.enabled", true);
    set(properties, "super.users", format!("User:{}", ROOT.name));
}
