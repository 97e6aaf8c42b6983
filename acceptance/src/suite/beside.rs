//! What stands beside the program: the previous version (U), metadata, image and documentation
//! (A), and what a strict configuration file demands of itself.

use std::process::Command;

use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use super::reading::{self, Read, Reading};
use crate::checks::attributes;
use crate::checks::output::Expected;
use crate::config::{self, BasicReadTest, IncrementalTest, Plan, Section, Strictness, Target};
use crate::diff::{self, Offer};
use crate::exec::{Connector, Content, Launch, Trouble};
use crate::rules::{self, Rule};
use crate::sheet::Finding;

/// Everything that needs no more than spec and catalog.
pub fn check(lab: &Lab<'_>, catalog: Option<&Value>) -> Result<(), Trouble> {
    let mut desk = Desk::new(lab);
    lab.settings.check_strictness(&mut desk.sheet);
    previous(&mut desk, catalog)?;
    metadata(&mut desk, catalog)?;
    image(&mut desk)?;
    documentation(&mut desk)?;
    desk.clear();
    Ok(())
}

/// The label of an image that names the connector's version.
const VERSION: &str = "io.airbyte.version";

fn trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble(error.to_string())
}

/// The connector of the previous version, where it can be run.
fn previous_connector(lab: &Lab<'_>) -> Result<Option<Connector>, Trouble> {
    let target = lab.settings.previous_target().map_err(trouble)?;
    let mut connector = match target {
        Some(Target::Executable(words)) => Connector::executable(words),
        Some(Target::Image(image)) => {
            let engine = match &lab.connector.launch {
                Launch::Image { engine, .. } => engine.as_str(),
                Launch::Executable(_) => "docker",
            };
            if let Some(version) = lab.settings.disabled_version()
                && inspect(engine, &image)?[0]["Config"]["Labels"][VERSION] == version
            {
                let mut desk = Desk::new(lab);
                for rule in [&rules::U01, &rules::U02, &rules::U03] {
                    let why = format!("{image} is version {version} (disable_for_version)");
                    desk.sheet.skip(rule, why);
                }
                desk.clear();
                return Ok(None);
            }
            Connector::image(&image, engine)
        }
        None => return Ok(None),
    };
    connector.environment = lab.connector.environment.clone();
    Ok(Some(connector))
}

fn previous(desk: &mut Desk<'_>, catalog: Option<&Value>) -> Result<(), Trouble> {
    let lab = desk.lab;
    let given = lab.settings.previous.as_ref();
    let connector = previous_connector(lab)?;
    let mut old_spec = match given.and_then(|given| given.spec_path.as_ref()) {
        Some(path) => Some(diff::read_spec(path).map_err(trouble)?),
        None => None,
    };
    let mut old_catalog = match given.and_then(|given| given.catalog_path.as_ref()) {
        Some(path) => Some(diff::read_catalog(path).map_err(trouble)?),
        None => None,
    };
    if let Some(connector) = &connector {
        if old_spec.is_none() {
            let call = desk.plain_call("spec of the previous version", "spec");
            let run = connector.run(&call)?;
            old_spec = run.payloads("SPEC").next().map(|(_, spec)| spec.clone());
        }
        if old_catalog.is_none() {
            let call = desk.call("discover of the previous version", "discover");
            let run = connector.run(&call)?;
            old_catalog = run.payloads("CATALOG").next().map(|(_, catalog)| catalog.clone());
        }
    }
    let old = Offer { spec: old_spec.as_ref(), catalog: old_catalog.as_ref() };
    let new = Offer { spec: Some(lab.spec()), catalog };
    diff::check(old, new, &mut desk.sheet);
    Ok(())
}

/// A state of the previous version, from a file or from a read by it, is read from.
pub fn previous_state<'a>(
    lab: &'a Lab<'a>,
    reading: &'a Reading<'a>,
    base: &'a Read,
) -> Result<Vec<Trial<'a>>, Trouble> {
    let file = lab.settings.previous.as_ref().and_then(|previous| previous.state_path.clone());
    let connector = previous_connector(lab)?;
    let rules: &[&'static Rule] = &[&rules::U03];
    if file.is_none() && connector.is_none() {
        let mut desk = Desk::new(lab);
        desk.sheet
            .skip(&rules::U03, "no previous version is given (previous.executable, state_path)");
        desk.clear();
        return Ok(Vec::new());
    }
    Ok(vec![Trial::new("a state of the previous version", rules, move |desk: &mut Desk<'_>| {
        if let Some(path) = &file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
            let call = desk.call("read, state of the previous version", "read");
            let call = call.catalog(&base.catalog).file("state", Content::Text(text));
            let run = desk.run(&call, Expected::Anything)?;
            desk.sheet.check(&rules::U03);
            if !run.exit.is_success() {
                let message = format!("{}: {}", run.exit, run.error_text());
                desk.find(Finding::new(&rules::U03, message).in_run(&run.title));
            }
        }
        match &connector {
            Some(connector) => handed_over(desk, reading, base, connector),
            None => Ok(()),
        }
    })])
}

