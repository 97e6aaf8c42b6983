//! Where a connector may connect to in a shared cloud deployment: over https, and not
//! into private networks.

use std::net::{IpAddr, SocketAddr};

use airbyte_protocol::Edition;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Part of every message about a refused private address.
pub(super) const PRIVATE: &str = "is on a private network, which a cloud deployment may not reach";

/// Checks an address before anything is sent to it. Names are checked again when they
/// are resolved.
///
/// # Errors
/// A sentence that says what is not allowed.
pub fn check(url: &Url, edition: Edition) -> Result<(), String> {
    if edition != Edition::Cloud {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err(format!("{} is not https, which a cloud deployment requires", origin(url)));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    };
    let local_name = url.host_str().is_some_and(|host| {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost" || host.ends_with(".localhost")
    });
    if local_name || literal.is_some_and(is_private) {
        return Err(format!("{} {PRIVATE}", origin(url)));
    }
    Ok(())
}

fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Whether an address belongs to this machine, a private or a reserved network.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                // Shared address space of carriers, and benchmarking.
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
                || (a == 192 && b == 0 && c == 0)
        }
        IpAddr::V6(ip) => {
            let head = ip.segments();
            if let Some(v4) = ip.to_ipv4_mapped() {
                return is_private(IpAddr::V4(v4));
            }
            // Addresses that carry an IPv4 address: NAT64 and 6to4.
            let embedded = match head {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
                [0x2002, high, low, ..] => Some((high, low)),
                _ => None,
            };
            if let Some((high, low)) = embedded {
                let [a, b] = high.to_be_bytes();
                let [c, d] = low.to_be_bytes();
                return is_private(IpAddr::from([a, b, c, d]));
            }
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || head[0] & 0xfe00 == 0xfc00
                || head[0] & 0xffc0 == 0xfe80
                || (head[0] == 0x2001 && head[1] == 0xdb8)
        }
    }
}

/// Resolves names to public addresses only.
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            // One private address among public ones is enough to refuse: which of them
            // gets used is not ours to choose.
            if found.iter().any(|address| is_private(address.ip())) {
                return Err(format!("{host} {PRIVATE}").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:0a00:0001::",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn the_cloud_wants_https_and_public_hosts() {
        let refused = |url: &str| check(&url.parse().unwrap(), Edition::Cloud).is_err();
        assert!(refused("http://api.stripe.com/"));
        assert!(refused("https://127.0.0.1/"));
        assert!(refused("https://[::1]:8443/"));
        assert!(refused("https://localhost/"));
        assert!(refused("https://0x7f000001/"));
        assert!(!refused("https://api.stripe.com/"));
        assert!(check(&"http://127.0.0.1/".parse().unwrap(), Edition::Oss).is_ok());
    }

    #[tokio::test]
    async fn names_that_lead_home_are_refused() {
        let error = PublicOnly.resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert!(error.to_string().contains(PRIVATE));
    }
}
