//! A06 to A08: the documentation of a connector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::rules;
use crate::sheet::{Finding, Sheet};

/// The headings of the template in their order, and whether each has to be there. `{}` is the
/// connector's name.
const TEMPLATE: [(&str, bool); 12] = [
    ("{}", true),
    ("prerequisites", true),
    ("setup guide", true),
    ("set up {}", false),
    ("set up the {} connector in airbyte", false),
    ("supported sync modes", true),
    ("supported streams", true),
    ("performance considerations", false),
    ("data type map", false),
    ("limitations & troubleshooting", false),
    ("tutorials", false),
    ("changelog", true),
];
/// Words that tell of credentials, one of which does for a property called `credentials`.
const CREDENTIALS: [&str; 5] = ["account", "auth", "credentials", "access", "client"];

/// A documentation file.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Its Markdown.
    pub text: &'a str,
    /// Where it stands, for its relative links.
    pub path: &'a Path,
    /// What the connector is called: `data.name` of `metadata.yaml`.
    pub name: &'a str,
}

/// Asks whether a web address leads somewhere; the error says what came instead.
pub type AskLink<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// Looks at a documentation file: headings (A06), prerequisites by the payload of the SPEC message
/// (A07), and links (A08). Links into the web are asked for only where `ask` is given.
pub fn documentation(
    document: Document<'_>,
    spec: Option<&Value>,
    ask: Option<AskLink<'_>>,
    sheet: &mut Sheet,
) {
    let parsed = Parsed::of(document.text);
    structure(&parsed, document.name, sheet);
    match spec {
        Some(spec) => prerequisites(&parsed, spec, sheet),
        None => sheet.skip(&rules::A07, "there is no spec"),
    }
    links(&parsed, document.path, ask, sheet);
}

/// What the checks need of a Markdown file.
#[derive(Default)]
struct Parsed {
    /// Level and text, in order.
    headings: Vec<(HeadingLevel, String)>,
    /// The text under the heading of prerequisites.
    prerequisites: String,
    links: Vec<String>,
    /// What `#…` can lead to.
    anchors: BTreeSet<String>,
}

impl Parsed {
    fn of(text: &str) -> Self {
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES | Options::ENABLE_FOOTNOTES;
        let mut parsed = Self::default();
        let mut heading: Option<(HeadingLevel, String)> = None;
        let mut section: Option<HeadingLevel> = None;
        let mut slugs: BTreeMap<String, usize> = BTreeMap::new();
        for event in Parser::new_ext(text, options) {
            match event {
                Event::Start(Tag::Heading { level, id, .. }) => {
                    parsed.anchors.extend(id.map(|id| id.to_string()));
                    heading = Some((level, String::new()));
                }
                Event::End(TagEnd::Heading(_)) => {
                    let Some((level, title)) = heading.take() else { continue };
                    let slug = slug(&title);
                    let count = slugs.entry(slug.clone()).or_default();
                    parsed.anchors.insert(match *count {
                        0 => slug,
                        count => format!("{slug}-{count}"),
                    });
                    *count += 1;
                    if normal(&title) == "prerequisites" {
                        section = Some(level);
                    } else if section.is_some_and(|open| level <= open) {
                        section = None;
                    }
                    parsed.headings.push((level, title));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    parsed.links.push(dest_url.to_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => parsed.html(&html),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, title)) = &mut heading {
                        title.push_str(&text);
                    } else if section.is_some() {
                        parsed.prerequisites.push_str(&text.to_lowercase());
                    }
                }
                Event::SoftBreak | Event::HardBreak | Event::End(_) if section.is_some() => {
                    parsed.prerequisites.push(' ');
                }
                _ => {}
            }
        }
        parsed
    }

    /// Anchors of `id` and `name` attributes.
    fn html(&mut self, html: &str) {
        for attribute in ["id=\"", "name=\""] {
            let parts = html.split(attribute).skip(1);
            self.anchors.extend(parts.filter_map(|part| part.split('"').next()).map(str::to_owned));
        }
    }
}

