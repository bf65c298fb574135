//! Several servers behind one model: who is asked next, who is left alone for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::Uri;

use super::config::EndpointConfig;
use super::failure::Failure;
use super::secret::Secret;
use crate::ChatError;

/// Weight of the newest latency in the running mean.
const NEWEST: f64 = 0.2;
/// How long a server in trouble is passed over, doubled with each failure up to the second figure.
const SUSPICION_SECS: (f64, f64) = (0.5, 30.0);

/// The servers of one model.
#[derive(Debug)]
pub(crate) struct Endpoints(Vec<Endpoint>);

/// One server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Without a slash at the end.
    base: String,
    pub(crate) key: Option<Secret>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    in_flight: u32,
    /// Running mean of successful exchanges.
    latency_secs: Option<f64>,
    failures_in_a_row: u32,
    /// The server asked to be left alone until then.
    not_before: Option<Instant>,
    /// It failed; others are preferred until then.
    suspect_until: Option<Instant>,
}

/// A request under way; counted as such until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) index: usize,
    started: Instant,
}

/// Who may be asked.
#[derive(Debug)]
pub(crate) enum Choice<'a> {
    Now(Turn<'a>),
    /// Every server asked to be left alone.
    Wait(Duration),
}

impl Endpoints {
    pub(crate) fn new(configs: &[EndpointConfig]) -> Result<Self, ChatError> {
        if configs.is_empty() {
            return Err(ChatError::Settings("`endpoints` is empty; name at least one".to_owned()));
        }
        configs.iter().map(Endpoint::new).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn needs_tls(&self) -> bool {
        self.0.iter().any(|e| e.base.starts_with("https:"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter()
    }

    /// The server with the least expected wait (running latency times requests under way), others
    /// than `failed` and healthy ones first. One that was never tried is tried.
    pub(crate) fn choose(&self, failed: Option<usize>) -> Choice<'_> {
        let now = Instant::now();
        let mut best: Option<(usize, (bool, bool, f64))> = None;
        let mut wait = Duration::MAX;
        for (index, endpoint) in self.0.iter().enumerate() {
            let health = endpoint.health();
            if let Some(not_before) = health.not_before.filter(|&at| at > now) {
                wait = wait.min(not_before - now);
                continue;
            }
            let suspect = health.suspect_until.is_some_and(|at| at > now);
            let latency = health.latency_secs.unwrap_or(1e-6);
            let rank = (failed == Some(index), suspect, latency * f64::from(health.in_flight + 1));
            if best.as_ref().is_none_or(|(_, best)| rank < *best) {
                best = Some((index, rank));
            }
        }
        match best {
            Some((index, _)) => Choice::Now(Turn::new(&self.0[index], index)),
            None => Choice::Wait(wait),
        }
    }
}

impl Endpoint {
    fn new(config: &EndpointConfig) -> Result<Self, ChatError> {
        let settings = |reason: &str| Err(ChatError::Settings(format!("base_url {reason}")));
        let uri: Uri = match config.base_url.parse() {
            Ok(uri) => uri,
            Err(_) => return settings("is no URL; it should be like http://127.0.0.1:8000/v1"),
        };
        let Some(authority) = uri.authority() else {
            return settings("names no server; it should be like http://127.0.0.1:8000/v1");
        };
        // These may be secrets: the message does not repeat them.
        if authority.as_str().contains('@') || uri.query().is_some() {
            return settings(
                "holds a user name or a query; keys belong into the environment (`api_key_env`)",
            );
        }
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return settings("must begin with http:// or https://");
        }
        let key = config.api_key_env.as_deref().map(Secret::from_env).transpose()?;
        let base = config.base_url.trim_end_matches('/').to_owned();
        Ok(Self { base, key, health: Mutex::default() })
    }

    /// Where the server is; holds no secret.
    pub(crate) fn name(&self) -> &str {
        &self.base
    }

    pub(crate) fn uri(&self, route: &str) -> Result<Uri, ChatError> {
        let uri = format!("{}{route}", self.base);
        uri.parse().map_err(|_| ChatError::InvalidRequest(format!("{uri} is no URL")))
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Turn<'a> {
    fn new(endpoint: &'a Endpoint, index: usize) -> Self {
        endpoint.health().in_flight += 1;
        Self { endpoint, index, started: Instant::now() }
    }

    pub(crate) fn succeeded(self) {
        let secs = self.started.elapsed().as_secs_f64();
        let mut health = self.endpoint.health();
        let before = health.latency_secs.unwrap_or(secs);
        health.latency_secs = Some(before + NEWEST * (secs - before));
        health.failures_in_a_row = 0;
        health.suspect_until = None;
    }

    /// A pause that the server asks for is kept, up to `longest_pause`.
    pub(crate) fn failed(self, failure: &Failure, longest_pause: Duration) {
        let now = Instant::now();
        let mut health = self.endpoint.health();
        if let Some(pause) = failure.retry_after() {
            let until = now.checked_add(pause.min(longest_pause));
            health.not_before = health.not_before.max(until);
        }
        if failure.blames_the_server() {
            let (first, longest) = SUSPICION_SECS;
            let doublings = health.failures_in_a_row.min(16);
            let secs = (first * f64::from(1_u32 << doublings)).min(longest);
            health.suspect_until = Some(now + Duration::from_secs_f64(secs));
            health.failures_in_a_row += 1;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.endpoint.health().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(n: usize) -> Endpoints {
        let config =
            |i| EndpointConfig { base_url: format!("http://host{i}/v1/"), api_key_env: None };
        Endpoints::new(&(0..n).map(config).collect::<Vec<_>>()).unwrap()
    }

    fn turn(endpoints: &Endpoints, failed: Option<usize>) -> Turn<'_> {
        match endpoints.choose(failed) {
            Choice::Now(turn) => turn,
            Choice::Wait(pause) => panic!("asked to wait {pause:?}"),
        }
    }

    #[test]
    fn load_goes_by_latency_and_requests_under_way() {
        let endpoints = endpoints(2);
        endpoints.0[0].health().latency_secs = Some(0.1);
        endpoints.0[1].health().latency_secs = Some(0.3);
        let turns: Vec<_> = (0..8).map(|_| turn(&endpoints, None)).collect();
        let slow = turns.iter().filter(|t| t.index == 1).count();
        assert_eq!(slow, 2, "a server three times as slow gets a quarter of eight");
        drop(turns);
        assert_eq!(endpoints.0[0].health().in_flight, 0);
    }

    #[test]
    fn a_failed_server_is_passed_over_and_comes_back_after_a_success() {
        let endpoints = endpoints(2);
        turn(&endpoints, None).failed(&Failure::Connect("refused".into()), Duration::MAX);
        assert_eq!(turn(&endpoints, None).index, 1);
        turn(&endpoints, Some(1)).succeeded();
        assert!(endpoints.0[0].health().suspect_until.is_none());
    }

    #[test]
    fn when_all_ask_for_a_pause_the_shortest_is_waited_for() {
        let endpoints = endpoints(2);
        for secs in [30, 20] {
            let retry_after = Some(Duration::from_secs(secs));
            let failure = Failure::RateLimited { retry_after, message: String::new() };
            turn(&endpoints, None).failed(&failure, Duration::from_secs(60));
        }
        let Choice::Wait(pause) = endpoints.choose(None) else { panic!() };
        assert!((19.0..=20.0).contains(&pause.as_secs_f64()), "{pause:?}");
    }

    #[test]
    fn a_base_url_with_a_secret_in_it_is_refused_without_repeating_it() {
        for base_url in ["http://me:hunter2@host/v1", "https://host/v1?key=hunter2"] {
            let config = EndpointConfig { base_url: base_url.into(), api_key_env: None };
            let error = Endpoint::new(&config).unwrap_err().to_string();
            assert!(error.contains("api_key_env") && !error.contains("hunter2"), "{error}");
        }
        for base_url in ["", "host", "ftp://host/v1", "/v1"] {
            let config = EndpointConfig { base_url: base_url.into(), api_key_env: None };
            assert!(Endpoint::new(&config).is_err(), "{base_url}");
        }
    }
}
