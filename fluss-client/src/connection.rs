use std::sync::Arc;

use crate::admin::Admin;
use crate::cluster::{Cluster, WeakCluster};
use crate::config::ClientOptions;
use crate::error::Result;
use crate::table::Table;
use fluss_core::types::{InvalidDefinition, TablePath};

/// A connection to a cluster: everything else is had from it. Clones share it.
///
/// It holds one TCP connection to each server that it talks to, opened when first needed and again when lost.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fluss_client::types::TablePath;
///
/// let connection = fluss_client::connect("embedded::memory:").await?;
/// assert_eq!(connection.admin().list_databases().await?, ["fluss"]);
/// let missing = connection.table(&TablePath::new("fluss", "people")).await.unwrap_err();
/// assert_eq!(missing.outcome(), fluss_client::Outcome::NotFound);
/// # connection.shut_down().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    cluster: Cluster,
}

/// A [`Connection`] that is not kept open by it.
#[derive(Clone, Debug)]
pub struct WeakConnection(WeakCluster);

impl WeakConnection {
    /// The connection, unless nothing uses it any more.
    pub fn upgrade(&self) -> Option<Connection> {
        self.0.upgrade().map(|cluster| Connection { cluster })
    }
}

impl Connection {
    /// Reaches the first bootstrap server that works, logs in, and learns the others from it.
    ///
    /// # Errors
    ///
    /// Options that contradict each other; no bootstrap server that can be reached, speaks Fluss and takes the
    /// credentials, within the connect timeout for each.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn open(options: ClientOptions) -> Result<Self> {
        let cluster = Cluster::connect(options).await?;
        Ok(Self { cluster })
    }

    /// What administers databases, tables and partitions.
    pub fn admin(&self) -> Admin {
        Admin::new(self.cluster.clone())
    }

    /// The path of a table: `database.table`, or the name of a table of the [database](ClientOptions::database) that the
    /// connection was opened with.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = fluss_client::connect("embedded::memory:?database=shop").await?;
    /// assert_eq!(connection.path("orders")?.to_string(), "shop.orders");
    /// assert_eq!(connection.path("fluss.people")?.to_string(), "fluss.people");
    /// # connection.shut_down().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A text that is neither.
    pub fn path(&self, name: &str) -> Result<TablePath, InvalidDefinition> {
        self.admin().path(name)
    }

    /// A table, as it stands now.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::TABLE_NOT_EXIST`](fluss_rpc::code::ErrorCode::TABLE_NOT_EXIST) if there is none of this path.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn table(&self, path: &TablePath) -> Result<Table> {
        let info = self.cluster.table_info(path).await?;
        Ok(Table::new(self.cluster.clone(), Arc::new(info)))
    }

    /// Waits until everything that was written is acknowledged or has failed, and closes the connection.
    ///
    /// # Errors
    ///
    /// The first failure of a write that was still on its way. The connection is closed all the same.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the connection open.
    pub async fn shut_down(&self) -> Result<()> {
        let flushed = self.cluster.writers().flush().await;
        self.close();
        flushed
    }

    /// Sends what writers have taken, also those that were dropped since, and waits until it is acknowledged or has failed.
    ///
    /// # Errors
    ///
    /// The first failure of a write that was still on its way.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn flush(&self) -> Result<()> {
        self.cluster.writers().flush().await
    }

    /// Whether both are handles of one connection.
    pub fn is_same(&self, other: &Self) -> bool {
        self.cluster.is_same(&other.cluster)
    }

    /// Closes the connection to every server at once. Whatever was had from it fails from now on with
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), and so do calls that are waiting, and what is still unsent: see
    /// [`shut_down`](Self::shut_down).
    pub fn close(&self) {
        self.cluster.close();
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.cluster.is_closed()
    }

    /// Waits until the connection is closed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    pub async fn closed(&self) {
        self.cluster.closed().await;
    }

    /// The connection for whoever does not keep it open.
    pub fn downgrade(&self) -> WeakConnection {
        WeakConnection(self.cluster.downgrade())
    }

    /// The options that the connection was opened with.
    pub fn options(&self) -> &ClientOptions {
        self.cluster.options()
    }
}

impl Table {
    /// The connection that the table was had from.
    pub fn connection(&self) -> Connection {
        let cluster = self.cluster().clone();
        Connection { cluster }
    }
}
