//! Generates the messages from `proto/`, without needing a `protoc`, and a table of what repeats in them.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Numbers of `google.protobuf.FieldDescriptorProto`.
const REPEATED: i32 = 3;
const STRING: i32 = 9;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

/// The messages of Apache Fluss, and those of the node.
const FILES: [&str; 2] = ["proto/fluss.proto", "proto/node.proto"];

/// Messages with a password or a key in them: they are not printed by what is generated.
const SECRET: [&str; 4] = [
    ".fluss.AuthenticateRequest",
    ".fluss.CreateUserRequest",
    ".fluss.AlterUserRequest",
    ".fluss.GetFileSystemSecurityTokenResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let mut messages: Vec<_> = descriptors
        .file
        .iter()
        .flat_map(|file| &file.message_type)
        .collect();
    messages.sort_by_key(|message| message.name());
    let place = |name: &str| {
        let name = name.rsplit('.').next().unwrap_or_default();
        messages.iter().position(|message| message.name() == name)
    };
    let mut shapes = String::from("/// In the order of their names.\nstatic SHAPES: &[Shape] = &[\n");
    for message in &messages {
        let mut fields = String::new();
        for field in &message.field {
            let repeats = field.label == Some(REPEATED);
            let kind = match (field.r#type, repeats) {
                (Some(MESSAGE), _) => {
                    let place = place(field.type_name()).ok_or("a message that is nowhere")?;
                    format!("Kind::Message({place}, {repeats})")
                }
                (Some(STRING | BYTES), true) => "Kind::Pieces".to_owned(),
                (_, true) => "Kind::Numbers".to_owned(),
                _ => continue,
            };
            write!(fields, "({}, {kind}), ", field.number())?;
        }
        writeln!(
            shapes,
            "    Shape {{ name: {:?}, fields: &[{fields}] }},",
            message.name()
        )?;
    }
    shapes.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("shapes.rs"), shapes)?;
    // `Bytes` lets a decoded message share the buffer that its frame was read into.
    prost_build::Config::new()
        .bytes(["."])
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
