//! Which code does TLS: rustls with ring, chosen once for the whole program.

/// Makes ring the provider. The HTTP client needs one before it is built; more calls change nothing.
pub fn install() {
    // An error means that one is installed already.
    _ = rustls::crypto::ring::default_provider().install_default();
}
