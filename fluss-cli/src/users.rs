//! `fluss add-user`.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use fluss_server::security::user_line;

use crate::Refused;

#[derive(Debug, Args)]
pub(crate) struct AddUser {
    /// The users file; it is created if need be
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name of the user
    #[arg(value_name = "NAME")]
    name: String,
}

impl AddUser {
    pub(crate) fn run(&self) -> Result<(), Refused> {
        let mut password = String::new();
        std::io::stdin()
            .read_to_string(&mut password)
            .map_err(|error| Refused(format!("the password: {error}")))?;
        let password = password.trim_end_matches(['\r', '\n']);
        let line = user_line(&self.name, password).map_err(|error| Refused(error.to_string()))?;
        self.put(&line)
            .map_err(|error| Refused(format!("{}: {error}", self.file.display())))
    }

    /// Puts the user's line in place of the one that was there. The file is replaced as a whole, so that nobody reads half
    /// of it.
    fn put(&self, line: &str) -> io::Result<()> {
        let text = match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let prefix = format!("{}:", self.name);
        let others = text.lines().filter(|line| !line.starts_with(&prefix));
        let lines: Vec<_> = others.chain([line]).collect();
        let new = self.file.with_extension("new");
        fs::write(&new, lines.join("\n") + "\n")?;
        fs::rename(&new, &self.file)
    }
}
