//! The `sandbox` program: see the crate documentation and README.md.

use std::process::ExitCode;

fn main() -> ExitCode {
    match sandbox::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}
