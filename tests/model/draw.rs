//! How a schedule is drawn.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::plan::{
    Answers, Behaviour, BulkPlan, CallFault, ImagesPlan, InvocationFault, InvocationPlan, LanesPlan, MappingPlan,
    MissingImages, Plan, PolicyPlan, ProcessorPlan, QueueFault, RecordPlan, Shape, Takes,
};
use crate::routing::{EntityPlan, HandlersPlan, RoutingPlan, ToldBy};

pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let without_entities = plans_of(|| (shapes(1, 0), Just(ImagesPlan::default())), Just(RoutingPlan::default()));
    let with_entities = plans_of(|| (shapes(6, 3), images()), routings());
    prop_oneof![2 => without_entities, 1 => with_entities]
}

fn plans_of<L: Strategy<Value = (Shape, ImagesPlan)>>(
    looks: impl Fn() -> L,
    routing: impl Strategy<Value = RoutingPlan>,
) -> impl Strategy<Value = Plan> {
    let stream = (
        prop_oneof![vec(records(looks(), behaviours()), 1..30), vec(records(looks(), calm_behaviours()), 1..40)],
        prop::bool::weighted(0.3),
        prop_oneof![1 => Just(1_usize), 1 => 2..6_usize, 2 => Just(1_000)],
    );
    let trouble = (vec(queue_faults(), 0..8), vec(invocations(), 0..12), prop::bool::weighted(0.3), any::<u64>());
    (stream, mappings(), processors(routing), trouble).prop_map(
        |((records, split_shards, page), mapping, processor, (queue, invocations, managed, seed))| {
            Plan { records, split_shards, page, mapping, processor, queue, invocations, managed, seed }.finite()
        },
    )
}

fn records(
    looks: impl Strategy<Value = (Shape, ImagesPlan)>,
    behaviours: impl Strategy<Value = Behaviour>,
) -> impl Strategy<Value = RecordPlan> {
    (prop_oneof![9 => Just(0_u8), 1 => Just(1)], items(), looks, behaviours, computing()).prop_map(
        |(table, item, (shape, images), behaviour, computes_millis)| RecordPlan {
            table,
            item,
            shape,
            images,
            behaviour,
            computes_millis,
        },
    )
}

/// Few, so lanes are long, and some more, so bulks have many.
fn items() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 0..5_u8, 1 => 5..20_u8]
}

/// For how long something keeps the thread: less than the shortest margin leaves after the last dead letter.
fn computing() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0_u8), 1 => 1..20_u8]
}

/// With that many modifications and removals in addition, to nine insertions.
fn shapes(modified: usize, removed: usize) -> impl Strategy<Value = Shape> {
    use Shape::*;
    let odd = prop::sample::select(vec![
        Removed,
        FilteredOut,
        EventNameMissing,
        EventNameUnknown,
        DynamodbNull,
        ImageMalformed,
        TypeMalformed,
        KeysMissing,
        KeysNotScalar,
        SequenceMissing,
        SequenceNull,
        SequenceEmpty,
        SequenceNotDigits,
        SequenceRepeated,
        Text,
        List,
        Number,
    ]);
    let weighted = [vec![Good; 9], vec![Modified; modified], vec![Removed; removed]].concat();
    let total = weighted.len() as u32;
    prop_oneof![total => prop::sample::select(weighted), 2 => odd]
}

fn images() -> impl Strategy<Value = ImagesPlan> {
    use MissingImages::*;
    // Most items keep their type.
    let types = || prop_oneof![1 => Just(Option::None), 2 => (0..3_u8).prop_map(Some)];
    let missing = prop_oneof![15 => Just(None), 1 => prop::sample::select(vec![Old, New, Both])];
    (types(), prop::option::weighted(0.5, types()), any::<bool>(), missing).prop_map(
        |(old_type, other_type, watched_changes, missing)| ImagesPlan {
            old_type,
            new_type: other_type.unwrap_or(old_type),
            watched_changes,
            missing,
        },
    )
}

