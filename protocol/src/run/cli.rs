//! The arguments of the process.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

/// What the process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Spec,
    Check,
    Discover,
    Read,
    Write,
    /// A command of the connector's own: its name and what it does.
    Task(&'static str, &'static str),
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Check => "check",
            Self::Discover => "discover",
            Self::Read => "read",
            Self::Write => "write",
            Self::Task(name, _) => name,
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Spec => "Prints what the connector can be configured with",
            Self::Check => "Tells whether a configuration works",
            Self::Discover => "Lists the streams",
            Self::Read => "Reads the streams of a configured catalog to stdout",
            Self::Write => "Writes the records of stdin",
            Self::Task(_, about) => about,
        }
    }

    pub(super) fn needs_config(self) -> bool {
        self != Self::Spec
    }

    /// Whether it moves records: it may run for hours, and has to be stopped with care.
    pub(super) fn is_transfer(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// The arguments, understood.
#[derive(Debug)]
pub(super) struct Arguments {
    pub command: Command,
    pub config: Option<PathBuf>,
    pub catalog: Option<PathBuf>,
    pub state: Option<PathBuf>,
    pub debug: bool,
}

/// Arguments that are not understood, or that ask for help.
#[derive(Debug)]
pub(super) struct Usage {
    /// What is wrong, in one sentence; `None` when help was asked for.
    pub problem: Option<String>,
    /// The text for a person.
    pub text: String,
}

/// Reads the arguments of a connector that has `commands` besides `spec` and `check`.
pub(super) fn parse(
    commands: &[Command],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Arguments, Usage> {
    let commands: Vec<Command> = [&[Command::Spec, Command::Check], commands].concat();
    let mut parser = parser(&commands);
    let matches =
        parser.try_get_matches_from_mut(arguments).map_err(|error| usage(&mut parser, error))?;
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        commands.iter().find(|command| command.name() == name).map(|command| (*command, matches))
    });
    let Some((command, matches)) = chosen else {
        let error = parser.error(ErrorKind::MissingSubcommand, "no command was given");
        return Err(usage(&mut parser, error));
    };
    let arguments = read(command, matches);
    let missing = [
        (command.needs_config() && arguments.config.is_none(), "--config"),
        (command.is_transfer() && arguments.catalog.is_none(), "--catalog"),
    ];
    if let Some((_, flag)) = missing.iter().find(|(is_missing, _)| *is_missing) {
        let problem = format!("`{}` needs {flag} <FILE>", command.name());
        let error = parser.error(ErrorKind::MissingRequiredArgument, problem);
        return Err(usage(&mut parser, error));
    }
    Ok(arguments)
}

fn parser(commands: &[Command]) -> clap::Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .help(help)
            .global(true)
            .value_parser(value_parser!(PathBuf))
    };
    let subcommands =
        commands.iter().map(|command| clap::Command::new(command.name()).about(command.about()));
    // Every flag is taken by every command, since runners differ in what they pass.
    clap::Command::new("connector")
        .subcommands(subcommands)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .arg(file("config", "The configuration, as JSON"))
        .arg(file("catalog", "The configured catalog, as JSON"))
        .arg(file("state", "The state to go on from, as JSON"))
        .arg(
            Arg::new("debug")
                .long("debug")
                .help("Logs in more detail")
                .global(true)
                .action(ArgAction::SetTrue),
        )
}

fn read(command: Command, matches: &ArgMatches) -> Arguments {
    let file = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    Arguments {
        command,
        config: file("config"),
        catalog: file("catalog"),
        state: file("state"),
        debug: matches.get_flag("debug"),
    }
}

fn usage(parser: &mut clap::Command, error: clap::Error) -> Usage {
    let mut text = error.render().to_string();
    let is_help = error.kind() == ErrorKind::DisplayHelp;
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    if !text.contains("Usage:") {
        text = format!("{text}\n{}\n", parser.render_usage());
    }
    Usage { problem: (!is_help).then_some(first), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Arguments, Usage> {
        parse(&[Command::Discover, Command::Read], line.split(' ').map(OsString::from))
    }

    #[test]
    fn both_spellings_and_any_order_are_taken() {
        for line in [
            "source read --config a --catalog b --state c --debug",
            "source read --config=a --catalog=b --state=c --debug --debug",
            "source --config a --debug read --state c --catalog b",
            "source read --config z --config a --catalog b --state=c --debug",
        ] {
            let arguments = parse_line(line).unwrap();
            assert_eq!(arguments.command, Command::Read, "{line}");
            assert_eq!(arguments.config.as_deref(), Some("a".as_ref()), "{line}");
            assert_eq!(arguments.catalog.as_deref(), Some("b".as_ref()), "{line}");
            assert_eq!(arguments.state.as_deref(), Some("c".as_ref()), "{line}");
            assert!(arguments.debug, "{line}");
        }
        assert!(parse_line("source spec --config a --state b").is_ok());
    }

    #[test]
    fn misuse_says_what_is_wrong() {
        for (line, part) in [
            ("source", "no command"),
            ("source frobnicate", "frobnicate"),
            ("source write --config a --catalog b", "write"),
            ("source check", "--config"),
            ("source read --config a", "--catalog"),
            ("source read --config", "--config"),
            ("source spec --manifest-path x", "--manifest-path"),
        ] {
            let usage = parse_line(line).unwrap_err();
            let problem = usage.problem.unwrap();
            assert!(problem.contains(part), "{line}: {problem}");
            assert!(usage.text.contains("Usage"), "{line}: {}", usage.text);
        }
    }

    #[test]
    fn help_is_no_misuse() {
        let usage = parse_line("source --help").unwrap_err();
        assert!(usage.problem.is_none() && usage.text.contains("discover"));
    }
}
