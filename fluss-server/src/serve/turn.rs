//! Writes of a connection, which are done one after the other.

use tokio::sync::mpsc;

use super::memory::{Memory, Room};

/// A write of more than this many bytes takes long enough to be done on a thread of its own.
const LARGE_WRITE_BYTES: usize = 32 << 10;

/// A write that waits for its turn.
pub(super) struct Write {
    pub(super) bytes: usize,
    /// What is set aside for the answer.
    pub(super) room: usize,
    pub(super) run: Box<dyn FnMut(Room) -> Done + Send>,
}

/// What becomes of a write: nothing more, or it goes on once there is so much room.
pub(super) type Done = Option<usize>;

/// Does writes in the order in which they came.
pub(super) async fn do_in_turn(mut queue: mpsc::UnboundedReceiver<Write>, memory: &Memory) {
    while let Some(write) = queue.recv().await {
        let Write {
            bytes,
            mut room,
            mut run,
        } = write;
        loop {
            let taken = memory.room(room).await;
            let done = if bytes <= LARGE_WRITE_BYTES {
                run(taken)
            } else {
                let running = tokio::task::spawn_blocking(move || (run(taken), run));
                let Ok((done, again)) = running.await else {
                    return;
                };
                run = again;
                done
            };
            match done {
                Some(more) => room = more,
                None => break,
            }
        }
    }
}
