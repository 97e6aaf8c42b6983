//! Templates into steps.

use serde_json::{Map, Value};

use super::text::Kind;
use super::{Condition, ExpandKind, Expandable, Shape, Step};
use crate::hash;
use crate::stripe::resource::Res;
use crate::stripe::version::Era;

const TEMPLATES: [&str; 7] = [
    include_str!("../shapes/fragments.json"),
    include_str!("../shapes/payments.json"),
    include_str!("../shapes/customers.json"),
    include_str!("../shapes/billing.json"),
    include_str!("../shapes/catalog.json"),
    include_str!("../shapes/connect.json"),
    include_str!("../shapes/issuing.json"),
];

/// The shapes of all kinds, in the order of [`Res`], before and after the change of era.
pub fn all() -> Result<Vec<[Shape; 2]>, String> {
    let mut templates = Map::new();
    for source in TEMPLATES {
        let part: Map<String, Value> =
            serde_json::from_str(source).map_err(|e| format!("a shape file is not JSON: {e}"))?;
        templates.extend(part);
    }
    Res::all()
        .map(|res| Ok([shape(&templates, res, Era::Legacy)?, shape(&templates, res, Era::Basil)?]))
        .collect()
}

fn shape(templates: &Map<String, Value>, res: Res, era: Era) -> Result<Shape, String> {
    let name = res.def().shape.unwrap_or(res.def().object);
    let Some(template) = templates.get(name) else {
        // Events wrap other objects and are not written by a template.
        return if res == Res::Event {
            Ok(Shape::default())
        } else {
            Err(format!("no template {name}"))
        };
    };
    let mut compiler = Compiler { templates, era, expandables: Vec::new() };
    let mut steps = Vec::new();
    compiler.value(template, "", &mut steps).map_err(|e| format!("template {name}: {e}"))?;
    Ok(Shape { steps, expandables: compiler.expandables })
}

struct Compiler<'a> {
    templates: &'a Map<String, Value>,
    era: Era,
    expandables: Vec<Expandable>,
}

/// A key such as `refunds|*`: the name and what the flags say.
struct Key<'a> {
    name: &'a str,
    era: Option<Era>,
    expanded: bool,
    fact: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn parse(key: &'a str) -> Self {
        let (name, flags) = key.split_once('|').unwrap_or((key, ""));
        let (signs, fact) = match flags.split_once('?') {
            Some((signs, fact)) => (signs, Some(fact)),
            None => (flags, None),
        };
        let era = match (signs.contains('<'), signs.contains('>')) {
            (true, _) => Some(Era::Legacy),
            (_, true) => Some(Era::Basil),
            _ => None,
        };
        Self { name, era, expanded: signs.contains('*'), fact }
    }
}

impl Compiler<'_> {
    fn value(&mut self, value: &Value, path: &str, out: &mut Vec<Step>) -> Result<(), String> {
        match value {
            Value::String(text) => self.text(text, path, out),
            Value::Object(fields) => self.object(fields, path, out),
            Value::Array(items) => self.array(items, path, out),
            other => {
                lit(out, other.to_string().as_bytes());
                Ok(())
            }
        }
    }

    /// An array whose first entry is `?NAME` is empty unless that fact holds.
    fn array(&mut self, items: &[Value], path: &str, out: &mut Vec<Step>) -> Result<(), String> {
        let test = items.first().and_then(Value::as_str).and_then(|text| text.strip_prefix('?'));
        let mut steps = Vec::new();
        lit(&mut steps, b"[");
        for (i, item) in items.iter().skip(usize::from(test.is_some())).enumerate() {
            if i > 0 {
                lit(&mut steps, b",");
            }
            // One entry stands for all: its path carries no number, as in `expand[]`.
            self.value(item, path, &mut steps)?;
        }
        lit(&mut steps, b"]");
        match test {
            None => steps.into_iter().for_each(|s| push(out, s)),
            Some(fact) => {
                let condition = Condition::Fact(fact.to_owned());
                out.push(Step::When { condition, steps, otherwise: b"[]" });
            }
        }
        Ok(())
    }

    fn object(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
        out: &mut Vec<Step>,
    ) -> Result<(), String> {
        let mut steps = Vec::new();
        self.fields(fields, path, &mut steps)?;
        match fields.get("?") {
            None => steps.into_iter().for_each(|s| push(out, s)),
            Some(test) => {
                let condition = condition(test, path)?;
                out.push(Step::When { condition, steps, otherwise: b"null" });
            }
        }
        Ok(())
    }

    fn fields(
        &mut self,
        fields: &Map<String, Value>,
        path: &str,
        out: &mut Vec<Step>,
    ) -> Result<(), String> {
        lit(out, b"{");
        let mut first = true;
        for (key, value) in fields.iter().filter(|(key, _)| *key != "?") {
            let key = Key::parse(key);
            if key.era.is_some_and(|era| era != self.era) {
                continue;
            }
            let path =
                if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let mut field = Vec::new();
            let comma = if first { "" } else { "," };
            lit(&mut field, format!("{comma}\"{}\":", key.name).as_bytes());
            self.value(value, &path, &mut field)?;
            let mut conditions = Vec::new();
            conditions.extend(key.fact.map(|fact| Condition::Fact(fact.to_owned())));
            conditions.extend(key.expanded.then(|| self.only_expanded(&path)));
            if first && !conditions.is_empty() {
                return Err(format!("{path}: the first field cannot be optional"));
            }
            for condition in conditions {
                field = vec![Step::When { condition, steps: field, otherwise: b"" }];
            }
            field.into_iter().for_each(|s| push(out, s));
            first = false;
        }
        lit(out, b"}");
        Ok(())
    }

    /// Only-when-expanded fields without an expandable of their own are plain ones.
    fn only_expanded(&mut self, path: &str) -> Condition {
        if !self.expandables.iter().any(|e| e.path == path) {
            self.expandable(path, ExpandKind::Plain, Vec::new());
        }
        Condition::Expanded(path.to_owned())
    }

    fn expandable(&mut self, path: &str, kind: ExpandKind, targets: Vec<Res>) {
        self.expandables.push(Expandable { path: path.to_owned(), kind, targets });
    }

    fn text(&mut self, text: &str, path: &str, out: &mut Vec<Step>) -> Result<(), String> {
        if let Some(fact) = text.strip_prefix('=') {
            return self.fact(fact, path, out);
        }
        if let Some(kinds) = text.strip_prefix('%') {
            let kinds = kinds.split('|').map(resource).collect::<Result<Vec<_>, _>>()?;
            self.expandable(path, ExpandKind::List, kinds.clone());
            out.push(Step::List { kinds, path: path.to_owned() });
            return Ok(());
        }
        let Some(command) = text.strip_prefix('$') else {
            lit(out, Value::from(text).to_string().as_bytes());
            return Ok(());
        };
        if let Some(name) = command.strip_prefix("use ") {
            let template = self.templates.get(name).ok_or(format!("{path}: no template {name}"))?;
            return self.value(template, path, out);
        }
        if let Some(format) = command.strip_prefix("fmt ") {
            return format_text(format, path, out);
        }
        generator(command, path, true, out)
    }

    fn fact(&mut self, fact: &str, path: &str, out: &mut Vec<Step>) -> Result<(), String> {
        let Some((name, targets)) = fact.split_once(':') else {
            out.push(Step::Fact(fact.to_owned()));
            return Ok(());
        };
        let (targets, embed) = match targets.strip_suffix('!') {
            Some(targets) => (targets, true),
            None => (targets, false),
        };
        let targets = targets.split('|').map(resource).collect::<Result<Vec<_>, _>>()?;
        let kind = if embed { ExpandKind::Embedded } else { ExpandKind::Reference };
        self.expandable(path, kind, targets);
        out.push(Step::Reference { fact: name.to_owned(), path: path.to_owned(), embed });
        Ok(())
    }
}

