//! Servers that are found again: behind names with addresses that lead nowhere, at other addresses, and where others were.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fluss_client::types::{DataType, Datum, Schema};
use fluss_client::{
    AppendWriter, BucketAssigner, ClientOptions, Connection, ErrorCode, LogScanner, Lookuper, ServerAddress,
    StartOffset, Table, UpsertWriter,
};
use fluss_cluster::{Role, Spec};
use fluss_rpc::net::{Finding, Names, Tcp, Transport};
use fluss_rpc::sync::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::Found;
use crate::{
    Backend, CLUSTER, PATIENCE, Place, SERVE, SERVERS, create, note, options, run, start, start_alone, tests,
};

tests! {
    CLUSTER => [
        two_tablet_servers_that_swap_their_addresses_are_found_again,
        a_coordinator_and_a_tablet_server_that_swap_their_addresses_are_found_again,
    ],
    SERVERS => [
        an_address_that_leads_nowhere_costs_no_timeout,
        servers_that_move_to_another_address_are_found_again,
    ],
    SERVE => [
        a_node_in_the_place_of_another_gets_nothing_that_was_for_it,
        a_way_that_was_lost_while_nobody_used_it_costs_no_call,
    ],
}

/// Far more than anything takes that waits for no timeout, and far less than those of `patient`.
const NO_TIMEOUT: Duration = Duration::from_secs(20);

/// Options with timeouts that no test waits for.
fn patient(place: &Place) -> ClientOptions {
    let mut options = options(place);
    options.connect_timeout = 10 * NO_TIMEOUT;
    options.request_timeout = 10 * NO_TIMEOUT;
    options.discovery.timeout = 10 * NO_TIMEOUT;
    options
}

/// The addresses that every host has.
#[derive(Clone, Debug, Default)]
struct Hosts(Arc<Mutex<Vec<IpAddr>>>);

impl Hosts {
    /// Has options go by these addresses.
    fn lead(options: &mut ClientOptions, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let hosts = Self::default();
        hosts.set(addresses);
        options.transport = Transport::stream(Tcp::with_names(hosts.clone()));
        hosts
    }

    fn set(&self, addresses: impl IntoIterator<Item = Ipv4Addr>) {
        *self.0.lock() = addresses.into_iter().map(IpAddr::V4).collect();
    }
}

impl Names for Hosts {
    fn find<'a>(&'a self, _host: &'a str, port: u16) -> Finding<'a> {
        let addresses = self.0.lock().clone();
        let addresses = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port));
        let addresses = addresses.collect();
        Box::pin(async { Ok(addresses) })
    }
}

/// Another address of this machine.
const fn loopback(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, last)
}

/// The ports of all servers.
fn ports(place: &Place) -> Vec<u16> {
    let bootstrap = place.bootstrap();
    let ports = bootstrap
        .split(',')
        .map(|server| server.rsplit_once(':').unwrap().1);
    ports.map(|port| port.parse().unwrap()).collect()
}

/// An address at which nobody ever answers: one connection waits to be accepted, and the system drops who comes then.
struct Nowhere {
    _listener: TcpListener,
    _waiting: TcpStream,
}

impl Nowhere {
    async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let waiting = TcpStream::connect(address).await.unwrap();
        let other = timeout(Duration::from_millis(300), TcpStream::connect(address)).await;
        assert!(other.is_err(), "somebody answers at {address}: {other:?}");
        Self {
            _listener: listener,
            _waiting: waiting,
        }
    }
}

fn an_address_that_leads_nowhere_costs_no_timeout(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut nowhere = Vec::new();
        for port in ports(&place) {
            nowhere.push(Nowhere::at((loopback(2), port).into()).await);
        }
        let dead = nowhere.iter().zip(ports(&place));
        let dead: Vec<_> = dead
            .map(|(_, port)| ServerAddress::new("127.0.0.2", port))
            .collect();
        for (what, discover, behind) in [
            ("a name", false, Vec::new()),
            ("each address of a name", true, Vec::new()),
            ("a list", false, dead),
        ] {
            let mut options = patient(&place);
            if behind.is_empty() {
                Hosts::lead(&mut options, [loopback(2), Ipv4Addr::LOCALHOST]);
            }
            options.discover = discover;
            options.bootstrap_servers.extend(behind);
            let begun = Instant::now();
            let connection = Connection::open(options).await.unwrap();
            let connected = begun.elapsed();
            note(&format_args!("{what}: connected after {connected:.1?}"));
            let mut tables = Tables::create(&connection).await;
            let begun = Instant::now();
            tables.exchange().await;
            assert!(connected + begun.elapsed() < NO_TIMEOUT, "{what}");
            connection.shut_down().await.unwrap();
        }
    });
}

