//! What a stream's state says: Airbyte's shape of finished slices, and beside it what only
//! this connector knows, which Airbyte's drops without harm.

use std::sync::{Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{Error, Result, StreamState};
use cdk::cursor::CursorFormat;
use cdk::range::{Span, SpanSet};
use serde_json::{Map, Value, json};

use crate::describe::CURSORS;
use crate::job::Job;
use crate::window::{Window, literal};

/// The member of a state that holds unfinished Bulk jobs.
const BULK: &str = "bulk";
/// The member that tells when all rows were read for the sake of their formulas.
const FORMULAS: &str = "formulas_at";
/// The member that tells up to when the list of deletions was read.
const DELETED: &str = "deleted_until";

/// How far a stream has been read, shared by the tasks that read it.
#[derive(Debug)]
pub struct Progress(Mutex<Known>);

/// What is known of it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Where the stream starts; slices of a state without any begin and end there.
    start: Option<i64>,
    /// Finished ranges of the cursor, in milliseconds since the epoch.
    pub done: SpanSet,
    /// The greatest cursor values that rows had, some in each range.
    recents: Vec<i64>,
    /// Bulk jobs that are being read.
    pub jobs: Vec<Job>,
    /// When all rows were read for the sake of their formulas.
    pub formulas_at: Option<i64>,
    /// Up to when the list of deletions was read.
    pub deleted_until: Option<i64>,
}

impl Progress {
    /// An incremental read that starts at `start`, from the state of the last one.
    ///
    /// # Errors
    /// Config: the state cannot be used.
    pub fn incremental(state: Option<&StreamState>, start: i64) -> Result<Self> {
        let mut known = Known::of_extras(state)?;
        known.start = Some(start);
        if let Some(state) = state {
            known.take_slices(state, start)?;
        }
        Ok(Progress(Mutex::new(known)))
    }

    /// A full read, from the state that an earlier attempt left.
    ///
    /// # Errors
    /// Config: the state cannot be used.
    pub fn full(state: Option<&StreamState>) -> Result<Self> {
        let mut known = Known::of_extras(state)?;
        known.jobs.retain(|job| job.from.is_none() && job.to.is_none());
        Ok(Progress(Mutex::new(known)))
    }

    /// What is known now.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of a job.
    pub fn job<T: Default>(&self, id: &str, change: impl FnOnce(&mut Job) -> T) -> T {
        self.known().jobs.iter_mut().find(|job| job.id == id).map(change).unwrap_or_default()
    }

    /// The state.
    pub fn state(&self) -> StreamState {
        self.known().state()
    }

    /// Whether a state would say anything.
    pub fn has_state(&self) -> bool {
        let known = self.known();
        known.start.is_some() || !known.jobs.is_empty()
    }
}

impl Known {
    fn of_extras(state: Option<&StreamState>) -> Result<Self> {
        let Some(StreamState(members)) = state else { return Ok(Known::default()) };
        let jobs = match members.get(BULK) {
            None | Some(Value::Null) => Vec::new(),
            Some(jobs) => serde_json::from_value(jobs.clone()).map_err(|e| unusable(BULK, &e))?,
        };
        let time = |key: &str| members.get(key).and_then(Value::as_str).and_then(millis);
        Ok(Known {
            jobs,
            formulas_at: time(FORMULAS),
            deleted_until: time(DELETED),
            ..Known::default()
        })
    }

    /// Takes over the finished slices, or the one cursor value that older versions of Airbyte's
    /// connector wrote.
    fn take_slices(&mut self, state: &StreamState, start: i64) -> Result<()> {
        if let Some(concurrent) = state.concurrent() {
            for slice in concurrent.slices {
                let span = Span::new(point("start", slice.start)?, point("end", slice.end)?);
                self.done.insert(span);
                if let Some(recent) = slice.most_recent {
                    self.recents.push(point("most_recent_cursor_value", recent)?);
                }
            }
            return Ok(());
        }
        match CURSORS.into_iter().find_map(|name| Some((name, state.0.get(name)?))) {
            Some((name, value)) => {
                let read = point(name, value)?;
                self.done.insert(Span::new(start, read));
                self.recents.push(read);
                Ok(())
            }
            None if [BULK, FORMULAS, DELETED].iter().any(|key| state.0.contains_key(*key)) => {
                Ok(())
            }
            None if state.0.is_empty() || state.is_complete_sentinel() => Ok(()),
            None => Err(unusable("state", &"it has neither slices nor a cursor value")),
        }
    }

    /// Notes a window as finished.
    pub fn finish(&mut self, window: Window, recent: Option<i64>) {
        if let Some(span) = window.span() {
            self.done.insert(span);
            self.recents.extend(recent);
        }
    }

    fn slices(&mut self) -> Vec<Value> {
        let spans = self.done.spans().to_vec();
        let newest = |span: &Span| {
            let inside = self.recents.iter().filter(|at| (span.start..=span.end).contains(*at));
            inside.max().copied()
        };
        let recents: Vec<Option<i64>> = spans.iter().map(newest).collect();
        let slice = |(span, recent): (&Span, &Option<i64>)| {
            let mut slice = json!({ "start": literal(span.start), "end": literal(span.end) });
            if let Some(recent) = recent {
                slice["most_recent_cursor_value"] = literal(*recent).into();
            }
            slice
        };
        let slices = spans.iter().zip(&recents).map(slice).collect();
        self.recents = recents.into_iter().flatten().collect();
        slices
    }

