use std::fs;
use std::path::Path;

use airbyte_protocol::StreamDescriptor;

use super::*;
use crate::manifest::{FILE_NAME, fingerprint};

fn users() -> StreamDescriptor {
    StreamDescriptor::new("users")
}

fn follow() -> Plan {
    Plan { stream: users(), incremental: true, replace: false, resume: true }
}

fn replace() -> Plan {
    Plan { stream: users(), incremental: false, replace: true, resume: false }
}

/// An output folder, and beside it a state file that is nothing but a name.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn out(&self) -> std::path::PathBuf {
        self.0.path().join("out")
    }

    fn state(&self) -> Option<String> {
        fs::read_to_string(self.0.path().join("state")).ok()
    }

    fn set_state(&self, state: &str) -> Result<()> {
        fs::write(self.0.path().join("state"), state).map_err(|error| Error::run(error.to_string()))
    }

    fn open_with(&self, plan: &Plan) -> Result<(OutputFolder, Found)> {
        let state = self.state();
        OutputFolder::open(
            &self.out(),
            std::slice::from_ref(plan),
            fingerprint(state.as_ref().map(|s| s.as_bytes())),
        )
    }

    fn open(&self, plan: &Plan) -> OutputFolder {
        self.open_with(plan).unwrap().0
    }

    fn commit(&self, folder: &mut OutputFolder, state: &str) {
        folder.commit(fingerprint(Some(state.as_bytes())), || self.set_state(state)).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.out().join("users.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn exists(&self, name: &str) -> bool {
        self.out().join(name).exists()
    }
}

fn append(folder: &mut OutputFolder, records: &[&str]) {
    for record in records {
        folder.append(&users(), record).unwrap();
    }
}

/// Brings everything to the file as a full buffer would, and ends without a word.
fn crash(mut folder: OutputFolder) {
    folder.files.iter_mut().for_each(|file| file.sync().unwrap());
}

#[test]
fn names_are_made_of_namespace_and_stream() {
    assert_eq!(file_name(&users()), "users.jsonl");
    assert_eq!(file_name(&StreamDescriptor::in_namespace("crm", "users")), "crm.users.jsonl");
    assert_eq!(file_name(&StreamDescriptor::new("../a\\b%\n")), "%2E.%2Fa%5Cb%25%0A.jsonl");
}

#[test]
fn what_no_state_covers_is_cut_off_after_a_crash() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1", "2"]);
    folder.cover(&users());
    append(&mut folder, &["3"]);
    place.commit(&mut folder, "two");
    append(&mut folder, &["4"]);
    crash(folder);
    assert_eq!(place.lines(), ["1", "2", "3", "4"]);
    let (mut folder, found) = place.open_with(&follow()).unwrap();
    assert_eq!(found, Found { unfinished: vec![users()], cut_bytes: 4, ..Found::default() });
    append(&mut folder, &["3"]);
    folder.complete(&users()).unwrap();
    place.commit(&mut folder, "three");
    assert_eq!(place.lines(), ["1", "2", "3"], "not covered yet, so still open");
    folder.finish(&users()).unwrap();
    place.commit(&mut folder, "three");
    drop(folder);
    let (_, found) = place.open_with(&follow()).unwrap();
    assert_eq!(found, Found::default());
    assert_eq!(place.lines(), ["1", "2", "3"]);
}

#[test]
fn a_crash_between_manifest_and_state_leads_back_to_the_old_state() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    append(&mut folder, &["2"]);
    folder.cover(&users());
    let full_disk = folder.commit(fingerprint(Some(b"two")), || Err(Error::run("no space")));
    assert!(full_disk.is_err());
    drop(folder);
    let folder = place.open(&follow());
    assert_eq!(place.lines(), ["1"]);
    drop(folder);
}

/// A source of `TOTAL` records with a state after each three, read with a checkpoint at each
/// second state; the crash comes after `steps` appended records. Returns the lines at the end.
fn read_with_crash(place: &Place, steps: usize) -> bool {
    const TOTAL: usize = 20;
    let mut folder = place.open(&follow());
    let mut at: usize = place.state().map_or(0, |state| state.parse().unwrap());
    let mut state = at;
    for _ in 0..steps {
        if at == TOTAL {
            folder.cover(&users());
            folder.finish(&users()).unwrap();
            place.commit(&mut folder, &TOTAL.to_string());
            return true;
        }
        append(&mut folder, &[&at.to_string()]);
        at += 1;
        if at.is_multiple_of(3) {
            folder.cover(&users());
            state = at;
        }
        if at.is_multiple_of(6) {
            place.commit(&mut folder, &state.to_string());
        }
    }
    crash(folder);
    false
}

#[test]
fn a_crash_at_any_point_loses_and_repeats_nothing() {
    for first in 0..=21 {
        for second in [0, 2, 7] {
            let place = Place::new();
            let done = read_with_crash(&place, first) || read_with_crash(&place, second);
            assert!(done || read_with_crash(&place, usize::MAX));
            let expected: Vec<String> = (0..20).map(|id| id.to_string()).collect();
            assert_eq!(place.lines(), expected, "crashes after {first} and {second} records");
        }
    }
}

