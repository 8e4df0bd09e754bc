//! Which shards may be read: those whose parents are drained.
//!
//! A parent that is not listed was trimmed long ago, and holds up no child.

use std::collections::HashMap;

use crate::source::Shard;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Open,
    Drained,
}

#[derive(Debug)]
struct Listed {
    shard: Shard,
    state: State,
}

/// The shards of a stream, as far as they were listed.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    shards: HashMap<String, Listed>,
    /// In the order of listing, so that runs are repeatable.
    order: Vec<String>,
}

impl Lineage {
    /// Takes a listing; returns whether it had anything new.
    pub(crate) fn list(&mut self, listed: Vec<Shard>) -> bool {
        let before = self.order.len();
        for shard in listed {
            if !self.shards.contains_key(&shard.id) {
                self.order.push(shard.id.clone());
                self.shards.insert(shard.id.clone(), Listed { shard, state: State::Waiting });
            }
        }
        self.order.len() > before
    }

    /// The shards that may be read now; they count as opened.
    pub(crate) fn open_ready(&mut self) -> Vec<Shard> {
        let ready: Vec<String> = self.order.iter().filter(|id| self.is_ready(id)).cloned().collect();
        ready.iter().filter_map(|id| self.set(id, State::Open)).collect()
    }

    /// Every record of the shard is done or discarded.
    pub(crate) fn drained(&mut self, id: &str) {
        self.set(id, State::Drained);
    }

    /// Whether no shard is left to be read.
    pub(crate) fn is_done(&self) -> bool {
        self.shards.values().all(|listed| listed.state == State::Drained)
    }

    /// Whether no shard was ever listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn is_ready(&self, id: &str) -> bool {
        let Some(Listed { shard, state: State::Waiting }) = self.shards.get(id) else { return false };
        let parent = shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
        parent.is_none_or(|parent| parent.state == State::Drained)
    }

    fn set(&mut self, id: &str, state: State) -> Option<Shard> {
        let listed = self.shards.get_mut(id)?;
        listed.state = state;
        Some(listed.shard.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>) -> Shard {
        Shard { id: id.to_owned(), parent: parent.map(str::to_owned) }
    }

    fn ids(shards: Vec<Shard>) -> Vec<String> {
        shards.into_iter().map(|shard| shard.id).collect()
    }

    #[test]
    fn a_shard_waits_for_its_parent_whatever_the_order_of_the_listing() {
        let mut lineage = Lineage::default();
        assert!(lineage.list(vec![
            shard("grandchild", Some("child")),
            shard("child", Some("parent")),
            shard("parent", Some("trimmed")),
            shard("other", None)
        ]));
        assert_eq!(ids(lineage.open_ready()), ["parent", "other"]);
        assert!(lineage.open_ready().is_empty());
        lineage.drained("parent");
        assert_eq!(ids(lineage.open_ready()), ["child"]);
        lineage.drained("child");
        lineage.drained("other");
        assert!(!lineage.is_done());
        assert_eq!(ids(lineage.open_ready()), ["grandchild"]);
        lineage.drained("grandchild");
        assert!(lineage.is_done());
        assert!(!lineage.list(vec![shard("parent", None)]), "nothing new");
    }
}
