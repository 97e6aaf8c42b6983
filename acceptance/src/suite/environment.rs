//! What a connector runs in: E04 to E07.

use std::time::Duration;

use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use super::reading::{self, Read, Reading};
use crate::checks::output::Expected;
use crate::checks::streams::{self, Asked};
use crate::config::ConfigSource;
use crate::exec::{Stop, Trouble};
use crate::rules::{self, Level};
use crate::sheet::Finding;

/// How long a slow reader does not read.
const PAUSE: Duration = Duration::from_secs(2);
/// Memory that a process may use more than another one by chance, in bytes.
const SLACK: u64 = 24 << 20;
/// Why it cannot be tried whether memory grows with the data.
const NO_GROWTH: &str = "no configuration with more data is given (growth.config_path)";

/// All trials of the environment.
pub fn trials<'a>(
    lab: &'a Lab<'a>,
    reading: &'a Reading<'a>,
    whole: &'a Read,
    growth: Option<ConfigSource>,
) -> Vec<Trial<'a>> {
    vec![
        Trial::new("any user, no home, read-only folder", &[&rules::E04], {
            move |desk: &mut Desk<'_>| confined(desk, reading, whole)
        }),
        Trial::new("more data, and a slow reader", &[&rules::E05, &rules::E06], {
            move |desk: &mut Desk<'_>| more(desk, lab, reading, whole, growth.as_ref())
        }),
        Trial::new("the cloud edition", &[&rules::E07], move |desk: &mut Desk<'_>| {
            cloud(desk, lab)
        }),
    ]
}

