//! Text encoders that several loaded models have alike are held once.

use super::{super::shelf::Shelf, loaded::Loaded};
use crate::models::{Catalogue, ModelFiles};
use fresco_diffusion::{Component, Facts, LoadError, Part, Shelves, fit::Savings, weights};
use std::sync::Arc;

/// The tensors of loaded models' text encoders that are those of a model which is about to be loaded from `files`, by
/// that one's folders.
///
/// What may be the same by its header is compared byte by byte.
pub async fn texts(
    shelf: &Shelf<Loaded>,
    catalogue: &Catalogue,
    facts: &Facts,
    files: &ModelFiles,
    savings: Savings,
) -> Shelves {
    let mut shelves = Shelves::new();
    if savings.offload {
        return shelves;
    }
    // The one used last is least likely to go soon.
    for lender in shelf.iter().rev() {
        // Of files that have changed, others are loaded by now.
        let now = catalogue.find(Some(&lender.model.info.id));
        let is_current = now.is_ok_and(|now| Arc::ptr_eq(&now, &lender.model));
        if !is_current || lender.plan.savings.precision != savings.precision || !lender.pipeline.has_text_encoders() {
            continue;
        }
        for ours in encoders(facts) {
            for theirs in encoders(lender.pipeline.facts()) {
                let may_be = ours.footprint == theirs.footprint && !shelves.contains_key(&ours.folder);
                let theirs = (&lender.model.files, theirs);
                if !may_be || !same((files, ours), theirs).await.unwrap_or_default() {
                    continue;
                }
                shelves.extend(lender.pipeline.lend(&theirs.1.folder).map(|lent| (ours.folder.clone(), lent)));
            }
        }
    }
    shelves
}

fn encoders(facts: &Facts) -> impl Iterator<Item = &Component> {
    facts.components.iter().filter(|component| component.part == Part::Text)
}

async fn same(
    (files, ours): (&ModelFiles, &Component),
    (others, theirs): (&ModelFiles, &Component),
) -> Result<bool, LoadError> {
    let (a, b) = (weights::listing(files, &ours.files).await?, weights::listing(others, &theirs.files).await?);
    weights::same((files, &a), (others, &b)).await
}
