//! The bodies of admin calls.

use serde_json::{Map, Value};

use super::resource::Res;

/// What an admin call asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The kind of object.
    pub res: Res,
    /// How many objects.
    pub count: Option<u64>,
    /// Which objects.
    pub ids: Vec<String>,
    /// The parent of new children.
    pub parent: Option<String>,
    /// Fields to set.
    pub set: Option<Map<String, Value>>,
    /// The event's type instead of the usual one.
    pub event: Option<String>,
    /// No events at all.
    pub quiet: bool,
    /// The event's creation, unix seconds.
    pub created: Option<i64>,
    /// The event's `previous_attributes`.
    pub previous: Option<Map<String, Value>>,
    /// The event's object, in place of the real one.
    pub payload: Option<Value>,
}

const KEYS: [&str; 12] = [
    "api", "account", "resource", "count", "id", "ids", "parent", "set", "event", "type",
    "created", "previous",
];

impl Request {
    /// Reads and checks a body. `"event": null` means no events.
    pub fn parse(body: &Value) -> Result<Self, String> {
        let fields = body.as_object().ok_or("the body must be a JSON object")?;
        if let Some(key) =
            fields.keys().find(|key| !KEYS.contains(&key.as_str()) && *key != "payload")
        {
            return Err(format!("unknown key {key:?}"));
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = text("resource").ok_or("`resource` is missing")?;
        let map = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(_) => Err(format!("`{name}` must be an object")),
        };
        let ids = fields.get("ids").and_then(Value::as_array).into_iter().flatten();
        let ids = ids.filter_map(Value::as_str).map(str::to_owned).chain(text("id"));
        Ok(Self {
            res: Res::by_name(&name).ok_or_else(|| format!("no resource {name:?}"))?,
            count: fields.get("count").and_then(Value::as_u64),
            ids: ids.collect(),
            parent: text("parent"),
            set: map("set")?,
            event: text("event").or_else(|| text("type")),
            quiet: fields.get("event").is_some_and(Value::is_null),
            created: fields.get("created").and_then(Value::as_i64),
            previous: map("previous")?,
            payload: fields.get("payload").cloned(),
        })
    }

    /// The type of the event about one of the request's own objects, for creation, change or
    /// deletion (0, 1, 2). Kinds that only their parents' events tell of have none.
    pub fn own_event(&self, res: Res, what: usize) -> Option<String> {
        let usual = res.def().events[what];
        let told_by_parent = usual.is_none() && res.def().parent_event.is_some();
        if self.quiet || told_by_parent {
            None
        } else {
            self.wanted(res).or_else(|| usual.map(str::to_owned))
        }
    }

    /// The type of the event about the parent of such an object.
    pub fn parent_event(&self, res: Res, what: usize) -> Option<String> {
        let usual = res.def().parent_event.filter(|_| !self.quiet)?;
        let told_by_parent = res.def().events[what].is_none();
        let wanted = if told_by_parent { self.wanted(res) } else { None };
        Some(wanted.unwrap_or_else(|| usual.to_owned()))
    }

    /// The type that the caller named, which is meant for the kind that the caller named.
    fn wanted(&self, res: Res) -> Option<String> {
        if res == self.res { self.event.clone() } else { None }
    }
}
