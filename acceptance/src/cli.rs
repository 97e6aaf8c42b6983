//! The command line.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{Config, Overrides};
use crate::diff::{self, Severity};
use crate::exec::Trouble;
use crate::lint::{self, Known};
use crate::report::{self, About, Report, View};
use crate::rules;
use crate::suite::{self, How, Line, Silent, Wanted};
use crate::transcript::Transcript;
use crate::{self_test, stub};

/// The exit code of a suite that could not run.
const COULD_NOT_RUN: u8 = 2;

#[derive(Parser)]
#[command(
    name = "acceptance",
    version,
    about = "A black-box acceptance suite for Airbyte connectors in any language",
    after_help = "Exit codes: 0 everything holds, 1 a rule is violated, 2 the suite could not run."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a connector and look at everything that it does
    Run(Box<Run>),
    /// Look at a recorded output
    Lint(Lint),
    /// List the rules, or explain one
    Rules(Rules),
    /// Compare two specs, catalogs or outputs, with a verdict: patch, minor or major
    Diff(Diff),
    /// Show that the suite finds what it is meant to find, by a stub connector and its mutants
    SelfTest(SelfTest),
    /// Print the JSON schema of acceptance.yml
    Schema,
    /// The stub source of the self-test
    #[command(hide = true, disable_help_flag = true)]
    StubSource(Stub),
    /// The stub destination of the self-test
    #[command(hide = true, disable_help_flag = true)]
    StubDestination(Stub),
}

#[derive(Args)]
struct Run {
    /// acceptance.yml, or an acceptance-test-config.yml of Airbyte's, or the folder of one
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// The container engine for images
    #[arg(long, value_name = "PROGRAM", default_value = "docker")]
    engine: String,
    /// Only these rules or groups, such as R03,I; others are not reported, unless they keep these
    /// from being looked at
    #[arg(long, value_name = "RULES", value_delimiter = ',')]
    rules: Vec<String>,
    /// Every rule in the report, not only those with findings
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    reports: Reports,
}

/// Where reports go; `-` is stdout.
#[derive(Args, Clone)]
struct Reports {
    /// The report as JSON
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// The report as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The report as one self-contained page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Args)]
struct Lint {
    /// The output: JSON lines as a connector printed them; - for stdin
    output: PathBuf,
    /// The catalog that was read, configured or discovered
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// The configuration; its secrets are looked for
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The spec, which says what is secret
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Warnings fail, too
    #[arg(long)]
    strict: bool,
    /// Every rule in the report
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    reports: Reports,
}

#[derive(Args)]
struct Rules {
    /// A rule to explain
    rule: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// As Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

#[derive(Args)]
struct Diff {
    /// The older one: what a connector printed, or a file with a spec or catalog
    a: PathBuf,
    /// The newer one
    b: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// The least verdict that makes the exit code 1: patch, minor or major
    #[arg(long, value_name = "VERDICT", default_value = "major", value_parser = ["patch", "minor", "major"])]
    fail_on: String,
}

#[derive(Args)]
struct SelfTest {
    /// Only these mutants; `source` and `destination` are the stubs without a fault
    mutants: Vec<String>,
    /// The report of each
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Args)]
struct Stub {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Stub {
    /// Runs a stub: `--mutant NAME` may stand before its own arguments.
    fn run(&self, main: fn(Option<&str>, &[String]) -> ExitCode) -> ExitCode {
        match self.arguments.as_slice() {
            [flag, name, rest @ ..] if flag == "--mutant" => main(Some(name), rest),
            rest => main(None, rest),
        }
    }
}

/// Ctrl-C and SIGTERM end the connectors that are running, and then the suite.
fn end_with_connectors() -> Result<(), Trouble> {
    let signals = [SIGINT, SIGTERM];
    let mut signals = Signals::new(signals)
        .map_err(|error| Trouble(format!("signals cannot be handled: {error}")))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            crate::exec::kill_all();
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Runs the program.
pub fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Run(run) => end_with_connectors().and_then(|()| self::run(&run)),
        Command::Lint(lint) => self::lint(&lint),
        Command::Rules(rules) => self::rules(&rules),
        Command::Diff(diff) => self::diff(&diff),
        Command::SelfTest(test) => {
            self_test::run(&test.mutants, test.verbose, &mut io::stdout().lock())
        }
        Command::Schema => print(&format!("{:#}\n", crate::config::schema())),
        Command::StubSource(stub) => return stub.run(stub::source::main),
        Command::StubDestination(stub) => return stub.run(stub::destination::main),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(trouble) => {
            eprintln!("acceptance: {trouble}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Prints to stdout; a closed pipe is no error.
fn print(text: &str) -> Result<u8, Trouble> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Trouble(format!("stdout: {error}")))
        }
        _ => Ok(0),
    }
}

fn settings(run: &Run) -> Result<Config, Trouble> {
    let trouble = |error: crate::config::ConfigError| Trouble(error.to_string());
    let here = crate::config::find(Path::new("."));
    let file = match (&run.config_file, here) {
        (Some(path), _) => Some(path.clone()),
        // A file in the folder counts, unless a connector is named by flag.
        (None, Some(path))
            if run.overrides.executable.is_none() && run.overrides.image.is_none() =>
        {
            Some(path)
        }
        _ => None,
    };
    match file {
        Some(path) => Config::load(&path).and_then(|config| config.merge(&run.overrides)),
        None => Config::from_flags(&run.overrides),
    }
    .map_err(trouble)
}

fn wanted(names: &[String]) -> Result<Wanted, Trouble> {
    if names.is_empty() {
        return Ok(Wanted::All);
    }
    let mut ids = std::collections::BTreeSet::new();
    for name in names {
        let of_group = rules::all().filter(|rule| {
            name.chars().count() == 1 && rule.id.to_lowercase().starts_with(&name.to_lowercase())
        });
        let found: Vec<&'static str> =
            rules::by_id(name).into_iter().chain(of_group).map(|rule| rule.id).collect();
        if found.is_empty() {
            return Err(Trouble(format!(
                "there is no rule or group `{name}`; `acceptance rules` lists them"
            )));
        }
        ids.extend(found);
    }
    Ok(Wanted::Only(ids))
}

fn run(run: &Run) -> Result<u8, Trouble> {
    let settings = settings(run)?;
    let wanted = wanted(&run.rules)?;
    let how = How { wanted: wanted.clone(), engine: Some(engine(&run.engine)) };
    let report = match Line::on_terminal() {
        Some(line) => {
            let report = suite::run(&settings, how, &line);
            line.finish();
            report?
        }
        None => suite::run(&settings, how, &Silent)?,
    };
    let report = report.only(|rule| wanted.any(&[rule]));
    deliver(&report, &run.reports, run.verbose)
}

/// The engine's program; one with a slash is looked for from here, not from where runs go on.
fn engine(program: &str) -> String {
    match program.contains('/') {
        true => std::path::absolute(program)
            .map_or_else(|_| program.to_owned(), |path| path.to_string_lossy().into_owned()),
        false => program.to_owned(),
    }
}

fn deliver(report: &Report, to: &Reports, verbose: bool) -> Result<u8, Trouble> {
    let mut is_printed = false;
    for (path, text) in
        [(&to.json, report.json() + "\n"), (&to.junit, report.junit()), (&to.html, report.html())]
    {
        match path.as_deref() {
            Some(path) if path == Path::new("-") => {
                is_printed = true;
                print(&text)?;
            }
            Some(path) => fs::write(path, text)
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?,
            None => {}
        }
    }
    if !is_printed {
        print(&report.terminal(&View::of_stdout(verbose)))?;
    }
    Ok(report.exit_code())
}

fn json_file(path: Option<&Path>) -> Result<Option<Value>, Trouble> {
    let Some(path) = path else { return Ok(None) };
    let text = fs::read_to_string(path)
        .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| Trouble(format!("{} is no JSON: {error}", path.display())))
}

