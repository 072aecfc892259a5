//! How commands connect: as their arguments say, and what they leave open as the environment does.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use fluss_client::{Connection, ConnectionBuilder, Credentials, config};

use crate::{Refused, password};

/// The variable that says where to connect when no argument does.
const TARGET: &str = "FLUSS_TARGET";

/// Who connects.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Logs in as this user
    #[arg(long, value_name = "USER", requires = "password_file")]
    login: Option<String>,
    /// The file with the password of the user who logs in
    #[arg(long, value_name = "FILE", requires = "login")]
    password_file: Option<PathBuf>,
}

impl Login {
    /// A connection to `target`, or to where the environment says.
    pub(crate) fn builder(&self, target: Option<&str>) -> Result<ConnectionBuilder, Refused> {
        let refused = |error: config::InvalidConfig| Refused(error.to_string());
        if let Some(target) = target {
            let said = config::options_of(target).map_err(refused)?;
            if said.iter().any(|(key, _)| key == "security.sasl.password") {
                let reason = "others on this machine can read the arguments of a program: leave the login out of TARGET, and \
                              say --login USER --password-file FILE";
                return Err(Refused(reason.to_owned()));
            }
        }
        let texts =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let mut variables: Vec<(String, String)> = std::env::vars_os().filter_map(texts).collect();
        if let Some(target) = target {
            variables.retain(|(name, _)| name != TARGET);
            variables.push((TARGET.to_owned(), target.to_owned()));
        }
        let leads_to = variables.iter().find(|(name, _)| name == TARGET);
        let leads_to = leads_to.map(|(_, target)| target.clone());
        let leads_to =
            leads_to.ok_or_else(|| Refused(format!("say where to connect: TARGET, or {TARGET}")))?;
        let pairs = config::environment(variables).map_err(refused)?;
        let is_option = |(key, _): &(String, String)| key != "bootstrap.servers";
        let mut builder = pairs
            .into_iter()
            .filter(is_option)
            .fold(Connection::builder(&leads_to), |builder, (key, value)| {
                builder.option(key, value)
            });
        if let (Some(user), Some(file)) = (&self.login, &self.password_file) {
            let password = password::from_file(file)?;
            builder = builder.credentials(Credentials::plain(user, password));
        }
        Ok(builder)
    }
}
