//! Commands of the user around tests: they fill and empty the source.

use std::path::Path;
use std::process::Command;

use crate::config::{ClientContainer, Config};
use crate::exec::Trouble;

/// The commands around a test.
pub struct Around<'a> {
    folder: &'a Path,
    commands: Option<&'a ClientContainer>,
}

impl<'a> Around<'a> {
    /// The commands of an entry; nothing is done where there are none.
    pub fn new(settings: &'a Config, commands: Option<&'a ClientContainer>) -> Self {
        Self { folder: &settings.folder, commands }
    }

    /// Before the test.
    pub fn set_up(&self) -> Result<(), Trouble> {
        self.run(|commands| &commands.setup_command)
    }

    /// Between two reads.
    pub fn between_syncs(&self) -> Result<(), Trouble> {
        self.run(|commands| &commands.between_syncs_command)
    }

    /// After the test.
    pub fn tear_down(&self) -> Result<(), Trouble> {
        self.run(|commands| &commands.teardown_command)
    }

    fn run(&self, which: impl Fn(&ClientContainer) -> &Vec<String>) -> Result<(), Trouble> {
        match self.commands.map(which) {
            Some(words) if !words.is_empty() => run(words, self.folder),
            _ => Ok(()),
        }
    }
}

/// The commands for the very end; what goes wrong does not spoil the report.
pub fn finally(settings: &Config) {
    for words in settings.final_teardown() {
        if let Err(trouble) = run(words, &settings.folder) {
            eprintln!("acceptance: {trouble}");
        }
    }
}

fn run(words: &[String], folder: &Path) -> Result<(), Trouble> {
    let (program, arguments) = words.split_first().ok_or_else(|| Trouble("no command".into()))?;
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| Trouble(format!("`{}`: {error}", words.join(" "))))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().last().unwrap_or_default();
    Err(Trouble(format!("`{}` ended with {}: {last}", words.join(" "), output.status)))
}