/// What a client has, of a log and a table of keys.
struct Tables {
    connection: Connection,
    log: Table,
    keyed: Table,
    appends: AppendWriter,
    scanner: LogScanner,
    upserts: UpsertWriter,
    lookuper: Lookuper,
    written: BTreeSet<i64>,
    found: Found,
}

const BUCKETS: i32 = 4;
const ROWS: i64 = 100;

impl Tables {
    async fn create(connection: &Connection) -> Self {
        let log = create(connection, super::numbers(), BUCKETS, &[]).await;
        let keyed = Schema::builder()
            .column("id", DataType::big_int())
            .column("version", DataType::big_int())
            .primary_key(["id"]);
        let keyed = create(connection, keyed.build().unwrap(), BUCKETS, &[]).await;
        let scanner = log.scan().log_scanner().unwrap();
        scanner.subscribe_all(StartOffset::Earliest).await.unwrap();
        Self {
            connection: connection.clone(),
            appends: log.append_writer().unwrap(),
            scanner,
            upserts: keyed.upsert().writer().unwrap(),
            lookuper: keyed.lookup().lookuper().unwrap(),
            log,
            keyed,
            written: BTreeSet::new(),
            found: Found::default(),
        }
    }

    /// Gives writers rows of all buckets, some of which may be on their way.
    async fn begin(&mut self) -> i64 {
        let first = i64::try_from(self.written.len()).unwrap();
        for id in first..first + ROWS {
            self.appends.append(&[Datum::BigInt(id)]).await.unwrap();
            let key = Datum::BigInt(id % 10);
            self.upserts.upsert(&[key, Datum::BigInt(id)]).await.unwrap();
            self.written.insert(id);
        }
        first + ROWS
    }

    /// Writes, looks up and reads, all as it should be.
    async fn exchange(&mut self) {
        let end = self.begin().await;
        self.upserts.flush().await.unwrap();
        for key in 0..10 {
            let row = self.lookuper.lookup(&[Datum::BigInt(key)]).await.unwrap();
            let expected = [Datum::BigInt(key), Datum::BigInt(end - 10 + key)];
            assert_eq!(row.as_deref(), Some(&expected[..]));
        }
        self.appends.flush().await.unwrap();
        self.found.read_all(&self.scanner, &self.written).await;
    }

    /// Asks for what each server tells, and the coordinator.
    async fn ask(&self) {
        let admin = self.connection.admin();
        assert!(!admin.list_databases().await.unwrap().is_empty());
        let count = admin.row_count(&self.log.info().path).await.unwrap();
        assert_eq!(count, i64::try_from(self.written.len()).unwrap());
        let rows = self.keyed.scan().take_rows(100).await.unwrap();
        assert_eq!(rows.num_rows(), 10);
    }
}

/// A way to a server by another address. It may end in two ways.
struct Front {
    accepting: AbortHandle,
    state: watch::Sender<Passing>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Passing {
    All,
    /// The connections stay open, and nothing comes through them any more.
    Nothing,
    /// There is no connection any more.
    Cut,
}

impl Front {
    async fn open(at: SocketAddr, to: watch::Receiver<SocketAddr>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let state = watch::Sender::new(Passing::All);
        let passing = state.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to = *to.borrow();
                tokio::spawn(pass(client, to, passing.clone()));
            }
        });
        Self {
            accepting: accepting.abort_handle(),
            state,
        }
    }

    async fn to(at: SocketAddr, server: SocketAddr) -> Self {
        Self::open(at, watch::Sender::new(server).subscribe()).await
    }

    /// Ends every connection, and lets no other begin.
    fn end(&self, passing: Passing) {
        self.accepting.abort();
        self.state.send_replace(passing);
    }

    /// Cuts the connections that there are.
    fn cut(&self) {
        self.state.send_replace(Passing::Cut);
        self.state.send_replace(Passing::All);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end(Passing::Cut);
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr, mut passing: watch::Receiver<Passing>) {
    let Ok(mut server) = TcpStream::connect(to).await else {
        return;
    };
    passing.mark_unchanged();
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = passing.changed() => {}
    }
    // A front that is gone has cut everything.
    while *passing.borrow_and_update() == Passing::Nothing && passing.changed().await.is_ok() {}
}

