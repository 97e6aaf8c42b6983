//! The rows of a query, as of the moment it was asked, in an order that does not change.
//!
//! Nothing is kept but the query, a snapshot of the admin changes and a number: rows are found
//! again by scanning from a position.

use std::sync::Arc;

use super::ids;
use super::kind::Kind;
use super::org::{self, Org};
use super::overlay::Overlay;
use super::plan::{Filter, Plan, Value};
use super::row::Row;
use super::schema::Role;
use super::soql::Op;

/// The result of a query.
pub struct Results {
    /// The org.
    pub org: Arc<Org>,
    /// The query.
    pub plan: Plan,
    /// How many rows it has.
    pub total: u64,
    overlay: Arc<Overlay>,
    now: i64,
    /// First and past-the-last index to look at.
    range: (u64, u64),
    /// The rows' indices when the order is not that of ids.
    listed: Option<Vec<u64>>,
}

impl Results {
    /// Runs a query on the data as of `now` (unix seconds).
    pub fn of(org: Arc<Org>, overlay: Arc<Overlay>, plan: Plan, now: i64) -> Self {
        let range = range(&org, &plan);
        let mut results = Self { org, plan, total: 0, overlay, now, range, listed: None };
        results.listed = results.sorted();
        let count = match &results.listed {
            Some(list) => list.len() as u64,
            None => results.count(),
        };
        let after = count.saturating_sub(results.plan.offset);
        results.total = results.plan.limit.map_or(after, |limit| after.min(limit));
        results
    }

    /// The position of the first row.
    pub fn start(&self) -> u64 {
        self.skip(0, self.plan.offset)
    }

    /// The position `rows` rows behind a position.
    pub fn skip(&self, from: u64, rows: u64) -> u64 {
        if self.listed.is_some() {
            return from + rows;
        }
        let mut position = from;
        for _ in 0..rows {
            match self.next(position) {
                Some((_, next)) => position = next,
                None => break,
            }
        }
        position
    }

    /// The next row at or behind a position, and the position behind it.
    pub fn next(&self, position: u64) -> Option<(Row<'_>, u64)> {
        if let Some(list) = &self.listed {
            let index = *list.get(usize::try_from(position).ok()?)?;
            return Some((self.row(index), position + 1));
        }
        let end = self.overlay.end(self.plan.object, self.org.objects[self.plan.object].rows);
        let changed = self.overlay.of(self.plan.object);
        let mut index = position;
        while index < end {
            if !(self.range.0..self.range.1).contains(&index) {
                // Outside the range only changed rows can fit.
                let next_changed =
                    changed.and_then(|rows| rows.range(index..).next()).map(|(i, _)| *i);
                let next_in_range = (index < self.range.0).then_some(self.range.0);
                match next_changed.into_iter().chain(next_in_range).min() {
                    Some(next) => index = next,
                    None => return None,
                }
                if index >= end {
                    return None;
                }
            }
            let row = self.row(index);
            if self.fits(&row) {
                return Some((row, index + 1));
            }
            index += 1;
        }
        None
    }

    fn row(&self, index: u64) -> Row<'_> {
        let patch = self.overlay.of(self.plan.object).and_then(|rows| rows.get(&index));
        Row::with(&self.org, self.plan.object, index, patch)
    }

    fn count(&self) -> u64 {
        let (mut count, mut position) = (0, 0);
        while let Some((_, next)) = self.next(position) {
            (count, position) = (count + 1, next);
        }
        count
    }

    fn fits(&self, row: &Row<'_>) -> bool {
        row.exists(self.now)
            && (self.plan.all || !(row.is_deleted() || row.is_archived()))
            && self.plan.filters.iter().all(|filter| holds(filter, row))
    }

    /// The rows' indices in the order asked for; None if that is the order of ids.
    fn sorted(&self) -> Option<Vec<u64>> {
        let (field, descending) = self.plan.order?;
        let definition = &self.org.objects[self.plan.object].fields[field];
        if definition.role == Role::Id && !descending {
            return None;
        }
        let mut rows: Vec<(Key, u64)> = Vec::new();
        let mut position = 0;
        while let Some((row, next)) = self.next(position) {
            rows.push((key(&row, field), row.index));
            position = next;
        }
        rows.sort_by(|a, b| {
            let order = a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal);
            if descending { order.reverse() } else { order }.then(a.1.cmp(&b.1))
        });
        Some(rows.into_iter().map(|(_, index)| index).collect())
    }
}

