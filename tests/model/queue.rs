//! The dead-letter queue of a plan: down, partial, slow, or lying.

use std::sync::Arc;
use std::time::Duration;

use lambda_streams::{DeadLetter, DeadLetterError, DeadLetterQueue, ErrorKind};

use crate::plan::{Behaviour, QueueFault, Shape};
use crate::routing::{Fault, Route};
use crate::world::{ON_PURPOSE, World};

type Answers = Vec<Result<(), DeadLetterError>>;

pub(crate) struct ModelQueue {
    pub(crate) world: Arc<World>,
    pub(crate) environment: usize,
    /// Deliberately broken: says yes before the queue does.
    pub(crate) acknowledges_at_once: bool,
}

fn refused() -> Result<(), DeadLetterError> {
    Err(DeadLetterError::new("the queue is down"))
}

impl DeadLetterQueue for ModelQueue {
    async fn send(&self, letters: &[DeadLetter]) -> Answers {
        let answers = self.answer(letters);
        if self.acknowledges_at_once {
            // Whatever comes of it.
            let _ = tokio::time::timeout(Duration::from_millis(1), answers).await;
            return letters.iter().map(|_| Ok(())).collect();
        }
        let answers = answers.await;
        self.deny(letters, &answers);
        answers
    }
}

impl ModelQueue {
    async fn answer(&self, letters: &[DeadLetter]) -> Answers {
        let fault = {
            let mut ledger = self.world.ledger();
            ledger.queue_calls += 1;
            self.world.plan.queue.get(ledger.queue_calls - 1).copied().unwrap_or(QueueFault::Accept { millis: 0 })
        };
        self.world.compute(self.world.plan.processor.queue_millis, &self.world.tally.computing_queues);
        let accept_all = || letters.iter().for_each(|letter| self.accept(letter));
        match fault {
            QueueFault::Accept { millis } => {
                tokio::time::sleep(Duration::from_millis(millis.into())).await;
                accept_all();
                self.confirm(letters.iter())
            }
            QueueFault::Refuse => letters.iter().map(|_| refused()).collect(),
            QueueFault::Partial { mask } => self.partial(letters, mask),
            QueueFault::Hang => std::future::pending().await,
            QueueFault::Panic => std::panic::panic_any(ON_PURPOSE),
            QueueFault::ShortAnswer => {
                accept_all();
                self.confirm(letters.iter().take(1))
            }
            QueueFault::AcceptAndDeny => {
                accept_all();
                letters.iter().map(|_| refused()).collect()
            }
            QueueFault::AcceptAndHang => {
                accept_all();
                std::future::pending().await
            }
        }
    }

    fn partial(&self, letters: &[DeadLetter], mask: u16) -> Answers {
        let one = |(bit, letter): (usize, &DeadLetter)| {
            if mask >> bit & 1 == 0 {
                return refused();
            }
            self.accept(letter);
            self.confirm(std::iter::once(letter));
            Ok(())
        };
        letters.iter().enumerate().map(one).collect()
    }

