//! The jars of the servers and of the Java peer, fetched once with Maven.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::{Attempt, Error};
use crate::programs::{java_tool, run};

/// The version of Apache Fluss that the cluster runs.
pub const FLUSS_VERSION: &str = "0.9.1-incubating";

/// A published Java client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum JavaClient {
    /// That of the cluster's version.
    #[default]
    Own,
    /// That of 1.0.0, of which no server is published.
    V1_0,
}

/// The version of [`JavaClient::V1_0`].
const NEXT_VERSION: &str = "1.0.0";

const POM: &str = include_str!("../pom.xml");

/// Where the jars are.
#[derive(Debug, Clone)]
pub struct Jars {
    cache: PathBuf,
    directory: PathBuf,
}

impl Jars {
    /// Finds the jars in `$FLUSS_CLUSTER_CACHE`, or in `.cache/fluss-cluster` of the repository, or fetches them there.
    ///
    /// Whoever comes second waits for the first.
    ///
    /// # Errors
    /// When Maven is missing or fails, or the cache cannot be written.
    pub fn fetch() -> Result<Self, Error> {
        let cache = cache_directory();
        fs::create_dir_all(&cache).attempt(|| format!("create {}", cache.display()))?;
        let _lock = lock(&cache.join("lock"))?;
        let directory = cache.join(format!("jars-{FLUSS_VERSION}"));
        if !directory.is_dir() {
            copy_from_maven(&cache, &directory)?;
        }
        Ok(Self { cache, directory })
    }

    /// The class path of the servers.
    ///
    /// # Errors
    /// When a jar is missing.
    pub fn server_class_path(&self) -> Result<String, Error> {
        self.class_path(&["fluss-server-", "slf4j-simple-"])
    }

    /// The class path of programs on the Java client.
    ///
    /// # Errors
    /// When a jar is missing.
    pub fn client_class_path(&self) -> Result<String, Error> {
        self.class_path(&["fluss-client-", "slf4j-simple-"])
    }

    /// Compiles one Java source file against a Java client, once, and returns the class path to run it with.
    ///
    /// # Errors
    /// When `javac` is missing or finds a mistake, or the source cannot be read; when the client cannot be fetched.
    pub fn compile(&self, source: &Path, client: JavaClient) -> Result<String, Error> {
        let jars = match client {
            JavaClient::Own => self.client_class_path()?,
            JavaClient::V1_0 => {
                let client = self.artifact("fluss-client", NEXT_VERSION)?;
                format!("{client}:{}", self.jar("slf4j-simple-")?)
            }
        };
        let text = fs::read(source).attempt(|| format!("read {}", source.display()))?;
        // What was compiled is never written again: programs that run load their classes when they need them.
        let mut hasher = DefaultHasher::new();
        (text, &jars).hash(&mut hasher);
        let classes = self.cache.join(format!("classes-{:016x}", hasher.finish()));
        let _lock = lock(&self.cache.join("lock"))?;
        if !classes.is_dir() {
            let staging = staging_in(&self.cache)?;
            let compiled = staging.path().join("classes");
            let mut javac = Command::new(java_tool("javac"));
            let javac = javac.args(["-nowarn", "-d"]).arg(&compiled);
            let javac = javac.arg("-cp").arg(&jars).arg(source);
            run("javac", javac, &format!("compiling {}", source.display()))?;
            fs::rename(&compiled, &classes).attempt(|| format!("rename to {}", classes.display()))?;
        }
        Ok(format!("{}:{jars}", classes.display()))
    }

    /// The jar of a plugin of the servers, such as `fluss-fs-s3`; fetched when it is asked for the first time.
    ///
    /// # Errors
    /// When Maven is missing or does not know it, or the cache cannot be written.
    pub fn plugin(&self, name: &str) -> Result<String, Error> {
        self.artifact(name, FLUSS_VERSION)
    }

    /// A jar of a version, fetched when it is asked for the first time.
    fn artifact(&self, name: &str, version: &str) -> Result<String, Error> {
        let _lock = lock(&self.cache.join("lock"))?;
        let directory = self.cache.join(format!("plugins-{version}"));
        let jar = directory.join(format!("{name}-{version}.jar"));
        if !jar.is_file() {
            fs::create_dir_all(&directory).attempt(|| format!("create {}", directory.display()))?;
            copy_artifact(&self.cache, name, version, &jar)?;
        }
        Ok(jar.display().to_string())
    }

    fn class_path(&self, prefixes: &[&'static str]) -> Result<String, Error> {
        let jars: Result<Vec<String>, Error> = prefixes.iter().map(|prefix| self.jar(prefix)).collect();
        Ok(jars?.join(":"))
    }

    fn jar(&self, prefix: &'static str) -> Result<String, Error> {
        let entries =
            fs::read_dir(&self.directory).attempt(|| format!("read {}", self.directory.display()))?;
        entries
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().display().to_string())
            .ok_or_else(|| Error::MissingJar {
                prefix,
                directory: self.directory.clone(),
            })
    }
}

fn cache_directory() -> PathBuf {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/fluss-cluster");
    std::env::var_os("FLUSS_CLUSTER_CACHE").map_or_else(|| repository.into(), PathBuf::from)
}

/// Where something is prepared that appears at once, and whole.
fn staging_in(cache: &Path) -> Result<TempDir, Error> {
    tempfile::tempdir_in(cache).attempt(|| format!("create a directory in {}", cache.display()))
}

/// Holds the lock for as long as the file is open.
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).attempt(|| format!("create {}", path.display()))?;
    file.lock().attempt(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// Copies into a directory beside the final one and renames it, so that half a copy is never taken for a whole one.
fn copy_from_maven(cache: &Path, directory: &Path) -> Result<(), Error> {
    let staging = staging_in(cache)?;
    let pom = staging.path().join("pom.xml");
    fs::write(&pom, POM).attempt(|| format!("write {}", pom.display()))?;
    let copies = staging.path().join("jars");
    let mut maven = Command::new("mvn");
    maven.args([
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DexcludeTransitive=true",
    ]);
    maven
        .arg("-f")
        .arg(&pom)
        .arg(format!("-Dfluss.version={FLUSS_VERSION}"));
    maven.arg(format!("-DoutputDirectory={}", copies.display()));
    run("mvn", &mut maven, "fetching the jars of Apache Fluss with Maven")?;
    fs::rename(&copies, directory).attempt(|| format!("rename to {}", directory.display()))
}

/// As [`copy_from_maven`], one jar.
fn copy_artifact(cache: &Path, name: &str, version: &str, jar: &Path) -> Result<(), Error> {
    let staging = staging_in(cache)?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "dependency:copy"])
        .arg(format!("-Dartifact=org.apache.fluss:{name}:{version}"))
        .arg(format!("-DoutputDirectory={}", staging.path().display()));
    run("mvn", &mut maven, &format!("fetching {name} with Maven"))?;
    let copy = staging.path().join(format!("{name}-{version}.jar"));
    fs::rename(&copy, jar).attempt(|| format!("rename to {}", jar.display()))
}
