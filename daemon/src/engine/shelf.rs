//! Things that are kept while there is room: the one that was used longest ago goes first.

/// Things with their bytes, the one used last at the end.
pub struct Shelf<T> {
    items: Vec<(u64, T)>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> Shelf<T> {
    /// Bytes of everything.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|(bytes, _)| bytes).sum()
    }

    /// Everything, the one used last at the end.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter().map(|(_, item)| item)
    }

    /// Takes the first thing that is `wanted`.
    pub fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.items.iter().position(|(_, item)| wanted(item))?;
        Some(self.items.remove(at).1)
    }

    /// Puts a thing back as the one used last.
    pub fn put(&mut self, bytes: u64, item: T) {
        self.items.push((bytes, item));
    }

    /// Lets things go, the one used longest ago first, until what is left leaves `needed` bytes of `room`; how many
    /// went. Where nobody knows the room, only one thing is kept at a time.
    pub fn make_room(&mut self, room: Option<u64>, needed: u64) -> usize {
        let before = self.items.len();
        match room {
            None => self.items.clear(),
            Some(room) => {
                while !self.items.is_empty() && self.bytes().saturating_add(needed) > room {
                    self.items.remove(0);
                }
            }
        }
        before - self.items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf<&'static str> {
        let mut shelf = Shelf::default();
        [(30, "a"), (20, "b"), (10, "c")].into_iter().for_each(|(bytes, name)| shelf.put(bytes, name));
        shelf
    }

    fn names(shelf: &Shelf<&'static str>) -> String {
        shelf.iter().copied().collect()
    }

    #[test]
    fn the_one_used_longest_ago_goes_first() {
        let mut shelf = shelf();
        assert_eq!((shelf.make_room(Some(100), 40), names(&shelf).as_str()), (0, "abc"));
        // Used again, it is the last to go.
        let a = shelf.take(|name| *name == "a").expect("it is there");
        assert_eq!(shelf.bytes(), 30);
        shelf.put(30, a);
        assert_eq!((shelf.make_room(Some(100), 45), names(&shelf).as_str()), (1, "ca"));
        assert_eq!((shelf.make_room(Some(100), 200), shelf.bytes()), (2, 0));
        assert!(shelf.take(|_| true).is_none());
    }

    #[test]
    fn one_is_kept_where_nobody_knows_the_room() {
        let mut shelf = shelf();
        assert_eq!((shelf.make_room(None, 0), names(&shelf).as_str()), (3, ""));
    }
}
