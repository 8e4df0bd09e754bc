//! The records that wait for a bulk of one handler.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::batch::Batch;
use super::super::gate::Gate;
use super::super::ready::Ready;
use super::super::settings::Settings;
use super::{Member, Part};
use crate::context::BatchContext;
use crate::handler::bulk::BulkRoute;

/// What waits for a bulk of one handler.
pub(super) struct BulkQueue<'a> {
    pub(super) route: &'a BulkRoute,
    /// What the handler can ask about the batch: its timeout may be its own.
    pub(super) context: Arc<BatchContext>,
    /// Records that need not wait for another of their lane.
    pub(super) ready: Ready,
    /// Parts of halved bulks, by their first positions.
    pub(super) parts: BTreeMap<usize, Part>,
}

impl<'a> BulkQueue<'a> {
    pub(super) fn new(route: &'a BulkRoute, settings: &Settings, context: &Arc<BatchContext>) -> Self {
        let handler_timeout = route.limits.timeout.or(settings.handler_timeout);
        let context = Arc::new(BatchContext { handler_timeout, ..BatchContext::clone(context) });
        Self { route, context, ready: Ready::default(), parts: BTreeMap::new() }
    }

    /// Whether what is ready fills a bulk.
    pub(super) fn is_full(&self, batch: &Batch<'_>, gate: Gate) -> bool {
        let limits = &self.route.limits;
        if !limits.within_lane && limits.max_bytes.is_none() {
            return self.ready.len() >= limits.max_records;
        }
        let (mut records, mut bytes) = (0, 0);
        for head in self.ready.iter().filter(|head| gate.admits(*head)) {
            let mut next = Some(head);
            while let Some(head) = next.filter(|head| gate.admits(*head)) {
                let last = self.member(head, batch, gate).position;
                records += 1;
                if let Some(most) = limits.max_bytes {
                    bytes += batch.bytes(last);
                    if bytes >= most {
                        return true;
                    }
                }
                if records >= limits.max_records {
                    return true;
                }
                next = if limits.within_lane { batch.next_in_bulk(last) } else { None };
            }
        }
        false
    }

    /// The record at the head of what is ready in its lane; for a handler that takes the latest change, the last of the consecutive changes
    /// of its item. Of dead letters that are put back, whose order is the queue's, none stands for another.
    pub(super) fn member(&self, head: usize, batch: &Batch<'_>, gate: Gate) -> Member {
        let mut member = Member { position: head, superseded: Vec::new() };
        if self.route.latest_only && batch.is_from_stream() {
            while let Some(next) = batch.next_in_bulk(member.position)
                && gate.admits(next)
                && batch.are_of_one_item(head, next)
            {
                member.superseded.push(member.position);
                member.position = next;
            }
        }
        member
    }
}
