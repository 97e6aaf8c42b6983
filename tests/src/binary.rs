//! Finding a connector's executable, which cargo builds when it has changed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The executable of a connector, of the profile and in the folder that the tests were built in.
/// Cargo is asked once a process whether it is fresh. Panics if it cannot be built.
pub fn of(connector: &'static str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<&'static str, Result<PathBuf, String>>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let path = built.get_or_insert_default().entry(connector).or_insert_with(|| build(connector));
    let path = path.clone();
    drop(built);
    path.unwrap_or_else(|why| panic!("cargo could not build {connector}:\n{why}"))
}

fn build(connector: &str) -> Result<PathBuf, String> {
    let tests = std::env::current_exe().expect("the path of the tests");
    // target/PROFILE/deps/tests-…
    let folder = tests.ancestors().nth(2).expect("a target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().unwrap_or(Path::new("target"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    // What cargo told the tests of their package would make it build dependencies anew that look
    // at such variables.
    let of_package = |name: &str| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name == "CARGO_CRATE_NAME"
    };
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| of_package(name)) {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--quiet", "--package", connector, "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    let path = folder.join(connector);
    if output.status.success() && path.is_file() {
        Ok(path)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
