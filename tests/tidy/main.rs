//! House rules as tests: what ARCHITECTURE.md promises about the shape of this repository and a machine can check.

mod arrows;
mod page;
mod sources;
mod tree;

/// Fails with one line for each offence, so that all of them are seen at once.
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}\n", offences.join("\n  "));
}
