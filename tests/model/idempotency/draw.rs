//! How a schedule of the idempotency world is drawn.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::plan::{
    Behaviour, BulkPlan, ChangePlan, End, GuardPlan, ITEMS, InvocationPlan, MOST_CHANGES, MarksPlan, Plan, QueueFault,
    ReturnFrom, ReturnPlan, SettingsPlan, StoreFault,
};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let stream = (vec(changes(), 1..=MOST_CHANGES), 1..9_usize, prop::option::of(0..4_u8), any::<bool>());
    let trouble = (
        vec(invocations(), 0..8),
        prop_oneof![1 => Just(Vec::new()), 2 => vec(store_faults(), 0..24)],
        vec(queue_faults(), 0..6),
        vec(returns(), 0..6),
    );
    let consumers = prop_oneof![3 => Just(1_usize), 1 => Just(2)];
    (stream, settings(), trouble, consumers, prop::bool::weighted(0.8)).prop_map(
        |((changes, batch_size, retries, bisect), settings, trouble, consumers, is_established)| {
            let (invocations, store, queue, returns) = trouble;
            Plan {
                changes,
                consumers,
                settings,
                batch_size,
                retries,
                bisect,
                invocations,
                store,
                queue,
                returns,
                is_established,
            }
        },
    )
}

fn changes() -> impl Strategy<Value = ChangePlan> {
    let millis = || prop_oneof![3 => Just(0_u16), 2 => 1..40_u16];
    let late = prop_oneof![4 => Just(0_u16), 1 => 1..400_u16];
    (0..ITEMS as u8, behaviours(), millis(), millis(), late).prop_map(
        |(item, behaviour, before_millis, after_millis, late_millis)| ChangePlan {
            item,
            behaviour,
            before_millis,
            after_millis,
            late_millis,
        },
    )
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    use Behaviour::*;
    prop_oneof![
        6 => Just(Succeed),
        1 => (1..8_u8).prop_map(FailTimes),
        1 => (1..5_u8).prop_map(PermanentTimes),
        1 => (1..3_u8).prop_map(HangTimes),
        1 => (1..3_u8).prop_map(LosesAnswerTimes),
    ]
}

fn settings() -> impl Strategy<Value = SettingsPlan> {
    let bulk = prop_oneof![4 => Just(None), 1 => Just(Some(BulkPlan::Each)), 1 => Just(Some(BulkPlan::LatestOnly))];
    let handlers = (bulk, 1..5_usize, prop::bool::weighted(0.2));
    let flags = (prop::bool::weighted(0.85), prop::bool::weighted(0.6), prop::bool::weighted(0.3));
    (prop::option::weighted(0.75, marks()), guards(), handlers, flags).prop_map(
        |(marks, guard, (bulk, concurrency, per_partition), (reports_failures, queue, follow_lane))| SettingsPlan {
            marks,
            guard: if marks.is_some() { guard } else { GuardPlan::None },
            reports_failures,
            per_partition,
            bulk,
            queue,
            follow_lane,
            concurrency,
        },
    )
}

fn marks() -> impl Strategy<Value = MarksPlan> {
    let life = prop_oneof![4 => Just(16 * DAY), 1 => Just(2 * DAY)];
    (any::<bool>(), prop::bool::weighted(0.3), life).prop_map(|(skips_stale, reports_unavailable, life)| MarksPlan {
        skips_stale,
        reports_unavailable,
        life: Duration::from_secs(life),
    })
}

fn guards() -> impl Strategy<Value = GuardPlan> {
    prop::sample::select(vec![GuardPlan::None, GuardPlan::Newest, GuardPlan::Once])
}

fn invocations() -> impl Strategy<Value = InvocationPlan> {
    (ends(), prop::bool::weighted(0.6), prop::bool::weighted(0.08)).prop_map(|(end, fresh, discards)| InvocationPlan {
        end,
        fresh,
        discards,
    })
}

fn ends() -> impl Strategy<Value = End> {
    use End::*;
    prop_oneof![
        4 => Just(Answers),
        3 => (1..40_u16).prop_map(CrashAtPoll),
        2 => (0..200_u16).prop_map(CrashAfter),
        2 => (0..200_u16).prop_map(Zombie),
        1 => Just(AnswerLost),
    ]
}

fn store_faults() -> impl Strategy<Value = StoreFault> {
    use StoreFault::*;
    prop_oneof![
        5 => Just(Takes(0)),
        4 => (1..60_u16).prop_map(Takes),
        1 => (400..600_u16).prop_map(Takes),
        1 => Just(Fails),
        1 => Just(Hangs),
        1 => Just(Panics),
        1 => any::<u8>().prop_map(Partly),
        1 => Just(ArrivesAndFails),
        1 => Just(ArrivesAndHangs),
        1 => prop_oneof![1..2_000_u32, 1..(2 * HOUR as u32 * 1_000)].prop_map(ArrivesLate),
    ]
}

fn queue_faults() -> impl Strategy<Value = QueueFault> {
    prop_oneof![6 => Just(QueueFault::Accepts), 1 => Just(QueueFault::Refuses), 1 => Just(QueueFault::Denies)]
}

fn returns() -> impl Strategy<Value = ReturnPlan> {
    use ReturnFrom::*;
    let millis = (0..600_u64).prop_map(Duration::from_millis);
    let hours = (1..72_u64).prop_map(|hours| Duration::from_secs(hours * HOUR));
    let days = (2..13_u64).prop_map(|days| Duration::from_secs(days * DAY));
    let after = prop_oneof![6 => millis, 2 => hours, 1 => days];
    let from = prop_oneof![4 => Just(DeadLetters), 3 => Just(Discarded), 2 => Just(Stream)];
    let flags = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.25));
    (after, 0..2_u8, from, (0..MOST_CHANGES as u8, 1..7_u8), flags, invocations()).prop_map(
        |(after, consumer, from, (first, count), (reversed, doubled, stays), invocation)| ReturnPlan {
            after,
            consumer,
            from,
            first,
            count,
            reversed,
            doubled,
            stays,
            invocation,
        },
    )
}
