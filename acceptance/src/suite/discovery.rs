//! The command discover: D.

use serde_json::Value;

use super::inputs;
use super::lab::{Desk, Lab, Trial};
use crate::checks::catalog as checks;
use crate::checks::output::Expected;
use crate::checks::spec as spec_checks;
use crate::config::DiscoveryTest;
use crate::exec::{Content, Trouble};
use crate::rules;
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// Runs `discover` for the first time; gives the payload of its CATALOG.
pub fn first(lab: &Lab<'_>, test: &DiscoveryTest) -> Result<Option<Value>, Trouble> {
    let mut desk = Desk::new(lab);
    let call = desk.call("discover", "discover");
    let run = desk.run(&call, Expected::Success)?;
    let catalog = single(&mut desk, &run);
    if let Some(catalog) = &catalog {
        let options = checks::Options {
            validate_primary_keys_data_type: test.validate_primary_keys_data_type,
        };
        checks::lint(catalog, &run.title, options, &mut desk.sheet);
    }
    desk.clear();
    Ok(catalog)
}

fn single(desk: &mut Desk<'_>, run: &Transcript) -> Option<Value> {
    desk.sheet.check(&rules::D01);
    let count = run.payloads("CATALOG").count();
    if count != 1 || !run.exit.is_success() {
        let message = format!("{count} CATALOG messages, {}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::D01, message).in_run(&run.title));
    }
    run.payloads("CATALOG").next().map(|(_, catalog)| catalog.clone())
}

/// Everything else about discover.
pub fn trials<'a>(
    lab: &'a Lab<'a>,
    tests: &'a [DiscoveryTest],
    catalog: &'a Value,
) -> Vec<Trial<'a>> {
    let mut trials = vec![
        Trial::new("discover, a second time", &[&rules::D08], move |desk: &mut Desk<'_>| {
            again(desk, catalog)
        }),
        Trial::new("discover, broken configuration", &[&rules::D09, &rules::B08], broken),
        Trial::new("discover, no configuration", &[&rules::D09, &rules::B01], missing),
    ];
    for test in tests.iter().skip(1) {
        trials.push(Trial::new("discover as configured", &[&rules::D01], {
            move |desk: &mut Desk<'_>| {
                let config = super::config_of(lab, &test.common)?;
                lab.know_secrets_of(&config);
                let call = desk.plain_call("discover, another entry", "discover").config(&config);
                let run = desk.run(&call, Expected::Success)?;
                single(desk, &run);
                Ok(())
            }
        }));
    }
    trials
}

fn again(desk: &mut Desk<'_>, catalog: &Value) -> Result<(), Trouble> {
    let call = desk.call("discover, a second time", "discover");
    let run = desk.run(&call, Expected::Success)?;
    desk.sheet.check(&rules::D08);
    let Some((_, second)) = run.payloads("CATALOG").next() else { return Ok(()) };
    let (one, other) = (catalog.to_string(), second.to_string());
    if second != catalog {
        let difference = crate::rows::difference(&one, &other);
        desk.find(Finding::new(&rules::D08, difference).in_run(&run.title));
    } else if one != other {
        let finding = Finding::new(&rules::D08, "the order of members differs");
        let reason = "runners compare catalogs by their content";
        desk.find(finding.only(rules::Level::Warning, reason).in_run(&run.title));
    }
    Ok(())
}

fn broken(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let broken = spec_checks::breaking_configs(desk.lab.spec(), &desk.lab.config());
    let Some((what, config)) = broken.into_iter().next() else {
        let why = "no configuration was found that the spec refuses";
        desk.sheet.skip(&rules::D09, why);
        desk.sheet.skip(&rules::B08, why);
        return Ok(());
    };
    let call = desk.plain_call(format!("discover, {what}"), "discover").config(&config);
    let run = desk.run(&call, Expected::Failure)?;
    desk.sheet.check(&rules::B08);
    fails(desk, &run, &what);
    Ok(())
}

fn missing(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let call = desk.plain_call("discover, no such file", "discover");
    let call = call.file("config", Content::Missing);
    let run = desk.run(&call, Expected::Failure)?;
    desk.sheet.check(&rules::B01);
    fails(desk, &run, "a file that is not there");
    Ok(())
}

fn fails(desk: &mut Desk<'_>, run: &Transcript, what: &str) {
    desk.sheet.check(&rules::D09);
    let has_catalog = run.payloads("CATALOG").next().is_some();
    if !run.failed_loudly() || has_catalog {
        let catalog = if has_catalog { "a catalog" } else { "no catalog" };
        let message =
            format!("with {what}: {}, {catalog}, {} error traces", run.exit, run.errors().count());
        let finding = Finding::new(&rules::D09, message);
        let is_told = run.errors().next().is_some() && !has_catalog;
        let finding = if is_told { inputs::told_all_the_same(finding) } else { finding };
        desk.find(finding.in_run(&run.title));
    }
}
