//! `fluss serve`: a node of one process instead of a cluster.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::config;
use crate::error::{Attempt, Error};
use crate::ports::{Port, Ports};
use crate::process::{Group, Process};
use crate::programs::{fluss, run_with_input};
use crate::spec::{Spec, User};

/// A node in a process of its own, which ends when this is dropped, with everything that it wrote.
#[derive(Debug)]
pub struct Served {
    // Dropped in this order, like a cluster.
    process: Process,
    users: &'static [User],
    _group: Group,
    port: Port,
    data: TempDir,
}

impl Served {
    /// Starts `fluss serve` on a directory of its own and waits until it listens. It is what the spec says,
    /// save for the number of servers and what is said of Java. The program is `$FLUSS_BIN`, or that of this workspace, which is built if need be.
    ///
    /// # Errors
    /// When the program cannot be had, or ends, or does not listen in time; the end of its log is part of the error.
    pub fn start(spec: &Spec) -> Result<Self, Error> {
        let program = fluss()?;
        let data = tempfile::Builder::new()
            .prefix("fluss-served-")
            .disable_cleanup(spec.keep_data)
            .tempdir()
            .attempt(|| "create a temporary directory".to_owned())?;
        let group = Group::new((!spec.keep_data).then(|| data.path()))?;
        let port = Ports::new().take()?;
        let arguments = arguments(spec, &program, data.path(), &port)?;
        let log = data.path().join("serve.log");
        let (program, arguments) = limited(spec, program.display().to_string(), arguments);
        let process = Process::start(&group, "fluss serve".to_owned(), program, arguments, log)?;
        process.wait_for_port(port.address(), spec.ready_within)?;
        Ok(Self {
            process,
            users: spec.users(),
            _group: group,
            port,
            data,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where clients connect to, `host:port`.
    pub fn bootstrap(&self) -> String {
        self.address().to_string()
    }

    /// Who may authenticate; nobody has to without SASL.
    pub fn users(&self) -> &'static [User] {
        self.users
    }

    /// The directory with the data, the configuration and the log.
    pub fn directory(&self) -> &Path {
        self.data.path()
    }

    /// Ends it at once (SIGKILL) and returns when it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&self) -> Result<(), Error> {
        self.process.kill()
    }

    /// Stops it with SIGSTOP: connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub fn stop(&self) -> Result<(), Error> {
        self.process.stop()
    }

    /// Lets it go on with SIGCONT.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> Result<(), Error> {
        self.process.resume()
    }

    /// Starts it again on its directory and port, after killing it if it still runs, and waits until it listens.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub fn restart(&self, within: Duration) -> Result<(), Error> {
        self.process.restart()?;
        self.process.wait_for_port(self.address(), within)
    }

    /// The number of its process; another one after [`restart`](Self::restart).
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The command, with a shell around it that limits the descriptors and becomes the program.
fn limited(spec: &Spec, program: String, mut arguments: Vec<String>) -> (String, Vec<String>) {
    let Some(descriptors) = spec.descriptors else {
        return (program, arguments);
    };
    let script = format!(r#"ulimit -n {descriptors} && exec "$0" "$@""#);
    arguments.splice(0..0, ["-c".to_owned(), script, program]);
    ("sh".to_owned(), arguments)
}

/// The arguments of `fluss serve`; the files that they name are written.
fn arguments(spec: &Spec, program: &Path, home: &Path, port: &Port) -> Result<Vec<String>, Error> {
    let path = |name: &str| home.join(name).display().to_string();
    let address = port.address().to_string();
    let config = path("fluss.yaml");
    fs::write(
        &config,
        config::yaml(config::node(spec.users()), &spec.properties),
    )
    .attempt(|| format!("write {config}"))?;
    let mut line = vec!["serve".to_owned(), "--data-dir".to_owned(), path("data")];
    line.extend(["--listen".to_owned(), address, "--config".to_owned(), config]);
    if !spec.users().is_empty() {
        let file = path("users");
        for user in spec.users() {
            add_user(program, &file, user)?;
        }
        line.extend(["--users".to_owned(), file]);
    }
    Ok(line)
}

fn add_user(program: &Path, file: &str, user: &User) -> Result<(), Error> {
    let mut command = Command::new(program);
    command.args(["add-user", file, user.name]);
    let what = format!("adding {} to {file}", user.name);
    run_with_input("fluss", &mut command, user.password, &what).map(drop)
}
