//! What a stream remembers of an account: Airbyte's shapes are read, ours can be read by
//! Airbyte's connector.

use airbyte_protocol::{Error, Result, StreamState};
use cdk::range::SpanSet;
use serde_json::{Map, Value, json};

/// How far a stream has been read in one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The newest value of the cursor field among the rows so far, epoch seconds.
    pub cursor: Option<i64>,
    /// What comes next.
    pub phase: Phase,
    /// When all was listed last, epoch seconds.
    pub listed_at: Option<i64>,
}

/// What comes next.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Phase {
    /// Everything.
    #[default]
    Start,
    /// The rest of a first read that began at `started_at`.
    Backfill {
        /// Creation times that are done.
        done: SpanSet,
        /// When it began, epoch seconds: changes count from then on.
        started_at: i64,
    },
    /// What changed since `watermark`.
    Follow {
        /// Everything before this time is done, epoch seconds.
        watermark: i64,
        /// Marks of the events handled shortly before, which the next read meets again.
        recent: Vec<u32>,
    },
    /// Nothing: a full refresh is complete.
    Complete,
}

impl Saved {
    /// Reads a state.
    ///
    /// # Errors
    /// Config: a state that was not written by this or Airbyte's connector.
    pub fn parse(state: Option<&StreamState>, cursor: Option<&str>) -> Result<Self> {
        let Some(StreamState(fields)) = state else { return Ok(Saved::default()) };
        Self::of(fields, cursor)
    }

    /// The part of a connected account.
    ///
    /// # Errors
    /// As [`Saved::parse`].
    pub fn parse_account(
        state: Option<&StreamState>,
        account: &str,
        cursor: Option<&str>,
    ) -> Result<Self> {
        match state.and_then(|state| state.0.get("accounts")?.get(account)?.as_object()) {
            Some(fields) => Self::of(fields, cursor),
            None => Ok(Saved::default()),
        }
    }

    fn of(fields: &Map<String, Value>, cursor: Option<&str>) -> Result<Self> {
        let Some(cursor) = cursor else { return Ok(Saved::default()) };
        if fields.get("__ab_full_refresh_sync_complete") == Some(&Value::Bool(true)) {
            return Ok(Saved { phase: Phase::Complete, ..Saved::default() });
        }
        let own = |key: &str| fields.get(key).and_then(seconds);
        let saved = |phase| Saved { cursor: own(cursor), phase, listed_at: own("listed_at") };
        match fields.get("phase").and_then(Value::as_str) {
            Some("complete") => return Ok(saved(Phase::Complete)),
            Some("backfill") => {
                let done = fields.get("done").cloned().unwrap_or_else(|| json!([]));
                let done =
                    serde_json::from_value(done).map_err(|e| broken("done", &e.to_string()))?;
                let started_at =
                    own("started_at").ok_or_else(|| broken("started_at", "missing"))?;
                let phase = Phase::Backfill { done, started_at };
                return Ok(Saved { cursor: own("newest"), phase, listed_at: own("listed_at") });
            }
            _ => {}
        }
        if fields.contains_key("watermark") {
            let watermark =
                own("watermark").ok_or_else(|| broken("watermark", "not a time in seconds"))?;
            let recent = fields.get("recent").cloned().unwrap_or_else(|| json!([]));
            let recent =
                serde_json::from_value(recent).map_err(|e| broken("recent", &e.to_string()))?;
            return Ok(saved(Phase::Follow { watermark, recent }));
        }
        Self::of_airbyte(fields, cursor)
    }

    /// Airbyte's shapes hold the cursor in several places, some of them stale: the newest
    /// one counts.
    fn of_airbyte(fields: &Map<String, Value>, cursor: &str) -> Result<Self> {
        if let Some(value) = fields.get(cursor).filter(|value| !value.is_null())
            && seconds(value).is_none()
        {
            return Err(broken(cursor, "not a time in seconds"));
        }
        let mut newest = fields.get(cursor).and_then(seconds);
        let mut meet = |value: Option<&Value>| newest = newest.max(value.and_then(seconds));
        let inner = |key: &str| {
            fields.get(key).and_then(Value::as_object).into_iter().flat_map(Map::values)
        };
        inner("state").for_each(|value| meet(Some(value)));
        for parent in inner("parent_state") {
            parent
                .as_object()
                .into_iter()
                .flat_map(Map::values)
                .for_each(|value| meet(Some(value)));
        }
        for partition in fields.get("states").and_then(Value::as_array).into_iter().flatten() {
            partition["cursor"]
                .as_object()
                .into_iter()
                .flat_map(Map::values)
                .for_each(|value| meet(Some(value)));
        }
        // Slices: only the first unbroken run is known to be complete.
        if let Some(slices) = fields.get("slices").and_then(Value::as_array) {
            meet(slices.first().map(|slice| {
                if slice["most_recent_cursor_value"].is_null() {
                    &slice["start"]
                } else {
                    &slice["most_recent_cursor_value"]
                }
            }));
        }
        let phase = match newest {
            Some(watermark) => Phase::Follow { watermark, recent: Vec::new() },
            None => Phase::Start,
        };
        Ok(Saved { cursor: newest, phase, listed_at: None })
    }

