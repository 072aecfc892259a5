//! `fluss user`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use fluss_client::{Connection, Credentials, Outcome};

use crate::Server;

const PASSWORD: &str = "open sesame";

/// What the program said: its code, its output, its errors.
struct Said {
    succeeded: bool,
    out: String,
    errors: String,
}

impl Said {
    /// What it was refused for. No password is in it.
    fn refusal(&self) -> &str {
        assert!(!self.succeeded, "{}", self.out);
        assert_eq!(self.out, "");
        assert!(!self.errors.contains(PASSWORD), "{}", self.errors);
        self.errors.trim_end()
    }

    fn output(&self) -> &str {
        assert!(self.succeeded, "{}", self.errors);
        assert_eq!(self.errors, "");
        &self.out
    }
}

/// Runs `fluss user` with a password on its standard input.
fn user(arguments: &[&str]) -> Said {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fluss"))
        .arg("user")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    // One that refuses its arguments does not read on.
    let _ = writeln!(input, "{PASSWORD}");
    drop(input);
    let ended = program.wait_with_output().unwrap();
    Said {
        succeeded: ended.status.success(),
        out: String::from_utf8(ended.stdout).unwrap(),
        errors: String::from_utf8(ended.stderr).unwrap(),
    }
}

/// Whether somebody is let in.
async fn logs_in(server: &Server, name: &str, password: &str) -> bool {
    let connection = Connection::builder(&server.target).credentials(Credentials::plain(name, password));
    match connection.connect().await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.outcome(), Outcome::Unauthenticated, "{error}");
            false
        }
    }
}

/// The first user is created while nobody has the directory; that one creates others while the node runs.
#[tokio::test]
async fn users_are_created_altered_listed_and_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let stopped = format!("embedded:{}", directory.path().join("data").display());
    assert_eq!(user(&["create", &stopped, "alice"]).output(), "");
    assert_eq!(user(&["list", &stopped]).output(), "alice\tcatalog\n");

    // Whoever has users is asked, although nothing says so.
    let server = Server::start::<&str>(directory.path(), &[]);
    let in_use = user(&["create", &stopped, "bob"]);
    assert!(
        in_use.refusal().contains("in use by another process"),
        "{}",
        in_use.errors
    );
    assert!(logs_in(&server, "alice", PASSWORD).await && !logs_in(&server, "alice", "guess").await);
    let nobody = user(&["list", &server.target]);
    assert!(
        nobody.refusal().contains("AUTHENTICATE_EXCEPTION"),
        "{}",
        nobody.errors
    );

    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let secret = secret.display().to_string();
    let as_alice = |arguments: &[&str]| {
        let login = ["--login", "alice", "--password-file", &secret];
        user(&[arguments, &login].concat())
    };
    assert_eq!(as_alice(&["create", &server.target, "bob"]).output(), "");
    let twice = as_alice(&["create", &server.target, "bob"]);
    assert!(
        twice.refusal().contains(r#"user "bob" exists"#),
        "{}",
        twice.errors
    );
    assert_eq!(
        as_alice(&["create", &server.target, "bob", "--if-not-exists"]).output(),
        ""
    );
    assert_eq!(
        as_alice(&["list", &server.target]).output(),
        "alice\tcatalog\nbob\tcatalog\n"
    );
    assert!(logs_in(&server, "bob", PASSWORD).await);
    let connection = Connection::builder(&server.target).credentials(Credentials::plain("bob", PASSWORD));
    let bob = connection.connect().await.unwrap();
    bob.admin().alter_user("bob", "other", false).await.unwrap();
    assert!(!logs_in(&server, "bob", PASSWORD).await);
    assert_eq!(as_alice(&["alter", &server.target, "bob"]).output(), "");
    assert!(logs_in(&server, "bob", PASSWORD).await);
    assert_eq!(as_alice(&["drop", &server.target, "bob"]).output(), "");
    assert!(!logs_in(&server, "bob", PASSWORD).await);
    let gone = as_alice(&["drop", &server.target, "bob"]);
    assert!(gone.refusal().contains("does not exist"), "{}", gone.errors);
    assert_eq!(
        as_alice(&["drop", &server.target, "bob", "--if-exists"]).output(),
        ""
    );
}

#[test]
fn a_password_is_no_argument() {
    let refused = user(&[
        "list",
        &format!("fluss://root:{PASSWORD}@127.0.0.1:1").replace(' ', "%20"),
    ]);
    assert!(
        refused.refusal().contains("--password-file"),
        "{}",
        refused.errors
    );
    let refused = user(&["list", "fluss://127.0.0.1:1?security.sasl.password=open%20sesame"]);
    assert!(
        refused.refusal().contains("--password-file"),
        "{}",
        refused.errors
    );
}

#[tokio::test]
async fn a_node_without_users_says_how_to_have_some() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(directory.path(), &[]);
    let refused = user(&["create", &server.target, "alice"]);
    let text = refused.refusal();
    assert!(text.contains("--login") && text.contains("--users"), "{text}");
    drop(server);

    let server = Server::start(directory.path(), &["--login"]);
    assert!(!logs_in(&server, "alice", PASSWORD).await);
    assert!(Connection::builder(&server.target).connect().await.is_err());
}

#[test]
fn a_name_is_in_the_file_or_in_the_catalog() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    user(&["create", &format!("embedded:{}", data.display()), "alice"]).output();
    let file = directory.path().join("users");
    add_user(&file, "alice");
    let mut program = Command::new(env!("CARGO_BIN_EXE_fluss"));
    let started = program.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    let started = started.arg(&data).arg("--users").arg(&file).output().unwrap();
    let told = String::from_utf8(started.stderr).unwrap();
    assert!(!started.status.success(), "{told}");
    assert!(
        told.contains(r#"user "alice" is in the users file, too"#),
        "{told}"
    );
}

fn add_user(file: &Path, name: &str) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fluss"));
    let program = program.arg("add-user").arg(file).arg(name);
    let mut program = program.stdin(Stdio::piped()).spawn().unwrap();
    writeln!(program.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(program.wait().unwrap().success());
}
