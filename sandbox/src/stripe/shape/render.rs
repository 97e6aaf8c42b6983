//! Steps into bytes.

use std::io::Write;

use super::{Condition, Step, text};
use crate::hash;
use crate::stripe::context::Ctx;
use crate::stripe::resource::{Key, Res};

/// A fact's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    Null,
    Bool(bool),
    Int(i64),
    /// Text that needs no escaping.
    Str(&'static str),
    /// Text that needs no escaping.
    Text(String),
    /// JSON as it stands.
    Json(String),
    /// An object, written as its id or whole.
    Ref(Res, Key),
    /// An array of objects, each written as its id or whole.
    Refs(Vec<(Res, Key)>),
}

impl Val {
    /// An object or null.
    pub fn opt(res: Res, key: Option<Key>) -> Self {
        key.map_or(Self::Null, |key| Self::Ref(res, key))
    }

    /// A number or null.
    pub fn opt_int(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Int)
    }

    fn holds(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }
}

/// The facts of one object, by name.
#[derive(Debug, Default)]
pub struct Vars(Vec<(&'static str, Val)>);

impl Vars {
    /// Adds a fact.
    pub fn set(&mut self, name: &'static str, value: Val) {
        self.0.push((name, value));
    }

    /// Adds a number.
    pub fn int(&mut self, name: &'static str, value: i64) {
        self.set(name, Val::Int(value));
    }

    /// Adds a truth value.
    pub fn flag(&mut self, name: &'static str, value: bool) {
        self.set(name, Val::Bool(value));
    }

    /// Adds a text.
    pub fn str(&mut self, name: &'static str, value: &'static str) {
        self.set(name, Val::Str(value));
    }

    /// Adds a reference or null.
    pub fn opt(&mut self, name: &'static str, res: Res, key: Option<Key>) {
        self.set(name, Val::opt(res, key));
    }

    fn get(&self, name: &str) -> &Val {
        self.0.iter().find(|(n, _)| *n == name).map_or(&Val::Null, |(_, v)| v)
    }

    /// Whether the fact was set at all; shapes must not name others.
    #[cfg(test)]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| *n == name)
    }
}

/// What is to be expanded below the present object: dotted paths.
pub type Expand<'a> = &'a [&'a str];

/// The object being written.
pub struct Obj {
    pub res: Res,
    pub key: Key,
    pub hash: u64,
    pub created: i64,
    pub vars: Vars,
}

/// The paths below `path`, or None if `path` is not to be expanded.
fn below<'a>(expand: Expand<'a>, path: &str) -> Option<Vec<&'a str>> {
    let mut found = None;
    for wanted in expand {
        let Some(rest) = wanted.strip_prefix(path) else { continue };
        match rest.strip_prefix('.') {
            Some(rest) => found.get_or_insert_with(Vec::new).push(rest),
            None if rest.is_empty() => {
                found.get_or_insert_with(Vec::new);
            }
            None => {}
        }
    }
    found
}

/// Writes `obj` by its steps.
pub fn run(ctx: &Ctx<'_>, steps: &[Step], obj: &Obj, expand: Expand<'_>, out: &mut Vec<u8>) {
    for step in steps {
        one(ctx, step, obj, expand, out);
    }
}

fn one(ctx: &Ctx<'_>, step: &Step, obj: &Obj, expand: Expand<'_>, out: &mut Vec<u8>) {
    let draw = |salt: u64| hash::mix(obj.hash ^ salt);
    match step {
        Step::Lit(bytes) => out.extend_from_slice(bytes),
        Step::Id => ctx.world.write_id(obj.res, obj.key, out),
        Step::Time(offset) => int(obj.created + offset, out),
        Step::Livemode => out.extend_from_slice(if ctx.live { b"true" } else { b"false" }),
        Step::Account => out.extend_from_slice(ctx.world.account_id.as_bytes()),
        Step::Int { low, high, salt } => {
            let span = high.abs_diff(*low) + 1;
            int(low + hash::below(draw(*salt), span) as i64, out);
        }
        Step::Bool { percent, salt } => {
            let yes = hash::below(draw(*salt), 100) < *percent;
            out.extend_from_slice(if yes { b"true" } else { b"false" });
        }
        Step::Pick { choices, salt } => {
            let at = hash::below(draw(*salt), choices.len() as u64) as usize;
            out.extend_from_slice(choices[at].as_bytes());
        }
        Step::Text { kind, salt } => kind.write(draw(*salt), out),
        Step::Metadata { salt } => text::metadata(draw(*salt), out),
        Step::Fact(name) => value(ctx, obj.vars.get(name), Form::Id, out),
        Step::Reference { fact, path, embed } => {
            let inner = if expand.is_empty() { None } else { below(expand, path) };
            let how = match (embed, &inner) {
                (true, inner) => Form::Embedded(inner.as_deref().unwrap_or_default()),
                (false, Some(inner)) => Form::Expanded(inner),
                (false, None) => Form::Id,
            };
            value(ctx, obj.vars.get(fact), how, out);
        }
        Step::List { kinds, path } => {
            let inner = if expand.is_empty() { None } else { below(expand, path) };
            let inner: Vec<&str> =
                inner.unwrap_or_default().iter().filter_map(|p| p.strip_prefix("data.")).collect();
            ctx.write_nested(kinds, obj.res, obj.key, &inner, out);
        }
        Step::When { condition, steps, otherwise } => {
            let met = match condition {
                Condition::Fact(name) => obj.vars.get(name).holds(),
                Condition::Chance { percent, salt } => hash::below(draw(*salt), 100) < *percent,
                Condition::Expanded(path) => !expand.is_empty() && below(expand, path).is_some(),
            };
            if met {
                run(ctx, steps, obj, expand, out);
            } else {
                out.extend_from_slice(otherwise);
            }
        }
    }
}

/// How a reference is written.
#[derive(Clone, Copy)]
enum Form<'a> {
    Id,
    /// As the object, or its stub if it was deleted.
    Expanded(Expand<'a>),
    /// As the object in any case.
    Embedded(Expand<'a>),
}

/// Writes a fact.
fn value(ctx: &Ctx<'_>, value: &Val, form: Form<'_>, out: &mut Vec<u8>) {
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Int(number) => int(*number, out),
        Val::Str(text) => quoted(text, out),
        Val::Text(text) => quoted(text, out),
        Val::Json(json) => out.extend_from_slice(json.as_bytes()),
        Val::Ref(res, key) => reference(ctx, *res, *key, form, out),
        Val::Refs(all) => {
            out.push(b'[');
            for (i, (res, key)) in all.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                reference(ctx, *res, *key, form, out);
            }
            out.push(b']');
        }
    }
}

fn reference(ctx: &Ctx<'_>, res: Res, key: Key, form: Form<'_>, out: &mut Vec<u8>) {
    match form {
        Form::Expanded(expand) => ctx.write_object(res, key, expand, out),
        Form::Embedded(expand) => ctx.write_present(res, key, expand, out),
        Form::Id => {
            out.push(b'"');
            ctx.world.write_id(res, key, out);
            out.push(b'"');
        }
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

pub fn int(number: i64, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn paths_below() {
        let expand = ["customer", "customer.default_source", "data", "customers"];
        assert_eq!(below(&expand, "customer"), Some(vec!["default_source"]));
        assert_eq!(below(&expand, "data"), Some(vec![]));
        assert_eq!(below(&expand, "refunds"), None);
    }
}
