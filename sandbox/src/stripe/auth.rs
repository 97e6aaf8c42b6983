//! Keys: secret, restricted, publishable, expired, wrong.
//!
//! * `sk_test_…`, `sk_live_…`: everything is allowed. `sk_test_expired…` has expired.
//! * `rk_test_…`, `rk_live_…`: everything but what stands behind `_deny_`: resource names joined
//!   by underscores up to the first word that is none, as in `rk_test_deny_charge_customer_x`.
//! * `pk_…`: refused, as publishable. Anything else: refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error::Error;
use super::resource::Res;
use crate::api::Call;

/// An accepted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether it is a live key.
    pub live: bool,
    key: String,
    denied: Vec<&'static str>,
}

impl Access {
    /// Checks the request's key.
    pub fn of(call: &Call<'_>) -> Result<Self, Error> {
        let key = call.header("authorization").and_then(key).ok_or_else(|| {
            Error::invalid(401, "You did not provide an API key in the Authorization header.")
        })?;
        let starts = |prefixes: &[&str]| prefixes.iter().any(|p| key.starts_with(p));
        if key.starts_with("pk_") {
            let message = "This call needs a secret key; the key given is publishable.";
            return Err(Error::invalid(403, message).code("secret_key_required"));
        }
        if !starts(&["sk_test_", "sk_live_", "rk_test_", "rk_live_"]) {
            return Err(Error::invalid(401, format!("Invalid API Key provided: {}", masked(&key))));
        }
        if starts(&["sk_test_expired", "rk_test_expired"]) {
            let message = format!("Expired API Key provided: {}", masked(&key));
            return Err(Error::invalid(401, message).code("api_key_expired"));
        }
        Ok(Self { live: key.contains("_live_"), denied: denied(&key), key })
    }

    /// Checks the right to read a resource.
    pub fn may_read(&self, resource: &str, account: &str) -> Result<(), Error> {
        if !self.denied.contains(&resource) {
            return Ok(());
        }
        let message = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on account '{account}'. \
             Having the 'rak_{resource}_read' permission would allow this request to continue.",
            masked(&self.key)
        );
        Err(Error::invalid(403, message))
    }
}

/// The key in `Bearer KEY` or `Basic base64(KEY:)`.
fn key(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(value.trim()).ok()?).ok()?;
    Some(decoded.split(':').next()?.to_owned())
}

/// All but the first eight and the last four characters starred out.
fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() <= 12 {
        return "*".repeat(chars.len());
    }
    let ends = (
        chars[..8].iter().collect::<String>(),
        chars[chars.len() - 4..].iter().collect::<String>(),
    );
    format!("{}{}{}", ends.0, "*".repeat(chars.len() - 12), ends.1)
}

/// The resources named behind `_deny_`, longest names first, so that `balance_transaction` is not
/// taken for `balance`.
fn denied(key: &str) -> Vec<&'static str> {
    let Some((_, mut rest)) = key.split_once("_deny_") else { return Vec::new() };
    let mut names: Vec<&'static str> = Res::all().map(|res| res.def().permission).collect();
    names.extend(["balance", "account"]);
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut found = Vec::new();
    let next = |text: &str| {
        names
            .iter()
            .find(|n| text.strip_prefix(**n).is_some_and(|t| t.is_empty() || t.starts_with('_')))
            .copied()
    };
    while let Some(name) = next(rest) {
        found.push(name);
        rest = rest[name.len()..].trim_start_matches('_');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(header: &str) -> Result<Access, Error> {
        let headers = [("authorization".to_owned(), header.to_owned())];
        let call = Call { method: "GET", path: "/", headers: &headers, ..Call::default() };
        Access::of(&call)
    }

    fn status(header: &str) -> u16 {
        access(header).err().map_or(200, |e| e.status)
    }

    #[test]
    fn keys() {
        assert_eq!(status("Bearer sk_test_abc"), 200);
        assert_eq!(status("Basic c2tfdGVzdF9hYmM6"), 200);
        assert_eq!(status("Bearer sk_test_expired_1"), 401);
        assert_eq!(status("Bearer pk_test_1"), 403);
        assert_eq!(status("Bearer sk_prod_1"), 401);
        assert_eq!(status("Digest x"), 401);
        assert!(access("Bearer rk_live_1").is_ok_and(|a| a.live));
    }

    #[test]
    fn denials() {
        assert_eq!(denied("rk_test_deny_charge_customer_x"), ["charge", "customer"]);
        assert_eq!(denied("rk_test_deny_balance_transaction_x"), ["balance_transaction"]);
        assert_eq!(denied("rk_test_allow"), Vec::<&str>::new());
        let access = access("Bearer rk_test_deny_charge_x1234567890").ok();
        let refused = access.as_ref().and_then(|a| a.may_read("charge", "acct_1").err());
        let body =
            refused.map(|e| String::from_utf8_lossy(&e.body()).into_owned()).unwrap_or_default();
        assert!(
            body.contains("rak_charge_read") && !body.contains("rk_test_deny_charge_x1234567890")
        );
        assert!(access.is_some_and(|a| a.may_read("customer", "acct_1").is_ok()));
    }
}
