//! The experiments as trials of the suite.

use serde_json::Value;

use super::{Bench, EXPERIMENTS, Experiment, TableCommand};
use crate::checks::output::Expected;
use crate::config::Destination;
use crate::exec::Trouble;
use crate::suite::lab::{Desk, Lab, Trial};

/// A trial for each experiment whose sync mode the destination knows.
pub(in crate::suite) fn trials<'a>(lab: &'a Lab<'a>) -> Vec<Trial<'a>> {
    let settings = lab.settings.destination.clone().unwrap_or_default();
    let modes = modes(&settings, lab.spec());
    // Tables of an earlier run may still be there.
    let prefix = format!("acceptance_{:x}_", chrono::Utc::now().timestamp());
    EXPERIMENTS
        .iter()
        .filter(|experiment| modes.iter().any(|mode| mode == experiment.mode))
        .map(|experiment| {
            let (settings, prefix) = (settings.clone(), prefix.clone());
            let work = move |desk: &mut Desk<'_>| carry_out(desk, experiment, &settings, &prefix);
            Trial::new(experiment.name, experiment.rules, work)
        })
        .collect()
}

/// The modes to try: those that are asked for, else those of the spec.
fn modes(settings: &Destination, spec: &Value) -> Vec<String> {
    if !settings.sync_modes.is_empty() {
        return settings.sync_modes.clone();
    }
    let named = spec["supported_destination_sync_modes"].as_array();
    let named: Vec<String> =
        named.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if named.is_empty() { vec!["append".to_owned()] } else { named }
}

fn carry_out(
    desk: &mut Desk<'_>,
    experiment: &Experiment,
    settings: &Destination,
    prefix: &str,
) -> Result<(), Trouble> {
    let namespace = settings.namespace.as_deref();
    let folder = &desk.lab.settings.folder;
    let command = |line: &Option<String>| {
        line.as_deref().map(|line| TableCommand::new(line, namespace).in_folder(folder))
    };
    let (read_back, clean_up) = (command(&settings.read_back), command(&settings.clean_up));
    let config = desk.lab.config();
    let mut bench = Bench::new(&desk.lab.connector, &config, read_back.as_ref(), prefix);
    bench.namespace = namespace;
    let outcome = (experiment.work)(&mut bench);
    let Bench { sheet, runs, written, .. } = bench;
    desk.sheet.merge(sheet);
    for (run, is_good) in runs {
        let expected = if is_good { Expected::Success } else { Expected::Failure };
        let call = desk.call(run.title.clone(), "write");
        desk.look_at(&run, expected, &call);
    }
    if let Some(clean_up) = clean_up {
        for stream in written {
            clean_up.run(&config, &stream)?;
        }
    }
    outcome
}
