//! The command check: C.

use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use super::sample;
use crate::checks::output::Expected;
use crate::checks::spec as checks;
use crate::config::{CheckStatus, ConnectionTest, Entry};
use crate::exec::{Call, Trouble};
use crate::rules::{self, Rule};
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// Broken configurations that are tried.
const BROKEN: usize = 24;

/// The trials of check. The first one is carried out alone, before all others: it may rotate
/// tokens.
pub fn first(lab: &Lab<'_>) -> Result<bool, Trouble> {
    let mut desk = Desk::new(lab);
    let call = desk.call("check", "check");
    let run = desk.run(&call, Expected::Success)?;
    succeeds(&mut desk, &run, &rules::C01);
    let rotates = run.payloads("CONTROL").next().is_some();
    desk.clear();
    Ok(rotates)
}

/// Everything else about check.
pub fn trials<'a>(lab: &'a Lab<'a>, tests: &'a [ConnectionTest]) -> Vec<Trial<'a>> {
    let mut trials = Vec::new();
    for test in tests {
        let rules: &[&'static Rule] = &[&rules::C01, &rules::C05, &rules::C06];
        trials.push(Trial::new("check as configured", rules, move |desk: &mut Desk<'_>| {
            entry(desk, lab, test)
        }));
    }
    let broken = checks::breaking_configs(lab.spec(), &lab.config());
    for (what, config) in sample(broken, BROKEN, lab.seed) {
        trials.push(Trial::new("check, broken configuration", &[&rules::C02, &rules::C06], {
            move |desk: &mut Desk<'_>| refused(desk, &rules::C02, &what, config)
        }));
    }
    trials.push(Trial::new("check, wrong credentials", &[&rules::C03, &rules::C06], wrong_secrets));
    trials.push(Trial::new("check, an unknown property", &[&rules::C04], unknown_property));
    trials
}

fn status(run: &Transcript) -> Option<&str> {
    run.answer("CONNECTION_STATUS").and_then(|(_, status)| status["status"].as_str())
}

fn told(run: &Transcript) -> String {
    let answers = run.payloads("CONNECTION_STATUS").count();
    let message = run
        .answer("CONNECTION_STATUS")
        .and_then(|(_, status)| status["message"].as_str())
        .unwrap_or_default();
    match status(run) {
        Some(status) => format!("{status} ({}) {message}", run.exit),
        None => {
            format!("{answers} CONNECTION_STATUS messages ({}): {}", run.exit, run.error_text())
        }
    }
}

fn succeeds(desk: &mut Desk<'_>, run: &Transcript, rule: &'static Rule) {
    desk.sheet.check(rule);
    if status(run) != Some("SUCCEEDED") || !run.exit.is_success() {
        desk.find(Finding::new(rule, format!("it said {}", told(run))).in_run(&run.title));
    }
}

/// A FAILED status has to say why.
fn explains(desk: &mut Desk<'_>, run: &Transcript) {
    let Some((line, answer)) = run.answer("CONNECTION_STATUS") else { return };
    if answer["status"] == "FAILED" {
        desk.sheet.check(&rules::C06);
        if answer["message"].as_str().is_none_or(|message| message.trim().is_empty()) {
            let finding = Finding::new(&rules::C06, "FAILED without a message");
            desk.find(finding.in_run(&run.title).at(line.number, &line.text()));
        }
    }
}

fn entry(desk: &mut Desk<'_>, lab: &Lab<'_>, test: &ConnectionTest) -> Result<(), Trouble> {
    let config = super::config_of(lab, &test.common)?;
    lab.know_secrets_of(&config);
    let environment = super::environment_of(lab, &test.common)?;
    let mut call = Call::new(format!("check, {:?} is due", test.status), "check").config(&config);
    call.environment.extend(environment);
    call = call.timeout(test.timeout());
    let expected = match test.status {
        CheckStatus::Succeed => Expected::Success,
        _ => Expected::Failure,
    };
    let run = desk.run(&call, expected)?;
    explains(desk, &run);
    let is_met = match test.status {
        CheckStatus::Succeed => {
            succeeds(desk, &run, &rules::C01);
            return Ok(());
        }
        CheckStatus::Failed => status(&run) == Some("FAILED"),
        CheckStatus::Exception => {
            run.errors().next().is_some() && status(&run) != Some("SUCCEEDED")
        }
    };
    desk.sheet.check(&rules::C05);
    if !is_met {
        let message = format!("status {:?} is due, it said {}", test.status, told(&run));
        desk.find(Finding::new(&rules::C05, message).in_run(&run.title));
    }
    Ok(())
}

/// Refused is: FAILED, or an error trace and a non-zero exit.
fn refused(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    what: &str,
    config: Value,
) -> Result<(), Trouble> {
    let call = desk.plain_call(format!("check, {what}"), "check").config(&config);
    desk.lab.know_secrets_of(&config);
    let run = desk.run(&call, Expected::Failure)?;
    desk.sheet.check(rule);
    explains(desk, &run);
    let is_refused = status(&run) == Some("FAILED") || run.failed_loudly();
    if !is_refused {
        let message = format!("with {what} it said {}", told(&run));
        desk.find(Finding::new(rule, message).in_run(&run.title));
    }
    Ok(())
}

fn wrong_secrets(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let Some(config) = checks::with_wrong_secrets(desk.lab.spec(), &desk.lab.config()) else {
        desk.sheet.skip(&rules::C03, "the configuration has no secrets");
        return Ok(());
    };
    refused(desk, &rules::C03, "other secrets", config)
}

fn unknown_property(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let config = checks::with_unknown_property(&desk.lab.config());
    let call = desk.plain_call("check, an unknown property", "check").config(&config);
    let run = desk.run(&call, Expected::Success)?;
    succeeds(desk, &run, &rules::C04);
    Ok(())
}
