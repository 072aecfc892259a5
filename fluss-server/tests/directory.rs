//! Whose a directory is, and how it changes hands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fluss_rpc::net::{ConnectOptions, Connection, ServerAddress, Transport};
use fluss_server::{Node, NodeOptions, OpenError, Storage};

fn open(directory: &Path) -> Result<Node, OpenError> {
    Node::open(NodeOptions::new(Storage::Directory(directory.to_owned())))
}

#[test]
fn a_directory_has_one_node() {
    let root = tempfile::tempdir().unwrap();
    let node = open(root.path()).unwrap();
    let second = open(root.path()).unwrap_err();
    assert!(
        matches!(&second, OpenError::InUse { directory } if directory == root.path()),
        "{second}"
    );
    drop(node);
    for _ in 0..20 {
        drop(open(root.path()).unwrap());
    }
}

#[test]
fn a_directory_that_a_node_makes_is_its_owner_s() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("new/data");
    drop(open(&data).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    // One that somebody else has made keeps its mode.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
    drop(open(&data).unwrap());
    assert_eq!(mode(&data), 0o750);
    assert_eq!(mode(&data.join("catalog")), 0o600);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("thesis.txt"), "nearly done").unwrap();
    let refused = open(root.path()).unwrap_err();
    let expected = format!(
        "{} is no node's directory: there is 'thesis.txt' in it",
        root.path().join("").display()
    );
    assert_eq!(refused.to_string(), expected);
    assert!(!root.path().join("catalog").exists());
}

#[test]
fn a_directory_of_a_newer_format_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let path = root.path().join("catalog");
    let mut bytes = fs::read(&path).unwrap();
    // A document of version 3, as the checksum of all but itself says.
    bytes[8..12].copy_from_slice(&3_u32.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let refused = open(root.path()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("{} has format 3, not 2", path.display())
    );
}

#[test]
fn a_node_ends_with_its_last_handle_and_leaves_its_directory_to_the_next() {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..20 {
            let node = open(root.path()).unwrap();
            let options = ConnectOptions {
                transport: Transport::in_process(node.clone()),
                ..ConnectOptions::default()
            };
            let address = ServerAddress::new("embedded", 0);
            let _connection = Connection::connect(&address, &options).await.unwrap();
            drop(options);
            let weak = node.downgrade();
            drop(node);
            weak.ended().await;
        }
        drop(open(root.path()).unwrap());
    });
}
