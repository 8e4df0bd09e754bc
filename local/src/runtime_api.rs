//! The Lambda Runtime API of one execution environment, served on loopback.

mod routes;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

use crate::function::Response;
use crate::request_id::request_id;

/// The largest response of a function, in bytes; if it is larger, Lambda fails the invocation.
const MAX_RESPONSE: usize = 6_291_556;

/// How far the function has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not asked for an invocation yet.
    Starting,
    /// It has asked for one.
    Ready,
    /// It has said that it cannot start.
    InitError { error_type: String, message: String },
}

/// One call of the function.
pub(crate) struct Invocation {
    pub(crate) id: String,
    /// Of this one call, where a request id can be that of several: the function sends it back.
    pub(crate) invocation_id: String,
    pub(crate) payload: String,
    pub(crate) deadline: SystemTime,
    pub(crate) function_arn: String,
    pub(crate) trace_header: String,
}

impl Invocation {
    pub(crate) fn new(payload: String, timeout: Duration, function_arn: String) -> Self {
        let now = SystemTime::now();
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            id: request_id(&mut fastrand::Rng::new()),
            invocation_id: request_id(&mut fastrand::Rng::new()),
            payload,
            deadline: now.checked_add(timeout).unwrap_or(now),
            function_arn,
            trace_header: format!(
                "Root=1-{seconds:08x}-{:024x};Parent={:016x};Sampled=0",
                fastrand::u128(..) >> 32,
                fastrand::u64(..)
            ),
        }
    }

    fn deadline_millis(&self) -> u128 {
        self.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
    }
}

/// Shows which invocation it is, and nothing of its payload.
impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("id", &self.id).field("bytes", &self.payload.len()).finish_non_exhaustive()
    }
}

/// A Runtime API that serves as long as this value lives.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Aborted on drop.
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// An invocation waits to be asked for.
    queued: Notify,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Invocation>,
    /// Who waits for the response, by request id.
    open: HashMap<String, Open>,
}

/// An invocation without a response.
#[derive(Debug)]
struct Open {
    invocation_id: String,
    response: oneshot::Sender<Response>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuntimeApi {
    /// Serves on a free port of the loopback interface.
    pub(crate) async fn serve() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            queued: Notify::new(),
            phase: watch::Sender::new(Phase::Starting),
        });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _server: server })
    }

    /// Host and port, as `AWS_LAMBDA_RUNTIME_API` has them.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// Hands an invocation to the function as soon as it asks for one; the receiver gets the response.
    pub(crate) fn invoke(&self, invocation: Invocation) -> oneshot::Receiver<Response> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.shared.state();
        let open = Open { invocation_id: invocation.invocation_id.clone(), response: sender };
        state.open.insert(invocation.id.clone(), open);
        state.queue.push_back(invocation);
        drop(state);
        self.shared.queued.notify_one();
        receiver
    }
}

/// Serves every connection in a task of its own; all of them end with this future.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // What fails here is the one connection, as when the function has closed it already.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(TokioIo::new(stream), Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(io: TokioIo<tokio::net::TcpStream>, shared: Arc<Shared>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(routes::respond(&shared, request).await) }
    });
    // A connection that breaks is the function's matter: it ends, or connects again.
    let served = http1::Builder::new().serve_connection(io, service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the function has ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_tells_its_deadline_in_milliseconds() {
        let invocation = Invocation::new("{}".to_owned(), Duration::from_secs(3), "arn".to_owned());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis();
        assert!((now + 1_000..=now + 3_000).contains(&invocation.deadline_millis()));
        assert!(invocation.trace_header.starts_with("Root=1-"), "{}", invocation.trace_header);
        assert_eq!(
            invocation.trace_header.len(),
            "Root=1-01234567-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0".len()
        );
    }
}
