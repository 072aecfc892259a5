//! The life of a node and its clients: it ends for both at once, when the machine goes down or the program ends.

use fluss_server::Node;
use tokio::runtime::Runtime;

/// Runs clients of a node until they are done, and ends all of it.
pub(crate) fn live<T>(node: Node, clients: impl AsyncFnOnce(&Node) -> T) -> T {
    let runtime = Runtime::new().unwrap();
    let done = runtime.block_on(clients(&node));
    // Requests under way and clients that would go on for longer end here.
    drop(runtime);
    let end = node.downgrade();
    drop(node);
    Runtime::new().unwrap().block_on(end.ended());
    done
}
