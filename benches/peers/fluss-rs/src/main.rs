//! The published fluss-rs as a peer of the benchmarks: one job a line in, one result a line out (`benches/README.md`).

use std::error::Error;
use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

mod job;
mod measure;
mod rows;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for line in io::stdin().lock().lines() {
        let answer = runtime.block_on(answer(&line?));
        let mut output = io::stdout().lock();
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

async fn answer(line: &str) -> Value {
    match job::run(line).await {
        Ok(result) => result,
        Err(error) => json!({"ok": false, "error": error.to_string()}),
    }
}
