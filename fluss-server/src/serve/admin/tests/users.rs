use super::*;
use crate::security::{Users, user_line};

/// A node with root in its users file, where everybody logs in.
fn world(access: Access) -> World {
    let mut world = World::new(access);
    world.node.users = Arc::new(Users::parse(&user_line("root", "secret").unwrap()).unwrap());
    world
}

fn create(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    let request = CreateUserRequest {
        user_name: name.to_owned(),
        password: "secret".to_owned(),
        ignore_if_exists: false,
    };
    create_user(context, request).map(drop)
}

fn alter(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    let request = AlterUserRequest {
        user_name: name.to_owned(),
        password: "other".to_owned(),
        ignore_if_not_exists: false,
    };
    alter_user(context, request, |_| {}).map(drop)
}

fn drop_one(context: &Context<'_>, name: &str) -> Result<(), Failure> {
    let request = DropUserRequest {
        user_name: name.to_owned(),
        ignore_if_not_exists: false,
    };
    drop_user(context, request).map(drop)
}

fn list(context: &Context<'_>) -> Result<Vec<(String, i32)>, Failure> {
    let users = list_users(context, ListUsersRequest {})?.user;
    Ok(users
        .into_iter()
        .map(|user| (user.user_name, user.source))
        .collect())
}

fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> i32 {
    result.unwrap_err().code.number()
}

#[test]
fn users_of_the_file_are_listed_and_not_changed() {
    let world = world(Access::Open);
    let context = world.context();
    create(&context, "alice").unwrap();
    create(&context, "zoe").unwrap();
    let expected = [("alice", 2), ("root", 1), ("zoe", 2)].map(|(name, source)| (name.to_owned(), source));
    assert_eq!(list(&context).unwrap(), expected);
    let twice = create(&context, "root").unwrap_err();
    assert_eq!(twice.code, ErrorCode::USER_ALREADY_EXIST);
    for refused in [alter(&context, "root"), drop_one(&context, "root")] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::OPERATION_NOT_ATTEMPTED);
        assert!(
            refused
                .message
                .starts_with(r#"user "root" stands in the users file"#),
            "{refused}"
        );
    }
    let again = CreateUserRequest {
        user_name: "root".to_owned(),
        password: "secret".to_owned(),
        ignore_if_exists: true,
    };
    create_user(&context, again).unwrap();
    drop_one(&context, "zoe").unwrap();
    assert_eq!(code(drop_one(&context, "zoe")), 9001);
    assert_eq!(code(alter(&context, "zoe")), 9001);
    // alice asks.
    assert_eq!(code(drop_one(&context, "alice")), 27);
}

#[test]
fn names_and_passwords_are_checked_and_not_repeated_if_they_are_secret() {
    let world = world(Access::Open);
    let long = "s".repeat(1_025);
    for (name, password) in [("", "secret"), ("a:b", "secret"), ("bob", ""), ("bob", &long)] {
        let request = CreateUserRequest {
            user_name: name.to_owned(),
            password: password.to_owned(),
            ignore_if_exists: true,
        };
        let refused = create_user(&world.context(), request).unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_USER);
        assert!(
            !refused.message.contains("secret") && !refused.message.contains("sss"),
            "{refused}"
        );
    }
}

#[test]
fn where_nobody_logs_in_only_the_process_itself_creates_the_first_user() {
    let world = World::open();
    assert!(!world.node.asks_for_login());
    let refused = create(&world.context(), "alice").unwrap_err();
    assert_eq!(refused.code, ErrorCode::SECURITY_DISABLED);
    assert!(
        refused.message.contains("--login") && refused.message.contains("--users"),
        "{refused}"
    );
    assert_eq!(list(&world.context()).unwrap(), []);
    let internal = Caller::internal();
    let inside = Context {
        caller: &internal,
        ..world.context()
    };
    create(&inside, "alice").unwrap();
    assert!(world.node.asks_for_login());
    create(&world.context(), "bob").unwrap();
    // Of two who drop each other at the same time, one stays.
    drop_one(&world.context(), "bob").unwrap();
    world.as_user("bob", |bob| assert_eq!(code(drop_one(bob, "alice")), 27));
    drop_one(&inside, "alice").unwrap();
    assert!(!world.node.asks_for_login());

    let mut told = World::open();
    told.node.login = true;
    assert!(told.node.asks_for_login());
    create(&told.context(), "alice").unwrap();
}

#[test]
fn rights_are_asked_for_but_for_ones_own_password() {
    let world = world(Access::Controlled {
        super_users: [Principal::user("root"), Principal::user("boss")].into(),
    });
    let cluster = Resource::cluster();
    world.as_user("root", |root| {
        create(root, "alice").unwrap();
        create(root, "bob").unwrap();
        create(root, "boss").unwrap();
    });
    let alice = world.context();
    for refused in [
        create(&alice, "eve"),
        alter(&alice, "bob"),
        drop_one(&alice, "bob"),
    ] {
        assert_eq!(
            refused.unwrap_err().message,
            "User:alice may not alter the cluster"
        );
    }
    // Whether there is such a user is not told.
    assert_eq!(alter(&alice, "nobody"), alter(&alice, "bob"));
    assert_eq!(code(list(&alice)), 48);
    alter(&alice, "alice").unwrap();

    world.grant(Operation::Alter, &cluster);
    assert_eq!(list(&alice).unwrap().len(), 4);
    create(&alice, "eve").unwrap();
    alter(&alice, "bob").unwrap();
    drop_one(&alice, "bob").unwrap();
    // Whoever set the password of a super user could do everything.
    for refused in [alter(&alice, "boss"), drop_one(&alice, "boss")] {
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.message,
            "User:alice may not change User:boss, who may do everything"
        );
    }
    world.as_user("root", |root| drop_one(root, "boss").unwrap());
    assert_eq!(code(create(&alice, "boss")), 48);
}
