//! What the keys of the file demand of each other, and what `test_strictness_level: high` adds.

use airbyte_protocol::StreamDescriptor;

use super::*;
use crate::rules;
use crate::sheet::{Finding, Sheet};

/// All that is wrong with a file whose types are right.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    found.file(config);
    found.0
}

impl Config {
    /// What `test_strictness_level: high` demands and the file lacks; nothing when it is low.
    /// The suite runs all the same, and its report fails by rule A11.
    pub fn strictness_problems(&self) -> Vec<Problem> {
        let mut found = Found::default();
        if self.test_strictness_level == Strictness::High {
            found.high(self);
        }
        found.0
    }

    /// Rule A11: the file has what `test_strictness_level: high` demands, as far as that can be
    /// told without the catalog.
    pub fn check_strictness(&self, sheet: &mut Sheet) {
        if self.test_strictness_level == Strictness::Low {
            return sheet.skip(&rules::A11, "test_strictness_level is low");
        }
        let findings = self.strictness_problems().into_iter().map(|problem| {
            Finding::new(&rules::A11, format!("{}: {}", problem.path, problem.text))
        });
        sheet.record(&rules::A11, findings);
    }
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem { path: path.into(), text: text.into() });
    }

    fn file(&mut self, config: &Config) {
        let tests = &config.acceptance_tests;
        self.section("spec", tests.spec.as_ref());
        self.section("connection", tests.connection.as_ref());
        self.section("discovery", tests.discovery.as_ref());
        self.section("basic_read", tests.basic_read.as_ref());
        self.section("full_refresh", tests.full_refresh.as_ref());
        self.section("incremental", tests.incremental.as_ref());
        self.section("connector_attributes", tests.connector_attributes.as_ref());
        self.section("connector_documentation", tests.connector_documentation.as_ref());
        for (path, entry) in entries("spec", tests.spec.as_ref()) {
            if let Some(method) = &entry.auth_default_method
                && !method.oauth
                && is_blank(method.bypass_reason.as_deref())
            {
                self.add(
                    format!("{path}.auth_default_method"),
                    "`oauth: false` needs a reason; add `bypass_reason: why`",
                );
            }
        }
        for (path, entry) in entries("basic_read", tests.basic_read.as_ref()) {
            self.expected(&path, entry);
            self.file_types(&path, entry);
        }
        for (path, entry) in entries("incremental", tests.incremental.as_ref()) {
            let neither = |state: &FutureState| {
                state.future_state_path.is_none() && is_blank(state.bypass_reason.as_deref())
            };
            if entry.future_state.as_ref().is_some_and(neither) {
                let text = "neither a state nor a reason; add `future_state_path: FILE` or \
                            `bypass_reason: why`";
                self.add(format!("{path}.future_state"), text);
            }
        }
        self.root(config);
    }

    fn root(&mut self, config: &Config) {
        for (at, off) in config.rules.off.iter().enumerate() {
            let path = format!("rules.off[{at}]");
            if off.rule().is_none() {
                let text =
                    format!("there is no rule `{}`; `acceptance rules` lists them", off.rule);
                self.add(format!("{path}.rule"), text);
            }
            if off.reason.trim().is_empty() {
                self.add(
                    format!("{path}.reason"),
                    "a rule is only switched off with a reason; say why it does not matter here",
                );
            }
        }
        if config.proxy.record.is_some() && config.proxy.replay.is_some() {
            self.add("proxy", "`record` and `replay` exclude each other; take one out");
        }
        if config.parallel == Some(0) {
            self.add("parallel", "at least 1 run has to go on at a time");
        }
        if config.growth.is_some() && config.growth_config().is_none() {
            self.add(
                "growth",
                "the configuration with more data is missing; add `config_path: FILE`",
            );
        }
        for (path, outside) in config.environment.iter().filter_map(|(name, setting)| match setting
        {
            Setting::Outside(outside) => Some((format!("environment.{name}"), outside)),
            _ => None,
        }) {
            if outside.env.is_some() == outside.command.is_some() {
                self.add(path, "give either `env: NAME` or `command: \"…\"`");
            }
        }
    }

    fn section<T: Entry>(&mut self, name: &str, section: Option<&Section<T>>) {
        let path = format!("acceptance_tests.{name}");
        if section.is_some_and(|s| s.bypass_reason.is_some() && !s.tests.is_empty()) {
            self.add(
                &path,
                "`bypass_reason` leaves the section out, so it cannot have `tests`; take one out",
            );
        }
        if section.is_some_and(|s| s.bypass_reason.as_deref().is_some_and(|r| r.trim().is_empty()))
        {
            self.add(
                format!("{path}.bypass_reason"),
                "it is empty; say why the section is left out",
            );
        }
        for (path, entry) in entries(name, section) {
            let common = entry.common();
            if common.config.is_some() && common.config_path.is_some() {
                self.add(path, "`config` and `config_path` exclude each other; take one out");
            }
        }
    }

    fn expected(&mut self, path: &str, entry: &BasicReadTest) {
        let Some(expect) = &entry.expect_records else { return };
        let path = format!("{path}.expect_records");
        match (&expect.path, is_blank(expect.bypass_reason.as_deref())) {
            (Some(_), false) => {
                self.add(path, "`path` and `bypass_reason` exclude each other; take one out")
            }
            (None, true) => self.add(
                path,
                "neither records nor a reason; add `path: FILE` or `bypass_reason: why`",
            ),
            _ => {}
        }
    }

    fn file_types(&mut self, path: &str, entry: &BasicReadTest) {
        let Some(types) = &entry.file_types else { return };
        let path = format!("{path}.file_types");
        if types.skip_test && !types.unsupported_types.is_empty() {
            let text = "`skip_test` leaves all types out, so `unsupported_types` has no meaning; \
                        take one out";
            self.add(&path, text);
        }
        if !types.skip_test && types.bypass_reason.is_some() {
            let text = "`bypass_reason` is only for `skip_test: true`; take it out, or give a \
                        reason with each of `unsupported_types`";
            self.add(&path, text);
        }
        for (at, kind) in types.unsupported_types.iter().enumerate() {
            if !kind.extension.starts_with('.') {
                let text = format!("an extension has its dot: `.{}`", kind.extension);
                self.add(format!("{path}.unsupported_types[{at}].extension"), text);
            }
        }
    }

    fn high(&mut self, config: &Config) {
        let tests = &config.acceptance_tests;
        self.mandatory("spec", tests.spec.as_ref());
        self.mandatory("connection", tests.connection.as_ref());
        self.mandatory("discovery", tests.discovery.as_ref());
        self.mandatory("basic_read", tests.basic_read.as_ref());
        self.mandatory("full_refresh", tests.full_refresh.as_ref());
        self.mandatory("incremental", tests.incremental.as_ref());
        for (path, entry) in entries("basic_read", tests.basic_read.as_ref()) {
            self.high_read(&path, entry);
        }
        for (path, entry) in entries("full_refresh", tests.full_refresh.as_ref()) {
            self.ignored(&path, &entry.ignored_fields);
        }
        for (path, entry) in entries("incremental", tests.incremental.as_ref()) {
            match &entry.future_state {
                Some(state) => {
                    let path = format!("{path}.future_state.missing_streams");
                    self.reasons(&path, &state.missing_streams);
                }
                None => self.add(
                    path,
                    "high strictness demands `future_state`; add it with a `future_state_path` \
                     or a `bypass_reason`",
                ),
            }
        }
    }

    fn mandatory<T>(&mut self, name: &str, section: Option<&Section<T>>) {
        if section.is_none_or(|s| s.tests.is_empty() && s.bypass_reason.is_none()) {
            let text = "high strictness demands this section; add `tests`, or a `bypass_reason`";
            self.add(format!("acceptance_tests.{name}"), text);
        }
    }

    fn high_read(&mut self, path: &str, entry: &BasicReadTest) {
        self.reasons(&format!("{path}.empty_streams"), &entry.empty_streams);
        self.ignored(path, &entry.ignored_fields);
        if !entry.validate_schema {
            self.add(
                format!("{path}.validate_schema"),
                "high strictness demands that schemas are validated; take the key out",
            );
        }
        if entry.configured_catalog_path.is_some() {
            let text = "high strictness demands that all streams are read; take the key out, and \
                        declare `empty_streams`";
            self.add(format!("{path}.configured_catalog_path"), text);
        }
        if entry.expect_records.is_none() {
            let text = "high strictness demands `expect_records`; add it with a `path` or a \
                        `bypass_reason`";
            self.add(path, text);
        }
    }

    fn reasons(&mut self, path: &str, streams: &[StreamReason]) {
        for (at, stream) in streams.iter().enumerate() {
            if is_blank(stream.bypass_reason.as_deref()) {
                let text = format!(
                    "high strictness demands a reason for {}; add `bypass_reason: why`",
                    stream.name
                );
                self.add(format!("{path}[{at}]"), text);
            }
        }
    }

    fn ignored(&mut self, path: &str, ignored: &IgnoredFields) {
        for (stream, fields) in ignored {
            for (at, field) in fields.iter().enumerate() {
                if is_blank(field.bypass_reason.as_deref()) {
                    let text = format!(
                        "high strictness demands a reason for {}; add `bypass_reason: why`",
                        field.name
                    );
                    self.add(format!("{path}.ignored_fields.{stream}[{at}]"), text);
                }
            }
        }
    }
}

