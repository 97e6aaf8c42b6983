//! A09: streams that are read by partitions of another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rules;
use crate::sheet::{Finding, Sheet};

/// A09: each stream of `manifest.yaml` that has parent streams stands with them in one list of
/// `interleavedStreams.relationships` of `metadata.yaml`.
pub fn interleaved(manifest: &Value, metadata: &Value, sheet: &mut Sheet) {
    let rule = &rules::A09;
    sheet.check(rule);
    let declared: Vec<BTreeSet<&str>> = metadata["data"]["interleavedStreams"]["relationships"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|group| group.as_array().into_iter().flatten().filter_map(Value::as_str).collect())
        .collect();
    for (stream, parents) in parents(manifest) {
        let is_declared = |parent: &String| {
            let together = |group: &BTreeSet<&str>| {
                group.contains(stream.as_str()) && group.contains(parent.as_str())
            };
            declared.iter().any(together)
        };
        let missing: Vec<String> =
            parents.iter().filter(|parent| !is_declared(parent)).cloned().collect();
        if !missing.is_empty() {
            let message = format!(
                "it is read by partitions of {}, which interleavedStreams does not say",
                missing.join(", ")
            );
            sheet.find(Finding::new(rule, message).stream(stream));
        }
    }
}

/// The streams that have parents, by name.
fn parents(manifest: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let defined = manifest["definitions"]["streams"].as_object();
    let defined = defined.into_iter().flatten().map(|(name, stream)| (Some(name.as_str()), stream));
    let listed = manifest["streams"].as_array().into_iter().flatten().map(|stream| (None, stream));
    for (name, stream) in defined.chain(listed) {
        let Some(name) = stream["name"].as_str().or(name) else { continue };
        let mut parents = BTreeSet::new();
        // A router may stand behind a reference.
        collect(stream, manifest, 0, &mut parents);
        if !parents.is_empty() {
            found.entry(name.to_owned()).or_default().extend(parents);
        }
    }
    found
}

/// References are followed no deeper than this.
const DEPTH: usize = 20;

fn collect(value: &Value, manifest: &Value, depth: usize, found: &mut BTreeSet<String>) {
    if depth > DEPTH {
        return;
    }
    match value {
        Value::Object(members) => {
            if value["type"] == "SubstreamPartitionRouter" {
                let configs = value["parent_stream_configs"].as_array();
                for config in configs.into_iter().flatten() {
                    found.extend(parent(&config["stream"], manifest));
                }
                return;
            }
            if let Some(target) = reference(value) {
                if let Some(target) = resolve(target, manifest) {
                    collect(target, manifest, depth + 1, found);
                }
                return;
            }
            members.values().for_each(|member| collect(member, manifest, depth + 1, found));
        }
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, manifest, depth + 1, found));
        }
        Value::String(_) => {
            let target =
                reference(value).filter(|path| !path.starts_with("#/definitions/streams/"));
            if let Some(target) = target.and_then(|target| resolve(target, manifest)) {
                collect(target, manifest, depth + 1, found);
            }
        }
        _ => {}
    }
}

/// The name of a parent stream: its own, or that of what it refers to.
fn parent(stream: &Value, manifest: &Value) -> Option<String> {
    if let Some(path) = reference(stream) {
        let target = resolve(path, manifest);
        let name = target.and_then(|target| target["name"].as_str());
        return name.or(path.rsplit('/').next()).map(str::to_owned);
    }
    stream["name"].as_str().map(str::to_owned)
}

fn reference(value: &Value) -> Option<&str> {
    let text = value.as_str().or_else(|| value.get("$ref")?.as_str())?;
    text.starts_with("#/").then_some(text)
}

fn resolve<'a>(path: &str, manifest: &'a Value) -> Option<&'a Value> {
    manifest.pointer(path.strip_prefix('#')?)
}
