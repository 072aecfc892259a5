//! A running cluster.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::config::{self, Listeners, Properties};
use crate::error::{Attempt, Error};
use crate::front;
use crate::jars::Jars;
use crate::ports::{Port, Ports};
use crate::probe::{Members, has_default_database, members};
use crate::process::{Group, Process};
use crate::programs::java_tool;
use crate::replicas::leaders_in_sync;
use crate::server::{Role, Server};
use crate::spec::{Spec, User};
use crate::zookeeper::Session;

const ZOOKEEPER: &str =
    "org.apache.fluss.shaded.zookeeper3.org.apache.zookeeper.server.quorum.QuorumPeerMain";
const COORDINATOR: &str = "org.apache.fluss.server.coordinator.CoordinatorServer";
const TABLET_SERVER: &str = "org.apache.fluss.server.tablet.TabletServer";

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long one server may take for one answer; it is asked again then.
const ANSWER: Duration = Duration::from_secs(2);

/// A cluster that ends when this is dropped, with everything that it wrote.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: first the processes, then the group with its guard, then their data.
    tablet_servers: Vec<Server>,
    coordinator: Server,
    zookeeper: Process,
    users: &'static [User],
    _group: Group,
    zookeeper_port: Port,
    data: TempDir,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// When `java` or the jars cannot be had, or a process ends, or the cluster is not ready in time; the end of the
    /// logs is part of the error.
    pub fn start(spec: Spec) -> Result<Self, Error> {
        Launch::new(spec)?.launch()
    }

    /// The client addresses of every server, `host:port` with commas between.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .servers()
            .map(|server| server.address().to_string())
            .collect();
        addresses.join(",")
    }

    /// The coordinator.
    pub fn coordinator(&self) -> &Server {
        &self.coordinator
    }

    /// The tablet servers, by id from 0.
    pub fn tablet_servers(&self) -> &[Server] {
        &self.tablet_servers
    }

    /// The tablet server with this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn tablet_server(&self, id: u32) -> Result<&Server, Error> {
        self.tablet_servers.get(id as usize).ok_or(Error::NoSuchServer {
            role: Role::TabletServer(id),
        })
    }

    /// The server with this role.
    ///
    /// # Errors
    /// When there is none.
    pub fn server(&self, role: Role) -> Result<&Server, Error> {
        match role {
            Role::Coordinator => Ok(&self.coordinator),
            Role::TabletServer(id) => self.tablet_server(id),
        }
    }

    /// Who may authenticate; nobody has to without SASL.
    pub fn users(&self) -> &'static [User] {
        self.users
    }

    /// Coordinator and tablet servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.coordinator).chain(&self.tablet_servers)
    }

    /// The directory with the data and, in `logs`, the output of every process.
    pub fn directory(&self) -> &Path {
        self.data.path()
    }

    /// Waits until every running server names every running server and no other tablet server.
    ///
    /// After a kill or a stop that is when the others have noticed, some four seconds later.
    ///
    /// # Errors
    /// When that does not happen in time, or a process ends by itself.
    pub fn wait_ready(&self, within: Duration) -> Result<(), Error> {
        self.wait_until(within, Self::agreement)
    }

    /// Waits until every replica of every bucket of a table without partitions is in sync, and returns the leaders of the
    /// buckets, by the buckets' numbers. If any one server is killed now, another can take its place.
    ///
    /// A server that was killed counts as in sync until the others have noticed: see [`wait_ready`](Self::wait_ready).
    ///
    /// # Errors
    /// When that does not happen in time, or a process ends by itself.
    pub fn wait_in_sync(&self, table_id: i64, within: Duration) -> Result<Vec<u32>, Error> {
        let mut zookeeper = Session::open(self.zookeeper_port.address(), ANSWER)
            .attempt(|| "read what ZooKeeper keeps".to_owned())?;
        self.wait_until(within, |_| leaders_in_sync(&mut zookeeper, table_id))
    }

    /// Waits until `look` finds something instead of what is still missing.
    fn wait_until<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&Self) -> Result<T, String>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        loop {
            self.check_processes()?;
            let state = match look(self) {
                Ok(found) => return Ok(found),
                Err(state) => state,
            };
            if begun.elapsed() >= within {
                return Err(Error::NotReady {
                    waited: within,
                    state,
                    logs: self.log_tails(),
                });
            }
            thread::sleep(TICK);
        }
    }

    /// Every running server sees the cluster as it is; else the first that does not, and how it sees it.
    fn agreement(&self) -> Result<(), String> {
        let expected = self.running();
        self.servers()
            .filter(|server| server.is_running())
            .try_for_each(|server| match members(server.internal_address(), ANSWER) {
                Ok(seen)
                    if seen.tablet_servers == expected.tablet_servers
                        && seen.coordinator >= expected.coordinator =>
                {
                    Ok(())
                }
                Ok(seen) => Err(format!("{} knows {seen:?}", server.role())),
                Err(error) => Err(format!("{} does not answer ({error})", server.role())),
            })
    }

    /// The coordinator creates the first database a moment after it answers for the first time.
    fn default_database(&self) -> Result<(), String> {
        match has_default_database(self.coordinator.internal_address(), ANSWER) {
            Ok(true) => Ok(()),
            Ok(false) => Err("there is no database yet".to_owned()),
            Err(error) => Err(format!("the coordinator does not answer ({error})")),
        }
    }

    fn running(&self) -> Members {
        let tablet_servers = (0..)
            .zip(&self.tablet_servers)
            .filter(|(_, server)| server.is_running());
        Members {
            coordinator: self.coordinator.is_running(),
            tablet_servers: tablet_servers.map(|(id, _)| id).collect(),
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.zookeeper).chain(self.servers().flat_map(Server::processes))
    }

    fn check_processes(&self) -> Result<(), Error> {
        self.processes().try_for_each(Process::check)
    }

    fn log_tails(&self) -> String {
        self.processes()
            .map(Process::log_tail)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// What the start of a cluster needs in every step.
struct Launch {
    spec: Spec,
    class_path: String,
    ports: Ports,
    data: TempDir,
    group: Group,
}

impl Launch {
    fn new(spec: Spec) -> Result<Self, Error> {
        let jars = Jars::fetch()?;
        let plugins = spec.plugins.iter().map(|name| jars.plugin(name));
        let jars = std::iter::once(jars.server_class_path()).chain(plugins);
        let class_path = jars.collect::<Result<Vec<_>, _>>()?.join(":");
        let data = tempfile::Builder::new()
            .prefix("fluss-cluster-")
            .disable_cleanup(spec.keep_data)
            .tempdir()
            .attempt(|| "create a temporary directory".to_owned())?;
        let group = Group::new((!spec.keep_data).then(|| data.path()))?;
        Ok(Self {
            spec,
            class_path,
            ports: Ports::new(),
            data,
            group,
        })
    }

    fn launch(mut self) -> Result<Cluster, Error> {
        create(&self.data.path().join("logs"))?;
        let zookeeper_port = self.ports.take()?;
        let zookeeper = self.zookeeper(&zookeeper_port)?;
        let coordinator = self.server(Role::Coordinator, &zookeeper_port)?;
        let tablet_servers: Result<_, Error> = (0..self.spec.tablet_servers)
            .map(|id| self.server(Role::TabletServer(id), &zookeeper_port))
            .collect();
        let within = self.spec.ready_within;
        let cluster = Cluster {
            tablet_servers: tablet_servers?,
            coordinator,
            zookeeper,
            users: self.spec.users(),
            _group: self.group,
            zookeeper_port,
            data: self.data,
        };
        cluster.wait_ready(within)?;
        cluster.wait_until(within, Cluster::default_database)?;
        Ok(cluster)
    }

    /// Starts ZooKeeper and waits for its port: the other servers give up when they do not find it.
    fn zookeeper(&self, port: &Port) -> Result<Process, Error> {
        let home = self.data.path().join("zookeeper");
        create(&home)?;
        let file = home.join("zoo.cfg");
        write(&file, &config::zookeeper(&home, port))?;
        let process = self.java("zookeeper", 128, ZOOKEEPER, &[file.display().to_string()])?;
        process.wait_for_port(port.address(), self.spec.ready_within)?;
        Ok(process)
    }

    fn server(&mut self, role: Role, zookeeper: &Port) -> Result<Server, Error> {
        let home = self.data.path().join(role.to_string());
        create(&home)?;
        let listeners = self.listeners()?;
        let front = self.front(role, &listeners)?;
        let properties = self.properties(role, &home, zookeeper, &listeners);
        let file = home.join("server.yaml");
        write(&file, &config::yaml(properties, &self.spec.properties))?;
        let main = match role {
            Role::Coordinator => COORDINATOR,
            Role::TabletServer(_) => TABLET_SERVER,
        };
        let arguments = ["--configDir".to_owned(), home.display().to_string()];
        let process = self.java(&role.to_string(), self.spec.heap_mib, main, &arguments)?;
        Ok(Server::new(role, listeners, file, process, front))
    }

    fn properties(&self, role: Role, home: &Path, zookeeper: &Port, listeners: &Listeners) -> Properties {
        let remote = self.data.path().join("remote");
        let mut properties = config::server(&self.spec, zookeeper, listeners, &remote);
        if let Role::TabletServer(id) = role {
            config::tablet_server(&mut properties, id, &home.join("data"));
        }
        properties
    }

    fn listeners(&mut self) -> Result<Listeners, Error> {
        let client = self.ports.take()?;
        let mut take = |is_wanted: bool| is_wanted.then(|| self.ports.take()).transpose();
        Ok(Listeners {
            client,
            internal: take(self.spec.has_internal_listener())?,
            front: take(self.spec.tls.is_some())?,
        })
    }

    /// Starts the proxy before a server, if there is to be one, and waits for its port: it is up before its server is.
    fn front(&self, role: Role, listeners: &Listeners) -> Result<Option<Process>, Error> {
        let (Some(tls), Some(port)) = (&self.spec.tls, &listeners.front) else {
            return Ok(None);
        };
        let data = self.data.path();
        let process = front::start(
            &self.group,
            &format!("front-of-{role}"),
            data,
            &data.join("logs"),
            tls,
            port,
            listeners.client.address(),
        )?;
        process.wait_for_port(port.address(), self.spec.ready_within)?;
        Ok(Some(process))
    }

    fn java(&self, name: &str, heap_mib: u32, main: &str, arguments: &[String]) -> Result<Process, Error> {
        let mut line = vec![format!("-Xmx{heap_mib}m"), "-XX:+UseSerialGC".to_owned()];
        if !self.spec.optimized {
            line.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        line.extend_from_slice(&self.spec.jvm_options);
        // The shaded Arrow and Netty reach into these packages.
        line.extend(
            ["java.nio", "java.lang", "java.util"]
                .map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")),
        );
        // A server unpacks a native library of 11 MB, which a killed one leaves behind.
        line.push(format!("-Djava.io.tmpdir={}", self.data.path().display()));
        line.push("-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned());
        line.extend(["-cp".to_owned(), self.class_path.clone(), main.to_owned()]);
        line.extend_from_slice(arguments);
        let log = self.data.path().join("logs").join(format!("{name}.log"));
        Process::start(&self.group, name.to_owned(), java_tool("java"), line, log)
    }
}

fn create(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).attempt(|| format!("create {}", directory.display()))
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    fs::write(file, text).attempt(|| format!("write {}", file.display()))
}
