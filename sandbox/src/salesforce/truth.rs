//! The records of a first full read, made from the data and not by way of the answers.

use std::io::{self, Write};

use super::Salesforce;
use super::json::{self, Form};
use super::row::Row;
use super::schema::Object;

/// The API version in the paths of base64 fields.
const VERSION: &str = "62.0";

/// The objects that can be read.
pub fn streams(api: &Salesforce) -> Vec<String> {
    let settings = api.settings();
    let objects = api.org.objects.iter().filter(|o| is_stream(o) && !settings.hides(&o.name, None));
    objects.map(|o| o.name.clone()).collect()
}

fn is_stream(object: &Object) -> bool {
    object.queryable && !object.no_soql && !object.name.ends_with("ChangeEvent")
}

/// Writes all rows of an object with all fields, also deleted and archived ones, as JSON lines.
pub fn write_lines(
    api: &Salesforce,
    stream: &str,
    now: i64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let settings = api.settings();
    let index = api.org.objects.iter().position(|o| o.name == stream);
    let index = index.filter(|i| is_stream(&api.org.objects[*i]) && !settings.hides(stream, None));
    let index = index.ok_or_else(|| {
        let message = format!("no stream {stream:?}; streams are objects such as Account");
        io::Error::new(io::ErrorKind::NotFound, message)
    })?;
    let (object, overlay) = (&api.org.objects[index], api.overlay());
    let fields: Vec<usize> = (0..object.fields.len())
        .filter(|f| !settings.hides(stream, Some(&object.fields[*f].name)))
        .collect();
    let mut line = Vec::new();
    for number in 0..overlay.end(index, object.rows) {
        let row = Row::new(&api.org, &overlay, index, number);
        if row.exists(now) {
            line.clear();
            json::record(&row, &fields, Form::Clean(VERSION), &mut line);
            line.push(b'\n');
            out.write_all(&line)?;
        }
    }
    Ok(())
}
