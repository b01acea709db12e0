//! Models that can be fetched, as `fresco_api` lists them, and where they are on the hub.

pub use fresco_api::published::{
    Chosen, Component, Defaults, Engine, Family, Licence, Pinned, Precision, Published, select,
};

use super::hub::{HubError, Repository};

/// Where an entry is on the hub; none for a model inside the program.
///
/// # Errors
/// The entry's data names no repository.
pub fn source(entry: &Published) -> Result<Option<Repository>, HubError> {
    entry.repository.as_ref().map(|name| Repository::new(name, &entry.revision)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::hub::{Digest, name};

    #[test]
    fn each_entry_can_be_used() {
        for entry in Published::all() {
            let id = &entry.id;
            assert!(name::is_plain(&id.0) && !entry.name.is_empty() && entry.description.ends_with('.'), "{id}");
            assert_eq!(source(entry).expect("a repository").is_none(), id.0 == "fresco-tiny", "{id}");
            assert!(
                !entry.licence.name.is_empty() && !entry.engines.is_empty() && !entry.components.is_empty(),
                "{id}"
            );
            for folder in entry.configuration.iter().chain(entry.components.iter().map(|part| &part.folder)) {
                assert!(folder == "." || name::check(folder).is_ok(), "{id}: {folder}");
            }
            for pin in &entry.pinned {
                let digest = Digest::from_hex(&pin.sha256);
                assert!(name::check(&pin.path).is_ok() && matches!(digest, Some(Digest::Sha256(_))), "{id}");
            }
            match entry.info() {
                Some(info) => info.check().unwrap_or_else(|reason| panic!("{id}: {reason}")),
                None => assert_eq!(entry.family, Family::Taesd, "{id}"),
            }
            assert_eq!(entry.licence.gated, entry.family == Family::Sd3, "{id}");
        }
    }
}