/// Ways to all servers, at another address of this machine.
async fn fronts(place: &Place, last: u8) -> Vec<Front> {
    let mut fronts = Vec::new();
    for port in ports(place) {
        let server = (Ipv4Addr::LOCALHOST, port).into();
        fronts.push(Front::to((loopback(last), port).into(), server).await);
    }
    fronts
}

fn servers_that_move_to_another_address_are_found_again(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.request_timeout = Duration::from_secs(4);
        let hosts = Hosts::lead(&mut options, [loopback(3)]);
        let mut here = fronts(&place, 3).await;
        let connection = Connection::open(options).await.unwrap();
        let mut tables = Tables::create(&connection).await;
        for (last, end) in [(4, Passing::Cut), (5, Passing::Nothing), (6, Passing::Cut)] {
            tables.exchange().await;
            tables.begin().await;
            let there = fronts(&place, last).await;
            hosts.set([loopback(last)]);
            for front in &here {
                front.end(end);
            }
            let begun = Instant::now();
            tables.exchange().await;
            tables.ask().await;
            note(&format_args!(
                "{end:?}: found again after {:.1?}",
                begun.elapsed()
            ));
            here = there;
        }
        connection.shut_down().await.unwrap();
    });
}

/// Has two servers swap their addresses twice, and writes, looks up and reads on with what was opened before.
fn swapped(backend: Backend, one: Role, other: Role) {
    let place = start_alone(backend, Spec::new().tablet_servers(2));
    let cluster = place.cluster();
    run(async {
        let mut options = options(&place);
        // A server that was just started shows what came last to a bucket only when more comes: each gets some each time.
        options.writer.bucket_assigner = BucketAssigner::RoundRobin;
        let connection = Connection::open(options).await.unwrap();
        let mut tables = Tables::create(&connection).await;
        tables.exchange().await;
        for round in ["there", "back"] {
            tables.begin().await;
            let (one, other) = (cluster.server(one).unwrap(), cluster.server(other).unwrap());
            one.swap_addresses(other).unwrap();
            let begun = Instant::now();
            tables.exchange().await;
            note(&format_args!(
                "{round}: found again after {:.1?}",
                begun.elapsed()
            ));
            cluster.wait_ready(PATIENCE).unwrap();
            tables.exchange().await;
            tables.ask().await;
            // The coordinator, wherever it is, creates tables.
            create(&connection, super::numbers(), 1, &[]).await;
        }
        connection.shut_down().await.unwrap();
    });
}

fn two_tablet_servers_that_swap_their_addresses_are_found_again(backend: Backend) {
    swapped(backend, Role::TabletServer(0), Role::TabletServer(1));
}

fn a_coordinator_and_a_tablet_server_that_swap_their_addresses_are_found_again(backend: Backend) {
    swapped(backend, Role::Coordinator, Role::TabletServer(0));
}

/// A node that says it is at this address.
fn behind(backend: Backend, front: SocketAddr) -> Place {
    start(
        backend,
        Spec::new().property("advertised.listener", front.to_string()),
    )
}

/// A port of this machine that is free at the moment.
async fn free() -> SocketAddr {
    let listener = TcpListener::bind((loopback(7), 0)).await.unwrap();
    listener.local_addr().unwrap()
}

