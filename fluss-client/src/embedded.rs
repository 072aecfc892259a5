//! Nodes in the same process: no port is opened, and requests pass through memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fluss_core::client::{ClientOptions, Context, ErrorKind, Result};
use fluss_rpc::net::ServerAddress;
use fluss_server::WeakNode;
pub use fluss_server::{Node, NodeOptions, OpenError, Storage, Sync};

use crate::Target;

/// What connections share a node by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Directory(PathBuf),
    Memory(String),
}

static NODES: Mutex<Option<HashMap<Key, WeakNode>>> = Mutex::new(None);

/// Has options lead to a node of this process, which lives as long as they do, or a connection made from them.
pub fn lead(options: &mut ClientOptions, node: Node) {
    // Nobody looks the address up: the transport knows but one server.
    options.bootstrap_servers = vec![ServerAddress::new("embedded", 0)];
    options.transport = Some(Arc::new(node));
}

/// The node of a target: the one that is open, or a new one.
pub(crate) fn node(target: &Target) -> Result<Node> {
    match target {
        Target::Directory(path) => {
            let path = std::path::absolute(path).map_err(|error| failure(&error))?;
            shared(Key::Directory(path.clone()), Storage::Directory(path))
        }
        Target::Memory(Some(name)) => shared(Key::Memory(name.clone()), Storage::Memory),
        Target::Memory(None) => open(Storage::Memory),
        Target::Servers(_) => Err(crate::refuse(format!("{target} is no embedded node"))),
    }
}

fn shared(key: Key, storage: Storage) -> Result<Node> {
    let mut nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner);
    let nodes = nodes.get_or_insert_default();
    nodes.retain(|_, node| node.is_alive());
    if let Some(node) = nodes.get(&key).and_then(WeakNode::upgrade) {
        return Ok(node);
    }
    let node = open(storage)?;
    nodes.insert(key, node.downgrade());
    Ok(node)
}

fn open(storage: Storage) -> Result<Node> {
    Node::open(NodeOptions::new(storage)).map_err(|error| failure(&error))
}

fn failure(error: &dyn std::error::Error) -> fluss_core::client::Error {
    let mut reason = error.to_string();
    if let Some(source) = error.source() {
        reason = format!("{reason}: {source}");
    }
    Context::new("open the embedded node").error(ErrorKind::Node(reason))
}
