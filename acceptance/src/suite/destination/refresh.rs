//! Experiments with rows that are replaced.

use super::feed::{Feed, Target};
use super::{Bench, wait_for_states};
use crate::exec::Trouble;
use crate::rules;
use crate::sheet::Finding;

/// A refresh whose first attempt ends without COMPLETE, and whose second one completes it.
pub(super) fn two_attempts(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("refresh");
    let old = Feed::new().rows(&stream, 0..3).state(&stream, 1).status(&stream, "COMPLETE");
    if !bench.write(&rules::W04, "first generation", &[&Target::new(&stream).refresh(1)], &old)? {
        return Ok(());
    }
    bench.expect(&rules::W04, &stream, "id", &[0, 1, 2], "after the first generation")?;

    let target = Target::new(&stream).refresh(2);
    let half = Feed::new().rows(&stream, 10..12).state(&stream, 2);
    let mut running = bench.start("refresh, first attempt", &[&target])?;
    running.write(half.placed(bench.namespace).text.as_bytes());
    let is_staged = wait_for_states(&mut running, 1);
    bench.expect(&rules::W04, &stream, "id", &[0, 1, 2], "in the middle of a refresh")?;
    running.close_input();
    let run = running.finish();
    bench.echoes(&run, &half, false);
    bench.sheet.check(&rules::W04);
    if run.exit.is_success() {
        let message = "the input ended without COMPLETE, and it exited with 0";
        bench.sheet.find(Finding::new(&rules::W04, message).in_run(&run.title));
    } else if !run
        .errors()
        .any(|(_, error)| error.failure_type.as_deref() == Some("transient_error"))
    {
        let message = "the input ended without COMPLETE, and there is no transient_error";
        let reason = "the platform tries again all the same";
        let finding = Finding::new(&rules::W04, message).in_run(&run.title);
        bench.sheet.find(finding.only(rules::Level::Warning, reason));
    }
    bench.expect(&rules::W04, &stream, "id", &[0, 1, 2], "after a refresh without COMPLETE")?;
    let is_staged = is_staged || run.states().next().is_some();

    let rest = Feed::new().rows(&stream, 12..14).state(&stream, 3).status(&stream, "COMPLETE");
    if !bench.write(&rules::W05, "refresh, second attempt", &[&target], &rest)? {
        return Ok(());
    }
    if is_staged {
        let when = "after the second attempt of a refresh whose first one had got its state back";
        bench.expect(&rules::W05, &stream, "id", &[10, 11, 12, 13], when)
    } else {
        bench.sheet.skip(&rules::W05, "the first attempt got no state back");
        Ok(())
    }
}

/// Without ids, a record behind the last state says that the source died.
pub(super) fn dead_source(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("dead");
    let target = Target::new(&stream).overwrite();
    let old = Feed::new().rows(&stream, 0..3).state(&stream, 1);
    if !bench.write(&rules::W16, "before the source dies", &[&target], &old)? {
        return Ok(());
    }
    let half = Feed::new().rows(&stream, 10..12).state(&stream, 2).rows(&stream, 12..13);
    let run = bench.feed("the source dies", &[&target], &half)?;
    bench.echoes(&run, &half, false);
    bench.expect(&rules::W16, &stream, "id", &[0, 1, 2], "after an overwrite that broke off")
}

/// Nothing at all replaces what was there, or makes a new table.
pub(super) fn without_records(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    bench.sheet.check(&rules::W10);
    let stream = bench.stream("emptied");
    let target = Target::new(&stream).overwrite();
    let old = Feed::new().rows(&stream, 0..2).state(&stream, 1);
    if bench.write(&rules::W10, "before the empty overwrite", &[&target], &old)? {
        let nothing = Feed::new().state(&stream, 2);
        if bench.write(&rules::W10, "empty overwrite", &[&target], &nothing)? {
            bench.expect(&rules::W10, &stream, "id", &[], "after an overwrite without records")?;
        }
    }
    let stream = bench.stream("empty");
    let target = Target::new(&stream).overwrite();
    let nothing = Feed::new().state(&stream, 1);
    if bench.write(&rules::W10, "empty first overwrite", &[&target], &nothing)? {
        bench.expect(&rules::W10, &stream, "id", &[], "after a first sync without records")?;
    }
    Ok(())
}
