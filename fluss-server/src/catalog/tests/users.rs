use std::path::Path;

use fluss_store::disk::Disk;

use super::*;
use crate::security::{Acl, Hashed, Operation, Principal, Resource, Users, user_line};

/// A hash that differs from those of other numbers, and costs nothing to make.
pub(super) fn hash(number: u8) -> Hashed {
    let output = String::from(char::from(b'A' + number)).repeat(42);
    Hashed::parse(&format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${output}A")).unwrap()
}

fn names(catalog: &Catalog) -> Vec<String> {
    let view = catalog.view();
    view.users().iter().map(|(name, _)| name.to_owned()).collect()
}

fn right_of(name: &str) -> Acl {
    Acl::new(
        Principal::user(name),
        Operation::Read,
        Resource::database("fluss"),
    )
}

/// The format that the file of the catalog says it has.
fn format(disk: &FaultyDisk) -> u32 {
    let file = disk.open_existing(Path::new("catalog")).unwrap();
    let format = file.read_at(8, 4).unwrap();
    u32::from_le_bytes(format[..].try_into().unwrap())
}

#[test]
fn users_come_and_go() {
    let catalog = catalog();
    catalog.create_user("bob", hash(0), false).unwrap();
    catalog.create_user("alice", hash(1), false).unwrap();
    assert_eq!(names(&catalog), ["alice", "bob"]);
    assert_eq!(code(catalog.create_user("bob", hash(2), false)), 9002);
    catalog.create_user("bob", hash(2), true).unwrap();
    assert_eq!(catalog.view().user("bob"), Ok(&hash(0)), "it stays as it is");
    catalog.alter_user("bob", hash(3), false).unwrap();
    assert_eq!(catalog.view().user("bob"), Ok(&hash(3)));
    assert_eq!(code(catalog.alter_user("eve", hash(4), false)), 9001);
    catalog.alter_user("eve", hash(4), true).unwrap();
    assert_eq!(code(catalog.drop_user("eve", false, true)), 9001);
    catalog.drop_user("eve", true, true).unwrap();
    catalog.drop_user("alice", false, false).unwrap();
    assert_eq!(code(catalog.drop_user("bob", false, false)), 27, "it is the last");
    catalog.drop_user("bob", false, true).unwrap();
    assert_eq!(names(&catalog), [] as [String; 0]);
}

#[test]
fn rights_go_with_the_user_that_has_them() {
    let catalog = catalog();
    catalog.create_user("alice", hash(0), false).unwrap();
    catalog
        .add_acls([right_of("alice"), right_of("bob"), right_of("alic")])
        .unwrap();
    catalog.drop_user("alice", false, true).unwrap();
    let view = catalog.view();
    let left: Vec<_> = view.acls().iter().cloned().collect();
    assert_eq!(left, [right_of("alic"), right_of("bob")]);
}

#[test]
fn there_may_be_so_many_users_and_no_more() {
    let catalog = catalog();
    let mut view = View::clone(&catalog.view());
    let users = Arc::make_mut(&mut view.users);
    for number in 0..10_000 {
        users.put(&number.to_string(), hash(0));
    }
    catalog.show(view);
    assert_eq!(code(catalog.create_user("alice", hash(0), false)), 27);
    catalog.drop_user("17", false, false).unwrap();
    catalog.create_user("alice", hash(0), false).unwrap();
}

#[test]
fn a_version_that_does_not_know_users_does_not_open_a_catalog_that_has_some() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    assert_eq!(format(&disk), 1);
    catalog.create_user("alice", hash(0), false).unwrap();
    assert_eq!(format(&disk), 2);
    assert_eq!(open(&disk).view().user("alice"), Ok(&hash(0)));
    catalog.drop_user("alice", false, true).unwrap();
    assert_eq!(format(&disk), 1);
}

#[test]
fn only_hashes_are_kept_and_nothing_prints_them() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    let hash = Hashed::of("open sesame").unwrap();
    catalog.create_user("alice", hash, false).unwrap();
    let file = disk.open_existing(Path::new("catalog")).unwrap();
    let bytes = file.read_at(0, file.len().unwrap() as usize).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(
        text.contains("$argon2id$") && !text.contains("open sesame"),
        "{text}"
    );
    let printed = format!("{catalog:?}");
    assert!(
        printed.contains("alice") && !printed.contains("argon2id"),
        "{printed}"
    );
}

#[test]
fn a_hash_that_cannot_be_used_is_damage() {
    let disk = FaultyDisk::new(0);
    let catalog = open(&disk);
    catalog.create_user("alice", hash(0), false).unwrap();
    let json = document::encode(&catalog.view());
    let bad = String::from_utf8(json).unwrap().replace("argon2id", "argon2i");
    let error = document::decode(bad.as_bytes()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_name_is_in_the_file_or_in_the_catalog() {
    let catalog = catalog();
    catalog.create_user("bob", hash(0), false).unwrap();
    let file = |name: &str| Users::parse(&user_line(name, "secret").unwrap()).unwrap();
    catalog.check_users(&file("alice")).unwrap();
    let error = catalog.check_users(&file("bob")).unwrap_err().to_string();
    assert!(
        error.starts_with(r#"catalog: user "bob" is in the users file, too"#),
        "{error}"
    );
}
