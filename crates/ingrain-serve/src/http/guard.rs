//! Who may ask.

use std::net::SocketAddr;

use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};

use super::Failure;

/// Keeps pages of other sites, and whoever lacks the key, away.
pub(crate) struct Guard {
    address: SocketAddr,
    key: Option<String>,
}

impl Guard {
    pub(crate) fn new(address: SocketAddr, key: Option<String>) -> Self {
        Self { address, key }
    }

    /// A page elsewhere must not reach this server through the user's browser. Browsers name the page
    /// in `Origin`; and a name that was made to resolve to this machine shows in `Host`.
    pub(crate) fn check_site<B>(&self, request: &Request<B>) -> Result<(), Failure> {
        let header = |name| request.headers().get(name).map(|v| v.to_str().unwrap_or_default());
        let host = header(HOST).unwrap_or_default();
        let strange_host = self.address.ip().is_loopback() && !self.is_own_name(host);
        let strange_page = header(ORIGIN)
            .is_some_and(|origin| origin.split_once("://").map(|(_, name)| name) != Some(host));
        if strange_host || strange_page {
            return Err(Failure::forbidden("only pages of this server may ask it from a browser"));
        }
        Ok(())
    }

    pub(crate) fn check_key<B>(&self, request: &Request<B>) -> Result<(), Failure> {
        let Some(key) = &self.key else { return Ok(()) };
        let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        if same(given, key.as_bytes()) {
            return Ok(());
        }
        Err(Failure::unauthorized("give the server's key as `Authorization: Bearer KEY`"))
    }

    fn is_own_name(&self, host: &str) -> bool {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let ip = self.address.ip();
        let own = [ip.to_string(), format!("[{ip}]"), "localhost".into(), "127.0.0.1".into()];
        port == Some(self.address.port()) && own.iter().any(|own| own == name)
    }
}

/// Compares in a time that tells nothing about where the two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::Guard;

    fn allowed(address: &str, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let request = request.body(()).expect("valid");
        Guard::new(address.parse().expect("valid"), None).check_site(&request).is_ok()
    }

    #[test]
    fn only_the_servers_own_pages_may_ask_through_a_browser() {
        let here = "127.0.0.1:8000";
        for host in [here, "localhost:8000"] {
            assert!(allowed(here, host, None));
            assert!(allowed(here, host, Some(&format!("http://{host}"))));
            assert!(!allowed(here, host, Some("http://evil.example")));
            assert!(!allowed(here, host, Some("null")));
        }
        assert!(
            !allowed(here, "evil.example:8000", None),
            "a name made to resolve to this machine"
        );
        assert!(!allowed(here, "localhost:8001", None));
        assert!(!allowed(here, "", None));
        assert!(allowed("[::1]:8000", "[::1]:8000", None));
        assert!(allowed("0.0.0.0:8000", "box.lan:8000", Some("http://box.lan:8000")));
        assert!(!allowed("0.0.0.0:8000", "box.lan:8000", Some("http://evil.example")));
    }

    #[test]
    fn a_key_is_compared_whole() {
        let guard = Guard::new(([127, 0, 0, 1], 1).into(), Some("secret".into()));
        let with = |value: &str| {
            let request = Request::builder().header("authorization", value).body(());
            guard.check_key(&request.expect("valid")).is_ok()
        };
        assert!(with("Bearer secret"));
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer ", "secret", "Basic secret", ""] {
            assert!(!with(wrong), "{wrong:?}");
        }
        assert!(guard.check_key(&Request::new(())).is_err());
    }
}
