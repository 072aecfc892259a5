mod changes;
mod metadata;
mod node;
mod rights;
mod users;

use fluss_core::types::{DataType, Schema, TableDescriptor};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::proto::*;
use fluss_rpc::sync::Mutex;
use fluss_store::disk::MemoryDisk;

use super::*;
use crate::catalog::{Gone, Limits};
use crate::clock::ManualClock;
use crate::security::{Acl, Principal};

#[derive(Debug, Default)]
struct Removed(Mutex<Vec<Gone>>);

impl Remove for Removed {
    fn remove(&self, gone: &[Gone]) {
        self.0.lock().extend(gone);
    }
}

struct World {
    node: Node,
    caller: Caller,
    address: Address,
    clock: Arc<ManualClock>,
    removed: Arc<Removed>,
}

impl World {
    fn new(access: Access) -> Self {
        let clock = Arc::new(ManualClock::at(1_000));
        let removed = Arc::<Removed>::default();
        let catalog = Catalog::open(Arc::new(MemoryDisk::new()), Limits::default(), 1_000).unwrap();
        Self {
            node: Node {
                catalog: Arc::new(catalog),
                clock: Arc::clone(&clock) as Arc<dyn Clock>,
                access,
                remove: Arc::clone(&removed) as Arc<dyn Remove>,
                configs: BTreeMap::from([("data.dir".to_owned(), "here".to_owned())]),
                users: Arc::default(),
                login: false,
                users_changed: watch::Sender::new(()),
            },
            caller: Caller::new(Principal::user("alice"), "10.0.0.1"),
            address: Address {
                host: "example".to_owned(),
                port: 9123,
            },
            clock,
            removed,
        }
    }

    fn open() -> Self {
        Self::new(Access::Open)
    }

    fn controlled() -> Self {
        Self::new(Access::Controlled {
            super_users: [Principal::user("root")].into(),
        })
    }

    fn context(&self) -> Context<'_> {
        Context {
            node: &self.node,
            caller: &self.caller,
            address: &self.address,
        }
    }

    /// The same world as another user sees it.
    fn as_user(&self, name: &str, ask: impl FnOnce(&Context<'_>)) {
        let caller = Caller::new(Principal::user(name), "10.0.0.1");
        ask(&Context {
            caller: &caller,
            ..self.context()
        });
    }

    fn grant(&self, operation: Operation, resource: &Resource) {
        self.node.catalog.add_acls([right(operation, resource)]).unwrap();
    }
}

fn right(operation: Operation, resource: &Resource) -> Acl {
    Acl {
        resource: resource.clone(),
        principal: Principal::user("alice"),
        host: "*".to_owned(),
        operation,
    }
}

fn table_path(table: &str) -> PbTablePath {
    PbTablePath {
        database_name: "fluss".to_owned(),
        table_name: table.to_owned(),
    }
}

fn definition(key: &[&str], partition: &[&str]) -> Vec<u8> {
    let schema = Schema::builder()
        .column("a", DataType::int())
        .column("p", DataType::string());
    let schema = schema.primary_key(key.iter().copied()).build().unwrap();
    let table = TableDescriptor::builder(schema).partitioned_by(partition.iter().copied());
    table
        .distributed_by(2, [] as [&str; 0])
        .build()
        .unwrap()
        .to_json()
}

fn create(world: &World, table: &str, key: &[&str], partition: &[&str]) {
    let path = TablePath::new("fluss", table);
    world
        .node
        .catalog
        .create_table(&path, &definition(key, partition), false, 1_000)
        .unwrap();
}

fn spec(value: &str) -> PbPartitionSpec {
    PbPartitionSpec {
        partition_key_values: vec![PbKeyValue {
            key: "p".to_owned(),
            value: value.to_owned(),
        }],
    }
}

fn create_partition_request(table: &str, value: &str) -> CreatePartitionRequest {
    CreatePartitionRequest {
        table_path: table_path(table),
        partition_spec: spec(value),
        ignore_if_not_exists: false,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> i32 {
    result.unwrap_err().code.number()
}