#[test]
fn a_replacement_takes_its_place_only_when_complete() {
    let place = Place::new();
    let mut folder = place.open(&replace());
    append(&mut folder, &["old"]);
    folder.complete(&users()).unwrap();
    place.commit(&mut folder, "a");
    drop(folder);
    assert_eq!(place.lines(), ["old"]);

    let mut folder = place.open(&replace());
    append(&mut folder, &["new"]);
    place.commit(&mut folder, "a");
    assert_eq!(place.lines(), ["old"]);
    crash(folder);

    // The state of the complete read is still there, but it is not one of this read.
    let (mut folder, found) = place.open_with(&Plan { resume: true, ..replace() }).unwrap();
    assert_eq!(found.unfinished, []);
    assert!(!place.exists("users.jsonl.part"));
    folder.complete(&users()).unwrap();
    place.commit(&mut folder, "b");
    assert_eq!(place.lines(), [""; 0], "a stream without records empties its file");
    assert!(place.exists("users.jsonl") && !place.exists("users.jsonl.part"));
}

#[test]
fn a_replacement_that_was_cut_off_after_a_state_goes_on() {
    let place = Place::new();
    let mut folder = place.open(&replace());
    append(&mut folder, &["1"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    append(&mut folder, &["2"]);
    crash(folder);

    let (mut folder, found) = place.open_with(&follow()).unwrap();
    assert_eq!(found.unfinished, [users()]);
    append(&mut folder, &["2"]);
    folder.cover(&users());
    folder.complete(&users()).unwrap();
    assert_eq!(place.lines(), [""; 0]);
    place.commit(&mut folder, "two");
    assert_eq!(place.lines(), ["1", "2"]);
}

#[test]
fn a_crash_before_the_last_renaming_is_made_good() {
    let place = Place::new();
    let mut folder = place.open(&replace());
    append(&mut folder, &["1"]);
    folder.complete(&users()).unwrap();
    place.commit(&mut folder, "one");
    drop(folder);
    fs::rename(place.out().join("users.jsonl"), place.out().join("users.jsonl.part")).unwrap();
    let folder = place.open(&follow());
    assert_eq!(place.lines(), ["1"]);
    drop(folder);
}

#[test]
fn a_failed_end_cuts_off_what_is_not_covered() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1"]);
    folder.cover(&users());
    append(&mut folder, &["2", "3"]);
    place.commit(&mut folder, "one");
    assert_eq!(folder.cut_uncovered().unwrap(), 4);
    assert_eq!(place.lines(), ["1"]);
    drop(folder);
    let mut folder = place.open(&replace());
    append(&mut folder, &["9"]);
    folder.cut_uncovered().unwrap();
    assert_eq!(place.lines(), ["1"]);
    assert!(!place.exists("users.jsonl.part"));
}

#[test]
fn files_of_others_are_kept_and_files_taken_away_start_anew() {
    let place = Place::new();
    fs::create_dir_all(place.out()).unwrap();
    fs::write(place.out().join("users.jsonl"), "mine\n").unwrap();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1"]);
    crash(folder);
    let mut folder = place.open(&follow());
    assert_eq!(place.lines(), ["mine"]);
    append(&mut folder, &["1"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    drop(folder);
    fs::remove_file(place.out().join("users.jsonl")).unwrap();
    let mut folder = place.open(&follow());
    append(&mut folder, &["2"]);
    folder.cover(&users());
    place.commit(&mut folder, "two");
    assert_eq!(place.lines(), ["2"]);
}

#[test]
fn a_damaged_file_is_refused() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["12345"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    drop(folder);
    fs::write(place.out().join("users.jsonl"), "1").unwrap();
    let error = place.open_with(&follow()).unwrap_err();
    assert!(error.exit_code() == 2 && error.message().contains("users.jsonl"), "{error}");
}

#[test]
fn a_state_file_of_another_origin_is_noticed() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    append(&mut folder, &["2"]);
    crash(folder);
    place.set_state("edited").unwrap();
    let (folder, found) = place.open_with(&follow()).unwrap();
    assert!(found.foreign_state);
    assert_eq!(place.lines(), ["1"]);
    drop(folder);
}

#[test]
fn streams_that_are_not_read_keep_their_marks() {
    let place = Place::new();
    let mut folder = place.open(&follow());
    append(&mut folder, &["1"]);
    folder.cover(&users());
    place.commit(&mut folder, "one");
    drop(folder);
    let other = Plan { stream: StreamDescriptor::new("other"), ..follow() };
    let mut folder = place.open(&other);
    folder.cover(&other.stream);
    place.commit(&mut folder, "two");
    drop(folder);
    let manifest = fs::read_to_string(place.out().join(FILE_NAME)).unwrap();
    assert!(manifest.contains("users") && manifest.contains("other"));
    let folder = place.open(&follow());
    assert_eq!(place.lines(), ["1"]);
    drop(folder);
}

#[test]
fn one_folder_has_one_writer_and_one_stream_per_file() {
    let place = Place::new();
    let folder = place.open(&follow());
    assert!(place.open_with(&follow()).unwrap_err().message().contains("another sync"));
    drop(folder);
    let plans = [
        Plan { stream: StreamDescriptor::new("a.b"), ..follow() },
        Plan { stream: StreamDescriptor::in_namespace("a", "b"), ..follow() },
    ];
    let error = OutputFolder::open(Path::new(&place.out()), &plans, "none".into()).unwrap_err();
    assert!(error.exit_code() == 2 && error.message().contains("a.b.jsonl"), "{error}");
}
