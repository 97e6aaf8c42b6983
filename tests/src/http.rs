//! As much of HTTP as a server for tests needs: requests whose bodies have a length.

use std::io::BufRead;

/// A request: its head, and its body where it has one.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Path and query, as they were sent.
    pub target: String,
    /// Header names in small letters, with their values.
    pub headers: Vec<(String, String)>,
    /// The bytes that the request was made of.
    pub bytes: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Head {
    /// The value of a header, whose name is given in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The values of a query parameter. Percent encoding of brackets is understood.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let plain = |text: &str| text.replace("%5B", "[").replace("%5D", "]");
        pairs.filter(|(key, _)| plain(key) == name).map(|(_, value)| plain(value)).collect()
    }

    /// Reads the next request of a connection; `None` at its end.
    pub(crate) fn read(connection: &mut impl BufRead) -> Option<Self> {
        let mut head = Head::default();
        loop {
            let start = head.bytes.len();
            if connection.read_until(b'\n', &mut head.bytes).ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&head.bytes[start..]).trim_end().to_owned();
            match (line.is_empty(), head.target.is_empty()) {
                (true, _) => break,
                (false, true) => head.target = line.split(' ').nth(1)?.to_owned(),
                (false, false) => {
                    let (name, value) = line.split_once(':')?;
                    head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
        let length = head.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        head.body = vec![0; length];
        connection.read_exact(&mut head.body).ok()?;
        head.bytes.extend_from_slice(&head.body);
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_apart() {
        let text = "GET /v1/a?types%5B%5D=x&types[]=y&limit=100 HTTP/1.1\r\nHost: h\r\nStripe-Account: acct_1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b";
        let mut connection = text.as_bytes();
        let head = Head::read(&mut connection).unwrap();
        assert_eq!((head.path(), head.header("stripe-account")), ("/v1/a", Some("acct_1")));
        assert_eq!(head.query("types[]"), ["x", "y"]);
        let head = Head::read(&mut connection).unwrap();
        assert_eq!((head.target.as_str(), head.body.as_slice()), ("/b", b"a=b".as_slice()));
        assert!(Head::read(&mut connection).is_none());
    }
}
