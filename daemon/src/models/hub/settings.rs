//! Where the hub is, who asks, and what other programs have fetched already.

use super::HubError;
use reqwest::Url;
use std::{env, ffi::OsString, fmt, fs, path::PathBuf, time::Duration};

/// The hub used when `HF_ENDPOINT` says nothing.
const ENDPOINT: &str = "https://huggingface.co";
/// No token is longer.
const LONGEST_TOKEN: usize = 4096;

/// How models are fetched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub's address, without a path's last slash.
    pub endpoint: Url,
    /// Sent to the endpoint's own origin and to nobody else.
    pub token: Option<Token>,
    /// A cache in the layout of the hub's own tools: `models--owner--name/blobs`.
    pub cache: Option<PathBuf>,
    /// Nothing may be fetched.
    pub offline: bool,
    /// Files fetched at the same time.
    pub at_once: usize,
    /// Bytes a second over all files; 0 is no cap.
    pub max_rate: u32,
    /// How long an attempt waits after a failed one; it doubles with each that brought nothing.
    pub pause: Duration,
    /// How long a connection may be silent.
    pub silence: Duration,
}

/// A secret; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token as an account's settings page shows it.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = !text.is_empty() && text.len() <= LONGEST_TOKEN && text.chars().all(|c| c.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Settings {
    /// A hub at an address, asked by nobody in particular.
    ///
    /// # Errors
    /// The address is none, or not of http or https.
    pub fn new(endpoint: &str) -> Result<Self, HubError> {
        let bad = |reason: &str| HubError::Setting(format!("HF_ENDPOINT: {reason}"));
        let endpoint = Url::parse(endpoint.trim_end_matches('/')).map_err(|error| bad(&error.to_string()))?;
        if !["http", "https"].contains(&endpoint.scheme()) || endpoint.host_str().is_none() {
            return Err(bad("must begin with http:// or https://"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() || endpoint.query().is_some() {
            return Err(bad("must be an address without user, password or query"));
        }
        Ok(Self {
            endpoint,
            token: None,
            cache: None,
            offline: false,
            at_once: 4,
            max_rate: 0,
            pause: Duration::from_millis(500),
            silence: Duration::from_secs(60),
        })
    }

    /// As the environment says, in the words of the hub's own tools: `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`,
    /// `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// `HF_ENDPOINT` is no address, or `HF_TOKEN` no token.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_words(|name| env::var_os(name), env::home_dir())
    }

    fn from_words(word: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Result<Self, HubError> {
        let word = |name: &str| word(name).filter(|value| !value.is_empty());
        let endpoint = word("HF_ENDPOINT").map_or_else(|| ENDPOINT.to_owned(), |at| at.to_string_lossy().into_owned());
        let cached = || word("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".cache")));
        let hf_home = word("HF_HOME").map(PathBuf::from).or_else(|| Some(cached()?.join("huggingface")));
        let token_file = word("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(hf_home.as_ref()?.join("token")));
        let token = match word("HF_TOKEN") {
            Some(text) => {
                let token = text.to_str().and_then(Token::new);
                Some(token.ok_or_else(|| HubError::Setting("HF_TOKEN is no token".to_owned()))?)
            }
            None => token_file.and_then(|file| Token::new(&fs::read_to_string(file).ok()?)),
        };
        let cache = word("HF_HUB_CACHE").map(PathBuf::from).or_else(|| Some(hf_home?.join("hub")));
        let offline = word("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "true", "yes", "on"].contains(&value.to_string_lossy().to_ascii_lowercase().as_str())
        });
        Ok(Self { token, cache, offline, ..Self::new(&endpoint)? })
    }

    /// The token, unless it would cross a network in the clear.
    pub(super) fn sendable_token(&self) -> Option<&Token> {
        let local = match self.endpoint.host_str() {
            Some("localhost") => true,
            Some(host) => host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            None => false,
        };
        self.token.as_ref().filter(|_| self.endpoint.scheme() == "https" || local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(words: &[(&str, &str)]) -> Result<Settings, HubError> {
        let words: Vec<(String, String)> = words.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let word = move |name: &str| words.iter().find(|(key, _)| key == name).map(|(_, value)| value.into());
        Settings::from_words(word, Some("/somebody".into()))
    }

    #[test]
    fn the_hubs_own_words_are_understood() {
        let plain = with(&[]).expect("the defaults");
        assert_eq!(plain.endpoint.as_str(), "https://huggingface.co/");
        assert_eq!((plain.token, plain.offline), (None, false));
        assert_eq!(plain.cache, Some("/somebody/.cache/huggingface/hub".into()));
        let words = [("HF_ENDPOINT", "http://mirror.lan/hf/"), ("HF_TOKEN", " hf_x\n"), ("HF_HOME", "/data/hf")];
        let told = with(&[&words[..], &[("HF_HUB_OFFLINE", "1")]].concat()).expect("settings");
        assert_eq!(told.endpoint.as_str(), "http://mirror.lan/hf");
        assert_eq!((told.token.clone(), told.cache.clone()), (Token::new("hf_x"), Some("/data/hf/hub".into())));
        assert!(told.offline && told.sendable_token().is_none(), "no secret in the clear");
        assert_eq!(format!("{:?}", told.token), "Some(Token(…))");
    }

    #[test]
    fn what_is_no_address_or_token_is_refused() {
        for bad in ["ftp://x", "huggingface.co", "https://user:pass@x", "file:///etc", "http://x?y"] {
            assert!(with(&[("HF_ENDPOINT", bad)]).is_err(), "{bad}");
        }
        assert!(with(&[("HF_TOKEN", "two words")]).is_err());
    }
}