#[derive(PartialEq, PartialOrd)]
enum Key {
    Null,
    Number(f64),
    Text(Vec<u8>),
}

fn key(row: &Row<'_>, field: usize) -> Key {
    let kind = row.object.fields[field].kind;
    let mut text = Vec::new();
    if kind == Kind::Datetime {
        return row.seconds(field).map_or(Key::Null, |s| Key::Number(s as f64));
    }
    if !row.text(field, &mut text) {
        return Key::Null;
    }
    if kind.is_number() {
        return Key::Number(parse(&text));
    }
    if !kind.is_id() {
        text.make_ascii_lowercase();
    }
    Key::Text(text)
}

fn parse(text: &[u8]) -> f64 {
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).unwrap_or_default()
}

/// The indices that the conditions on the stamp and on the id leave.
fn range(org: &Org, plan: &Plan) -> (u64, u64) {
    let object = &org.objects[plan.object];
    let rows = object.rows;
    let (mut from, mut to) = (0, rows);
    let (mut first, mut last) = (0, rows);
    for filter in &plan.filters {
        match &filter.value {
            Value::Millis(ms) if Some(filter.field) == object.stamp => {
                // Rounded outwards; each row is looked at again.
                let place = |seconds: i64| org.place_at(seconds, rows);
                let second = ms.div_euclid(1000);
                match filter.op {
                    Op::Greater | Op::GreaterOrEqual => first = first.max(place(second)),
                    Op::Less | Op::LessOrEqual => last = last.min(place(second + 1)),
                    Op::Equal => {
                        first = first.max(place(second));
                        last = last.min(place(second + 1));
                    }
                    _ => {}
                }
            }
            Value::Text(id) if object.fields[filter.field].role == Role::Id => {
                let bound = ids::lower_bound(&object.prefix, id);
                match filter.op {
                    Op::Greater | Op::GreaterOrEqual => from = from.max(bound),
                    Op::Less | Op::LessOrEqual => to = to.min(bound + 1),
                    Op::Equal => (from, to) = (from.max(bound), to.min(bound + 1)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let (low, high) = org::blocks(first, last, rows);
    (from.max(low), to.min(high))
}

fn holds(filter: &Filter, row: &Row<'_>) -> bool {
    let field = &row.object.fields[filter.field];
    if let Value::Millis(ms) = filter.value {
        return match row.seconds(filter.field) {
            Some(seconds) => compare(filter.op, &(seconds * 1000), &ms),
            None => filter.op == Op::NotEqual,
        };
    }
    let mut text = Vec::with_capacity(64);
    let is_there = row.text(filter.field, &mut text);
    match &filter.value {
        Value::Null => is_there == (filter.op == Op::NotEqual),
        _ if !is_there => matches!(filter.op, Op::NotEqual | Op::NotIn),
        Value::Number(number) => compare(filter.op, &parse(&text), number),
        Value::Text(wanted) => {
            let found = comparable(field.kind, &text);
            compare(filter.op, &found.as_str(), &wanted.as_str())
        }
        Value::Set(wanted) => {
            let found = if field.kind.is_number() {
                parse(&text).to_string()
            } else {
                comparable(field.kind, &text)
            };
            wanted.contains(&found) == (filter.op == Op::In)
        }
        Value::Millis(_) => false,
    }
}

/// A text as [`Value::Text`] has it.
fn comparable(kind: Kind, text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if kind.is_id() { text.get(..15).unwrap_or(&text).to_owned() } else { text.to_lowercase() }
}

fn compare<T: PartialOrd>(op: Op, left: &T, right: &T) -> bool {
    match op {
        Op::Equal | Op::In => left == right,
        Op::NotEqual | Op::NotIn => left != right,
        Op::Less => left < right,
        Op::LessOrEqual => left <= right,
        Op::Greater => left > right,
        Op::GreaterOrEqual => left >= right,
    }
}