fn routings() -> impl Strategy<Value = RoutingPlan> {
    use ToldBy::*;
    let all = vec![Table(1), Partition(0), Partition(1), SortKey(2), SortKey(3), Type(0), Type(1), Type(2)];
    let entities = prop::sample::subsequence(all, 0..=4).prop_shuffle();
    let entities = (entities, vec(handlers(), 4)).prop_map(|(entities, handlers)| {
        entities.into_iter().zip(handlers).map(|(told_by, handlers)| EntityPlan { told_by, handlers }).collect()
    });
    (entities, handlers(), any::<bool>(), prop::option::of(0..4_usize)).prop_map(
        |(entities, top_level, unmatched_fails, bulk_at)| RoutingPlan { entities, top_level, unmatched_fails, bulk_at },
    )
}

fn handlers() -> impl Strategy<Value = HandlersPlan> {
    let some = || prop::bool::weighted(0.7);
    (some(), some(), any::<bool>(), any::<bool>()).prop_map(|(insert, modify, remove, watches)| HandlersPlan {
        insert,
        modify,
        remove,
        watches,
    })
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    use Behaviour::*;
    let millis = || prop_oneof![Just(0_u16), 1..200_u16, 500..1_500_u16];
    prop_oneof![
        12 => millis().prop_map(|millis| Succeed { millis }),
        3 => (1..5_u8, millis()).prop_map(|(times, millis)| FailTimes { times, millis }),
        1 => (1..3_u8, 1..2_000_u16).prop_map(|(times, millis)| RetryAfter { times, millis }),
        1 => Just(FailUntilHealed),
        1 => (1..3_u8).prop_map(|times| HangTimes { times }),
        1 => Just(HangUntilHealed),
        1 => Just(Hang),
        1 => millis().prop_map(|millis| Permanent { millis }),
        1 => Just(PanicAtOnce),
        1 => millis().prop_map(|millis| PanicLater { millis }),
        1 => (1..3_u8).prop_map(|times| PanicTimes { times }),
        1 => Just(PanicInDrop),
    ]
}

/// Nearly always a success, as it is in streams.
fn calm_behaviours() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        9 => prop_oneof![Just(0_u16), 1..200_u16].prop_map(|millis| Behaviour::Succeed { millis }),
        1 => behaviours(),
    ]
}

fn mappings() -> impl Strategy<Value = MappingPlan> {
    let batching =
        (prop_oneof![1..4_u32, 4..30_u32, Just(100)], prop_oneof![3 => Just(0_u32), 1 => 1..5_u32], 1..4_u32);
    let limits = (prop_oneof![2 => Just(-1), 1 => 0..4], prop_oneof![3 => Just(-1), 1 => 60..400]);
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    (batching, limits, flags, prop_oneof![Just(3_u64), Just(10), Just(900)]).prop_map(
        |(
            (batch_size, window_seconds, parallelization),
            (retries, record_age),
            (bisect, report_batch_item_failures, filter, scramble, halves_inherit, discard_first_only),
            timeout_seconds,
        )| MappingPlan {
            batch_size,
            window_seconds,
            parallelization,
            retries,
            record_age,
            bisect,
            report_batch_item_failures,
            filter,
            scramble,
            halves_inherit,
            discard_first_only,
            timeout_seconds,
        },
    )
}

