//! Filters of lists: which parameters an endpoint takes, and what they let through.

use serde_json::{Map, Value};

use super::context::Ctx;
use super::error::Error;
use super::query::{Param, Query};
use super::resource::{Key, Res};
use super::version::Era;

/// Parameters that every list takes.
const PAGING: [&str; 4] = ["limit", "starting_after", "ending_before", "expand"];
/// The only filters of a nested list whose kind has its own list, too.
const NESTED: [&str; 2] = ["allow_redisplay", "type"];
/// Parameters that decide which objects are looked at, and are no filters.
const SCOPES: [&str; 2] = ["test_clock", "payout"];

/// A range of unix seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Not before.
    pub from: i64,
    /// Not after.
    pub to: i64,
}

impl Range {
    /// Everything.
    pub const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    /// Whether the moment lies in the range.
    pub fn has(&self, moment: i64) -> bool {
        self.from <= moment && moment <= self.to
    }

    fn narrow(&mut self, part: Option<&str>, value: i64) {
        match part {
            Some("gt") => self.from = self.from.max(value.saturating_add(1)),
            Some("gte") => self.from = self.from.max(value),
            Some("lt") => self.to = self.to.min(value.saturating_sub(1)),
            Some("lte") => self.to = self.to.min(value),
            _ => *self = Self { from: self.from.max(value), to: self.to.min(value) },
        }
    }
}

/// The filters of one request.
#[derive(Debug)]
pub struct Filter {
    /// The range of creation.
    pub created: Range,
    tests: Vec<Test>,
}