fn a_node_in_the_place_of_another_gets_nothing_that_was_for_it(backend: Backend) {
    let front = run(free());
    let (first, second) = (behind(backend, front), behind(backend, front));
    run(async {
        let direct = |place: &Place| -> SocketAddr { place.bootstrap().parse().unwrap() };
        let to = watch::Sender::new(direct(&second));
        let way = Front::open(front, to.subscribe()).await;
        let lead = || {
            let mut options = options(&first);
            options.bootstrap_servers = vec![front.to_string().parse().unwrap()];
            options.request_timeout = Duration::from_secs(4);
            options.writer.delivery_timeout = Duration::from_secs(8);
            options
        };
        // Tables of other names, which have the same numbers and columns.
        let others = Connection::open(lead()).await.unwrap();
        let others = Tables::create(&others).await;
        to.send_replace(direct(&first));
        way.cut();
        let connection = Connection::open(lead()).await.unwrap();
        let mut tables = Tables::create(&connection).await;
        tables.exchange().await;
        assert_eq!(tables.log.info().id, others.log.info().id);
        assert_eq!(tables.keyed.info().id, others.keyed.info().id);

        to.send_replace(direct(&second));
        way.cut();
        let row = [Datum::BigInt(1), Datum::BigInt(-1)];
        let appended = async { tables.appends.append(&row[..1]).await?.wait().await };
        let upserted = async { tables.upserts.upsert(&row).await?.wait().await };
        let looked_up = async { tables.lookuper.lookup(&row[..1]).await };
        let errors = [
            appended.await.unwrap_err(),
            upserted.await.unwrap_err(),
            looked_up.await.unwrap_err(),
            tables.scan_error().await,
        ];
        for error in errors {
            assert_eq!(error.code(), Some(ErrorCode::TABLE_NOT_EXIST), "{error}");
        }
        let admin = Connection::open(lead()).await.unwrap().admin();
        for table in [&others.log, &others.keyed] {
            assert_eq!(admin.row_count(&table.info().path).await.unwrap(), 0);
        }

        // The node is there again, and all that is made anew works; what failed has said so.
        to.send_replace(direct(&first));
        way.cut();
        let connection = Connection::open(lead()).await.unwrap();
        let log = connection.table(&tables.log.info().path).await.unwrap();
        let rows = connection.admin().row_count(&log.info().path).await.unwrap();
        assert_eq!(rows, i64::try_from(tables.written.len()).unwrap());
    });
}

impl Tables {
    /// Polls until that fails.
    async fn scan_error(&self) -> fluss_client::Error {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "every poll says that all is well");
            match self.scanner.poll(Duration::from_millis(500)).await {
                Ok(records) => assert_eq!(records.len(), 0),
                Err(error) if error.is_retriable() => {}
                Err(error) => return error,
            }
        }
    }
}

fn a_way_that_was_lost_while_nobody_used_it_costs_no_call(backend: Backend) {
    const IDLE: Duration = Duration::from_millis(300);
    let place = start(backend, Spec::new());
    run(async {
        let mut options = patient(&place);
        options.keep_alive.interval = Some(IDLE);
        let hosts = Hosts::lead(&mut options, [loopback(8)]);
        let mut here = fronts(&place, 8).await;
        let connection = Connection::open(options).await.unwrap();
        let keyed = Schema::builder()
            .column("id", DataType::big_int())
            .column("version", DataType::big_int())
            .primary_key(["id"]);
        let table = create(&connection, keyed.build().unwrap(), BUCKETS, &[]).await;
        let (writer, lookuper) = (
            table.upsert().writer().unwrap(),
            table.lookup().lookuper().unwrap(),
        );
        let admin = connection.admin();
        let row = |version| [Datum::BigInt(1), Datum::BigInt(version)];
        writer.upsert(&row(0)).await.unwrap().wait().await.unwrap();
        for (last, version) in (9..).zip(1..5) {
            here = {
                let there = fronts(&place, last).await;
                hosts.set([loopback(last)]);
                for front in &here {
                    front.end(Passing::Nothing);
                }
                sleep(2 * IDLE).await;
                there
            };
            let begun = Instant::now();
            // What changes something is sent once, so it must not be sent where nobody is.
            match version {
                1 => assert_eq!(
                    lookuper.lookup(&row(0)[..1]).await.unwrap().unwrap(),
                    row(0).to_vec()
                ),
                2 => drop(create(&connection, super::numbers(), 1, &[]).await),
                3 => drop(admin.list_databases().await.unwrap()),
                _ => {}
            }
            let handle = writer.upsert(&row(version)).await.unwrap();
            handle.wait().await.unwrap();
            assert!(begun.elapsed() < NO_TIMEOUT, "{:?}", begun.elapsed());
            note(&format_args!("went on after {:.1?}", begun.elapsed()));
        }
        assert_eq!(
            lookuper.lookup(&row(0)[..1]).await.unwrap().unwrap(),
            row(4).to_vec()
        );
        drop(here);
        connection.shut_down().await.unwrap();
    });
}
