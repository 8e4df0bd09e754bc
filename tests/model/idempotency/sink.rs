//! The sink: a projection of each item and the number of each change's effects, in one transactional map with the store's rows.
//!
//! The guards are the crate's own actions. What they say is done to the map: whether they raise `applied` or put a row of the record, on which
//! condition, under which key, and until when it is kept.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use aws_sdk_dynamodb::{Client, Config};
use lambda_streams::{DynamoDbIdempotencyStore, Guard, Record, SequenceNumber};

use super::broken::Subject;
use super::plan::{CONSUMERS, GuardPlan};
use super::rows::MarkRow;
use super::stream::{Row, consumer, id, row};
use super::tally::Event;
use super::world::{LONG_LIFE, SETTLES, State, World, life_until};

/// A write to the sink.
pub(super) struct Effect {
    pub(super) execution: usize,
    pub(super) id: usize,
    pub(super) guard: Option<TransactWriteItem>,
}

/// The guards of a consumer. They make no requests.
fn guards(number: usize) -> &'static Guard {
    static GUARDS: OnceLock<Vec<Guard>> = OnceLock::new();
    let guards = GUARDS.get_or_init(|| {
        let client = Client::from_conf(Config::builder().behavior_version_latest().build());
        let store = DynamoDbIdempotencyStore::new(client, "idempotency");
        (0..CONSUMERS).map(|number| store.guard(consumer(number)).expect("a name")).collect()
    });
    &guards[number]
}

fn text(value: &AttributeValue) -> &str {
    value.as_s().expect("a text")
}

