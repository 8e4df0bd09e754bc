//! Which shards may be read: those whose parents are drained.
//!
//! A parent that is not listed was trimmed long ago, and holds up no child. Each shard is looked at once when it is listed and
//! once when it is drained: a stream has thousands.

use std::collections::HashMap;

use crate::source::Shard;

/// The shards of a stream, as far as they were listed.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// Whether each listed shard is drained.
    drained: HashMap<String, bool>,
    /// By their parents: those that have not been opened, or were.
    children: HashMap<String, Vec<Shard>>,
    /// The shards that may be read and were not opened, in the order of listing, so runs are repeatable.
    ready: Vec<Shard>,
    /// How many shards are not drained.
    left: usize,
}

impl Lineage {
    /// Takes a listing; returns whether it had anything new.
    pub(crate) fn list(&mut self, listed: Vec<Shard>) -> bool {
        let mut new = Vec::new();
        for shard in listed {
            if !self.drained.contains_key(&shard.id) {
                self.drained.insert(shard.id.clone(), false);
                new.push(shard);
            }
        }
        let is_new = !new.is_empty();
        self.left += new.len();
        // A child may be listed before its parent.
        for shard in new {
            let drained = shard.parent.as_ref().and_then(|parent| self.drained.get(parent));
            if drained.is_none_or(|drained| *drained) {
                self.ready.push(shard.clone());
            }
            if let Some(parent) = &shard.parent {
                self.children.entry(parent.clone()).or_default().push(shard);
            }
        }
        is_new
    }

    /// The shards that may be read now; they count as opened.
    pub(crate) fn open_ready(&mut self) -> Vec<Shard> {
        std::mem::take(&mut self.ready)
    }

    /// Every record of the shard is done or discarded: its children may be read.
    pub(crate) fn drained(&mut self, id: &str) {
        let Some(drained) = self.drained.get_mut(id).filter(|drained| !**drained) else { return };
        *drained = true;
        self.left -= 1;
        self.ready.extend(self.children.get(id).into_iter().flatten().cloned());
    }

    /// Whether the shard has children that were listed, so it is closed.
    pub(crate) fn has_children(&self, id: &str) -> bool {
        self.children.contains_key(id)
    }

    /// Whether no shard is left to be read.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// Whether no shard was ever listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.drained.is_empty()
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
        assert!(lineage.has_children("parent") && !lineage.has_children("grandchild"));
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

    #[test]
    fn a_child_of_a_drained_shard_is_ready_when_it_is_listed() {
        let mut lineage = Lineage::default();
        lineage.list(vec![shard("parent", None)]);
        lineage.open_ready();
        lineage.drained("parent");
        assert!(lineage.is_done());
        assert!(lineage.list(vec![shard("parent", None), shard("child", Some("parent"))]));
        assert!(!lineage.is_done());
        assert_eq!(ids(lineage.open_ready()), ["child"]);
    }
}
