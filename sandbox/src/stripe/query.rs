//! Query parameters, decoded.

use percent_encoding::percent_decode_str;

/// One parameter: `created[gte]=1` has the name `created` and the part `gte`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// The name before any bracket.
    pub name: String,
    /// What stands in the first brackets, if there are any; empty for `[]`.
    pub part: Option<String>,
    /// The decoded value.
    pub value: String,
}

/// A parsed query string.
#[derive(Clone, Debug, Default)]
pub struct Query(pub Vec<Param>);

impl Query {
    /// Decodes a query string; every parameter counts, in order.
    pub fn parse(query: &str) -> Self {
        Self(query.split('&').filter(|pair| !pair.is_empty()).map(param).collect())
    }

    /// The value of a parameter without brackets.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|p| p.name == name && p.part.is_none()).map(|p| p.value.as_str())
    }

    /// All values of a parameter such as `expand[]` or `expand[0]`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let in_list =
            |p: &&Param| p.part.as_deref().is_none_or(|i| i.bytes().all(|b| b.is_ascii_digit()));
        self.0.iter().filter(|p| p.name == name).filter(in_list).map(|p| p.value.as_str()).collect()
    }

    /// Whether the parameter is there in any form.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|p| p.name == name)
    }
}

fn param(pair: &str) -> Param {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let key = decode(key);
    let (name, part) = match key.split_once('[') {
        Some((name, rest)) => (name, Some(rest.split(']').next().unwrap_or_default().to_owned())),
        None => (key.as_str(), None),
    };
    Param { name: name.to_owned(), part, value: decode(value) }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_encoding() {
        let query = Query::parse(
            "limit=5&created%5Bgte%5D=1&expand[]=data.a&expand[0]=data.b&email=a%2Bb@x+y",
        );
        assert_eq!(query.get("limit"), Some("5"));
        assert_eq!(query.0[1].name, "created");
        assert_eq!(query.0[1].part.as_deref(), Some("gte"));
        assert_eq!(query.all("expand"), ["data.a", "data.b"]);
        assert_eq!(query.get("email"), Some("a+b@x y"));
        assert!(query.has("created") && !query.has("creat"));
        assert!(Query::parse("").0.is_empty());
    }
}
