//! The command line.

use std::process::ExitCode;

use acceptance::stub;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "stub-source" => match rest {
            [flag, name, rest @ ..] if flag == "--mutant" => stub::source::main(Some(name), rest),
            rest => stub::source::main(None, rest),
        },
        _ => ExitCode::from(2),
    }
}
