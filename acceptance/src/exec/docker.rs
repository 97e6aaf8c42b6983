//! The command line of a container engine.

use std::path::Path;

/// Where the files lie inside the container.
pub(super) const FOLDER: &str = "/data";

/// `ENGINE run …` for an image: the folder is mounted, the network is the host's (so that the
/// suite's proxy and local APIs can be reached), variables are passed by name.
pub(super) fn run<'a>(
    image: &str,
    name: &str,
    folder: &Path,
    variables: impl Iterator<Item = &'a str>,
    is_confined: bool,
) -> Vec<String> {
    let mut words: Vec<String> =
        ["run", "--rm", "--interactive", "--network", "host", "--name", name]
            .map(str::to_owned)
            .into();
    words.extend(["--volume".to_owned(), format!("{}:{FOLDER}", folder.display())]);
    for variable in variables {
        words.extend(["--env".to_owned(), variable.to_owned()]);
    }
    if is_confined {
        words.extend(["--user", "12345:12345", "--read-only"].map(str::to_owned));
    }
    words.push(image.to_owned());
    words
}
