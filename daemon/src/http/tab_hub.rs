//! The hub that tabs may fetch models from by themselves, if there is one: without it, the page's policy allows
//! requests to this server alone.

use axum::http::HeaderValue;
use std::sync::Arc;

/// What the built page says where a hub may stand.
const CONNECT: &str = "connect-src 'self'";
const NAMED: &str = "<meta name=\"fresco-hub\" content=\"\">";

/// Origins that the page may ask, the hub's own first; the others are those that it points to.
#[derive(Clone, Debug, Default)]
pub(crate) struct TabHub(Arc<[String]>);

impl TabHub {
    /// # Errors
    /// An origin that is none, such as `https://huggingface.co` or `https://*.hf.co`.
    pub fn new(origins: &[String]) -> Result<Self, String> {
        for (index, origin) in origins.iter().enumerate() {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let plain = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
            // Only hosts that the hub points to may be many.
            let host = host.map(|host| if index > 0 { host.trim_start_matches("*.") } else { host });
            if !host.is_some_and(|host| !host.is_empty() && plain(host)) {
                return Err(format!("{origin:?} is no origin such as https://huggingface.co"));
            }
        }
        Ok(Self(origins.into()))
    }

    /// The content security policy with the hub in it.
    pub fn policy(&self, policy: &'static str) -> HeaderValue {
        let written = HeaderValue::from_str(&self.connecting(policy));
        written.unwrap_or(HeaderValue::from_static(policy))
    }

    /// The page with the hub in it; nothing when there is no hub.
    pub fn page(&self, html: &[u8]) -> Option<String> {
        let hub = self.0.first()?;
        let html = self.connecting(std::str::from_utf8(html).ok()?);
        Some(html.replace(NAMED, &NAMED.replace("content=\"\"", &format!("content=\"{hub}\""))))
    }

    fn connecting(&self, text: &str) -> String {
        let allowed = self.0.iter().fold(CONNECT.to_owned(), |allowed, origin| allowed + " " + origin);
        text.replace(CONNECT, &allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(origins: &[&str]) -> Result<TabHub, String> {
        TabHub::new(&origins.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn origins_come_into_policy_and_page() {
        let policy = "default-src 'self'; connect-src 'self'; x";
        assert_eq!(hub(&[]).expect("none").policy(policy), policy);
        assert_eq!(hub(&[]).expect("none").page(b"x"), None);
        let told = hub(&["https://hub.example", "https://*.cdn.example"]).expect("origins");
        let connect = "connect-src 'self' https://hub.example https://*.cdn.example";
        assert_eq!(told.policy(policy), format!("default-src 'self'; {connect}; x"));
        let page = told.page(format!("{NAMED} {CONNECT}").as_bytes()).expect("a page");
        assert_eq!(page, format!("<meta name=\"fresco-hub\" content=\"https://hub.example\"> {connect}"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in ["", "hub.example", "https://", "https://x y", "https://x;script-src *", "https://*.x", "ftp://x"] {
            assert!(hub(&[bad]).is_err(), "{bad}");
        }
    }
}
