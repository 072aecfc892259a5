//! How connections are closed.

use fluss_client as client;

/// Closes a connection, whatever becomes of the wait for its end.
pub(crate) struct CloseOnDrop(pub(crate) client::Connection);

impl CloseOnDrop {
    /// Sends what writers have taken, and closes.
    pub(crate) async fn shut_down(self) -> client::Result<()> {
        self.0.shut_down().await
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