fn resource(name: &str) -> Result<Res, String> {
    Res::by_name(name).ok_or_else(|| format!("no resource {name}"))
}

fn condition(test: &Value, path: &str) -> Result<Condition, String> {
    match test {
        Value::String(fact) if fact.starts_with('=') => Ok(Condition::Fact(fact[1..].to_owned())),
        Value::Number(percent) => Ok(Condition::Chance {
            percent: percent.as_u64().unwrap_or_default(),
            salt: hash::text(&format!("{path}?")),
        }),
        other => Err(format!("{path}: {other} is no condition")),
    }
}

/// `a {$hex 8} b` into a quoted text with generated parts.
fn format_text(format: &str, path: &str, out: &mut Vec<Step>) -> Result<(), String> {
    lit(out, b"\"");
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{$") {
        lit(out, before.as_bytes());
        let (command, after) =
            after.split_once('}').ok_or_else(|| format!("{path}: a {{ without its }}"))?;
        generator(command, &format!("{path}{}", rest.len()), false, out)?;
        rest = after;
    }
    lit(out, rest.as_bytes());
    lit(out, b"\"");
    Ok(())
}

fn generator(command: &str, path: &str, quoted: bool, out: &mut Vec<Step>) -> Result<(), String> {
    let salt = hash::text(path);
    let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
    let number = |text: &str| text.parse::<i64>().map_err(|e| format!("{path}: {command}: {e}"));
    let step = match name {
        "created" => Step::Time(0),
        "time" => Step::Time(number(argument)?),
        "livemode" => Step::Livemode,
        "metadata" => Step::Metadata { salt },
        "int" => {
            let (low, high) =
                argument.split_once(' ').ok_or(format!("{path}: int needs two numbers"))?;
            Step::Int { low: number(low)?, high: number(high)?, salt }
        }
        "bool" => Step::Bool { percent: number(argument)?.unsigned_abs(), salt },
        "pick" => {
            let quote = |word: &str| match (word, word.strip_prefix('#')) {
                (_, Some(number)) => number.to_owned(),
                ("null" | "true" | "false", _) => word.to_owned(),
                _ if !quoted => word.to_owned(),
                _ => Value::from(word).to_string(),
            };
            Step::Pick { choices: argument.split('|').map(quote).collect(), salt }
        }
        _ => {
            let step = match name {
                "id" => Step::Id,
                "account" => Step::Account,
                _ => {
                    let count = if argument.is_empty() { 1 } else { number(argument)? };
                    let kind = Kind::parse(name, count.unsigned_abs() as usize)
                        .ok_or_else(|| format!("{path}: unknown generator ${command}"))?;
                    Step::Text { kind, salt }
                }
            };
            if quoted {
                lit(out, b"\"");
                push(out, step);
                lit(out, b"\"");
            } else {
                push(out, step);
            }
            return Ok(());
        }
    };
    push(out, step);
    Ok(())
}

fn lit(out: &mut Vec<Step>, bytes: &[u8]) {
    push(out, Step::Lit(bytes.to_vec()));
}

/// Appends a step; neighbouring literals become one.
fn push(out: &mut Vec<Step>, step: Step) {
    match (out.last_mut(), step) {
        (Some(Step::Lit(last)), Step::Lit(more)) => last.extend_from_slice(&more),
        (_, step) => out.push(step),
    }
}
