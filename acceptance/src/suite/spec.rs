//! The command spec: S, and what an upgrade changes in it.

use std::path::Path;

use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use crate::checks::output::Expected;
use crate::checks::spec as checks;
use crate::config::SpecTest;
use crate::diff;
use crate::exec::Trouble;
use crate::rules;
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// Runs `spec` for the first time. Without one SPEC there is nothing to go on with.
pub fn first(lab: &Lab<'_>) -> Result<Option<Value>, Trouble> {
    let mut desk = Desk::new(lab);
    let call = desk.plain_call("spec", "spec");
    let run = desk.run(&call, Expected::Success)?;
    let spec = single(&mut desk, &run);
    if let Some(spec) = &spec {
        lab.set_spec(spec.clone());
        let options = checks::Options {
            is_destination: lab.is_destination(),
            oauth_is_default: oauth_is_default(lab),
        };
        checks::lint(spec, options, &run.title, &mut desk.sheet);
    }
    desk.clear();
    Ok(spec)
}

fn oauth_is_default(lab: &Lab<'_>) -> bool {
    let tests = lab.settings.acceptance_tests.spec.iter().flat_map(|section| &section.tests);
    tests.filter_map(|test| test.auth_default_method.as_ref()).all(|method| method.oauth)
}

fn single(desk: &mut Desk<'_>, run: &Transcript) -> Option<Value> {
    desk.sheet.check(&rules::S01);
    let count = run.payloads("SPEC").count();
    if count != 1 || !run.exit.is_success() {
        let message = format!("{count} SPEC messages, {}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::S01, message).in_run(&run.title));
    }
    run.payloads("SPEC").next().map(|(_, spec)| spec.clone())
}

/// Everything about the spec that needs it to be known.
pub fn trials<'a>(lab: &'a Lab<'a>, tests: &'a [SpecTest]) -> Vec<Trial<'a>> {
    let mut trials = vec![
        Trial::new("spec, a second time", &[&rules::S10], again),
        Trial::new("spec, debugging on", &[&rules::O12], debugging),
    ];
    for test in tests {
        trials.push(Trial::new("the configuration and the spec", &[&rules::S03, &rules::S12], {
            move |desk: &mut Desk<'_>| entry(desk, lab, test)
        }));
    }
    trials
}

fn again(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let call = desk.plain_call("spec, a second time", "spec");
    let run = desk.run(&call, Expected::Success)?;
    desk.sheet.check(&rules::S10);
    let spec = run.payloads("SPEC").next().map(|(_, spec)| spec);
    if spec.is_some_and(|spec| spec != desk.lab.spec()) {
        let difference = crate::rows::difference(
            &desk.lab.spec().to_string(),
            &spec.cloned().unwrap_or_default().to_string(),
        );
        desk.find(Finding::new(&rules::S10, difference).in_run(&run.title));
    }
    Ok(())
}

fn debugging(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let call = desk.plain_call("spec --debug", "spec").argument("--debug");
    let flagged = desk.lab.connector.run(&call)?;
    let call = desk.plain_call("spec, LOG_LEVEL=debug", "spec").variable("LOG_LEVEL", "debug");
    let variable = desk.lab.connector.run(&call)?;
    let call = desk.call("check --debug", "check").argument("--debug");
    let check = desk.lab.connector.run(&call)?;
    for run in [flagged, variable, check] {
        if !run.exit.is_success() {
            desk.sheet.skip(&rules::O12, format!("`{}` ended with {}", run.title, run.exit));
            continue;
        }
        desk.sheet.check(&rules::O12);
        let is_message = |line: &&crate::transcript::Line| {
            let known = line.kind().and_then(crate::transcript::payload_key).is_some();
            line.syntax.is_some() || !known
        };
        if let Some(line) = run.lines.iter().find(is_message) {
            let finding = Finding::new(&rules::O12, "debug output that is no message");
            desk.find(finding.in_run(&run.title).at(line.number, &line.text()));
        }
    }
    Ok(())
}

fn entry(desk: &mut Desk<'_>, lab: &Lab<'_>, test: &SpecTest) -> Result<(), Trouble> {
    let config = super::config_of(lab, &test.common)?;
    checks::config(lab.spec(), &config, "the configuration", &mut desk.sheet);
    let Some(path) = &test.spec_path else {
        desk.sheet.skip(&rules::S12, "no spec_path is given");
        return Ok(());
    };
    if !path.is_file() {
        desk.sheet.skip(&rules::S12, format!("{} is not there", path.display()));
        return Ok(());
    }
    let expected = diff::read_spec(path).map_err(|error| Trouble(error.to_string()))?;
    desk.sheet.check(&rules::S12);
    if &expected != lab.spec() {
        let difference = crate::rows::difference(&expected.to_string(), &lab.spec().to_string());
        let message = format!("it differs from {}: {difference}", shown(path));
        desk.find(Finding::new(&rules::S12, message));
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
