//! stub
/// stub
pub fn config_schema<C: schemars::JsonSchema>() -> serde_json::Value {
    let settings =
        schemars::generate::SchemaSettings::draft07().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<C>().to_value()
}