fn is_blank(reason: Option<&str>) -> bool {
    reason.is_none_or(|reason| reason.trim().is_empty())
}

fn entries<'a, T>(
    name: &'a str,
    section: Option<&'a Section<T>>,
) -> impl Iterator<Item = (String, &'a T)> {
    let entries = section.into_iter().flat_map(|section| section.tests.iter().enumerate());
    entries.map(move |(at, entry)| (format!("acceptance_tests.{name}.tests[{at}]"), entry))
}

/// Rule A11: each stream that is not declared empty needs expected records: those that
/// have none.
pub fn missing_expected_records<'a>(
    entry: &BasicReadTest,
    streams: impl IntoIterator<Item = &'a StreamDescriptor>,
    expected: &[ExpectedRecord],
) -> Vec<&'a StreamDescriptor> {
    let is_empty = |name: &str| entry.empty_streams.iter().any(|empty| empty.name == name);
    let has_some = |name: &str| expected.iter().any(|record| record.stream.name == name);
    let streams = streams.into_iter();
    streams.filter(|stream| !is_empty(&stream.name) && !has_some(&stream.name)).collect()
}

/// Rule A11: each incremental stream needs a state in `future_state_path` or stands
/// among `missing_streams`: those for which neither is so. `state` is the content of the file.
pub fn missing_future_states<'a>(
    future: &FutureState,
    streams: impl IntoIterator<Item = &'a StreamDescriptor>,
    state: &Value,
) -> Vec<&'a StreamDescriptor> {
    let is_missing = |name: &str| future.missing_streams.iter().any(|missing| missing.name == name);
    let of_array = state.as_array().into_iter().flatten().flat_map(|one| {
        let own = one.pointer("/stream/stream_descriptor/name").into_iter();
        let shared = one.pointer("/global/stream_states").and_then(Value::as_array);
        own.chain(shared.into_iter().flatten().filter_map(|s| s.pointer("/stream_descriptor/name")))
    });
    let named: Vec<&str> = of_array.filter_map(Value::as_str).collect();
    // The oldest form is a map from streams to states.
    let has_state = |name: &str| named.contains(&name) || state.get(name).is_some();
    let streams = streams.into_iter();
    streams.filter(|stream| !is_missing(&stream.name) && !has_state(&stream.name)).collect()
}
