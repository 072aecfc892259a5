//! Coordinators that only stand by: the one that leads is looked for, and nothing is done twice (`v1_0.md` §4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fluss_client::types::{
    DataType, DatabaseDescriptor, Datum, PartitionSpec, Schema, TableDescriptor, TablePath,
};
use fluss_client::{AsOf, ClientOptions, Connection, ErrorCode, TableChange};
use fluss_cluster::Spec;
use fluss_rpc::api::{ApiKey, ServerRole};
use fluss_rpc::header::RequestHeader;
use fluss_rpc::sync::Mutex;
use tokio::time::Instant;

use super::between::{self, Between, Then};
use crate::{Backend, EVERYWHERE, create_table, options, run, start, tests};

tests! {
    EVERYWHERE => [
        a_coordinator_that_stands_by_is_left_for_the_one_that_leads,
        a_coordinator_that_never_leads_is_told_at_the_deadline,
    ],
}

/// Refuses the first requests of each API that coordinators answer.
struct StandBy {
    times: usize,
    refused: Mutex<BTreeMap<ApiKey, usize>>,
}

impl StandBy {
    fn lead(options: &mut ClientOptions, times: usize) -> Arc<Self> {
        let stand_by = Arc::new(Self {
            times,
            refused: Mutex::default(),
        });
        between::put(options, stand_by.clone());
        stand_by
    }

    fn refused(&self, api: ApiKey) -> usize {
        self.refused.lock().get(&api).copied().unwrap_or_default()
    }
}

impl Between for StandBy {
    fn on_request(&self, request: RequestHeader, _body: Bytes) -> Then {
        let api = ApiKey::from_number(request.api_key).unwrap();
        let is_asked = !matches!(api, ApiKey::ApiVersions | ApiKey::Authenticate);
        if !is_asked || !api.is_served_by(ServerRole::Coordinator) {
            return Then::Pass;
        }
        let mut refused = self.refused.lock();
        let count = refused.entry(api).or_default();
        if *count >= self.times {
            return Then::Pass;
        }
        *count += 1;
        Then::Refuse(ErrorCode::NOT_COORDINATOR_LEADER)
    }
}

fn a_coordinator_that_stands_by_is_left_for_the_one_that_leads(backend: Backend) {
    const TIMES: usize = 2;
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        let stand_by = StandBy::lead(&mut options, TIMES);
        let connection = Connection::open(options).await.unwrap();
        let admin = connection.admin();
        let database = format!("stand_by_{}", fastrand::u32(..));
        // Were one of these done twice, the second would be refused.
        admin
            .create_database(&database, &DatabaseDescriptor::default(), false)
            .await
            .unwrap();
        let schema = Schema::builder()
            .column("id", DataType::int().not_null())
            .column("p", DataType::string().not_null());
        let descriptor = TableDescriptor::builder(schema.build().unwrap()).partitioned_by(["p"]);
        let path = TablePath::new(&database, "t");
        create_table(&connection, &path, &descriptor.build().unwrap()).await;
        let partition = PartitionSpec::new([("p", "a")]);
        admin.create_partition(&path, &partition, false).await.unwrap();
        let column = TableChange::add_column("n", DataType::int());
        admin.alter_table(&path, &[column], false).await.unwrap();
        let table = connection.table(&path).await.unwrap();
        let writer = table.append_writer().unwrap();
        for id in 0..10 {
            let row = [Datum::Int(id), Datum::from("a"), Datum::Int(id)];
            writer.append(&row).await.unwrap();
        }
        writer.close().await.unwrap();
        assert_eq!(table.scan().snapshot(AsOf::Latest).await.unwrap().num_rows(), 10);
        admin.drop_partition(&path, &partition, false).await.unwrap();
        admin.drop_table(&path, false).await.unwrap();
        admin.drop_database(&database, false, true).await.unwrap();
        for api in [
            ApiKey::GetMetadata,
            ApiKey::CreateDatabase,
            ApiKey::CreateTable,
            ApiKey::GetTableInfo,
            ApiKey::CreatePartition,
            ApiKey::AlterTable,
            ApiKey::DropPartition,
            ApiKey::DropTable,
            ApiKey::DropDatabase,
        ] {
            assert_eq!(stand_by.refused(api), TIMES, "{api}");
        }
        connection.shut_down().await.unwrap();
    });
}

fn a_coordinator_that_never_leads_is_told_at_the_deadline(backend: Backend) {
    let place = start(backend, Spec::new());
    run(async {
        let mut options = options(&place);
        options.connect_timeout = Duration::from_secs(1);
        options.request_timeout = Duration::from_secs(1);
        StandBy::lead(&mut options, usize::MAX);
        let begun = Instant::now();
        let error = Connection::open(options).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::NOT_COORDINATOR_LEADER), "{error}");
        assert!(error.is_retriable());
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    });
}
