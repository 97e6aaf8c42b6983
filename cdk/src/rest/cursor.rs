//! The cursor of a simple stream.

use chrono::TimeDelta;

use crate::cursor::{CursorFormat, Step};
use crate::http::Request;
use crate::json::Path;
use crate::page::Slot;
use crate::range::Span;

/// The field whose value orders a stream's records in time, and how an API is asked for a
/// range of it.
#[derive(Debug, Clone)]
pub struct Cursor {
    pub(super) field: Path,
    pub(super) format: CursorFormat,
    request_format: CursorFormat,
    pub(super) start: i64,
    since: Option<Slot>,
    end: Option<(Slot, End)>,
    step: Step,
    pub(super) lookback: TimeDelta,
    pub(super) is_ordered: bool,
    pub(super) is_client_side: bool,
    pub(super) concurrency: usize,
}

/// Whether the end of a range belongs to it.
#[derive(Debug, Clone, Copy)]
enum End {
    Inclusive,
    Exclusive,
}

impl Cursor {
    /// A cursor in this field of the records, written in this format there and in states.
    pub fn new(field: impl Into<Path>, format: CursorFormat) -> Self {
        Cursor {
            field: field.into(),
            request_format: format.clone(),
            format,
            start: 0,
            since: None,
            end: None,
            step: Step::Whole,
            lookback: TimeDelta::zero(),
            is_ordered: false,
            is_client_side: false,
            concurrency: 1,
        }
    }

    /// The point in time, in microseconds since the epoch, that the first read begins at.
    pub fn from(mut self, start: i64) -> Self {
        self.start = start;
        self
    }

    /// How requests write points in time, where they differ from records.
    pub fn request_format(mut self, format: CursorFormat) -> Self {
        self.request_format = format;
        self
    }

    /// Where the begin of the range goes, which belongs to it.
    pub fn since(mut self, slot: Slot) -> Self {
        self.since = Some(slot);
        self
    }

    /// Where the end of the range goes, for an API that counts it to the range.
    pub fn until(mut self, slot: Slot) -> Self {
        self.end = Some((slot, End::Inclusive));
        self
    }

    /// Where the end of the range goes, for an API that does not count it to the range.
    pub fn before(mut self, slot: Slot) -> Self {
        self.end = Some((slot, End::Exclusive));
        self
    }

    /// How long the range of one request is. Without a slot for the end it is the whole.
    pub fn step(mut self, step: Step) -> Self {
        self.step = step;
        self
    }

    /// How far to go back behind the watermark, for records that become visible late.
    pub fn lookback(mut self, window: TimeDelta) -> Self {
        self.lookback = window;
        self
    }

    /// Says that the API gives records in the order of the cursor, oldest first: the
    /// watermark then moves on with each page.
    pub fn ordered(mut self) -> Self {
        self.is_ordered = true;
        self
    }

    /// For APIs that cannot be asked for a range: older records are left out here.
    pub fn client_side(mut self) -> Self {
        self.is_client_side = true;
        self
    }

    /// Reads so many slices at the same time. One at a time, the default, can go on in the
    /// middle of a slice.
    pub fn concurrent_slices(mut self, limit: usize) -> Self {
        self.concurrency = limit.max(1);
        self
    }

    /// The least difference in time that records and requests both can tell.
    pub(super) fn granularity(&self) -> i64 {
        self.format.granularity().max(self.request_format.granularity())
    }

    /// The step that the API can be asked for.
    pub(super) fn step_asked(&self) -> Step {
        if self.end.is_some() { self.step } else { Step::Whole }
    }

    /// Puts a slice into a request.
    pub(super) fn fill(&self, request: &mut Request, slice: Span) {
        if let Some(slot) = &self.since {
            slot.fill(request, self.request_format.value(slice.start));
        }
        if let Some((slot, end)) = &self.end {
            let at = match end {
                End::Exclusive => slice.end,
                End::Inclusive => self.request_format.last(slice),
            };
            slot.fill(request, self.request_format.value(at));
        }
    }
}
