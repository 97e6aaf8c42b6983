//! The suite for destinations: the correct stub passes, and every mutant is caught by its rule.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use acceptance::exec::Connector;
use acceptance::sheet::Sheet;
use acceptance::stub::destination;
use acceptance::stub::mutants::{self, ALL, Mutant};
use acceptance::suite::destination::{Bench, EXPERIMENTS, Experiment, TableCommand};

const PROGRAM: &str = env!("CARGO_BIN_EXE_acceptance");

/// What the experiments find.
fn findings(
    mutant: Option<&str>,
    wanted: impl Fn(&Experiment) -> bool,
    reads: bool,
    namespace: Option<&str>,
) -> Sheet {
    let folder = tempfile::tempdir().unwrap();
    let config = destination::config(folder.path());
    let mut words = vec![PROGRAM.to_owned(), "stub-destination".to_owned()];
    words.extend(mutant.into_iter().flat_map(|name| ["--mutant".to_owned(), name.to_owned()]));
    let connector = Connector::executable(words);
    let stream = if namespace.is_some() { "$NAMESPACE.$STREAM" } else { "$STREAM" };
    let line = format!("'{PROGRAM}' stub-destination read --config {{config}} \"{stream}\"");
    let read_back = TableCommand::new(&line, namespace);
    let mut sheet = Sheet::new();
    for experiment in EXPERIMENTS.iter().filter(|experiment| wanted(experiment)) {
        let read_back = reads.then_some(&read_back);
        let mut bench = Bench::new(&connector, &config, read_back, "acceptance_");
        bench.namespace = namespace;
        (experiment.work)(&mut bench).unwrap();
        sheet.merge(bench.sheet);
    }
    sheet
}

fn summary(sheet: &Sheet) -> Vec<String> {
    sheet.findings().map(|finding| format!("{} {}", finding.rule.id, finding.message)).collect()
}

#[test]
fn the_correct_stub_raises_nothing() {
    let sheet = findings(None, |_| true, true, None);
    assert_eq!(summary(&sheet), Vec::<String>::new());
    let rules = acceptance::rules::all().filter(|rule| rule.group() == 'W');
    for rule in rules {
        let tally = sheet.tally(rule).unwrap_or_else(|| panic!("nobody looked at {}", rule.id));
        assert!(tally.checks > 0 && tally.skipped.is_empty(), "{}: {:?}", rule.id, tally.skipped);
    }
}

#[test]
fn a_namespace_changes_nothing() {
    let wanted = |experiment: &Experiment| experiment.name != "names";
    assert_eq!(summary(&findings(None, wanted, true, Some("crm"))), Vec::<String>::new());
}

#[test]
fn without_read_back_what_cannot_be_seen_is_skipped() {
    let sheet = findings(None, |experiment| experiment.name != "a large batch", false, None);
    assert_eq!(summary(&sheet), Vec::<String>::new());
    assert!(!sheet.tally(&acceptance::rules::W06).unwrap().skipped.is_empty());
}

#[test]
fn every_mutant_is_caught_by_the_rule_meant_for_it() {
    let mutants: Vec<&Mutant> = ALL
        .iter()
        .filter(|m| m.connector == mutants::Connector::Destination && m.rule.group() == 'W')
        .collect();
    assert!(mutants.len() >= 30);
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let name = mutant.name();
                    // Experiments of its own rule must catch it; the others may.
                    let of_rule = |e: &Experiment| e.rules.contains(&mutant.rule);
                    let sheet = findings(Some(&name), of_rule, true, None);
                    let caught: BTreeSet<&str> =
                        sheet.findings().map(|finding| finding.rule.id).collect();
                    if !caught.contains(mutant.rule.id) {
                        let what = format!("{name} ({}): {:?}", mutant.rule.id, summary(&sheet));
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