    fn state(&mut self) -> StreamState {
        let mut members = Map::new();
        if let Some(start) = self.start {
            let mut slices = self.slices();
            if slices.is_empty() {
                slices.push(json!({ "start": literal(start), "end": literal(start) }));
            }
            members.insert("slices".into(), slices.into());
            members.insert("state_type".into(), "date-range".into());
        }
        if !self.jobs.is_empty() {
            members.insert(BULK.into(), json!(self.jobs));
        }
        for (key, at) in [(FORMULAS, self.formulas_at), (DELETED, self.deleted_until)] {
            if let Some(at) = at {
                members.insert(key.into(), literal(at).into());
            }
        }
        StreamState(members)
    }
}

/// A time as Salesforce and states write it, in milliseconds since the epoch.
pub fn millis(text: &str) -> Option<i64> {
    CursorFormat::RFC3339.parse(text).map(|micros| micros.div_euclid(1_000))
}

fn point(what: &str, value: &Value) -> Result<i64> {
    value.as_str().and_then(millis).ok_or_else(|| unusable(what, value))
}

fn unusable(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::config(format!(
        "The saved state cannot be used: its '{what}' is not understood. Correct the state, or reset the stream to read it from the start."
    ))
    .with_internal(why.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::windows;

    fn incremental(state: &str, start: &str) -> Progress {
        let state: StreamState = serde_json::from_str(state).unwrap();
        Progress::incremental(Some(&state), millis(start).unwrap()).unwrap()
    }

    #[test]
    fn airbytes_state_comes_back_as_it_was() {
        let text = r#"{"slices":[{"start":"2020-01-01T00:00:00.000Z","end":"2026-11-22T05:26:14.394Z","most_recent_cursor_value":"2026-11-20T19:48:54.373Z"}],"state_type":"date-range"}"#;
        let progress = incremental(text, "2020-01-01T00:00:00Z");
        assert_eq!(serde_json::to_string(&progress.state()).unwrap(), text);
    }

    #[test]
    fn slices_join_and_the_newest_value_stays() {
        let progress = incremental(
            r#"{"slices":[{"start":"2020-01-01T00:00:00.000Z","end":"2020-02-01T00:00:00.000Z","most_recent_cursor_value":"2020-01-20T00:00:00.000Z"},
                {"start":"2020-03-01T00:00:00.000Z","end":"2020-04-01T00:00:00.000Z"}],"state_type":"date-range"}"#,
            "2020-01-01",
        );
        let at = |text| millis(text);
        progress
            .known()
            .finish(Window { from: at("2020-02-01"), to: at("2020-03-01") }, at("2020-02-03"));
        assert_eq!(
            serde_json::to_string(&progress.state()).unwrap(),
            r#"{"slices":[{"start":"2020-01-01T00:00:00.000Z","end":"2020-04-01T00:00:00.000Z","most_recent_cursor_value":"2020-02-03T00:00:00.000Z"}],"state_type":"date-range"}"#
        );
    }

    #[test]
    fn old_states_are_one_slice() {
        let progress =
            incremental(r#"{"SystemModstamp":"2026-11-20T00:00:00.000+00:00"}"#, "2026-11-01");
        let spans = progress.known().done.spans().to_vec();
        assert_eq!(
            spans,
            [Span::new(millis("2026-11-01").unwrap(), millis("2026-11-20").unwrap())]
        );
    }

    #[test]
    fn a_state_that_says_nothing_is_refused() {
        for text in
            [r#"{"cursor":"x"}"#, r#"{"slices":[{"start":"soon","end":"later"}]}"#, r#"{"bulk":7}"#]
        {
            let state: StreamState = serde_json::from_str(text).unwrap();
            assert!(Progress::incremental(Some(&state), 0).is_err(), "{text}");
        }
        assert_eq!(
            serde_json::to_string(&incremental("{}", "2020-01-01").state()).unwrap(),
            r#"{"slices":[{"start":"2020-01-01T00:00:00.000Z","end":"2020-01-01T00:00:00.000Z"}],"state_type":"date-range"}"#
        );
    }

    #[test]
    fn jobs_are_carried_along() {
        let progress = Progress::full(None).unwrap();
        progress.known().jobs.push(Job::new("750".into(), "62.0".into(), None, None));
        let state = progress.state();
        let again = Progress::full(Some(&state)).unwrap();
        assert_eq!(again.known().jobs.len(), 1);
        assert_eq!(again.state(), state);
    }

    proptest! {
        /// However often a read breaks off between windows, the next ones read what is left of
        /// the range, and states carry over what was done.
        #[test]
        fn nothing_is_left_out(
            runs in prop::collection::vec((0usize..6, 1i64..40_000), 1..8),
            step in 1_000i64..400_000,
            lookback in 0i64..20_000,
        ) {
            let start = 1_700_000_000_000;
            let mut state: Option<StreamState> = None;
            let mut covered = SpanSet::default();
            let mut to = start;
            for (finished, later) in runs {
                to += later;
                let progress = Progress::incremental(state.as_ref(), start).unwrap();
                let done = progress.known().done.clone();
                let left = windows(&done, start, to, lookback, Some(step));
                for span in left.into_iter().take(finished) {
                    progress.known().finish(span.into(), Some(span.start));
                    covered.insert(span);
                }
                let done = progress.known().done.clone();
                prop_assert_eq!(done.spans(), covered.spans());
                state = Some(progress.state());
            }
            let progress = Progress::incremental(state.as_ref(), start).unwrap();
            let done = progress.known().done.clone();
            for span in windows(&done, start, to, 0, None) {
                covered.insert(span);
            }
            prop_assert_eq!(covered.spans(), [Span::new(start, to)]);
        }
    }
}
