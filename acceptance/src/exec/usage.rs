//! What a process uses, from `/proc` (zeros where there is none).

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::Pid;

/// `VmHWM` of a process and the processes it has started, in bytes, added up. Memory that a forked
/// process still shares with its parent counts once.
pub(super) fn peak_rss(root: Pid) -> u64 {
    let root = root.as_raw_nonzero().get();
    family(root)
        .into_iter()
        .filter_map(|pid| {
            let shared = if pid == root { 0 } else { inherited(pid).unwrap_or(0) };
            Some(peak_rss_of(pid)?.saturating_sub(shared))
        })
        .sum()
}

/// A process and its living descendants.
fn family(root: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        for child in children.unwrap_or_default().split_ascii_whitespace() {
            if let Ok(child) = child.parse()
                && found.insert(child)
            {
                open.push(child);
            }
        }
    }
    found
}

/// The children of a process.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let root = pid.as_raw_nonzero().get();
    family(root).into_iter().filter(|pid| *pid != root).filter_map(Pid::from_raw).collect()
}

fn peak_rss_of(pid: i32) -> Option<u64> {
    bytes_of(pid, "status", "VmHWM:")
}

/// Written pages that a process shares with others, which is what `fork` leaves it with.
fn inherited(pid: i32) -> Option<u64> {
    bytes_of(pid, "smaps_rollup", "Shared_Dirty:")
}

/// A figure in kB of a file in `/proc/PID`, in bytes.
fn bytes_of(pid: i32, file: &str, label: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let figure = text.lines().find_map(|line| line.strip_prefix(label))?;
    figure.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// CPU time of a process and of its finished children.
pub(super) fn cpu(pid: Pid) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The command's name stands in parentheses and may hold anything, so count from its end.
    let (_, rest) = stat.rsplit_once(')')?;
    let times: Vec<u64> = rest
        .split_ascii_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    (times.len() == 4).then(|| Duration::from_millis(times.iter().sum::<u64>() * 1000 / ticks))
}
