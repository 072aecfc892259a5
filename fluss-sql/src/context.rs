//! What a statement has around it: the session, its connection and its parameters.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::Query;
use fluss_client::types::TablePath;
use fluss_client::{Admin, Connection, Lookuper, Table};
use fluss_rpc::sync::Mutex;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

use crate::cpu::Entered;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{Options, StartFrom};
use crate::transaction::Transaction;
use crate::value::Parameters;

/// What all statements of a session share.
pub(crate) struct Shared {
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    /// The runtime that the connection lives on.
    pub(crate) client: Handle,
    /// Functions, optimizer, memory: what plans and queries of the session have in common.
    pub(crate) engine: SessionState,
    pub(crate) state: Mutex<State>,
}

/// What statements change of a session.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The database that names without one are in.
    pub(crate) database: String,
    /// Views by their names.
    pub(crate) views: BTreeMap<String, Arc<View>>,
    /// The open transaction.
    pub(crate) transaction: Option<Transaction>,
    /// Tables that keys were looked up in: what they were then.
    pub(crate) looked_up: HashMap<TablePath, (Table, Lookuper)>,
}

/// A query with a name.
#[derive(Debug)]
pub(crate) struct View {
    /// What it was made of.
    pub(crate) query: Query,
    /// The database that names in it are in.
    pub(crate) database: String,
}

/// One statement's surroundings. Clones share the session.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) parameters: Arc<Parameters>,
    /// The database that names without one are in, instead of the session's.
    pub(crate) within: Option<String>,
    /// Where following a table begins, instead of where the options say.
    pub(crate) start: Option<StartFrom>,
}

impl Context {
    pub(crate) fn new(shared: &Arc<Shared>, parameters: Parameters) -> Self {
        Self {
            shared: shared.clone(),
            parameters: Arc::new(parameters),
            within: None,
            start: None,
        }
    }

    /// The same, for names of another database.
    pub(crate) fn within(&self, database: &str) -> Self {
        Self {
            within: Some(database.to_owned()),
            ..self.clone()
        }
    }

    /// The same with other parameters.
    pub(crate) fn with(&self, parameters: &Parameters) -> Self {
        Self {
            parameters: Arc::new(parameters.clone()),
            ..self.clone()
        }
    }

    /// The same, for a query that begins to follow its table elsewhere than the options say.
    pub(crate) fn starting(self, start: StartFrom) -> Self {
        Self {
            start: Some(start),
            ..self
        }
    }

    /// Where following a table begins.
    pub(crate) fn start(&self) -> &StartFrom {
        self.start.as_ref().unwrap_or(&self.options().offset_reset)
    }

    /// The connection.
    pub(crate) fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// What administers databases and tables. Its futures are to be polled by [`client`](Self::client).
    pub(crate) fn admin(&self) -> Admin {
        self.shared.connection.admin()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The database that names without one are in.
    pub(crate) fn database(&self) -> String {
        match &self.within {
            Some(database) => database.clone(),
            None => self.shared.state.lock().database.clone(),
        }
    }

    /// Polls a future of the client where the client lives.
    pub(crate) fn client<'a, T>(
        &self,
        future: impl Future<Output = T> + Send + 'a,
    ) -> Entered<BoxFuture<'a, T>> {
        Entered::future(&self.shared.client, future)
    }

    /// Refuses parameters that the statement does not have, or lacks.
    pub(crate) fn check_parameters(&self, placeholders: &[String]) -> Result<()> {
        for placeholder in placeholders {
            self.parameters.get(placeholder)?;
        }
        // `$3` asks for three values, whether `$2` is there or not.
        let number = |placeholder: &String| placeholder.trim_start_matches('$').parse().unwrap_or(0_usize);
        let most = placeholders.iter().map(number).max().unwrap_or(0);
        if matches!(*self.parameters, Parameters::Positional(_)) && self.parameters.len() > most {
            let given = self.parameters.len();
            let text = format!("the statement has {most} parameters, and {given} values were given");
            return Err(Error::new(ErrorKind::Type, text));
        }
        Ok(())
    }
}
