//! The command line of a container engine.

use std::path::Path;

/// The variable that names the certificates of the suite's proxy.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// Where the files lie inside the container.
pub(super) const FOLDER: &str = "/data";

/// `ENGINE run …` for an image: the folder is mounted, the network is the host's (so that the
/// suite's proxy and local APIs can be reached), variables are passed by name, and the proxy's
/// certificates lie where their variable says.
pub(super) fn run<'a>(
    image: &str,
    name: &str,
    folder: &Path,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
    is_confined: bool,
) -> Vec<String> {
    let mut words: Vec<String> =
        ["run", "--rm", "--interactive", "--network", "host", "--name", name]
            .map(str::to_owned)
            .into();
    words.extend(["--volume".to_owned(), format!("{}:{FOLDER}", folder.display())]);
    for (variable, value) in variables {
        words.extend(["--env".to_owned(), variable.to_owned()]);
        if variable == CERTIFICATES && Path::new(value).is_file() {
            words.extend(["--volume".to_owned(), format!("{value}:{value}:ro")]);
        }
    }
    if is_confined {
        words.extend(["--user", "12345:12345", "--read-only"].map(str::to_owned));
    }
    words.push(image.to_owned());
    words
}
