//! Processes that cannot outlive the one that started them.
//!
//! A *guard*, a shell that waits for the end of its input, leads a process group; every server is started into
//! that group. The other end of its input is held by this process alone. When this process ends, in whatever way, the
//! guard reads the end of file and kills the group. (A death signal set in the child would need unsafe code, and would
//! follow the thread that started it.)

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fluss_rpc::sync::{Mutex, MutexGuard};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::error::{Attempt, Error};
use crate::programs::{not_started, tail};

/// Kills from a session of its own, so that the directory can be removed after the group is gone.
const GUARD: &str = r#"cat >/dev/null; exec 0</dev/null
setsid sh -c 'kill -s KILL -- "-$1"; [ -z "$2" ] || rm -rf -- "$2"' sh "$$" "$1""#;

/// How often a port is tried.
const TICK: Duration = Duration::from_millis(20);
/// How long a process may take to end when it is asked to.
const GENTLE: Duration = Duration::from_secs(20);
/// How long one connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// A group of processes that ends with this value, or with this process.
#[derive(Debug)]
pub(crate) struct Group {
    guard: Child,
}

impl Group {
    /// `remove` is the directory that goes with the group if this process dies before it can clean up.
    pub(crate) fn new(remove: Option<&Path>) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "guard"])
            .arg(remove.unwrap_or(Path::new("")));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let guard = command.spawn().map_err(|error| not_started("sh", error))?;
        Ok(Self { guard })
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.guard)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The guard has not been waited for, so its number cannot belong to anyone else.
        let _ = kill_process_group(self.id(), Signal::KILL);
        let _ = self.guard.wait();
    }
}

/// Whether a process takes part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopped,
    Dead,
}

#[derive(Debug)]
struct Incarnation {
    child: Child,
    phase: Phase,
}

/// A server that can be killed, stopped and started again; its output is appended to its log.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    program: String,
    arguments: Vec<String>,
    log: PathBuf,
    group: Pid,
    now: Mutex<Incarnation>,
}

impl Process {
    /// Starts a program in `group`.
    pub(crate) fn start(
        group: &Group,
        name: String,
        program: String,
        arguments: Vec<String>,
        log: PathBuf,
    ) -> Result<Self, Error> {
        let group = group.id();
        let child = spawn(&program, &arguments, &log, group)?;
        let now = Mutex::new(Incarnation {
            child,
            phase: Phase::Running,
        });
        Ok(Self {
            name,
            program,
            arguments,
            log,
            group,
            now,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.now().child.id()
    }

    /// Neither killed nor stopped.
    pub(crate) fn is_running(&self) -> bool {
        self.now().phase == Phase::Running
    }

    /// SIGKILL; returns when the process is gone.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        self.end(&mut self.now())
    }

    /// SIGTERM: the process writes down what it has. Returns when it is gone; it is killed if that takes too long.
    pub(crate) fn end_gently(&self) -> Result<(), Error> {
        let mut now = self.now();
        self.signal(&mut now, Signal::TERM, Phase::Dead)?;
        let begun = Instant::now();
        while begun.elapsed() < GENTLE {
            let ended = now
                .child
                .try_wait()
                .attempt(|| format!("wait for {}", self.name))?;
            if ended.is_some() {
                return Ok(());
            }
            thread::sleep(TICK);
        }
        self.end(&mut now)
    }

    /// SIGSTOP: connections stay open and nobody answers. Returns when every thread has stopped.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        let mut now = self.now();
        self.signal(&mut now, Signal::STOP, Phase::Stopped)?;
        let process = WaitId::Pid(Pid::from_child(&now.child));
        // The status stays, so that one who stops it twice does not wait for a second one.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        retry_on_intr(|| waitid(process.clone(), stopped))
            .map_err(Into::into)
            .attempt(|| format!("wait until {} has stopped", self.name))?;
        Ok(())
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.signal(&mut self.now(), Signal::CONT, Phase::Running)
    }

    /// Kills what still runs and starts it again.
    pub(crate) fn restart(&self) -> Result<(), Error> {
        let mut now = self.now();
        self.end(&mut now)?;
        let child = spawn(&self.program, &self.arguments, &self.log, self.group)?;
        *now = Incarnation {
            child,
            phase: Phase::Running,
        };
        Ok(())
    }

    /// Fails if the process ended although nobody asked it to.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut now = self.now();
        if now.phase == Phase::Dead {
            return Ok(());
        }
        let ended = now
            .child
            .try_wait()
            .attempt(|| format!("look after {}", self.name))?;
        ended.map_or(Ok(()), |status| Err(self.ended(status)))
    }

    /// Waits until something listens at the address where it is to listen.
    pub(crate) fn wait_for_port(&self, address: SocketAddr, within: Duration) -> Result<(), Error> {
        let begun = Instant::now();
        while TcpStream::connect_timeout(&address, CONNECT).is_err() {
            self.check()?;
            if begun.elapsed() >= within {
                return Err(Error::NotReady {
                    waited: within,
                    state: format!("nothing listens on {address}"),
                    logs: self.log_tail(),
                });
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// The end of its log, under its name.
    pub(crate) fn log_tail(&self) -> String {
        format!("--- {}\n{}", self.name, tail(&self.log))
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Ended {
            name: self.name.clone(),
            status,
            log: tail(&self.log),
        }
    }

    fn end(&self, now: &mut Incarnation) -> Result<(), Error> {
        now.phase = Phase::Dead;
        now.child
            .kill()
            .and_then(|()| now.child.wait())
            .attempt(|| format!("kill {}", self.name))?;
        Ok(())
    }

    fn signal(&self, now: &mut Incarnation, signal: Signal, phase: Phase) -> Result<(), Error> {
        if now.phase == Phase::Dead {
            return Err(Error::NotRunning {
                name: self.name.clone(),
            });
        }
        kill_process(Pid::from_child(&now.child), signal)
            .map_err(Into::into)
            .attempt(|| format!("signal {}", self.name))?;
        now.phase = phase;
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Incarnation> {
        self.now.lock()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(program: &str, arguments: &[String], log: &Path, group: Pid) -> Result<Child, Error> {
    let open = || OpenOptions::new().create(true).append(true).open(log);
    let output: File = open().attempt(|| format!("open {}", log.display()))?;
    let errors = output.try_clone().attempt(|| format!("open {}", log.display()))?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(group.as_raw_nonzero().get())
        .spawn()
        .map_err(|error| not_started(program, error))
}
