//! Which pictures are looked for, and a page of them.

use super::{Stored, history, milliseconds};
use fresco_api::ImageId;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};
use std::time::SystemTime;

/// More words of a search are not looked at.
const MOST_WORDS: usize = 16;

/// What is asked of the pictures; everything that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Each of its words is somewhere in the prompt, in any case and order.
    pub prompt: String,
    /// The model that made it.
    pub model: Option<String>,
    /// Whether it is a favourite.
    pub favourite: Option<bool>,
    /// Each of these tags.
    pub tags: Vec<String>,
    /// Finished then or later.
    pub from: Option<SystemTime>,
    /// Finished before.
    pub to: Option<SystemTime>,
}

impl Search {
    /// At most `limit` pictures after the cursor, the newest first, and the next page's cursor.
    pub(super) async fn page(
        &self,
        reader: &SqlitePool,
        cursor: Option<&ImageId>,
        limit: usize,
    ) -> Result<(Vec<Stored>, Option<ImageId>), sqlx::Error> {
        let mut query = self.query(cursor);
        // One more than is shown tells whether there is a next page.
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
        let rows = query.build().fetch_all(reader).await?;
        let mut pictures = Vec::with_capacity(rows.len());
        for row in rows.iter().take(limit) {
            match history::stored(row) {
                Ok(picture) => pictures.push(picture),
                // One row that an older program wrote must not hide the others.
                Err(error) => tracing::warn!("a picture is left out, its row cannot be read: {error}"),
            }
        }
        let last = if rows.len() > limit { limit.checked_sub(1).and_then(|last| rows.get(last)) } else { None };
        let next = last.map(|row| row.try_get("id")).transpose()?.map(ImageId);
        let mut connection = reader.acquire().await?;
        Ok((history::with_tags(&mut connection, pictures).await?, next))
    }

    fn query(&self, cursor: Option<&ImageId>) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM images WHERE 1 = 1");
        if let Some(cursor) = cursor {
            query.push(" AND id < ").push_bind(cursor.0.clone());
        }
        if let Some(model) = &self.model {
            query.push(" AND model = ").push_bind(model.clone());
        }
        if let Some(favourite) = self.favourite {
            query.push(" AND favourite = ").push_bind(favourite);
        }
        if let Some(from) = self.from {
            query.push(" AND created >= ").push_bind(milliseconds(from));
        }
        if let Some(to) = self.to {
            query.push(" AND created < ").push_bind(milliseconds(to));
        }
        for tag in &self.tags {
            query.push(" AND EXISTS (SELECT 1 FROM image_tags WHERE image_id = images.id AND tag = ");
            query.push_bind(tag.clone()).push(")");
        }
        // Nothing in a word has a meaning of its own, as it would have in LIKE.
        for word in self.prompt.to_lowercase().split_whitespace().take(MOST_WORDS) {
            query.push(" AND instr(words, ").push_bind(word.to_owned()).push(") > 0");
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::{
        Images,
        testing::{images, params, store},
    };
    use fresco_api::ImageChange;
    use std::time::Duration;

    fn day(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)
    }

    /// Four pictures, one a day.
    async fn four() -> (Images, Vec<ImageId>) {
        let images = images("search").await;
        let mut ids = Vec::new();
        let prompts = ["A red TENT", "a 100% red_tree", "Ein großer BÄR, ÄÖÜ", "a tent in the rain"];
        for (number, prompt) in prompts.into_iter().enumerate() {
            let mut params = params(prompt, number as u64);
            params.model = if number == 3 { "sd-turbo".into() } else { "fresco-tiny".into() };
            ids.push(store(&images, &params, None, day(number as u64 + 1)).await);
        }
        (images, ids)
    }

    async fn found(images: &Images, search: &Search) -> Vec<ImageId> {
        let (pictures, next) = images.page(search, None, 100).await.expect("a page");
        assert_eq!(next, None);
        pictures.into_iter().map(|picture| picture.image.id).collect()
    }

    #[tokio::test]
    async fn words_are_found_in_any_case_and_order() {
        let (images, ids) = four().await;
        let cases: [(&str, &[usize]); 9] = [
            ("", &[3, 2, 1, 0]),
            ("tent", &[3, 0]),
            ("TENT red", &[0]),
            ("bär äöü", &[2]),
            ("100%", &[1]),
            // Neither is a pattern.
            ("%", &[1]),
            ("d_t", &[1]),
            ("'; DROP TABLE images; --", &[]),
            ("nothing", &[]),
        ];
        for (prompt, expected) in cases {
            let search = Search { prompt: prompt.to_owned(), ..Search::default() };
            let expected: Vec<_> = expected.iter().map(|index| ids[*index].clone()).collect();
            assert_eq!(found(&images, &search).await, expected, "{prompt}");
        }
    }

    #[tokio::test]
    async fn everything_that_is_said_must_hold() {
        let (images, ids) = four().await;
        let change = |favourite, tags: &[&str]| ImageChange {
            favourite,
            tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        };
        images.change(&ids[0], change(Some(true), &["night", " blue ", "night"])).await.expect("is changed");
        images.change(&ids[3], change(Some(true), &["blue"])).await.expect("is changed");
        let tagged =
            |tags: &[&str]| Search { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..Search::default() };
        let cases = [
            (Search { model: Some("sd-turbo".to_owned()), ..Search::default() }, vec![3]),
            (Search { favourite: Some(true), ..Search::default() }, vec![3, 0]),
            (Search { favourite: Some(false), ..Search::default() }, vec![2, 1]),
            (tagged(&["blue"]), vec![3, 0]),
            (tagged(&["blue", "night"]), vec![0]),
            (tagged(&["bl"]), vec![]),
            (Search { from: Some(day(2)), to: Some(day(4)), ..Search::default() }, vec![2, 1]),
            (Search { favourite: Some(true), prompt: "rain".to_owned(), ..tagged(&["blue"]) }, vec![3]),
        ];
        for (search, expected) in cases {
            let expected: Vec<_> = expected.into_iter().map(|index: usize| ids[index].clone()).collect();
            assert_eq!(found(&images, &search).await, expected, "{search:?}");
        }
        let first = images.find(&ids[0]).await.expect("is there").image;
        assert_eq!((first.favourite, first.tags), (true, vec!["blue".to_owned(), "night".to_owned()]));
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_gaps() {
        let (images, mut ids) = four().await;
        ids.reverse();
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let (pictures, next) = images.page(&Search::default(), cursor.as_ref(), 2).await.expect("a page");
            seen.extend(pictures.into_iter().map(|picture| picture.image.id));
            // A new picture comes first, and moves no page.
            if cursor.is_none() {
                store(&images, &params("late", 9), None, day(9)).await;
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ids);
    }
}
