//! A recording on disk: a folder with `index.jsonl`, one line an exchange after a line that names the
//! format, and the bodies as files that people can read and edit.

use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};

pub(super) const INDEX: &str = "index.jsonl";
pub(super) const BODIES: &str = "bodies";
const FORMAT: &str = "acceptance-recording";
const VERSION: u32 = 1;

/// The first line of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    format: String,
    version: u32,
    /// When the recording was begun.
    pub recorded_at: DateTime<Utc>,
}

impl Head {
    pub(super) fn now() -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, recorded_at: Utc::now() }
    }
}

/// Any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub request: Request,
    pub response: Response,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// The body's file, relative to the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body's file, relative to the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A recording that was read.
#[derive(Debug)]
pub(super) struct Recording {
    pub folder: PathBuf,
    pub head: Head,
    pub lines: Vec<Line>,
}

impl Recording {
    /// Reads and checks a recording: every body is there, and JSON is JSON.
    ///
    /// # Errors
    /// With file and line when it is not a recording, or a damaged one.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(INDEX);
        let text = std::fs::read(&path).map_err(|e| {
            Error::recording(&path, format!("cannot be read ({e}); record first, with --record"))
        })?;
        let (head, lines) = parse(&text).map_err(|(line, problem)| Error::Recording {
            path: path.clone(),
            line: Some(line),
            problem,
        })?;
        for (number, line) in lines.iter().enumerate() {
            for body in [&line.request.body, &line.response.body].into_iter().flatten() {
                check_body(folder, body).map_err(|problem| Error::Recording {
                    path: path.clone(),
                    line: Some(number + 2),
                    problem,
                })?;
            }
        }
        Ok(Self { folder: folder.to_owned(), head, lines })
    }

    /// The bytes of a body that a line names.
    pub(super) fn body(&self, file: Option<&str>) -> std::io::Result<Vec<u8>> {
        file.map_or_else(|| Ok(Vec::new()), |file| std::fs::read(self.folder.join(file)))
    }
}

fn check_body(folder: &Path, file: &str) -> Result<(), String> {
    let inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
    if file.is_empty() || !inside {
        return Err(format!("the body {file:?} is not a file inside of the recording"));
    }
    let bytes = std::fs::read(folder.join(file))
        .map_err(|e| format!("the body {file} cannot be read ({e}); record again"))?;
    if file.ends_with(".json") {
        serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
            .map_err(|e| format!("the body {file} is damaged ({e}); mend it or record again"))?;
    }
    Ok(())
}

/// The index's lines; an error has the line's number.
fn parse(text: &[u8]) -> Result<(Head, Vec<Line>), (usize, String)> {
    let text = std::str::from_utf8(text).map_err(|e| {
        let line = text[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        (line, "is not UTF-8 text; record again".to_owned())
    })?;
    let mut lines = text.lines().enumerate();
    let head = lines.next().map(|(_, line)| line).unwrap_or_default();
    let head: Head = serde_json::from_str(head)
        .map_err(|e| (1, format!("is not the head of a recording ({e}); record again")))?;
    if head.format != FORMAT || head.version != VERSION {
        let what = format!("{} version {}", head.format, head.version);
        return Err((1, format!("{what} is not {FORMAT} version {VERSION}; record again")));
    }
    let mut exchanges = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|e| {
            (
                number + 1,
                format!("is not an exchange ({e}); mend the line, remove it, or record again"),
            )
        })?;
        if !(100..=999).contains(&line.response.status) {
            return Err((number + 1, format!("{} is not a status", line.response.status)));
        }
        exchanges.push(line);
    }
    Ok((head, exchanges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> Line {
        Line {
            request: Request {
                method: "GET".to_owned(),
                url: "https://e.com/a?b=1".to_owned(),
                headers: vec![("accept".to_owned(), "*/*".to_owned())],
                body: None,
            },
            response: Response {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: Some("bodies/00001-response.json".to_owned()),
            },
        }
    }

    fn index() -> String {
        let head = serde_json::to_string(&Head::now()).unwrap();
        let line = serde_json::to_string(&line()).unwrap();
        format!("{head}\n{line}\n{line}\n")
    }

    fn open(index: &[u8], body: Option<&str>) -> Result<Recording> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BODIES)).unwrap();
        std::fs::write(folder.path().join(INDEX), index).unwrap();
        if let Some(body) = body {
            std::fs::write(folder.path().join("bodies/00001-response.json"), body).unwrap();
        }
        Recording::open(folder.path())
    }

    #[test]
    fn a_good_recording_is_read() {
        assert_eq!(open(index().as_bytes(), Some("{}")).unwrap().lines, [line(), line()]);
    }

    #[test]
    fn damage_is_named() {
        let damaged = index().replacen("\"method\":\"GET\"", "\"method\":", 1);
        let outside = index().replace("bodies/00001", "../00001");
        let newer = index().replace("\"version\":1", "\"version\":2");
        for (index, body, words) in [
            (index(), None, "cannot be read"),
            (index(), Some("{\"a\":"), "damaged"),
            (damaged, Some("{}"), "index.jsonl:2: is not an exchange"),
            (outside, Some("{}"), "not a file inside"),
            (newer, Some("{}"), "version 2 is not"),
            (String::new(), Some("{}"), "index.jsonl:1: is not the head"),
            (index().replace("200", "7"), Some("{}"), "7 is not a status"),
        ] {
            let error = open(index.as_bytes(), body).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let missing = Recording::open(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(missing.contains("record first"), "{missing}");
    }

    proptest! {
        #[test]
        fn any_index_is_survived(
            at in 0_usize..400, len in 0_usize..40, new in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut bytes = index().into_bytes();
            let at = at.min(bytes.len());
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, new);
            if let Err((line, problem)) = parse(&bytes) {
                prop_assert!(line >= 1 && !problem.is_empty());
            }
        }
    }
}