    /// Writes the state: Airbyte's key with a string, as it writes it, and what only this
    /// connector knows beside it. During a first read, which goes back in time, there is
    /// no cursor value that everything older has been read up to: the key is left out.
    pub fn fields(&self, cursor: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        let is_backfill = matches!(self.phase, Phase::Backfill { .. });
        if let Some(value) = self.cursor.filter(|_| !is_backfill) {
            fields.insert(cursor.to_owned(), value.to_string().into());
        }
        match &self.phase {
            Phase::Start => {}
            Phase::Complete => {
                fields.insert("phase".into(), "complete".into());
            }
            Phase::Backfill { done, started_at } => {
                fields.insert("phase".into(), "backfill".into());
                if let Some(newest) = self.cursor {
                    fields.insert("newest".into(), newest.into());
                }
                fields.insert("done".into(), json!(done));
                fields.insert("started_at".into(), (*started_at).into());
            }
            Phase::Follow { watermark, recent } => {
                fields.insert("phase".into(), "follow".into());
                fields.insert("watermark".into(), (*watermark).into());
                if !recent.is_empty() {
                    fields.insert("recent".into(), json!(recent));
                }
            }
        }
        if let Some(at) = self.listed_at {
            fields.insert("listed_at".into(), at.into());
        }
        fields.insert("v".into(), 1.into());
        fields
    }

    /// Takes note of a row's cursor value.
    pub fn saw(&mut self, value: i64) {
        self.cursor = self.cursor.max(Some(value));
    }
}

/// Epoch seconds as a number or as text.
fn seconds(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|v| v as i64))
        .or_else(|| value.as_str()?.trim().parse().ok())
}

fn broken(key: &str, why: &str) -> Error {
    Error::config(format!(
        "The stream's saved state cannot be read: '{key}' is {why}. Correct it, or clear the stream's state to read it from the start."
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: Value, cursor: &str) -> Saved {
        Saved::parse(Some(&StreamState(value.as_object().unwrap().clone())), Some(cursor)).unwrap()
    }

    fn follows(value: Value, cursor: &str) -> i64 {
        match parse(value, cursor).phase {
            Phase::Follow { watermark, .. } => watermark,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn airbytes_shapes() {
        assert_eq!(follows(json!({"created": "1795326196"}), "created"), 1_795_326_196);
        assert_eq!(follows(json!({"updated": 1795326196}), "updated"), 1_795_326_196);
        let children = json!({"use_global_cursor": true, "lookback_window": 1, "parent_state": {"customers": {"updated": 1795326196}}});
        assert_eq!(follows(children, "created"), 1_795_326_196);
        let hybrid = json!({"use_global_cursor": true, "state": {"invoice_updated": "1795326196"}, "lookback_window": 1, "parent_state": {}, "invoice_updated": "1795066994"});
        assert_eq!(follows(hybrid, "invoice_updated"), 1_795_326_196);
        let partitions = json!({"use_global_cursor": false, "states": [{"partition": {"parent_slice": {}, "setup_intent_id": "seti_1"}, "cursor": {"created": "1577836800"}}],
            "state": {"created": "1577836800"}, "lookback_window": 1, "parent_state": {"setup_intents": {"updated": "1795326196"}}});
        assert_eq!(follows(partitions, "created"), 1_795_326_196);
        let empty = json!({"use_global_cursor": true, "lookback_window": 1, "parent_state": {}});
        assert_eq!(parse(empty, "updated").phase, Phase::Start);
        let slices = json!({"state_type": "integer", "slices": [{"start": 5, "end": 9, "most_recent_cursor_value": 7}, {"start": 20, "end": 30}]});
        assert_eq!(follows(slices, "created"), 7);
    }

    #[test]
    fn nonsense_is_told() {
        for bad in [
            json!({"updated": "yesterday"}),
            json!({"updated": [1]}),
            json!({"phase": "backfill", "done": 3, "started_at": 1}),
            json!({"watermark": {}}),
        ] {
            assert!(
                Saved::parse(Some(&StreamState(bad.as_object().unwrap().clone())), Some("updated"))
                    .is_err(),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cursor: Option<u32>, listed: Option<u32>, spans in proptest::collection::vec((0i64..9999, 1i64..99), 0..5), recent: Vec<u32>, kind in 0..4) {
            let phase = match kind {
                0 => Phase::Backfill { done: spans.iter().map(|(s, w)| (*s, s + w).into()).collect::<Vec<_>>().into(), started_at: 12 },
                1 => Phase::Follow { watermark: 77, recent },
                _ => Phase::Complete,
            };
            let saved = Saved { cursor: cursor.map(i64::from), phase, listed_at: listed.map(i64::from) };
            let state = StreamState(saved.fields("updated"));
            prop_assert_eq!(Saved::parse(Some(&state), Some("updated")).unwrap(), saved);
        }
    }
}