#[derive(Debug)]
enum Test {
    /// The field at this path has this value.
    Equals(Vec<String>, String),
    /// The field has one of these values.
    OneOf(&'static str, Vec<String>),
    /// The field is a moment in this range.
    Within(String, Range),
    /// A subscription that has ended is not shown.
    NotCanceled,
    /// Subscriptions that ended in one way or another.
    Ended,
    /// The field is null, or not.
    IsNull(&'static str, bool),
    /// Some entry of the list has this value in that field.
    Contains(&'static str, &'static str, String),
    /// An event of one of these types; `*` at the end stands for any rest.
    EventType(Vec<String>),
}

/// Reads and checks the parameters of a list request.
pub fn parse(query: &Query, kinds: &[Res], nested: bool, path: &str) -> Result<Filter, Error> {
    let mut filter = Filter { created: Range::ALL, tests: Vec::new() };
    for param in &query.0 {
        check_known(param, kinds, nested, path)?;
        if param.name == "created" {
            filter.created.narrow(param.part.as_deref(), moment(param)?);
        }
    }
    if !nested {
        check_required(query, kinds)?;
    }
    let mut ranges: Vec<(String, Range)> = Vec::new();
    for param in &query.0 {
        add(&mut filter, &mut ranges, query, kinds, param)?;
    }
    filter.tests.extend(ranges.into_iter().map(|(field, range)| Test::Within(field, range)));
    if kinds.contains(&Res::Subscription) && !query.has("status") {
        filter.tests.push(Test::NotCanceled);
    }
    Ok(filter)
}

fn check_known(param: &Param, kinds: &[Res], nested: bool, path: &str) -> Result<(), Error> {
    let name = param.name.as_str();
    let mixed = path.ends_with("/sources") || path.ends_with("/external_accounts");
    let known = PAGING.contains(&name)
        || kinds.iter().any(|res| {
            let takes = res.def().filters.contains(&name);
            match (name, nested && res.listed_globally()) {
                ("object", _) => takes && mixed,
                (_, true) => takes && NESTED.contains(&name),
                (_, false) => takes,
            }
        });
    if known { Ok(()) } else { Err(Error::unknown_param(name)) }
}

fn check_required(query: &Query, kinds: &[Res]) -> Result<(), Error> {
    let missing = kinds.iter().find_map(|res| res.def().required.filter(|name| !query.has(name)));
    match missing {
        Some(name) => Err(Error::invalid(400, format!("Missing required param: {name}."))
            .code("parameter_missing")
            .param(name)),
        None => Ok(()),
    }
}

fn moment(param: &Param) -> Result<i64, Error> {
    let name = match &param.part {
        Some(part) if matches!(part.as_str(), "gt" | "gte" | "lt" | "lte") => {
            format!("{}[{part}]", param.name)
        }
        Some(part) => return Err(Error::unknown_param(&format!("{}[{part}]", param.name))),
        None => param.name.clone(),
    };
    param
        .value
        .parse()
        .map_err(|_| Error::bad_integer(&name, format!("Invalid integer: {}", param.value)))
}

fn add(
    filter: &mut Filter,
    ranges: &mut Vec<(String, Range)>,
    query: &Query,
    kinds: &[Res],
    param: &Param,
) -> Result<(), Error> {
    let name = param.name.as_str();
    let is_parent = kinds.iter().any(|res| res.def().parent_param == Some(name));
    if PAGING.contains(&name) || SCOPES.contains(&name) || name == "created" || is_parent {
        return Ok(());
    }
    let is_event = kinds.contains(&Res::Event);
    let test = match (name, param.part.as_deref()) {
        ("type" | "types", _) if is_event => return add_types(filter, query, name),
        ("delivery_success", _) => return Ok(()),
        ("status", None) if kinds.contains(&Res::Subscription) => match param.value.as_str() {
            "all" => return Ok(()),
            "ended" => Test::Ended,
            _ => equals(param),
        },
        ("ids", _) => one_of(filter, query, "ids", "id"),
        ("lookup_keys", _) => one_of(filter, query, "lookup_keys", "lookup_key"),
        ("pending", _) => Test::IsNull("invoice", param.value == "true"),
        ("archived", _) => {
            let active = if param.value == "true" { "false" } else { "true" };
            Test::Equals(vec!["active".to_owned()], active.to_owned())
        }
        ("scheduled", _) => Test::Equals(vec!["status".to_owned()], "not_started".to_owned()),
        ("price", _) => Test::Contains("items", "price", param.value.clone()),
        ("contains", _) => Test::Contains("list_items", "value", param.value.clone()),
        (field, Some("gt" | "gte" | "lt" | "lte")) => {
            let value = moment(param)?;
            let at = ranges.iter().position(|(f, _)| f == field).unwrap_or_else(|| {
                ranges.push((field.to_owned(), Range::ALL));
                ranges.len() - 1
            });
            ranges[at].1.narrow(param.part.as_deref(), value);
            return Ok(());
        }
        _ => equals(param),
    };
    filter.tests.push(test);
    Ok(())
}

fn equals(param: &Param) -> Test {
    let path = std::iter::once(param.name.clone()).chain(param.part.clone()).collect();
    Test::Equals(path, param.value.clone())
}

fn one_of(filter: &mut Filter, query: &Query, name: &str, field: &'static str) -> Test {
    // The whole list is one test, however many parameters carry it.
    filter.tests.retain(|t| !matches!(t, Test::OneOf(f, _) if *f == field));
    Test::OneOf(field, query.all(name).into_iter().map(str::to_owned).collect())
}

fn add_types(filter: &mut Filter, query: &Query, name: &str) -> Result<(), Error> {
    if query.has("type") && query.has("types") {
        return Err(Error::invalid(
            400,
            "You may only specify one of these parameters: type, types.",
        )
        .param("types"));
    }
    let types: Vec<String> = query.all(name).into_iter().map(str::to_owned).collect();
    if types.len() > 20 {
        return Err(Error::invalid(400, "No more than 20 types can be given.").param("types"));
    }
    if !filter.tests.iter().any(|t| matches!(t, Test::EventType(_))) {
        filter.tests.push(Test::EventType(types));
    }
    Ok(())
}

impl Filter {
    /// Whether the object passes. Only `created` and event types are looked at without writing
    /// the object, as they are the filters of large reads.
    pub fn lets_through(&self, ctx: &Ctx<'_>, res: Res, key: Key) -> bool {
        if res == Res::Event {
            return self.lets_event_through(ctx, key);
        }
        if self.created != Range::ALL && !self.created.has(ctx.created(res, key)) {
            return false;
        }
        if self.tests.is_empty() {
            return true;
        }
        // The old shapes still have the fields that filters are named after.
        let object = Ctx { era: Era::Legacy, ..*ctx }.object(res, key, &[]);
        self.tests.iter().all(|test| test.passes(&object))
    }

    fn lets_event_through(&self, ctx: &Ctx<'_>, key: Key) -> bool {
        let Some(row) = ctx.overlay.log.get(key) else { return false };
        self.created.has(row.created)
            && super::events::is_visible(ctx.world, row, ctx.now)
            && self.tests.iter().all(|test| match test {
                Test::EventType(types) => types.iter().any(|t| type_fits(t, &row.kind)),
                _ => true,
            })
    }
}

fn type_fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

impl Test {
    fn passes(&self, object: &Map<String, Value>) -> bool {
        let text = |field: &str| object.get(field).and_then(plain);
        match self {
            Self::Equals(path, wanted) => {
                let mut value = object.get(&path[0]);
                for part in &path[1..] {
                    value = value.and_then(|v| v.get(part));
                }
                value.and_then(plain).is_some_and(|v| v == *wanted)
            }
            Self::OneOf(field, wanted) => text(field).is_some_and(|v| wanted.contains(&v)),
            Self::Within(field, range) => {
                object.get(field).and_then(Value::as_i64).is_some_and(|moment| range.has(moment))
            }
            Self::NotCanceled => text("status").is_none_or(|s| s != "canceled"),
            Self::Ended => {
                text("status").is_some_and(|s| s == "canceled" || s == "incomplete_expired")
            }
            Self::IsNull(field, null) => object.get(*field).is_none_or(Value::is_null) == *null,
            Self::Contains(list, field, wanted) => {
                let items = object.get(*list).and_then(|l| l["data"].as_array());
                items.is_some_and(|all| {
                    all.iter().filter_map(|i| plain(&i[*field])).any(|v| v == *wanted)
                })
            }
            Self::EventType(_) => true,
        }
    }
}

/// A value as a parameter would give it; an object by its id.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(object) => object.get("id").and_then(plain),
        _ => None,
    }
}
