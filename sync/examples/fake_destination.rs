//! A destination that appends records to a file, for the tests of sync.
//!
//! The configuration: `{"file": PATH, "stop_after": RECORDS, "fail": TEXT}`. It gives back each
//! state once the records before it are written, dies after `stop_after` records, and with `fail`
//! reports an error at the end.

use std::fs::File;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use airbyte_protocol::Message;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match write(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fake destination: {error}");
            ExitCode::from(2)
        }
    }
}

fn write(args: &[String]) -> Result<u8, Failure> {
    let flag = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let config = std::fs::read_to_string(flag("--config").ok_or("--config is missing")?)?;
    let config: Value = serde_json::from_str(&config)?;
    let file = config.get("file").and_then(Value::as_str).ok_or("`file` is missing")?;
    let mut file = File::options().create(true).append(true).open(file)?;
    let stop_after = config.get("stop_after").and_then(Value::as_u64);
    let mut records = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match Message::parse(&line)? {
            Message::Record(record) => {
                writeln!(file, "{}", record.data)?;
                records += 1;
                if stop_after == Some(records) {
                    return Ok(1);
                }
            }
            Message::State(_) => println!("{line}"),
            Message::Trace(_) => writeln!(file, "{line}")?,
            other => return Err(format!("a {} is nothing to a destination", other.kind()).into()),
        }
    }
    if let Some(message) = config.get("fail") {
        let error = json!({"message": message});
        println!(
            "{}",
            json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})
        );
        return Ok(1);
    }
    Ok(0)
}