fn handed_over(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    previous: &Connector,
) -> Result<(), Trouble> {
    let call = desk.call("read by the previous version", "read").catalog(&base.catalog);
    let old = previous.run(&call)?;
    let lines: Vec<usize> = old.states().map(|(line, _)| line.number).collect();
    for line in [lines.get(lines.len() / 2).copied(), lines.last().copied()].into_iter().flatten() {
        let state = super::resuming::state_after(&old, line);
        let call = desk.call("read, state of the previous version", "read");
        let call = call.catalog(&base.catalog).state(&state);
        let run = desk.run(&call, Expected::Anything)?;
        desk.sheet.check(&rules::U03);
        if !run.exit.is_success() {
            let message = format!("{}: {}", run.exit, run.error_text());
            desk.find(Finding::new(&rules::U03, message).in_run(&run.title));
            continue;
        }
        let before = super::resuming::covered(reading, &old, line);
        let after = reading.rows(&run, usize::MAX);
        for info in reading.streams.iter().filter(|info| info.is_incremental) {
            let stream = &info.descriptor;
            let (done, came, all) =
                (before.count(stream), after.count(stream), base.rows.count(stream));
            if done >= 10 && came >= all && !super::states::comes_again_anyway(base, info) {
                let message = format!("the state was not used: all {all} records came again");
                desk.find(Finding::new(&rules::U03, message).in_run(&run.title).stream(stream));
            }
        }
        let mut union = before;
        union.extend(&after);
        for (stream, missing) in union.missing_of(&base.rows) {
            let text = reading::named(&missing, base.rows.count(stream), "lost");
            let message = format!("{text}, after the state on line {line} of the previous version");
            desk.find(Finding::new(&rules::U03, message).in_run(&run.title).stream(stream));
        }
    }
    Ok(())
}

fn yaml(path: &std::path::Path) -> Result<Value, Trouble> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
    serde_saphyr::from_str(&text).map_err(|error| Trouble(format!("{}: {error}", path.display())))
}

fn metadata(desk: &mut Desk<'_>, catalog: Option<&Value>) -> Result<(), Trouble> {
    let settings = desk.lab.settings;
    let section = settings.acceptance_tests.connector_attributes.as_ref();
    let metadata = settings.metadata().map(|path| yaml(&path)).transpose()?;
    let rules = [&rules::A01, &rules::A02, &rules::A03];
    let (Some(metadata), Plan::Tests(tests)) = (&metadata, Section::plan(section)) else {
        let why = match Section::plan(section) {
            Plan::Bypassed(why) => format!("bypassed: {why}"),
            Plan::Tests(_) => "there is no metadata.yaml (metadata_path)".to_owned(),
        };
        [&rules[..], &[&rules::A09]]
            .concat()
            .iter()
            .for_each(|rule| desk.sheet.skip(rule, why.clone()));
        return Ok(());
    };
    let exempt: Vec<String> = tests
        .iter()
        .flat_map(|test| &test.streams_without_primary_key)
        .map(|stream| stream.name.clone())
        .collect();
    if let Some(catalog) = catalog {
        // Airbyte demands keys of certified connectors, and of those whose file asks for it.
        let mut sheet = crate::sheet::Sheet::new();
        attributes::primary_keys(catalog, &exempt, &mut sheet);
        if section.is_none() && !attributes::is_certified(metadata) {
            let reason = "only certified connectors have to have them";
            sheet.tone_down(&rules::A01, rules::Level::Note, reason);
        }
        desk.sheet.merge(sheet);
    }
    let mut sheet = crate::sheet::Sheet::new();
    attributes::metadata(metadata, catalog, &mut sheet);
    for test in &tests {
        for (bypass, rule) in
            [(&test.allowed_hosts, &rules::A02), (&test.suggested_streams, &rules::A03)]
        {
            if let Some(why) = &bypass.bypass_reason {
                sheet.tone_down(rule, rules::Level::Note, why);
            }
        }
    }
    desk.sheet.merge(sheet);
    match settings.manifest().map(|path| yaml(&path)).transpose()? {
        Some(manifest) => attributes::interleaved(&manifest, metadata, &mut desk.sheet),
        None => desk.sheet.skip(&rules::A09, "there is no manifest.yaml (manifest_path)"),
    }
    Ok(())
}

