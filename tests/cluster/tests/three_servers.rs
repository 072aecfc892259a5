//! A cluster of three notices who is gone and who is back.

mod common;

use std::time::Duration;

use fluss_cluster::{Cluster, Spec, members};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn the_others_notice_a_frozen_and_a_killed_server() {
    if common::is_left_out("the_others_notice_a_frozen_and_a_killed_server") {
        return;
    }
    let cluster = Cluster::start(Spec::new().tablet_servers(3)).expect("a cluster");
    let known = || {
        members(cluster.coordinator().address(), SOON)
            .expect("an answer")
            .tablet_servers
    };

    cluster
        .tablet_server(1)
        .expect("the second")
        .stop()
        .expect("stopped");
    let again = cluster.tablet_server(1).expect("the second").stop();
    again.expect("stopped as it was");
    cluster.wait_ready(SOON).expect("noticed");
    assert_eq!(known(), [0, 2].into());

    cluster
        .tablet_server(1)
        .expect("the second")
        .resume()
        .expect("resumed");
    cluster
        .tablet_server(2)
        .expect("the third")
        .kill()
        .expect("killed");
    cluster.wait_ready(SOON).expect("noticed");
    assert_eq!(known(), [0, 1].into());

    cluster
        .tablet_server(2)
        .expect("the third")
        .restart()
        .expect("restarted");
    cluster.wait_ready(SOON).expect("complete");
    assert_eq!(known(), [0, 1, 2].into());
    assert!(cluster.tablet_server(3).is_err());

    let error = cluster.wait_in_sync(7, Duration::ZERO).expect_err("no table");
    assert!(
        error.to_string().contains("no /fluss/tabletservers/tables/7"),
        "{error}"
    );
}
