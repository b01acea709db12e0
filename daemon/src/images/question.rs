//! What is asked of the list of pictures, as names and values: an address has them, and the command line makes them.

use super::search::Search;
use fresco_api::{ApiError, ImageId, limits};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// A name and a value. A name may come more than once.
pub type Pair = (String, String);

/// Pictures of a page when nothing else is asked, and at most.
const LISTED: usize = 50;
const MOST_LISTED: usize = 200;
/// The most tags that are asked for together.
const MOST_TAGS: usize = 8;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is looked for.
///
/// # Errors
/// The first value that makes no sense, by its name.
pub fn search(pairs: &[Pair]) -> Result<Search, ApiError> {
    let prompt = value(pairs, "q").unwrap_or_default();
    if prompt.chars().nth(limits::MAX_PROMPT_CHARS).is_some() {
        return Err(ApiError::field("q", format!("At most {} characters are looked for", limits::MAX_PROMPT_CHARS)));
    }
    let tags: Vec<String> = values(pairs, "tag").map(str::to_owned).collect();
    if tags.len() > MOST_TAGS {
        return Err(ApiError::field("tag", format!("At most {MOST_TAGS} tags are looked for")));
    }
    let favourite = value(pairs, "favourite").map(|text| match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ApiError::field("favourite", "favourite must be true or false")),
    });
    Ok(Search {
        prompt: prompt.to_owned(),
        model: value(pairs, "model").map(str::to_owned),
        favourite: favourite.transpose()?,
        tags,
        from: time(pairs, "from", Duration::ZERO)?,
        // A day that is named is part of what is looked for.
        to: time(pairs, "to", DAY)?,
    })
}

/// After which picture the page begins.
///
/// # Errors
/// When it is no picture's name.
pub fn cursor(pairs: &[Pair]) -> Result<Option<ImageId>, ApiError> {
    let Some(text) = value(pairs, "cursor") else { return Ok(None) };
    match Uuid::try_parse(text) {
        Ok(id) => Ok(Some(ImageId(id.to_string()))),
        Err(_) => Err(ApiError::field("cursor", "cursor must be the nextCursor of a page")),
    }
}

/// How many pictures the page has.
///
/// # Errors
/// When it is no number, or out of bounds.
pub fn limit(pairs: &[Pair]) -> Result<usize, ApiError> {
    let Some(text) = value(pairs, "limit") else { return Ok(LISTED) };
    let limit = text.parse().ok().filter(|limit| (1..=MOST_LISTED).contains(limit));
    limit.ok_or_else(|| ApiError::field("limit", format!("limit must be 1 to {MOST_LISTED}")))
}

/// The first value of a name; an empty one is none.
pub fn value<'a>(pairs: &'a [Pair], name: &'a str) -> Option<&'a str> {
    values(pairs, name).next()
}

fn values<'a>(pairs: &'a [Pair], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = pairs.iter().filter(move |(key, _)| key == name);
    named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// A time, or the beginning of a day and `day` more.
fn time(pairs: &[Pair], name: &str, day: Duration) -> Result<Option<SystemTime>, ApiError> {
    let Some(text) = value(pairs, name) else { return Ok(None) };
    let whole = humantime::parse_rfc3339(text).ok();
    let begins = || (text.len() == 10).then(|| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()).flatten();
    let time = whole.or_else(|| begins()?.checked_add(day));
    let wrong =
        || ApiError::field(name, format!("{name} must be a day or a time, as 2026-11-20 or 2026-11-20T10:36:00Z"));
    time.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn everything_that_can_be_asked_is_understood() {
        let asked = pairs(&[
            ("q", "red tent"),
            ("model", "fresco-tiny"),
            ("favourite", "true"),
            ("tag", "a"),
            ("tag", "b"),
            ("from", "2026-11-20T10:36:00Z"),
            ("to", "2026-11-21"),
            ("limit", "7"),
            ("cursor", "019a5c8e-7c2b-7000-8000-000000000000"),
        ]);
        let time = |text| humantime::parse_rfc3339(text).expect("a time");
        let expected = Search {
            prompt: "red tent".to_owned(),
            model: Some("fresco-tiny".to_owned()),
            favourite: Some(true),
            tags: vec!["a".to_owned(), "b".to_owned()],
            from: Some(time("2026-11-20T10:36:00Z")),
            to: Some(time("2026-11-22T00:00:00Z")),
        };
        assert_eq!(search(&asked), Ok(expected));
        assert_eq!((limit(&asked), cursor(&asked).map(|cursor| cursor.is_some())), (Ok(7), Ok(true)));
        assert_eq!(search(&pairs(&[("q", ""), ("from", "")])), Ok(Search::default()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let long = "x".repeat(4_001);
        let cases = [
            ("favourite", "perhaps"),
            ("from", "yesterday"),
            ("to", "2026-13-40"),
            ("to", "2026-11-2é"),
            ("limit", "0"),
            ("limit", "201"),
            ("limit", "-1"),
            ("cursor", "x"),
            ("q", long.as_str()),
        ];
        for (name, value) in cases {
            let asked = pairs(&[(name, value)]);
            let refused = [search(&asked).err(), limit(&asked).err(), cursor(&asked).err()];
            let fields: Vec<_> = refused.into_iter().flatten().filter_map(|error| error.field).collect();
            assert_eq!(fields, [name], "{value}");
        }
    }
}
