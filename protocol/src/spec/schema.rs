//! The JSON schema of a configuration struct, in the conventions of Airbyte's forms.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Formats that mean something to a form; those of Rust's number types do not.
const FORMATS: &[&str] = &["date", "date-time", "time", "email", "uri"];

/// The JSON schema of the configuration `C`, as the `connectionSpecification` of a connector.
///
/// It is draft 7 with everything in place (no `$ref`). A field's doc comment is its description,
/// with a first line `# …` as its title; without one the title is made from the field's name.
/// `Option` means that a field is not required, nothing else. Fields are shown in their order in
/// the struct, unless `#[schemars(extend("order" = …))]` says otherwise, by which every other
/// annotation can be given too. An enum tagged with a field (`#[serde(tag = "auth_type")]`) is a
/// choice: an object with `oneOf`, whose variants tell themselves apart by the `const` of that
/// field.
pub fn config_schema<C: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<C>().to_value();
    let Value::Object(mut root) = schema else { return schema };
    root.remove("definitions");
    let mut ordered = Map::new();
    if let Some(draft) = root.shift_remove("$schema") {
        ordered.insert("$schema".into(), draft);
    }
    tidy(&mut root);
    ordered.extend(root);
    Value::Object(ordered)
}

/// Brings one schema, and all that it is made of, into form.
fn tidy(schema: &mut Map<String, Value>) {
    unwrap_only_choice(schema, "anyOf");
    unwrap_only_choice(schema, "allOf");
    drop_null(schema);
    drop_foreign_keywords(schema);
    join_lines(schema);
    tidy_choice(schema);
    tidy_properties(schema);
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        tidy(items);
    }
    tidy_default(schema);
}

/// `Option` of something complex is a choice between it and null: takes the choice away.
fn unwrap_only_choice(schema: &mut Map<String, Value>, keyword: &str) {
    let Some(Value::Array(mut choices)) = schema.shift_remove(keyword) else { return };
    choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
    match <[Value; 1]>::try_from(choices) {
        Ok([Value::Object(only)]) => {
            for (key, value) in only {
                schema.entry(key).or_insert(value);
            }
        }
        Ok(_) => {}
        Err(choices) => drop(schema.insert("oneOf".into(), choices.into())),
    }
}

fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

fn drop_foreign_keywords(schema: &mut Map<String, Value>) {
    // Runners and platforms may add members of their own, so no configuration is closed.
    schema.shift_remove("additionalProperties");
    let is_foreign = |format: &Value| !FORMATS.iter().any(|known| format == known);
    if schema.get("format").is_some_and(is_foreign) {
        schema.shift_remove("format");
    }
}

/// A doc comment is broken into lines by its width only; blank lines make paragraphs.
fn join_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs: Vec<String> = text
            .split("\n\n")
            .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        *text = paragraphs.join("\n\n");
    }
}

/// A choice between constants is a list of values; one between objects is itself an object.
fn tidy_choice(schema: &mut Map<String, Value>) {
    let Some(Value::Array(mut variants)) = schema.shift_remove("oneOf") else { return };
    if variants.iter().all(|variant| !constants(variant).is_empty()) {
        list_constants(schema, &variants);
        return;
    }
    for variant in &mut variants {
        if let Value::Object(variant) = variant {
            tidy(variant);
            name_variant(variant);
        }
    }
    schema.insert("type".into(), "object".into());
    schema.insert("oneOf".into(), variants.into());
}

/// The values of a variant that is one value, or a list of some: those without a doc comment.
fn constants(variant: &Value) -> &[Value] {
    match (variant.get("const"), variant.get("enum")) {
        (Some(constant), _) => std::slice::from_ref(constant),
        (None, Some(Value::Array(values))) => values,
        _ => &[],
    }
}

fn list_constants(schema: &mut Map<String, Value>, variants: &[Value]) {
    let constants: Vec<Value> = variants.iter().flat_map(constants).cloned().collect();
    if constants.iter().all(Value::is_string) {
        schema.insert("type".into(), "string".into());
    }
    schema.insert("enum".into(), constants.into());
    let meanings: Vec<String> = variants
        .iter()
        .filter_map(|variant| {
            let meaning =
                variant.get("description")?.as_str()?.split_whitespace().collect::<Vec<_>>();
            Some(format!("`{}`: {}", variant.get("const")?.as_str()?, meaning.join(" ")))
        })
        .collect();
    if !meanings.is_empty() {
        let own = schema.get("description").and_then(Value::as_str);
        let text: Vec<&str> = own.into_iter().chain(meanings.iter().map(String::as_str)).collect();
        let text = text.join("\n\n");
        schema.insert("description".into(), text.into());
    }
}

/// A variant without a title is called by its constant.
fn name_variant(variant: &mut Map<String, Value>) {
    if variant.contains_key("title") {
        return;
    }
    let properties = variant.get("properties").and_then(Value::as_object);
    let constant = properties
        .into_iter()
        .flat_map(Map::values)
        .find_map(|property| property.get("const")?.as_str());
    if let Some(title) = constant.map(title_of) {
        variant.insert("title".into(), title.into());
    }
}

fn tidy_properties(schema: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    let taken: Vec<u64> =
        properties.values().filter_map(|property| property.get("order")?.as_u64()).collect();
    let mut free = (0u64..).filter(|order| !taken.contains(order));
    for (name, property) in properties {
        let Value::Object(property) = property else { continue };
        tidy(property);
        if !property.contains_key("title") {
            property.insert("title".into(), title_of(name).into());
        }
        if !property.contains_key("order") {
            property.insert("order".into(), free.next().into());
        }
    }
}

/// `start_date` as `Start Date`.
fn title_of(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
    };
    let words: Vec<String> = name.split(['_', '-', ' ']).filter_map(capital).collect();
    words.join(" ")
}

/// No default is none; that of a choice is its first variant, by convention.
fn tidy_default(schema: &mut Map<String, Value>) {
    if let Some(Value::Object(members)) = schema.get_mut("default") {
        members.retain(|_, value| !value.is_null());
    }
    let is_choice = schema.contains_key("oneOf");
    let is_void =
        |default: &Value| default.is_null() || default.as_object().is_some_and(Map::is_empty);
    if schema.get("default").is_some_and(|default| is_choice || is_void(default)) {
        schema.shift_remove("default");
    }
}

#[cfg(test)]
mod tests;
