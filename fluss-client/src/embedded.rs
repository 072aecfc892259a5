//! Nodes in the same process: no port is opened, and requests pass through memory.

use std::collections::HashMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{ClientOptions, Context, Error, ErrorKind, Result};
use fluss_rpc::net::{ServerAddress, Transport};
use fluss_rpc::sync;
use fluss_server::WeakNode;
use fluss_server::disk::create_private;
pub use fluss_server::disk::leave_directories_to_parent;
pub use fluss_server::{Node, NodeOptions, OpenError, Storage, Sync};

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::Target;

/// What connections share a node by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Place {
    Directory(PathBuf),
    Memory(String),
}

type Nodes = Arc<Mutex<HashMap<Place, WeakNode>>>;

/// The nodes of this process.
fn nodes() -> Nodes {
    /// With the process that they are of: a fork leaves behind the threads of nodes, and whoever has them locked.
    static OF_PROCESS: sync::Mutex<Option<(u32, Nodes)>> = sync::Mutex::new(None);
    let process = std::process::id();
    let mut of_process = OF_PROCESS.lock();
    match &*of_process {
        Some((owner, nodes)) if *owner == process => nodes.clone(),
        _ => {
            let nodes = Nodes::default();
            // What was inherited is never touched: nodes wait for threads that are not here.
            std::mem::forget(of_process.replace((process, nodes.clone())));
            nodes
        }
    }
}

/// How long a node may take to end before another has its directory.
const ENDING: Duration = Duration::from_secs(30);

/// Has options lead to a node of this process, which lives as long as they do, or a connection made from them.
pub fn lead(options: &mut ClientOptions, node: Node) {
    // Nobody looks the address up: the transport knows but one server.
    options.bootstrap_servers = vec![ServerAddress::new("embedded", 0)];
    options.transport = Transport::in_process(node);
}

/// The node of a target: the one that is open, or a new one.
pub(crate) async fn node(target: &Target) -> Result<Node> {
    match target {
        Target::Directory(path) => {
            let path = only_path(path.clone()).await?;
            through(shared(Place::Directory(path.clone()), Storage::Directory(path))).await
        }
        Target::Memory(Some(name)) => through(shared(Place::Memory(name.clone()), Storage::Memory)).await,
        Target::Memory(None) => open(Storage::Memory).await,
        Target::Servers(_) | Target::Discover(_) => {
            let reason = format!("{target} is no embedded node");
            Err(Context::new("connect").error(ErrorKind::InvalidArgument(reason)))
        }
    }
}

/// Sees an opening through, whatever becomes of who waits for it: its directory is free again, or its node known to others.
async fn through(opening: impl Future<Output = Result<Node>> + Send + 'static) -> Result<Node> {
    let opened = tokio::spawn(opening).await;
    opened.map_err(|error| failure(error.to_string()))?
}

/// The one path by which a directory is known, however it is written. It is created: what is not there may become a link.
async fn only_path(path: PathBuf) -> Result<PathBuf> {
    let create = move || {
        let there = create_private(&path).and_then(|()| path.canonicalize());
        there.map_err(|error| failure(format!("{}: {error}", path.display())))
    };
    let created = tokio::task::spawn_blocking(create).await;
    created.map_err(|error| failure(error.to_string()))?
}

/// The node that others have open at this place, or a new one.
async fn shared(place: Place, storage: Storage) -> Result<Node> {
    let nodes = nodes();
    // Whoever comes meanwhile gets the same.
    let mut nodes = nodes.lock().await;
    let known = nodes.get(&place);
    if let Some(node) = known.and_then(WeakNode::upgrade) {
        return Ok(node);
    }
    if let Some(ending) = nodes.remove(&place)
        && timeout(ENDING, ending.ended()).await.is_err()
    {
        return Err(failure("a request that does not end keeps the last node open"));
    }
    let node = open(storage).await?;
    nodes.retain(|_, node| node.is_open());
    nodes.insert(place, node.downgrade());
    Ok(node)
}

async fn open(storage: Storage) -> Result<Node> {
    // A directory may take a while to read.
    let opening = tokio::task::spawn_blocking(|| Node::open(NodeOptions::new(storage)));
    opening
        .await
        .map_err(|error| failure(error.to_string()))?
        .map_err(|error| match error.source() {
            Some(source) => failure(format!("{error}: {source}")),
            None => failure(error.to_string()),
        })
}

fn failure(reason: impl Into<String>) -> Error {
    Context::new("open the embedded node").error(ErrorKind::Node(reason.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn an_opening_that_is_given_up_leaves_the_directory_free() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::Directory(root.path().join("data"));
        for attempt in 0..40 {
            // Wherever it is by then.
            let _ = timeout(Duration::from_micros(250 * attempt), node(&target)).await;
            let opened = node(&target).await;
            assert!(opened.is_ok(), "attempt {attempt}: {opened:?}");
        }
    }

    #[tokio::test]
    async fn a_directory_is_one_however_it_is_written() {
        let root = tempfile::tempdir().unwrap();
        symlink(root.path().join("data"), root.path().join("link")).unwrap();
        let place = |spelling: &str| Target::Directory(root.path().join(spelling));
        let first = node(&place("data")).await.unwrap();
        for spelling in ["data/", "link", "./data", "data/../data", "link/../data/."] {
            let again = node(&place(spelling)).await;
            assert!(again.is_ok(), "{spelling}: {again:?}");
        }
        drop(first);
        // The link may be there first.
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("real")).unwrap();
        symlink("real", root.path().join("link")).unwrap();
        let _first = node(&Target::Directory(root.path().join("link/new")))
            .await
            .unwrap();
        node(&Target::Directory(root.path().join("real/new")))
            .await
            .unwrap();
    }
}