fn lint(lint: &Lint) -> Result<u8, Trouble> {
    let bytes = if lint.output == Path::new("-") {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin(), &mut bytes).map(|_| bytes)
    } else {
        fs::read(&lint.output)
    };
    let bytes = bytes.map_err(|error| Trouble(format!("{}: {error}", lint.output.display())))?;
    let trouble = |error: diff::CompareError| Trouble(error.to_string());
    let spec = lint.spec.as_deref().map(diff::read_spec).transpose().map_err(trouble)?;
    let catalog = match json_file(lint.catalog.as_deref())? {
        Some(catalog) if catalog["type"] == "CATALOG" => Some(catalog["catalog"].clone()),
        other => other,
    };
    let config = json_file(lint.config.as_deref())?;
    let run = Transcript::recorded(&lint.output.display().to_string(), "recorded", &bytes);
    let known = Known { catalog: catalog.as_ref(), config: config.as_ref(), spec: spec.as_ref() };
    let sheet = lint::lint(&run, known);
    let about = About {
        connector: lint.output.display().to_string(),
        started_at: chrono::Utc::now(),
        strict: lint.strict,
        ..About::default()
    };
    deliver(&Report::new(&sheet, about), &lint.reports, lint.verbose)
}

fn rules(rules: &Rules) -> Result<u8, Trouble> {
    let view = View::of_stdout(true);
    let text = match &rules.rule {
        Some(id) => match rules::by_id(id) {
            Some(rule) => report::explain(rule, &view),
            None => {
                return Err(Trouble(format!(
                    "there is no rule {id}; `acceptance rules` lists them"
                )));
            }
        },
        None if rules.json => report::rules_json() + "\n",
        None if rules.markdown => report::rules_markdown(),
        None => report::rules_text(&view),
    };
    print(&text)
}

fn diff(diff: &Diff) -> Result<u8, Trouble> {
    let comparison =
        diff::compare_files(&diff.a, &diff.b).map_err(|error| Trouble(error.to_string()))?;
    let text = if diff.json { format!("{:#}\n", comparison.json()) } else { comparison.text() };
    print(&text)?;
    let limit = match diff.fail_on.as_str() {
        "patch" => Severity::Patch,
        "minor" => Severity::Minor,
        _ => Severity::Major,
    };
    Ok(u8::from(comparison.verdict().is_some_and(|verdict| verdict >= limit)))
}
