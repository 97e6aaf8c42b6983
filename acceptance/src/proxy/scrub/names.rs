//! Which names of parameters, headers and JSON members hold secrets.

/// Where a name stands: a few names are secret in one place and ordinary in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A query or form parameter.
    Parameter,
    /// A member of a JSON object or an XML element.
    Member,
    /// An HTTP header.
    Header,
}

/// Ends of names that mean a secret, in lower case without separators.
const SECRET_ENDS: [&str; 18] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "privatekey",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "subscriptionkey",
    "signingkey",
    "authkey",
    "encryptionkey",
    "assertion",
    "sessionid",
    "jwt",
    "hmac",
];

/// Ends of names that mean a secret in parameters and headers; in a record, an e-mail has a signature
/// and a card payment an authorization.
const SECRET_ENDS_OUTSIDE: [&str; 4] = ["signature", "authorization", "credential", "cookie"];

/// Names that are secret only as a whole.
const SECRET_NAMES: [&str; 5] = ["pwd", "pass", "sig", "bearer", "codeverifier"];

/// Names that are secret as a parameter; as members of a record they are ordinary words.
const SECRET_PARAMETERS: [&str; 3] = ["key", "code", "auth"];

/// Tokens that say where a list goes on. Replacing them would make pages look alike.
const PROGRESS: [&str; 9] =
    ["page", "next", "prev", "cursor", "continu", "sync", "resum", "scroll", "offset"];

/// Whether values under `name` are secrets. `Access-Token`, `access_token`, `auth[accessToken]` are
/// the same name here.
pub fn is_secret(name: &str, place: Place) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if SECRET_NAMES.contains(&plain.as_str())
        || (place == Place::Parameter && SECRET_PARAMETERS.contains(&plain.as_str()))
        || (place != Place::Member && SECRET_ENDS_OUTSIDE.iter().any(|end| plain.ends_with(end)))
    {
        return true;
    }
    SECRET_ENDS.iter().any(|end| plain.ends_with(end))
        && !(plain.ends_with("token") && PROGRESS.iter().any(|word| plain.contains(word)))
}

/// Whether numbers under `name` are secrets too; many a `…_token` member only counts something.
pub fn is_secret_number(name: &str) -> bool {
    let plain = name.to_ascii_lowercase();
    ["password", "passwd", "secret", "pwd"].iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_name() {
        for name in ["access_token", "clientSecret", "X-Api-Key", "auth[token]", "pwd"] {
            assert!(is_secret(name, Place::Member), "{name}");
        }
        for name in ["X-Amz-Signature", "key", "token", "authorization"] {
            assert!(is_secret(name, Place::Parameter), "{name}");
        }
    }

    #[test]
    fn tokens_of_pages_are_no_secrets() {
        for name in
            ["next_page_token", "pageToken", "continuation_token", "syncToken", "page[token]"]
        {
            assert!(!is_secret(name, Place::Parameter), "{name}");
        }
        for name in ["key", "code", "max_tokens", "token_type", "id", "tokenize", "authorization"] {
            assert!(!is_secret(name, Place::Member), "{name}");
        }
    }
}
