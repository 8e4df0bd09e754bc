//! Bulk handlers: one call for many records, and what each of them becomes.

mod answers;
mod filling;
mod halving;
mod lanes;
mod latest;
mod settings;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambda_streams::{HandlerError, Record};

use crate::support::about;

/// A change by its item's id and its version.
type Seen = (String, u32);

/// What a sink says of a bulk.
#[derive(Debug, Clone)]
enum Says {
    /// All succeeded.
    Done,
    /// These ids fail retryably, and all others succeed.
    Fails(Vec<&'static str>),
    /// These ids fail permanently, and all others succeed.
    Refuses(Vec<&'static str>),
    /// These ids fail retryably, each with the delay that it asks for.
    After(Vec<(&'static str, Duration)>),
    /// The request fails as a whole.
    Down,
    /// The request fails as a whole, permanently.
    Invalid,
    Panics,
    Hangs,
    /// This many answers, all `Ok`.
    Answers(usize),
}

type Decide = dyn Fn(usize, &[Seen]) -> (Duration, Says) + Send + Sync;

/// A sink that says what the test decides, and keeps the journal of its calls.
#[derive(Clone)]
struct Sink {
    decide: Arc<Decide>,
    journal: Arc<Mutex<Journal>>,
}

#[derive(Default)]
struct Journal {
    calls: Vec<Vec<Seen>>,
    began: Vec<tokio::time::Instant>,
    /// The attempt of each record of each call, as its context tells it.
    attempts: Vec<Vec<u32>>,
    running: usize,
    most_running: usize,
}

impl Sink {
    /// A sink that answers at once; `decide` gets the number of the call and what is in it.
    fn new(decide: impl Fn(usize, &[Seen]) -> Says + Send + Sync + 'static) -> Self {
        Self::slow(move |call, seen| (Duration::ZERO, decide(call, seen)))
    }

    /// A sink that takes some time.
    fn slow(decide: impl Fn(usize, &[Seen]) -> (Duration, Says) + Send + Sync + 'static) -> Self {
        Self { decide: Arc::new(decide), journal: Arc::default() }
    }

    /// The ids of each call.
    fn ids(&self) -> Vec<Vec<String>> {
        self.calls().into_iter().map(|call| call.into_iter().map(|(id, _)| id).collect()).collect()
    }

    /// The versions of each call.
    fn versions(&self) -> Vec<Vec<u32>> {
        self.calls().into_iter().map(|call| call.into_iter().map(|(_, version)| version).collect()).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.calls().iter().map(Vec::len).collect()
    }

    fn calls(&self) -> Vec<Vec<Seen>> {
        self.journal.lock().unwrap().calls.clone()
    }

    fn attempts(&self) -> Vec<Vec<u32>> {
        self.journal.lock().unwrap().attempts.clone()
    }

    fn most_running(&self) -> usize {
        self.journal.lock().unwrap().most_running
    }

    /// How long after the first call each call began.
    fn began(&self) -> Vec<Duration> {
        let journal = self.journal.lock().unwrap();
        journal.began.iter().map(|began| began.duration_since(journal.began[0])).collect()
    }

    /// How many calls had this record.
    fn calls_with(&self, id: &str) -> usize {
        self.ids().iter().filter(|call| call.iter().any(|seen| seen == id)).count()
    }

    async fn take(self: Arc<Self>, records: Vec<Record>) -> Result<Vec<Result<(), HandlerError>>, HandlerError> {
        let seen: Vec<Seen> = records.iter().map(about).collect();
        let (call, _running) = self.begin(&seen, &records);
        let (duration, says) = (self.decide)(call, &seen);
        if duration > Duration::ZERO {
            tokio::time::sleep(duration).await;
        }
        let each =
            |answer: &dyn Fn(&str) -> Result<(), HandlerError>| Ok(seen.iter().map(|(id, _)| answer(id)).collect());
        match says {
            Says::Done => each(&|_| Ok(())),
            Says::Fails(ids) => each(&|id| if ids.contains(&id) { Err("busy".into()) } else { Ok(()) }),
            Says::Refuses(ids) => {
                each(&|id| if ids.contains(&id) { Err(HandlerError::permanent("refused")) } else { Ok(()) })
            }
            Says::After(delays) => each(&|id| match delays.iter().find(|(delayed, _)| *delayed == id) {
                Some((_, delay)) => Err(HandlerError::retry_after("throttled", *delay)),
                None => Ok(()),
            }),
            Says::Down => Err("the sink is down".into()),
            Says::Invalid => Err(HandlerError::permanent("the request is not valid")),
            Says::Panics => panic!("a bug in the handler"),
            Says::Hangs => std::future::pending().await,
            Says::Answers(count) => Ok((0..count).map(|_| Ok(())).collect()),
        }
    }

    fn begin(&self, seen: &[Seen], records: &[Record]) -> (usize, Running) {
        let mut journal = self.journal.lock().unwrap();
        journal.calls.push(seen.to_vec());
        journal.began.push(tokio::time::Instant::now());
        journal.attempts.push(records.iter().map(|record| record.context().attempt()).collect());
        journal.running += 1;
        journal.most_running = journal.most_running.max(journal.running);
        (journal.calls.len(), Running(Arc::clone(&self.journal)))
    }
}

struct Running(Arc<Mutex<Journal>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).running -= 1;
    }
}

/// Shorthand for a handler of the sink.
macro_rules! sink {
    ($sink:expr) => {
        lambda_streams::bulk(lambda_streams::with(std::sync::Arc::new($sink.clone()), super::Sink::take))
    };
}
use sink;