fn image(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let Launch::Image { image, engine } = &desk.lab.connector.launch else {
        for rule in [&rules::A04, &rules::A05] {
            desk.sheet.skip(rule, "the connector is run as an executable, not as an image");
        }
        return Ok(());
    };
    let inspected = inspect(engine, image)?;
    let metadata = desk.lab.settings.metadata().map(|path| yaml(&path)).transpose()?;
    attributes::image(&inspected, metadata.as_ref(), &mut desk.sheet);
    Ok(())
}

/// What the engine knows of an image, which it fetches where it is not there yet.
fn inspect(engine: &str, image: &str) -> Result<Value, Trouble> {
    let call = |arguments: &[&str]| {
        let output = Command::new(engine).args(arguments).arg(image).output();
        output.map_err(|error| Trouble(format!("{engine}: {error}")))
    };
    let mut output = call(&["image", "inspect"])?;
    if !output.status.success() {
        call(&["pull", "--quiet"])?;
        output = call(&["image", "inspect"])?;
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Trouble(format!("`{engine} image inspect {image}` printed no JSON: {error}"))
    })
}

fn documentation(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let settings = desk.lab.settings;
    let rules = [&rules::A06, &rules::A07, &rules::A08];
    let section = settings.acceptance_tests.connector_documentation.as_ref();
    let why = match (Section::plan(section), &settings.documentation_path) {
        (Plan::Bypassed(why), _) => format!("bypassed: {why}"),
        (_, None) => "no documentation is given (documentation_path)".to_owned(),
        (Plan::Tests(_), Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
            let metadata = settings.metadata().map(|path| yaml(&path)).transpose()?;
            let name = metadata.as_ref().and_then(|metadata| metadata["data"]["name"].as_str());
            let document =
                attributes::Document { text: &text, path, name: name.unwrap_or_default() };
            attributes::documentation(document, Some(desk.lab.spec()), None, &mut desk.sheet);
            return Ok(());
        }
    };
    rules.iter().for_each(|rule| desk.sheet.skip(rule, why.clone()));
    Ok(())
}

/// A10, for certified file sources and those whose file asks for it.
pub fn file_types(lab: &Lab<'_>, test: &BasicReadTest, whole: &Read) {
    let mut desk = Desk::new(lab);
    match &test.file_types {
        Some(types) if types.skip_test => {
            let why = types.bypass_reason.as_deref().unwrap_or("skip_test is set");
            desk.sheet.skip(&rules::A10, why);
        }
        Some(types) => {
            let unsupported: Vec<String> =
                types.unsupported_types.iter().map(|kind| kind.extension.clone()).collect();
            let records = whole.run.records().map(|(_, record)| &record.data);
            attributes::file_types(records, &unsupported, &mut desk.sheet);
        }
        None => desk.sheet.skip(&rules::A10, "file_types is not set"),
    }
    desk.clear();
}

/// Under high strictness, streams without expected records and without future states.
pub fn expectations(
    lab: &Lab<'_>,
    test: &BasicReadTest,
    reading: &Reading<'_>,
    incremental: Option<&IncrementalTest>,
) -> Result<(), Trouble> {
    if lab.settings.test_strictness_level != Strictness::High {
        return Ok(());
    }
    let mut desk = Desk::new(lab);
    if let Some(path) = test.expect_records.as_ref().and_then(|expect| expect.path.as_ref()) {
        let records = config::expected_records(path).map_err(trouble)?;
        let streams = reading.streams.iter().map(|info| &info.descriptor);
        for stream in config::missing_expected_records(test, streams, &records) {
            let message = "high strictness demands expected records of every stream";
            desk.find(Finding::new(&rules::A11, message).stream(stream));
        }
    }
    let future = incremental.and_then(|test| test.future_state.as_ref());
    if let Some((future, path)) =
        future.and_then(|future| future.future_state_path.as_ref().map(|path| (future, path)))
    {
        let state = yaml(path)?;
        let streams =
            reading.streams.iter().filter(|info| info.is_incremental).map(|info| &info.descriptor);
        for stream in config::missing_future_states(future, streams, &state) {
            let message = "high strictness demands a future state of every incremental stream";
            desk.find(Finding::new(&rules::A11, message).stream(stream));
        }
    }
    desk.clear();
    Ok(())
}
