//! `acceptance`: runs a connector and looks at everything that it does.

use std::process::ExitCode;

fn main() -> ExitCode {
<<<<<<< HEAD
    acceptance::cli::main()
=======
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((command, rest)) if command == "stub-source" => match rest {
            [flag, name, rest @ ..] if flag == "--mutant" => stub::source::main(Some(name), rest),
            rest => stub::source::main(None, rest),
        },
        Some((command, rest)) if command == "stub-destination" => match rest {
            [flag, name, rest @ ..] if flag == "--mutant" => {
                stub::destination::main(Some(name), rest)
            }
            rest => stub::destination::main(None, rest),
        },
        _ => ExitCode::from(2),
    }
>>>>>>> stub
}
