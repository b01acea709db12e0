//! Every model that the page can offer, and where each one is: in the page, in this browser, at the daemon, or nowhere
//! yet.

use crate::{DEFAULT_MODEL, protocol::shelf::Kept, state::Place};
use fresco_api::{ModelId, ModelInfo, Pull, published::Published};
use std::collections::HashSet;

/// What a browser holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shelf {
    /// The models, whole or not.
    pub models: Vec<Kept>,
    /// Bytes that the browser still gives, where it says so.
    pub free: Option<u64>,
    /// What is under way, or how it ended.
    pub pulls: Vec<Pull>,
}

/// What the daemon holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remote {
    /// The models that it can run.
    pub models: Vec<ModelInfo>,
    /// What it is fetching, or how that ended.
    pub pulls: Vec<Pull>,
}

/// Whether a model is at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// It is part of the program.
    BuiltIn,
    /// It is there.
    Here,
    /// Some of it is there: bytes, and bytes in all.
    Partly(u64, u64),
    /// It is on its way.
    Coming(Pull),
    /// It is not there, and can be fetched.
    Absent,
    /// It cannot run there.
    Never,
}

/// One model of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it takes.
    pub info: ModelInfo,
    /// What may be done with it; empty for one of the user's own.
    pub licence: String,
    /// Whether its terms have to be accepted at the hub first.
    pub gated: bool,
    /// About how many bytes its files have.
    pub bytes: u64,
    /// In this browser.
    pub tab: Presence,
    /// At the daemon.
    pub daemon: Presence,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// The list: the embedded model, published ones that a place can run, then the user's own.
pub fn rows(embedded: Option<&ModelInfo>, shelf: &Shelf, remote: Option<&Remote>, hub: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = embedded.into_iter().map(|info| built_in(info, remote)).collect();
    for entry in Published::all().iter().filter(|entry| entry.repository.is_some()) {
        let Some(info) = entry.info() else { continue };
        let info = known(&info.id, shelf, remote).cloned().unwrap_or(info);
        let tab = if entry.in_browser() { in_tab(&info.id, shelf, remote, hub) } else { Presence::Never };
        let daemon = at_daemon(&info.id, remote);
        if tab == Presence::Never && daemon == Presence::Never {
            continue;
        }
        let bytes = entry.about_bytes(Default::default());
        let trouble = trouble(&info.id, shelf, remote);
        let (licence, gated) = (entry.licence.name.clone(), entry.licence.gated);
        rows.push(Row { info, licence, gated, bytes, tab, daemon, trouble });
    }
    let listed: HashSet<ModelId> = rows.iter().map(|row| row.info.id.clone()).collect();
    let here = shelf.models.iter().map(|kept| &kept.info);
    let there = remote.into_iter().flat_map(|remote| &remote.models);
    let mut seen = listed;
    for info in here.chain(there) {
        if seen.insert(info.id.clone()) {
            let tab = match in_tab(&info.id, shelf, remote, false) {
                // Only a hub says what the files of a model must be.
                Presence::Absent => Presence::Never,
                tab => tab,
            };
            let (daemon, trouble) = (at_daemon(&info.id, remote), trouble(&info.id, shelf, remote));
            let daemon = if daemon == Presence::Absent { Presence::Never } else { daemon };
            let licence = String::new();
            rows.push(Row { bytes: info.bytes, info: info.clone(), licence, gated: false, tab, daemon, trouble });
        }
    }
    rows
}

/// The models that can make the next picture at a place.
pub fn usable(embedded: Option<&ModelInfo>, shelf: &Shelf, remote: Option<&Remote>, place: Place) -> Vec<ModelInfo> {
    match (place, remote) {
        (Place::Daemon, Some(remote)) if !remote.models.is_empty() => remote.models.clone(),
        (Place::Daemon, _) => embedded.into_iter().cloned().collect(),
        (Place::Tab, _) => {
            let whole = shelf.models.iter().filter(|kept| kept.whole).map(|kept| &kept.info);
            embedded.into_iter().chain(whole).cloned().collect()
        }
    }
}

/// What a place says of a model that it has: with the true size of its files.
fn known<'a>(id: &ModelId, shelf: &'a Shelf, remote: Option<&'a Remote>) -> Option<&'a ModelInfo> {
    let here = shelf.models.iter().map(|kept| &kept.info);
    here.chain(remote.into_iter().flat_map(|remote| &remote.models)).find(|info| info.id == *id)
}

fn built_in(info: &ModelInfo, remote: Option<&Remote>) -> Row {
    let entry = Published::find(DEFAULT_MODEL);
    Row {
        info: info.clone(),
        licence: entry.map(|entry| entry.licence.name.clone()).unwrap_or_default(),
        gated: false,
        bytes: info.bytes,
        tab: Presence::BuiltIn,
        daemon: if remote.is_some() { Presence::BuiltIn } else { Presence::Never },
        trouble: None,
    }
}