    /// P6: a dead letter is one record, byte for byte, and there is a cause in that very record.
    fn accept(&self, letter: &DeadLetter) {
        let mut ledger = self.world.ledger();
        let Some(id) = self.world.stream.id(letter.raw_json()) else {
            return ledger.violation(format!("P6: a dead letter is none of the records: {}", letter.raw_json()));
        };
        let known = &self.world.stream.known[id];
        let processor = &self.world.plan.processor;
        let invocation = letter.request_id().parse().ok().filter(|at| *at < ledger.invocations.len());
        // Of a bulk, what was said of the record alone.
        let bulked = invocation.and_then(|at: usize| ledger.invocations[at].bulked.get(&id)).cloned();
        let bulked = bulked.filter(|_| known.route.is_bulk());
        let follows = processor.follow_lane;
        let is_repeated = known.plan.shape == Shape::SequenceRepeated;
        let cause = match letter.error_kind() {
            ErrorKind::Malformed => {
                known.route == Route::Fails(Fault::Malformed) || is_repeated || known.plan.shape == Shape::KeysNotScalar
            }
            _ if known.is_skipped() && !is_repeated => false,
            ErrorKind::Decode => match known.route {
                Route::To(_) => !known.decodes,
                Route::Fails(fault) => matches!(fault, Fault::EntityUntold | Fault::ConditionUntold | Fault::Keys),
                Route::Skipped(_) => false,
            },
            ErrorKind::Unmatched => known.route == Route::Fails(Fault::Unmatched),
            kind @ (ErrorKind::Panic | ErrorKind::Handler | ErrorKind::Timeout) if known.route.is_bulk() => {
                bulked.as_ref().and_then(|bulked| bulked.own_failure) == Some(kind)
            }
            ErrorKind::Panic => known.is_well_formed() && known.plan.behaviour.panics(),
            ErrorKind::Handler => known.is_well_formed() && known.plan.behaviour.fails(),
            ErrorKind::Timeout => known.is_well_formed() && known.plan.times_out(processor.timeout_of(&known.plan)),
            ErrorKind::Predecessor => follows,
            _ => false,
        };
        if let Some(superseded) = invocation.and_then(|at| ledger.invocations[at].surely_superseded(id))
            && bulked.as_ref().is_some_and(|bulked| bulked.own_failure == Some(letter.error_kind()))
            && superseded != letter.superseded()
        {
            let said = letter.superseded();
            ledger.violation(format!("P6: record {id} superseded {superseded}, and its dead letter says {said}"));
        }
        if !cause {
            let (kind, plan) = (letter.error_kind(), &known.plan);
            ledger.violation(format!(
                "P6: record {id} became a dead letter ({kind}) without a cause of its own: {plan:?}"
            ));
        }
        ledger.records[id].accepted = true;
        ledger.environments[self.environment].done.insert(id);
        if let Some(at) = invocation {
            if bulked.is_some() {
                self.world.tally.bulk_dead_letters.count();
            }
            ledger.finish_superseded(at, id);
        }
        self.world.tally.dead_letters.count();
        match (letter.error_kind(), known.route) {
            (ErrorKind::Unmatched, _) => self.world.tally.unmatched_letters.count(),
            (ErrorKind::Decode, Route::Fails(Fault::EntityUntold)) => self.world.tally.untold_entities.count(),
            (ErrorKind::Decode, Route::Fails(Fault::ConditionUntold)) => self.world.tally.untold_conditions.count(),
            _ => {}
        }
    }

    /// What the processor is told was not accepted can only be reported.
    fn deny(&self, letters: &[DeadLetter], answers: &[Result<(), DeadLetterError>]) {
        let mut ledger = self.world.ledger();
        for (position, letter) in letters.iter().enumerate() {
            let denied = answers.get(position).is_none_or(Result::is_err);
            let invocation: Option<usize> = letter.request_id().parse().ok();
            if let (true, Some(id), Some(at)) = (denied, self.world.stream.id(letter.raw_json()), invocation) {
                ledger.invocations[at].report(id);
            }
        }
    }

    fn confirm<'a>(&self, letters: impl Iterator<Item = &'a DeadLetter>) -> Answers {
        let mut ledger = self.world.ledger();
        let mut one = |letter: &DeadLetter| {
            let id = self.world.stream.id(letter.raw_json());
            let invocation: Option<usize> = letter.request_id().parse().ok();
            if let (Some(id), Some(at)) = (id, invocation.filter(|at| *at < ledger.invocations.len())) {
                ledger.invocations[at].confirmed.insert(id);
                ledger.supersede(at, id);
            }
            Ok(())
        };
        letters.map(&mut one).collect()
    }
}

impl Behaviour {
    fn panics(self) -> bool {
        use Behaviour::*;
        matches!(self, PanicAtOnce | PanicLater { .. } | PanicTimes { .. })
    }

    fn fails(self) -> bool {
        use Behaviour::*;
        matches!(self, FailTimes { .. } | RetryAfter { .. } | FailUntilHealed | Permanent { .. })
    }
}
