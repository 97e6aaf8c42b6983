//! Paths into endpoints.

use super::resource::Res;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// A list of one or several kinds, under a parent or of all.
    List {
        /// The kinds; several for mixed lists such as a customer's sources.
        kinds: Vec<Res>,
        /// The parent's id.
        parent: Option<&'a str>,
    },
    /// One object.
    Get {
        /// The kinds it can be of.
        kinds: Vec<Res>,
        /// The parent's id.
        parent: Option<&'a str>,
        /// Its own id.
        id: &'a str,
    },
    /// The account of the key.
    Account,
    /// The balance of the account.
    Balance,
}

/// The endpoint of a path such as `/v1/customers/cus_1/cards`.
pub fn find(path: &str) -> Option<Route<'_>> {
    match path {
        "/v1/account" => return Some(Route::Account),
        "/v1/balance" => return Some(Route::Balance),
        _ => {}
    }
    if let Some((kinds, parent)) = list(path) {
        return Some(Route::List { kinds, parent });
    }
    let (list_path, id) = path.rsplit_once('/')?;
    let (kinds, parent) = list(list_path)?;
    (!id.is_empty()).then_some(Route::Get { kinds, parent, id })
}

fn list(path: &str) -> Option<(Vec<Res>, Option<&str>)> {
    let mut found: (Vec<Res>, Option<&str>) = (Vec::new(), None);
    for res in Res::all() {
        for pattern in res.def().lists {
            if let Some(parent) = fits(pattern, path) {
                found.0.push(res);
                found.1 = parent;
            }
        }
    }
    (!found.0.is_empty()).then_some(found)
}

/// Whether the path fits, and the parent's id if the pattern has one.
fn fits<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == path).then_some(None);
    };
    let parent = path.strip_prefix(before)?.strip_suffix(after)?;
    (!parent.is_empty() && !parent.contains('/')).then_some(Some(parent))
}

/// The path with ids replaced by `{id}`.
pub fn template(path: &str) -> String {
    let (parent, id) = match find(path) {
        Some(Route::List { parent, .. }) => (parent, None),
        Some(Route::Get { parent, id, .. }) => (parent, Some(id)),
        _ => (None, None),
    };
    let is_id = |part: &str| Some(part) == parent || Some(part) == id;
    let parts: Vec<&str> = path.split('/').map(|p| if is_id(p) { "{id}" } else { p }).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_objects() {
        assert_eq!(
            find("/v1/charges"),
            Some(Route::List { kinds: vec![Res::Charge], parent: None })
        );
        assert_eq!(
            find("/v1/customers/cus_1/sources"),
            Some(Route::List {
                kinds: vec![Res::CustomerCard, Res::BankAccount],
                parent: Some("cus_1")
            })
        );
        assert_eq!(
            find("/v1/checkout/sessions/cs_1"),
            Some(Route::Get { kinds: vec![Res::CheckoutSession], parent: None, id: "cs_1" })
        );
        assert_eq!(find("/v1/nothing"), None);
        assert_eq!(find("/v1/charges/"), None);
    }

    #[test]
    fn templates() {
        assert_eq!(template("/v1/customers/cus_1/cards"), "/v1/customers/{id}/cards");
        assert_eq!(template("/v1/invoices/in_1"), "/v1/invoices/{id}");
        assert_eq!(template("/v1/events"), "/v1/events");
    }
}