/// The anchor that renderers make of a heading.
fn slug(title: &str) -> String {
    let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A heading without what may differ: case, a step's number, a colon at the end.
fn normal(title: &str) -> String {
    let title = title.trim().trim_end_matches(':').to_lowercase();
    let step = title.strip_prefix("step ").and_then(|rest| rest.split_once(':'));
    let title = match step {
        Some((number, rest)) if number.chars().all(|c| c.is_ascii_digit()) => rest.trim(),
        _ => title.as_str(),
    };
    title.replace(" and ", " & ")
}

/// A06.
fn structure(parsed: &Parsed, name: &str, sheet: &mut Sheet) {
    let rule = &rules::A06;
    sheet.check(rule);
    let name = normal(name);
    let template: Vec<(String, bool)> = TEMPLATE
        .iter()
        .map(|(title, is_needed)| (title.replace("{}", &name), *is_needed))
        .collect();
    let titles: Vec<String> = parsed.headings.iter().map(|(_, title)| normal(title)).collect();
    for (title, _) in
        template.iter().filter(|(title, is_needed)| *is_needed && !titles.contains(title))
    {
        sheet.find(Finding::new(rule, format!("the heading `{title}` is missing")));
    }
    let place = |title: &String| template.iter().position(|(wanted, _)| wanted == title);
    let known: Vec<(usize, &String)> =
        titles.iter().filter_map(|title| Some((place(title)?, title))).collect();
    for pair in known.windows(2) {
        let [(before, first), (after, second)] = pair else { continue };
        if before > after {
            let message =
                format!("the heading `{second}` comes after `{first}`, the template has it before");
            sheet.find(Finding::new(rule, message));
        }
    }
}

/// A07.
fn prerequisites(parsed: &Parsed, spec: &Value, sheet: &mut Sheet) {
    let rule = &rules::A07;
    sheet.check(rule);
    let schema = &spec["connectionSpecification"];
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let text = &parsed.prerequisites;
        if name == "credentials" {
            if !CREDENTIALS.iter().any(|word| text.contains(word)) {
                sheet.find(Finding::new(rule, "the prerequisites say nothing of credentials"));
            }
            continue;
        }
        let title = schema["properties"][name]["title"].as_str().unwrap_or(name);
        if !text.contains(&title.to_lowercase()) {
            let message = format!("the prerequisites do not name `{title}`, which is required");
            sheet.find(Finding::new(rule, message));
        }
    }
}

/// A08.
fn links(parsed: &Parsed, path: &Path, ask: Option<AskLink<'_>>, sheet: &mut Sheet) {
    let rule = &rules::A08;
    sheet.check(rule);
    let mut is_left_out = false;
    for link in parsed.links.iter().collect::<BTreeSet<_>>() {
        let result = if link.starts_with("http://") || link.starts_with("https://") {
            is_left_out |= ask.is_none();
            ask.map_or(Ok(()), |ask| ask(link))
        } else {
            local(link, parsed, path)
        };
        if let Err(why) = result {
            sheet.find(Finding::new(rule, format!("the link {link:?} leads nowhere: {why}")));
        }
    }
    if is_left_out {
        sheet.skip(rule, "links into the web are not asked for");
    }
}

/// Links inside the page and to files beside it. What begins with `/` depends on the site, and
/// other schemes such as `mailto:` on the reader.
fn local(link: &str, parsed: &Parsed, path: &Path) -> Result<(), String> {
    if link.is_empty() {
        return Err("it is empty".to_owned());
    }
    let has_scheme = link.split_once(':').is_some_and(|(scheme, _)| {
        scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if link.starts_with('/') || has_scheme {
        return Ok(());
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, a)| (file, Some(a)));
    let file = file.split('?').next().unwrap_or(file);
    if file.is_empty() {
        return match anchor {
            Some(anchor) if !anchor.is_empty() && !has_anchor(parsed, anchor) => {
                Err("no heading makes this anchor".to_owned())
            }
            _ => Ok(()),
        };
    }
    let file = percent_encoding::percent_decode_str(file).decode_utf8_lossy();
    let folder = path.parent().unwrap_or(Path::new(""));
    // Sites leave out the end of a page's name.
    let candidates = [folder.join(&*file), folder.join(format!("{file}.md"))];
    let Some(target) = candidates.iter().find(|target| target.exists()) else {
        return Err("there is no such file".to_owned());
    };
    let Some(anchor) = anchor.filter(|anchor| !anchor.is_empty()) else { return Ok(()) };
    if target.extension().is_none_or(|end| end != "md") {
        return Ok(());
    }
    match std::fs::read_to_string(target) {
        Ok(text) if !has_anchor(&Parsed::of(&text), anchor) => {
            Err("no heading of that file makes this anchor".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the file cannot be read: {error}")),
    }
}

fn has_anchor(parsed: &Parsed, anchor: &str) -> bool {
    let anchor = percent_encoding::percent_decode_str(anchor).decode_utf8_lossy();
    parsed.anchors.contains(&*anchor) || parsed.anchors.contains(&anchor.to_lowercase())
}