fn confined(desk: &mut Desk<'_>, reading: &Reading<'_>, whole: &Read) -> Result<(), Trouble> {
    // Programs of a private home cannot be run by another user; that says nothing about them.
    let probe = desk.plain_call("spec, as any user", "spec").confined();
    let run = match desk.lab.connector.run(&probe) {
        // What prints messages is the connector itself, so what is wrong is its own.
        Ok(run) if run.lines.iter().any(|line| line.kind().is_some()) => run,
        Ok(run) => {
            let why = format!("it cannot be run as another user here ({})", run.exit);
            desk.sheet.skip(&rules::E04, why);
            return Ok(());
        }
        Err(_) => {
            let why = "the program, or its interpreter, is in a private folder";
            desk.sheet.skip(&rules::E04, format!("it cannot be run as another user here: {why}"));
            return Ok(());
        }
    };
    desk.sheet.check(&rules::E04);
    if run.answer("SPEC").is_none() {
        let message = format!("spec: {}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::E04, message).in_run(&run.title));
        return Ok(());
    }
    let call = desk.call("read, as any user", "read").catalog(&whole.catalog).confined();
    let run = desk.run(&call, Expected::Anything)?;
    if !run.exit.is_success() {
        let message = format!("{}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::E04, message).in_run(&run.title));
        return Ok(());
    }
    if whole.is_good {
        reading::compare(
            desk,
            &rules::E04,
            &run.title,
            &whole.rows,
            &reading.rows(&run, usize::MAX),
        );
    }
    Ok(())
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// Reads from the configuration with more data, once quickly and once with a reader that pauses;
/// without such a configuration the pause is tried with the ordinary one.
fn more(
    desk: &mut Desk<'_>,
    lab: &Lab<'_>,
    reading: &Reading<'_>,
    whole: &Read,
    growth: Option<&ConfigSource>,
) -> Result<(), Trouble> {
    let Some(source) = growth else {
        desk.sheet.skip(&rules::E05, NO_GROWTH);
        return slow_reader(desk, lab, whole, None);
    };
    let config = lab.settings.read_config(source).map_err(|error| Trouble(error.to_string()))?;
    lab.know_secrets_of(&config);
    let catalog = streams::configured(&reading.streams, Asked::FullRefresh);
    let call = desk.plain_call("read, more data", "read").config(&config).catalog(&catalog);
    let run = desk.run(&call, Expected::Success)?;
    let (small, large) = (whole.run.records().count(), run.records().count());
    if large < small * 2 {
        let why = format!("the larger configuration has {large} records, the other one {small}");
        desk.sheet.skip(&rules::E05, why);
        return slow_reader(desk, lab, whole, None);
    }
    desk.sheet.check(&rules::E05);
    let (before, now) = (whole.run.usage.peak_rss, run.usage.peak_rss);
    if before > 0 && has_grown(lab, before, now) {
        let message =
            format!("{} MiB with {large} records, {} MiB with {small}", mib(now), mib(before));
        desk.find(Finding::new(&rules::E05, message).in_run(&run.title));
    }
    slow_reader(desk, lab, whole, Some((&config, now)))
}

/// Whether a peak of memory with more data is more than chance explains; both in bytes.
fn has_grown(lab: &Lab<'_>, before: u64, now: u64) -> bool {
    now as f64 > before as f64 * lab.settings.limits.growth_factor + SLACK as f64
}

/// `larger` is the configuration with more data, and the peak of memory, in bytes, when its output
/// is read at once. A bounded queue that fills while nobody reads is no fault, so memory has to
/// grow with the data too; where that cannot be tried there is a warning only.
fn slow_reader(
    desk: &mut Desk<'_>,
    lab: &Lab<'_>,
    whole: &Read,
    larger: Option<(&Value, u64)>,
) -> Result<(), Trouble> {
    let (ordinary, quick) = (lab.config(), whole.run.usage.peak_rss);
    let (title, config, usual) = match larger {
        Some((config, usual)) => ("read, more data, a slow reader", config, usual),
        None => ("read, a slow reader", &ordinary, quick),
    };
    let (run, now) = read_slowly(desk, title, config, whole)?;
    desk.sheet.check(&rules::E06);
    if usual == 0 || now <= usual + usual / 4 + SLACK / 4 {
        return Ok(());
    }
    let message =
        format!("peak memory was {} MiB while nobody read, {} MiB otherwise", mib(now), mib(usual));
    let finding = Finding::new(&rules::E06, message).in_run(&run);
    if larger.is_none() {
        let why = format!("a queue with a bound would do that too, and {NO_GROWTH}");
        desk.find(finding.only(Level::Warning, why));
        return Ok(());
    }
    let (_, small) = read_slowly(desk, "read, a slow reader", &ordinary, whole)?;
    if has_grown(lab, small.max(quick), now) {
        desk.find(finding);
    }
    Ok(())
}

/// The title of the read, and its peak of memory in bytes.
fn read_slowly(
    desk: &mut Desk<'_>,
    title: &str,
    config: &Value,
    whole: &Read,
) -> Result<(String, u64), Trouble> {
    let line = whole.run.records().next().map_or(1, |(line, _)| line.number);
    let call = desk.plain_call(title, "read").config(config);
    let call = call.catalog(&whole.catalog).stop(Stop::PauseAt(line, PAUSE)).hindered();
    let run = desk.run(&call, Expected::Success)?;
    Ok((run.title.clone(), run.usage.peak_rss))
}

fn cloud(desk: &mut Desk<'_>, lab: &Lab<'_>) -> Result<(), Trouble> {
    let address = super::faults::base_url(lab);
    let is_private = address.as_deref().is_some_and(|address| {
        address.starts_with("http://")
            || ["//127.", "//localhost", "//10.", "//192.168."]
                .iter()
                .any(|host| address.contains(host))
    });
    if !is_private {
        let why = "the configuration names no private or unencrypted address (proxy.base_url_key)";
        desk.sheet.skip(&rules::E07, why);
        return Ok(());
    }
    let call = desk.call("check, DEPLOYMENT_MODE=CLOUD", "check");
    let call = call.variable("DEPLOYMENT_MODE", "CLOUD").variable("AIRBYTE_EDITION", "cloud");
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::E07);
    let status = run.answer("CONNECTION_STATUS").map(|(_, status)| &status["status"]);
    if status.and_then(Value::as_str) == Some("SUCCEEDED") {
        let message = format!("it took the address {}", address.unwrap_or_default());
        desk.find(Finding::new(&rules::E07, message).in_run(&run.title));
    }
    Ok(())
}
