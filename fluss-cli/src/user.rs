//! `fluss user`: the users of a node that are created while it runs.

use std::io::Write;

use clap::{Args, Subcommand};
use fluss_client::{Admin, ConnectionBuilder};

use crate::connect::Login;
use crate::{Refused, described, password};

#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Creates a user, whose password is read from the standard input
    Create {
        #[command(flatten)]
        at: At,
        /// The name of the user
        #[arg(value_name = "NAME")]
        name: String,
        /// Leaves a user that exists as it is
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Gives a user another password, which is read from the standard input
    Alter {
        #[command(flatten)]
        at: At,
        /// The name of the user
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Drops a user, with the rights that it was given
    Drop {
        #[command(flatten)]
        at: At,
        /// The name of the user
        #[arg(value_name = "NAME")]
        name: String,
        /// Is content if there is no such user
        #[arg(long)]
        if_exists: bool,
    },
    /// Lists the users: a line for each, with the name and where the user stands
    List {
        #[command(flatten)]
        at: At,
    },
}

/// Which node, and who asks.
#[derive(Debug, Args)]
struct At {
    /// The node: fluss://HOST:PORT, or embedded:DIRECTORY while no other process has the directory
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    login: Login,
}

impl User {
    pub(crate) fn run(self) -> Result<(), Refused> {
        match self.action {
            Action::Create {
                at,
                name,
                if_not_exists,
            } => {
                let connection = at.builder()?;
                let password = password::from_stdin()?;
                asked(connection, async |admin| {
                    admin.create_user(&name, &password, if_not_exists).await
                })
            }
            Action::Alter { at, name } => {
                let connection = at.builder()?;
                let password = password::from_stdin()?;
                asked(connection, async |admin| {
                    admin.alter_user(&name, &password, false).await
                })
            }
            Action::Drop { at, name, if_exists } => asked(at.builder()?, async |admin| {
                admin.drop_user(&name, if_exists).await
            }),
            Action::List { at } => {
                let users = asked(at.builder()?, async |admin| admin.list_users().await)?;
                let mut out = std::io::stdout();
                for user in users {
                    writeln!(out, "{}\t{}", user.name, user.source)
                        .map_err(|error| Refused(error.to_string()))?;
                }
                Ok(())
            }
        }
    }
}

impl At {
    fn builder(&self) -> Result<ConnectionBuilder, Refused> {
        self.login.builder(Some(&self.target))
    }
}

/// Connects, asks, and disconnects.
fn asked<T>(
    connection: ConnectionBuilder,
    ask: impl AsyncFnOnce(Admin) -> fluss_client::Result<T>,
) -> Result<T, Refused> {
    let refused = |error: fluss_client::Error| Refused(described(&error));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refused(error.to_string()))?;
    runtime.block_on(async {
        let connection = connection.connect().await.map_err(refused)?;
        let answer = ask(connection.admin()).await;
        // What was answered stands, whatever becomes of the connection.
        let _ = connection.shut_down().await;
        answer.map_err(refused)
    })
}
