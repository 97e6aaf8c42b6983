//! Finding the connectors, and building them when the demo was started by cargo.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::{Error, Result};

/// The package and the executable that the demo writes with.
pub const DESTINATION: &str = "destination-lakehouse";

/// The path of a connector. Under `cargo run`, cargo is asked to build it, which takes no time when
/// it is fresh; otherwise it has to lie beside this program.
pub fn connector(package: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()
        .map_err(|error| Error::run(format!("where is this program? {error}")))?;
    if let Some(cargo) =
        std::env::var_os("CARGO").filter(|_| std::env::var_os("CARGO_MANIFEST_DIR").is_some())
    {
        let release = program.parent().is_some_and(|folder| folder.ends_with("release"));
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--package",
            package,
            "--message-format",
            "json-render-diagnostics",
        ]);
        if package == DESTINATION {
            // The demo needs no more than a folder, and is built in half the time.
            command.arg("--no-default-features");
        }
        if release {
            command.arg("--release");
        }
        println!(
            "   cargo build {}-p {package} (nothing to do when it is fresh)",
            if release { "--release " } else { "" }
        );
        return build(&mut command, package);
    }
    let beside = program.with_file_name(package);
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Error::usage(format!(
        "{} is not there: build it with `cargo build --release -p {package}`, or name one with --source or --destination",
        beside.display()
    )))
}

fn build(command: &mut Command, package: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(folder);
    }
    // What cargo told this program of its package would make build scripts that look at such
    // variables run again, and all that depends on them be compiled anew.
    for (name, _) in std::env::vars_os() {
        let of_package = |name: &str| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p))
        };
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    let cannot = |error: std::io::Error| Error::run(format!("cannot run cargo: {error}"));
    let mut cargo = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let lines = cargo.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
    let built =
        lines.map_while(std::io::Result::ok).filter_map(|line| executable(&line, package)).last();
    let status = cargo.wait().map_err(cannot)?;
    match built {
        Some(path) if status.success() => Ok(path),
        _ => Err(Error::run(format!("cargo could not build {package}; its messages are above"))),
    }
}

/// The path of the package's program in one of cargo's messages about what it built.
fn executable(line: &str, package: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_ours = message.pointer("/target/name").and_then(Value::as_str) == Some(package);
    message.get("executable").and_then(Value::as_str).filter(|_| is_ours).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"source-stripe"},"executable":"/t/release/source-stripe"}"#;
        assert_eq!(
            executable(line, "source-stripe"),
            Some(PathBuf::from("/t/release/source-stripe"))
        );
        for other in [
            r#"{"reason":"compiler-artifact","target":{"name":"source-stripe"},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"sync"},"executable":"/t/release/sync"}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "warning: something",
        ] {
            assert_eq!(executable(other, "source-stripe"), None);
        }
    }
}
