//! Generates the messages from `proto/fluss.proto`, without needing a `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/fluss.proto");
    let descriptors = protox::compile(["proto/fluss.proto"], ["proto"])?;
    // `Bytes` lets a decoded message share the buffer that its frame was read into.
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
