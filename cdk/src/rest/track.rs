//! How far one partition of a stream has been read.

use airbyte_protocol::StreamState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Cursor;
use crate::cursor::{resume_at, slices};
use crate::page::PageToken;
use crate::range::{Span, SpanSet};
use crate::state::Watermark;

/// The state's key for the place inside a slice to go on from.
const RESUME: &str = "_resume";
/// The state's key for slices that were finished before an earlier one was.
const DONE: &str = "_done";

/// The progress of one partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// Everything before it was read.
    pub(super) watermark: Option<i64>,
    /// Where to go on, while a slice is unfinished.
    pub(super) resume: Option<Resume>,
    /// Without a cursor: all of it was read.
    pub(super) is_complete: bool,
    done: SpanSet,
    range: Range,
}

/// A place in the middle of a slice, or of a stream without cursor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Resume {
    /// The slice, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slice: Option<Span>,
    /// The next page.
    pub(super) page: PageToken,
    /// The greatest cursor so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<i64>,
}

/// What is to be read in this run.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    start: i64,
    /// Up to here the past does not change; a record of a later time may still come in.
    settled: i64,
    /// The least difference in time that matters.
    grain: i64,
    /// The watermark when all slices are done.
    last: i64,
}

/// A slice to read, and where in it to begin.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) slice: Span,
    pub(super) resume: Option<Resume>,
}

impl Track {
    /// What an object of a state says besides the watermark. What was not written by this
    /// kit is passed over: the watermark alone counts.
    pub(super) fn load(watermark: Option<i64>, object: &Map<String, Value>) -> Self {
        let member = |key: &str| object.get(key).cloned().unwrap_or_default();
        Track {
            watermark,
            resume: serde_json::from_value(member(RESUME)).ok(),
            is_complete: *object == StreamState::complete_sentinel().0,
            done: serde_json::from_value(member(DONE)).unwrap_or_default(),
            range: Range::default(),
        }
    }

    /// A partition of which no more is known than that it was read up to a watermark.
    pub(super) fn at(watermark: Option<i64>) -> Self {
        Track { watermark, ..Track::default() }
    }

    /// The object for a state.
    pub(super) fn object(&self, watermark: Option<&Watermark>) -> Map<String, Value> {
        if self.is_complete {
            return StreamState::complete_sentinel().0;
        }
        let mut object = match (watermark, self.watermark) {
            (Some(watermark), Some(at)) => watermark.object(at),
            _ => Map::new(),
        };
        if let Some(resume) = &self.resume {
            object.insert(RESUME.into(), serde_json::to_value(resume).unwrap_or_default());
        }
        // The first run of slices is what the watermark says already.
        let done = self.done.spans().iter().filter(|span| span.start > self.range.start);
        let done: Vec<Value> = done.map(|span| vec![span.start, span.end].into()).collect();
        if !done.is_empty() {
            object.insert(DONE.into(), done.into());
        }
        object
    }

    /// The slices up to `now` that are left to read, in order.
    pub(super) fn plan(&mut self, cursor: &Cursor, now: i64) -> impl Iterator<Item = Work> + use<> {
        let grain = cursor.granularity();
        let settled = now.saturating_sub(now.rem_euclid(grain));
        let lower = resume_at(cursor.start, self.watermark, cursor.lookback);
        let begun = self.resume.clone().and_then(|resume| Some((resume.slice?, resume)));
        let (start, left) = match &begun {
            Some((slice, _)) => (slice.start, begun_end(*slice, grain)),
            None => (lower, lower),
        };
        self.range = Range { start, settled, grain, last: start };
        let step = cursor.step_asked();
        let gaps = self.done.missing(Span::new(left, settled.saturating_add(grain)));
        let others = gaps.into_iter().flat_map(move |gap| slices(gap, step));
        let begun = begun.map(|(slice, resume)| Work { slice, resume: Some(resume) });
        begun.into_iter().chain(others.map(|slice| Work { slice, resume: None }))
    }

    /// A page was written, and `next` is where to go on.
    pub(super) fn page_written(&mut self, next: Resume) {
        self.resume = Some(next);
    }

    /// Records came in the order of the cursor, up to `seen`.
    pub(super) fn come_to(&mut self, seen: Option<i64>) {
        self.watermark = self.watermark.max(seen.map(|at| at.min(self.range.settled)));
    }

    /// A slice was read to its end; `seen` is the greatest cursor of its records.
    pub(super) fn slice_done(&mut self, work: &Work, seen: Option<i64>) {
        let Span { start, end } = work.slice;
        let range = &mut self.range;
        let sure = if work.resume.is_some() { begun_end(work.slice, range.grain) } else { end };
        self.resume = None;
        self.done.insert(Span::new(start, sure.min(range.settled)));
        if end > range.settled {
            // Nothing says that what lies between the last record and now was all there.
            let last = seen.unwrap_or(start).max(start).min(range.settled);
            range.last = range.last.max(last);
        }
        let gaps = self.done.missing(Span::new(range.start, range.settled));
        let watermark = gaps.first().map_or(range.last, |gap| gap.start);
        self.watermark = self.watermark.max(Some(watermark));
    }
}

/// Up to where a slice was surely read that an earlier run began: the end may have been the
/// present then, and what bore the same time came in later.
fn begun_end(slice: Span, grain: i64) -> i64 {
    slice.end.saturating_sub(grain).max(slice.start)
}
