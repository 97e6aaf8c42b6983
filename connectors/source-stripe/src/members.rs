//! Columns that are added to an object as it came: the text that goes before its closing
//! brace.

use std::fmt::Write;

/// Members of a JSON object, as text without braces.
#[derive(Debug, Default)]
pub struct Members(String);

impl Members {
    /// A member whose value is JSON text.
    pub fn raw(&mut self, key: &str, json: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        // Keys are this connector's own names: nothing to escape.
        let _ = write!(self.0, "\"{key}\":{json}");
    }

    /// A member that is null when there is no value.
    pub fn raw_or_null(&mut self, key: &str, json: Option<&str>) {
        self.raw(key, json.unwrap_or("null"));
    }

    /// A number.
    pub fn int(&mut self, key: &str, value: i64) {
        self.raw(key, &value.to_string());
    }

    /// A text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &serde_json::Value::from(value).to_string());
    }

    /// A truth value.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// Forgets all members and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
