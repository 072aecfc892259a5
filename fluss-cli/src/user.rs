//! `fluss user`: the users of a node that are created while it runs.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fluss_client::{Admin, Connection, ConnectionBuilder, Credentials, config};

use crate::serve::described;
use crate::{Refused, password};

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
    /// Logs in as this user
    #[arg(long, value_name = "USER", requires = "password_file")]
    login: Option<String>,
    /// The file with the password of the user who logs in
    #[arg(long, value_name = "FILE", requires = "login")]
    password_file: Option<PathBuf>,
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
    /// How to connect: as the arguments say, and what they leave open as the environment does.
    fn builder(&self) -> Result<ConnectionBuilder, Refused> {
        let refused = |error: config::InvalidConfig| Refused(error.to_string());
        let said = config::options_of(&self.target).map_err(refused)?;
        if said.iter().any(|(key, _)| key == "security.sasl.password") {
            let reason = "others on this machine can read the arguments of a program: leave the login out of TARGET, and say \
                          --login USER --password-file FILE";
            return Err(Refused(reason.to_owned()));
        }
        let texts =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let of_environment = std::env::vars_os()
            .filter_map(texts)
            .filter(|(name, _)| name != "FLUSS_TARGET");
        let target = ("FLUSS_TARGET".to_owned(), self.target.clone());
        let pairs = config::environment(of_environment.chain([target])).map_err(refused)?;
        let begun = Connection::builder(&self.target);
        let is_option = |(key, _): &(String, String)| key != "bootstrap.servers";
        let mut builder = pairs
            .into_iter()
            .filter(is_option)
            .fold(begun, |builder, (key, value)| builder.option(key, value));
        if let (Some(user), Some(file)) = (&self.login, &self.password_file) {
            let password = password::from_file(file)?;
            builder = builder.credentials(Credentials::plain(user, password));
        }
        Ok(builder)
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
