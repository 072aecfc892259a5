//! What is promised where, and what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use fluss_rpc::sync::Mutex;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::place::Backend;

/// The backends of a test.
#[derive(Clone, Copy)]
pub(crate) struct On {
    backends: &'static [Backend],
    /// Whether it needs Java even where the backend does not.
    java: bool,
}

/// On every backend.
pub(crate) const EVERYWHERE: On = on(Backend::ALL);
/// Tests of who logs in: in one process there is nobody else.
pub(crate) const SERVERS: On = on(&[Backend::Serve, Backend::Cluster]);
/// Tests with the Java client, which wants an address.
pub(crate) const JAVA: On = On {
    java: true,
    ..SERVERS
};
/// Once, for it brings its own server.
pub(crate) const ONCE: On = on(&[Backend::Memory]);
/// Tests of what came with 1.0, of which no server is published.
pub(crate) const NODES: On = on(&[Backend::Memory, Backend::Directory, Backend::Serve]);
/// Tests of `fluss serve` as a process.
pub(crate) const SERVE: On = on(&[Backend::Serve]);
/// Tests of the files of a node.
pub(crate) const DIRECTORIES: On = on(&[Backend::Directory, Backend::Serve]);
/// Tests of servers that stop and die.
pub(crate) const CLUSTER: On = on(&[Backend::Cluster]);

const fn on(backends: &'static [Backend]) -> On {
    On {
        backends,
        java: false,
    }
}

/// Something that is promised.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) on: On,
    pub(crate) run: fn(Backend),
}

/// The tests of a module: for each list of backends a list of functions.
macro_rules! tests {
    ($($on:expr => [$($name:ident),+ $(,)?]),+ $(,)?) => {
        pub(crate) const TESTS: &[$crate::suite::Test] = &[$($($crate::suite::Test {
            name: concat!(module_path!(), "::", stringify!($name)),
            on: $on,
            run: $name,
        }),+),+];
    };
}
pub(crate) use tests;

impl Test {
    /// Its module and its name.
    fn title(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(_, title)| title)
    }

    /// What has to be installed for it, and is not.
    fn lacks(&self, backend: Backend) -> Option<&'static str> {
        static JAVA: LazyLock<bool> = LazyLock::new(fluss_cluster::has_java);
        let needs_java = self.on.java || backend == Backend::Cluster;
        (needs_java && !*JAVA).then_some("there is no Java")
    }

    /// Left out where something is not installed, which a CI may not be content with.
    fn attempt(&self, backend: Backend) -> Result<Completion, Failed> {
        match self.lacks(backend) {
            Some(reason) if std::env::var_os("CI").is_some() => Err(reason.into()),
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => {
                (self.run)(backend);
                Ok(Completion::Completed)
            }
        }
    }
}

/// What became of a test on a backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    LeftOut,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::LeftOut => "left out",
        })
    }
}

/// By test and backend.
type Outcomes = Arc<Mutex<BTreeMap<(&'static str, Backend), Outcome>>>;

/// Runs the tests that the command line asks for, and prints a table of what came of them.
pub(crate) fn run(modules: &[&'static [Test]]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(threads);
    SHOW_NOTES.store(arguments.nocapture, Ordering::Relaxed);
    let outcomes = Outcomes::default();
    let tests: Vec<Test> = modules.concat();
    let trials = Backend::ALL.iter().flat_map(|backend| {
        let tests = tests.iter().filter(|test| test.on.backends.contains(backend));
        tests.map(|test| trial(*test, *backend, outcomes.clone()))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if !arguments.list {
        print(&tests, &outcomes.lock());
    }
    conclusion.exit_code()
}

/// Servers take their time to start and to find a leader: while some tests wait for theirs, others go on.
fn threads() -> usize {
    available_parallelism().map_or(1, NonZero::get) * 3 / 2
}

fn trial(test: Test, backend: Backend, outcomes: Outcomes) -> Trial {
    Trial::ignorable_test(format!("{backend}::{}", test.title()), move || {
        let attempted = catch_unwind(AssertUnwindSafe(|| test.attempt(backend)));
        let outcome = match &attempted {
            Ok(Ok(Completion::Completed)) => Outcome::Passed,
            Ok(Ok(Completion::Ignored { .. })) => Outcome::LeftOut,
            Ok(Err(_)) | Err(_) => Outcome::Failed,
        };
        show_notes(outcome);
        let mut outcomes = outcomes.lock();
        outcomes.insert((test.name, backend), outcome);
        attempted.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// One line for each test that was run anywhere, one column for each backend, and sums below.
fn print(tests: &[Test], outcomes: &BTreeMap<(&'static str, Backend), Outcome>) {
    print_line(|backend| backend.to_string(), "");
    for test in tests {
        let outcome = |backend| outcomes.get(&(test.name, backend));
        if Backend::ALL.iter().any(|backend| outcome(*backend).is_some()) {
            print_line(
                |backend| outcome(backend).map_or("-".to_owned(), Outcome::to_string),
                test.title(),
            );
        }
    }
    for wanted in [Outcome::Passed, Outcome::Failed, Outcome::LeftOut] {
        let count = |backend| {
            let is_counted =
                |((_, on), outcome): &(&(_, Backend), &Outcome)| *on == backend && **outcome == wanted;
            outcomes.iter().filter(is_counted).count()
        };
        print_line(|backend| count(backend).to_string(), &wanted.to_string());
    }
    println!();
}

fn print_line(cell: impl Fn(Backend) -> String, title: &str) {
    let cells: Vec<_> = Backend::ALL.iter().map(|backend| cell(*backend)).collect();
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<11}")).collect();
    println!("{}", format!("{}{title}", cells.concat()).trim_end());
}

static SHOW_NOTES: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// What the test on this thread has said.
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Says something about the course of a test, which is shown if it fails, or with `--nocapture`.
pub(crate) fn note(what: &dyn Display) {
    if SHOW_NOTES.load(Ordering::Relaxed) {
        println!("{what}");
    } else {
        NOTES.with_borrow_mut(|notes| notes.push(what.to_string()));
    }
}

/// Shows or forgets what a test has said.
fn show_notes(outcome: Outcome) {
    for note in NOTES.take() {
        if outcome == Outcome::Failed {
            eprintln!("{note}");
        }
    }
}
