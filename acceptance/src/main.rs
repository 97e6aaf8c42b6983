//! `acceptance`: runs a connector and looks at everything that it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    acceptance::cli::main()
}
