//! A source without a network, for trying sync and for its tests.
//!
//! `cargo build -p sync --example fake_source`, then
//! `sync run --source target/debug/examples/fake_source --config fake.json --state state.json --out out`.
//!
//! The configuration says what it does; all members are optional:
//! `{"streams": {"NAME": {...}}, "records": 1000, "state_every": 100, "global": false}`. A stream is
//! incremental (its state is the number of records read) unless it has `"full_refresh": true`, and
//! may have `records`, `namespace`, `fail_after`. `text_bytes` makes the records longer. These make
//! trouble: `crash_after` (records after which the process kills itself), `noise`, `cut_line`,
//! `control`, `linger_at` (records after which it waits for SIGTERM), `exit_code`, `unasked`,
//! `broken_record`, `no_states`.

use std::io::{BufWriter, StdoutLock, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use airbyte_protocol::{ConfiguredCatalog, InputState, StreamDescriptor, SyncMode};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match command(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fake source: {error}");
            ExitCode::from(2)
        }
    }
}

fn command(args: &[String]) -> Result<u8, Failure> {
    let flag = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let file = |name: &str| {
        Ok::<_, Failure>(std::fs::read_to_string(flag(name).ok_or(format!("{name} is missing"))?)?)
    };
    let config = || Ok::<Value, Failure>(serde_json::from_str(&file("--config")?)?);
    match args.first().map(String::as_str) {
        Some("spec") => {
            println!("{}", json!({"type": "SPEC", "spec": {"connectionSpecification": {}}}))
        }
        Some("check") => {
            println!(
                "{}",
                json!({"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}})
            );
        }
        Some("discover") => {
            println!("{}", json!({"type": "CATALOG", "catalog": {"streams": offered(&config()?)}}))
        }
        Some("read") => {
            let catalog = ConfiguredCatalog::parse(&file("--catalog")?)?;
            let state =
                flag("--state").map(std::fs::read_to_string).transpose()?.unwrap_or_default();
            return Reader::new(config()?).read(&catalog, &InputState::parse(&state)?);
        }
        _ => return Err("the commands are spec, check, discover and read".into()),
    }
    Ok(0)
}

fn offered(config: &Value) -> Vec<Value> {
    let default = json!({"numbers": {}});
    let streams = config.get("streams").unwrap_or(&default);
    streams.as_object().into_iter().flatten().map(|(name, stream)| describe(name, stream)).collect()
}

fn describe(name: &str, stream: &Value) -> Value {
    let incremental = stream.get("full_refresh").is_none();
    json!({
        "name": name,
        "namespace": stream.get("namespace"),
        "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
        "supported_sync_modes": if incremental { json!(["full_refresh", "incremental"]) } else { json!(["full_refresh"]) },
        "source_defined_cursor": incremental,
        "default_cursor_field": if incremental { json!(["id"]) } else { json!([]) },
        "source_defined_primary_key": [["id"]],
        "is_resumable": incremental,
    })
}

struct Reader {
    config: Value,
    out: BufWriter<StdoutLock<'static>>,
    stop: Arc<AtomicBool>,
    sent: u64,
    positions: Vec<(StreamDescriptor, u64)>,
}

impl Reader {
    fn new(config: Value) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let _unsupported = signal_hook::flag::register(signal, Arc::clone(&stop));
        }
        Self {
            config,
            out: BufWriter::new(std::io::stdout().lock()),
            stop,
            sent: 0,
            positions: Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.config.get(key)?.as_u64()
    }

    fn is_set(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(|value| value != false)
    }

    fn read(mut self, catalog: &ConfiguredCatalog, state: &InputState) -> Result<u8, Failure> {
        if let Some(control) = self.config.get("control").cloned() {
            let config = json!({"type": "CONNECTOR_CONFIG", "emitted_at": 1, "connectorConfig": {"config": control}});
            self.line(&json!({"type": "CONTROL", "control": config}))?;
        }
        let mut failed = false;
        for stream in &catalog.streams {
            let descriptor = stream.descriptor();
            let from = state
                .stream(&descriptor)
                .and_then(|state| state.simple("read")?.as_u64())
                .unwrap_or(0);
            self.positions.push((descriptor.clone(), from));
            self.status(&descriptor, "STARTED", Value::Null)?;
            self.status(
                &descriptor,
                "RUNNING",
                json!([{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": 1}}]),
            )?;
            let incremental = stream.sync_mode == SyncMode::Incremental;
            let complete = self.records(&descriptor, incremental)?;
            if self.stop.load(Ordering::Acquire) {
                self.out.flush()?;
                return Ok(143);
            }
            failed |= !complete;
            self.status(
                &descriptor,
                if complete { "COMPLETE" } else { "INCOMPLETE" },
                Value::Null,
            )?;
        }
        self.trouble_at_the_end()?;
        self.out.flush()?;
        Ok(self.number("exit_code").map_or(u8::from(failed), |code| code as u8))
    }

    /// Sends the records of a stream; false when it fails on the way.
    fn records(&mut self, stream: &StreamDescriptor, incremental: bool) -> Result<bool, Failure> {
        let own =
            self.config.pointer(&format!("/streams/{}", stream.name)).cloned().unwrap_or_default();
        let total =
            own.get("records").and_then(Value::as_u64).or(self.number("records")).unwrap_or(1000);
        let every = self.number("state_every").unwrap_or(100);
        let text = self.number("text_bytes").unwrap_or(20) as usize;
        let first = self.positions.last().map_or(0, |(_, position)| *position);
        for id in first..total {
            if own.get("fail_after").and_then(Value::as_u64) == Some(id) {
                let error = json!({"message": "made to fail", "failure_type": "config_error", "stream_descriptor": stream});
                self.line(&json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}}))?;
                return Ok(false);
            }
            let data = json!({"id": id, "text": "x".repeat(text)});
            let record = json!({"stream": stream.name, "namespace": stream.namespace, "data": data, "emitted_at": 1});
            self.line(&json!({"type": "RECORD", "record": record}))?;
            self.sent += 1;
            if let Some((_, position)) = self.positions.last_mut() {
                *position = id + 1;
            }
            self.trouble_between_records()?;
            if self.stop.load(Ordering::Acquire) {
                self.states()?;
                return Ok(false);
            }
            if incremental && (id + 1) % every == 0 {
                self.states()?;
            }
        }
        if incremental {
            self.states()?;
        } else {
            let state = json!({"stream_descriptor": stream, "stream_state": {"__ab_no_cursor_state_message": true}});
            self.line(&json!({"type": "STATE", "state": {"type": "STREAM", "stream": state}}))?;
        }
        Ok(true)
    }

    fn trouble_between_records(&mut self) -> Result<(), Failure> {
        if self.is_set("noise") && self.sent % 100 == 50 {
            writeln!(self.out, "INFO: {} records so far", self.sent)?;
            writeln!(self.out, "{{\"not\": \"a message\"}}")?;
        }
        if self.number("linger_at") == Some(self.sent) {
            self.linger()?;
        }
        if self.number("crash_after") == Some(self.sent) {
            if self.is_set("cut_line") {
                write!(self.out, "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"numb")?;
            }
            self.out.flush()?;
            rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            )?;
        }
        Ok(())
    }

    /// Waits for a signal, or for the end of whoever started this.
    fn linger(&mut self) -> Result<(), Failure> {
        self.out.flush()?;
        let parent = rustix::process::getppid();
        while !self.stop.load(Ordering::Acquire) && rustix::process::getppid() == parent {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }

    fn trouble_at_the_end(&mut self) -> Result<(), Failure> {
        if self.is_set("unasked") {
            self.line(&json!({"type": "RECORD", "record": {"stream": "other", "data": {"id": 1}, "emitted_at": 1}}))?;
        }
        if self.is_set("broken_record") {
            writeln!(
                self.out,
                "{{\"type\":\"RECORD\",\"record\":{{\"stream\":\"numbers\",\"data\":{{\"id\":"
            )?;
        }
        Ok(())
    }

    /// The state of the present stream, or of all of them.
    fn states(&mut self) -> Result<(), Failure> {
        if self.is_set("no_states") {
            return Ok(());
        }
        let entries: Vec<Value> = self
            .positions
            .iter()
            .map(|(stream, read)| json!({"stream_descriptor": stream, "stream_state": {"read": read}}))
            .collect();
        if self.is_set("global") {
            let global = json!({"shared_state": {"sent": self.sent}, "stream_states": entries});
            return self
                .line(&json!({"type": "STATE", "state": {"type": "GLOBAL", "global": global}}));
        }
        match entries.last() {
            Some(stream) => {
                self.line(&json!({"type": "STATE", "state": {"type": "STREAM", "stream": stream}}))
            }
            None => Ok(()),
        }
    }

    fn status(
        &mut self,
        stream: &StreamDescriptor,
        status: &str,
        reasons: Value,
    ) -> Result<(), Failure> {
        let status = json!({"stream_descriptor": stream, "status": status, "reasons": reasons});
        self.line(&json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}}))?;
        Ok(self.out.flush()?)
    }

    fn line(&mut self, message: &Value) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{message}")?)
    }
}