fn processors(routing: impl Strategy<Value = RoutingPlan>) -> impl Strategy<Value = ProcessorPlan> {
    let lanes = prop_oneof![
        6 => Just(LanesPlan::PerItem),
        1 => Just(LanesPlan::PerPartition),
        1 => Just(LanesPlan::WholeBatch),
        1 => Just(LanesPlan::Unordered),
    ];
    let policy = prop_oneof![
        4 => Just(PolicyPlan::Default),
        1 => Just(PolicyPlan::DeadLetterAll),
        1 => Just(PolicyPlan::ReportAll),
    ];
    let patience = (
        1..4_u32,
        prop_oneof![Just(0_u64), Just(30), Just(21_600)],
        prop_oneof![3 => Just(None), 1 => (100..1_000_u64).prop_map(Some)],
        prop_oneof![2 => Just(None), 1 => (300..1_900_u16).prop_map(Some)],
    );
    (
        1..5_usize,
        lanes,
        policy,
        patience,
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        (computing(), computing()),
        (prop_oneof![Just(None), bulks().prop_map(Some)], routing),
    )
        .prop_map(
            |(
                concurrency,
                lanes,
                policy,
                (max_attempts, give_up_after_seconds, margin_millis, handler_timeout_millis),
                queue,
                follow_lane,
                remember,
                (filter_millis, queue_millis),
                (bulk, routing),
            )| {
                ProcessorPlan {
                    routing,
                    bulk,
                    concurrency,
                    lanes,
                    max_attempts,
                    handler_timeout_millis,
                    queue,
                    policy,
                    give_up_after_seconds,
                    follow_lane,
                    margin_millis,
                    remember,
                    filter_millis,
                    queue_millis,
                }
            },
        )
}

fn bulks() -> impl Strategy<Value = BulkPlan> {
    use Takes::*;
    let takes = prop::sample::select(vec![Inserts, Inserts, Changes, Records, LatestChanges, LatestRecords]);
    let max_bytes = prop_oneof![4 => Just(None), 1 => (100..3_000_usize).prop_map(Some)];
    let timeout = prop_oneof![2 => Just(None), 1 => (300..1_900_u16).prop_map(Some)];
    let answers = prop::sample::select(vec![Answers::Each, Answers::Each, Answers::Failures, Answers::Whole]);
    let max_records = prop_oneof![1..4_usize, 4..12_usize, Just(100)];
    (takes, max_records, max_bytes, any::<bool>(), timeout, answers, vec(call_faults(), 0..8)).prop_map(
        |(takes, max_records, max_bytes, within_lane, timeout_millis, answers, calls)| BulkPlan {
            takes,
            max_records,
            max_bytes,
            within_lane,
            timeout_millis,
            answers,
            calls,
        },
    )
}

fn call_faults() -> impl Strategy<Value = CallFault> {
    use CallFault::*;
    let after = prop_oneof![2 => Just(Option::None), 1 => (1..2_000_u16).prop_map(Some)];
    prop_oneof![
        6 => Just(None),
        2 => after.prop_map(|after_millis| Retryable { after_millis }),
        2 => Just(Permanent),
        1 => Just(PanicAtOnce),
        1 => Just(PanicLater),
        1 => Just(Hang),
        2 => Just(Short),
        1 => Just(Long),
    ]
}

fn queue_faults() -> impl Strategy<Value = QueueFault> {
    use QueueFault::*;
    prop_oneof![
        4 => prop_oneof![Just(0_u16), 1..3_000_u16].prop_map(|millis| Accept { millis }),
        2 => Just(Refuse),
        2 => any::<u16>().prop_map(|mask| Partial { mask }),
        1 => Just(Hang),
        1 => Just(Panic),
        1 => Just(ShortAnswer),
        1 => Just(AcceptAndDeny),
        1 => Just(AcceptAndHang),
    ]
}

fn invocations() -> impl Strategy<Value = InvocationPlan> {
    use InvocationFault::*;
    let fault = prop_oneof![
        6 => Just(None),
        1 => Just(Throttled),
        2 => (0..3_000_u16).prop_map(|millis| CrashAfter { millis }),
        1 => any::<bool>().prop_map(|environment_lives| AnswerLost { environment_lives }),
    ];
    (fault, prop::bool::weighted(0.2)).prop_map(|(fault, fresh)| InvocationPlan { fault, fresh })
}