fn in_tab(id: &ModelId, shelf: &Shelf, remote: Option<&Remote>, hub: bool) -> Presence {
    if let Some(pull) = running(&shelf.pulls, id) {
        return Presence::Coming(pull);
    }
    match shelf.models.iter().find(|kept| kept.info.id == *id) {
        Some(kept) if kept.whole => Presence::Here,
        Some(kept) => Presence::Partly(kept.received, kept.total),
        None if hub || at_daemon(id, remote) == Presence::Here => Presence::Absent,
        None => Presence::Never,
    }
}

fn at_daemon(id: &ModelId, remote: Option<&Remote>) -> Presence {
    let Some(remote) = remote else { return Presence::Never };
    if let Some(pull) = running(&remote.pulls, id) {
        return Presence::Coming(pull);
    }
    if remote.models.iter().any(|info| info.id == *id) { Presence::Here } else { Presence::Absent }
}

fn running(pulls: &[Pull], id: &ModelId) -> Option<Pull> {
    pulls.iter().find(|pull| pull.id == *id && !pull.status.is_final()).cloned()
}

fn trouble(id: &ModelId, shelf: &Shelf, remote: Option<&Remote>) -> Option<String> {
    let pulls = shelf.pulls.iter().chain(remote.into_iter().flat_map(|remote| &remote.pulls));
    let failed = pulls.filter(|pull| pull.id == *id).filter_map(|pull| pull.error.as_ref());
    failed.map(|error| error.message.clone()).next()
}

/// Puts the newest word about a fetch into a list of them.
pub fn note(pulls: &mut Vec<Pull>, pull: Pull) {
    pulls.retain(|known| known.id != pull.id);
    pulls.push(pull);
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_api::{ApiError, ErrorCode, PullStatus};

    fn info(id: &str) -> ModelInfo {
        let info = Published::find("sd-turbo").and_then(Published::info).expect("an entry");
        ModelInfo { id: id.into(), ..info }
    }

    fn kept(id: &str, whole: bool) -> Kept {
        Kept { info: info(id), licence: "x".into(), received: 5, total: if whole { 5 } else { 9 }, whole }
    }

    fn row<'a>(rows: &'a [Row], id: &str) -> &'a Row {
        rows.iter().find(|row| row.info.id.0 == id).unwrap_or_else(|| panic!("{id} is listed"))
    }

    #[test]
    fn without_daemon_and_hub_only_what_is_there_is_offered() {
        let embedded = info(DEFAULT_MODEL);
        let listed = rows(Some(&embedded), &Shelf::default(), None, false);
        assert_eq!(listed.len(), 1, "{listed:?}");
        let with_hub = rows(Some(&embedded), &Shelf::default(), None, true);
        assert_eq!(row(&with_hub, "sd-turbo").tab, Presence::Absent);
        assert!(with_hub.iter().all(|row| row.info.id.0 != "sd3.5-large"), "it does not run in a tab");
    }

    #[test]
    fn a_tab_takes_from_the_daemon_what_the_daemon_has() {
        let remote = Remote { models: vec![info(DEFAULT_MODEL), info("sd-turbo"), info("mine")], pulls: Vec::new() };
        let listed = rows(Some(&info(DEFAULT_MODEL)), &Shelf::default(), Some(&remote), false);
        let turbo = row(&listed, "sd-turbo");
        assert_eq!((&turbo.tab, &turbo.daemon), (&Presence::Absent, &Presence::Here));
        let other = row(&listed, "sd-1.5");
        assert_eq!((&other.tab, &other.daemon), (&Presence::Never, &Presence::Absent), "the daemon fetches it first");
        assert_eq!(row(&listed, "mine").tab, Presence::Never, "nobody knows what its files must be");
        assert_eq!(row(&listed, "sd3.5-large").tab, Presence::Never);
    }

    #[test]
    fn what_is_on_its_way_failed_or_partly_there_is_told() {
        let coming = Pull { id: "sd-1.5".into(), status: PullStatus::Running, ..Pull::default() };
        let error = Some(ApiError::new(ErrorCode::Internal, "no room"));
        let failed = Pull { id: "sd-2.1".into(), status: PullStatus::Failed, error, ..Pull::default() };
        let models = vec![kept("sd-turbo", false), kept("mine", true)];
        let shelf = Shelf { models, free: None, pulls: vec![coming.clone(), failed] };
        let listed = rows(None, &shelf, None, true);
        assert_eq!(row(&listed, "sd-turbo").tab, Presence::Partly(5, 9));
        assert_eq!(row(&listed, "sd-1.5").tab, Presence::Coming(coming));
        assert_eq!(row(&listed, "sd-2.1").trouble.as_deref(), Some("no room"));
        assert_eq!(row(&listed, "mine").tab, Presence::Here);
        let ids: Vec<String> = usable(None, &shelf, None, Place::Tab).into_iter().map(|info| info.id.0).collect();
        assert_eq!(ids, ["mine"], "half a model makes no picture");
    }

    #[test]
    fn the_newest_word_counts() {
        let mut pulls = Vec::new();
        for status in [PullStatus::Running, PullStatus::Done] {
            note(&mut pulls, Pull { id: "x".into(), status, ..Pull::default() });
        }
        assert_eq!((pulls.len(), pulls[0].status), (1, PullStatus::Done));
    }
}
