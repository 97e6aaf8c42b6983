//! What entries of Airbyte's sections say of the commands that they stand for.

use super::{BackwardCompatibility, Common, Config, Entry, Section, Target};

impl Config {
    /// The entry that a command (`spec`, `check`, `discover`, `read`) is run for: the first one of
    /// its section.
    fn entry_of(&self, command: &str) -> Option<&Common> {
        let tests = &self.acceptance_tests;
        match command {
            "spec" => common(tests.spec.as_ref()),
            "check" => common(tests.connection.as_ref()),
            "discover" => common(tests.discovery.as_ref()),
            "read" => common(tests.basic_read.as_ref()),
            _ => None,
        }
    }

    /// How many seconds a command may take: what its entry says, else the limit.
    pub fn seconds_of(&self, command: &str) -> f64 {
        let limits = &self.limits;
        let own = self.entry_of(command).and_then(|entry| entry.timeout_seconds);
        own.map_or_else(
            || match command {
                "spec" | "" => limits.spec_seconds,
                "check" => limits.check_seconds,
                "discover" => limits.discover_seconds,
                _ => limits.read_seconds,
            },
            |seconds| seconds as f64,
        )
    }

    /// DEPLOYMENT_MODE for a command, where its entry sets it.
    pub fn deployment_mode_of(&self, command: &str) -> Option<&'static str> {
        Some(self.entry_of(command)?.deployment_mode?.variable())
    }

    fn compatibility(&self) -> impl Iterator<Item = &BackwardCompatibility> {
        let tests = &self.acceptance_tests;
        let spec = tests.spec.iter().flat_map(|section| &section.tests);
        let discovery = tests.discovery.iter().flat_map(|section| &section.tests);
        spec.map(|entry| &entry.backward_compatibility_tests_config)
            .chain(discovery.map(|entry| &entry.backward_compatibility_tests_config))
    }

    /// The version of the older image with which nothing is compared.
    pub fn disabled_version(&self) -> Option<&str> {
        self.compatibility().find_map(|entry| entry.disable_for_version.as_deref())
    }

    /// The image of the connector with the tag of an older version, where the file asks for the
    /// comparison.
    pub(super) fn older_image(&self) -> Option<Target> {
        let image = self.image().filter(|_| self.executable.is_none())?;
        let tag =
            self.compatibility().find_map(|entry| entry.previous_connector_version.as_deref());
        let tag = tag.or_else(|| self.disabled_version().map(|_| "latest"))?;
        Some(Target::Image(format!("{}:{tag}", without_tag(image))))
    }
}

/// The first entry of a section.
pub(super) fn common<T: Entry>(section: Option<&Section<T>>) -> Option<&Common> {
    section?.tests.first().map(Entry::common)
}

/// An image's name without tag and digest; a colon before a slash belongs to the registry's port.
fn without_tag(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::without_tag;

    #[test]
    fn tags_and_digests_are_no_part_of_the_name() {
        for (image, name) in [
            ("airbyte/source-x:dev", "airbyte/source-x"),
            ("host:5000/source-x", "host:5000/source-x"),
            ("host:5000/source-x:1.2@sha256:0a", "host:5000/source-x"),
        ] {
            assert_eq!(without_tag(image), name);
        }
    }
}