fn expires(value: &AttributeValue) -> Duration {
    let seconds = value.as_n().expect("a number").parse().expect("seconds");
    life_until(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

impl World {
    /// The guard of a record, as the plan says.
    pub(super) fn guard(&self, execution: usize, record: &Record) -> Option<TransactWriteItem> {
        let consumer = self.state().ledger.executions[execution].consumer;
        let guards = guards(consumer).clone().life(self.life());
        match self.plan.settings.guard {
            GuardPlan::None => None,
            GuardPlan::Newest => Some(guards.newest(record).expect("every record can be guarded")),
            GuardPlan::Once => Some(guards.once(record).expect("every record can be guarded")),
        }
    }

    /// Sends an effect, which arrives also if the environment dies meanwhile.
    pub(super) async fn send(self: &Arc<Self>, effect: Effect, late_millis: u16) {
        if late_millis == 0 {
            return self.arrives(effect);
        }
        let arrives = self.later(Duration::from_millis(late_millis.into()), move |world| world.arrives(effect));
        arrives.await.expect("a sink does not panic");
    }

    /// The effect and its guard, in one step.
    fn arrives(&self, effect: Effect) {
        let Effect { execution, id, guard } = effect;
        let mut state = self.state();
        let state = &mut *state;
        let consumer = state.ledger.executions[execution].consumer;
        if !state.ledger.executions[execution].is_open {
            self.tally.count(Event::EffectAfterDeath);
        }
        let is_admitted = guard.is_none_or(|guard| self.admits(state, execution, id, &guard));
        if is_admitted {
            self.apply(state, consumer, id);
        }
    }

    /// Whether the condition of a guard holds; its row is written then.
    fn admits(&self, state: &mut State, execution: usize, of: usize, guard: &TransactWriteItem) -> bool {
        let consumer = state.ledger.executions[execution].consumer;
        if let Some(put) = guard.put() {
            if put.condition_expression() != Some("attribute_not_exists(#key)") {
                state.ledger.violation(format!("P7: a guard of the record has no such condition: {put:?}"));
            }
            let (key, life) = (text(&put.item()["key"]), expires(&put.item()["expires"]));
            return self.admits_once(state, consumer, of, key, life);
        }
        let update = guard.update().expect("a guard puts a row or updates one");
        let values = update.expression_attribute_values().expect("an update has values");
        let number = SequenceNumber::new(text(&values[":applied"]).trim_start_matches('0')).expect("a number");
        let key = row(text(&update.key()["key"]));
        if (key, id(&number)) != (Row::Item { consumer, item: self.item(of) }, of) {
            state.ledger.violation(format!("the guard of change {of} is of {key:?} and {number:?}"));
        }
        let created_at = values.get(":guarded_at").and_then(|millis| millis.as_n().ok()?.parse().ok());
        let passed = values.get(":guarded").map(|_| of);
        let passed_created_at = created_at.map(|millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let to = MarkRow { passed, passed_created_at, applied: Some(of) };
        let condition = update.condition_expression().expect("a guard has a condition");
        let is_of_applied = condition == "(attribute_not_exists(#applied) OR #applied < :applied)";
        if !is_of_applied && !condition.contains("#guarded <") && !condition.contains("#passed <") {
            state.ledger.violation(format!("P7: a guard of the item has the condition {condition}"));
        }
        let is_of_passed = !is_of_applied || self.subject == Subject::GuardsPassed;
        let is_admitted = self.admits_newest(state, (consumer, of), (is_of_passed, to), expires(&values[":expires"]));
        if is_admitted {
            state.ledger.executions[execution].admitted.insert(of);
            state.ledger.history(consumer, of).guarded = true;
            self.supersede(state, execution, of, false);
        }
        is_admitted
    }

    fn admits_once(&self, state: &mut State, consumer: usize, id: usize, key: &str, life: Duration) -> bool {
        let of = *state.rows.once_keys.entry(key.to_owned()).or_insert((consumer, id));
        if of != (consumer, id) {
            state
                .ledger
                .violation(format!("the guards of change {id} of consumer {consumer} and of {of:?} have one row"));
        }
        let is_new = state.rows.insert_once(consumer, id, life);
        self.tally.count(if is_new { Event::OnceEffect } else { Event::OnceRefused });
        is_new
    }

    fn admits_newest(
        &self,
        state: &mut State,
        (consumer, id): (usize, usize),
        (is_of_passed, to): (bool, MarkRow),
        life: Duration,
    ) -> bool {
        let item = self.item(id);
        let row = state.rows.mark(consumer, item);
        let event = match if is_of_passed { row.passed } else { row.applied }.cmp(&Some(id)) {
            Ordering::Less => Event::NewestEffect,
            Ordering::Equal => Event::NewestDone,
            Ordering::Greater => Event::NewestStale,
        };
        self.tally.count(event);
        if event == Event::NewestStale {
            state.ledger.history(consumer, id).stale = true;
        } else if event == Event::NewestEffect {
            state.rows.raise(consumer, item, to, life);
        }
        event == Event::NewestEffect
    }

    /// How long the rows of guards are kept.
    fn life(&self) -> Duration {
        self.plan.settings.marks.map_or(LONG_LIFE, |marks| marks.life)
    }

    /// Whether the rows that guards have made at any time are still there, as far as the settings say.
    fn guards_live(&self) -> bool {
        self.begun.elapsed() + SETTLES < self.life()
    }

    /// P7: with a guard, no effect is repeated, and a guard of the item lets no projection go backwards.
    fn apply(&self, state: &mut State, consumer: usize, id: usize) {
        let (item, guard) = (self.item(id), self.plan.settings.guard);
        let history = state.ledger.history(consumer, id);
        history.effects += 1;
        let is_repeated = history.effects > 1;
        let before = state.ledger.projection.insert((consumer, item), id);
        let goes_backwards = before.is_some_and(|before| before > id);
        if is_repeated {
            self.tally.count(Event::Repetition);
        }
        if goes_backwards && guard == GuardPlan::None {
            self.tally.count(Event::Backwards);
            let skips = self.plan.settings.marks.is_some_and(|marks| marks.skips_stale);
            self.tally.add(Event::BackwardsWithSkip, skips.into());
        }
        if guard == GuardPlan::None || !self.guards_live() {
            return;
        }
        if is_repeated {
            state.ledger.violation(format!("P7: the effect of change {id} is repeated although there is a guard"));
        }
        if goes_backwards && guard == GuardPlan::Newest {
            let before = before.unwrap_or_default();
            state.ledger.violation(format!("P7: the projection of item {item} goes back from change {before} to {id}"));
        }
    }
}
