//! The members of an event that are read.

use crate::json::{Members, member_names};

member_names! {
    /// The members of an event that are read.
    pub(super) enum EventMember {
        Records = "Records",
        LambdaStreams = "lambdaStreams",
        Window = "window",
        State = "state",
        ShardId = "shardId",
        IsFinalInvokeForWindow = "isFinalInvokeForWindow",
    }
}

pub(super) type EventMembers<'a> = Members<'a, EventMember, { EventMember::COUNT }>;
