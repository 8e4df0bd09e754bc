//! What bulks are for: a sink that takes its time for a request, however many records are in it.
//!
//! Each handler makes its request of its records' new images, as lines of JSON, and waits for the answer.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lambda_streams::{Deadline, HandlerError, Modify, StreamProcessor, bulk};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

use crate::{Item, Shape, payload};

/// The records of a batch: the most that a mapping can be set to.
const RECORDS: usize = 10_000;
const BULK: usize = 100;
/// How long the sink takes for a request.
const LATENCY: Duration = Duration::from_millis(5);

/// How long a batch takes with the default concurrency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkTimes {
    /// With a request for each record.
    pub each: Duration,
    /// With a request for each bulk of 100.
    pub bulk: Duration,
}

impl SinkTimes {
    /// On a paused clock, where only the sink takes time.
    pub fn in_virtual_time() -> Self {
        let send = |lines: String| async move {
            std::hint::black_box(lines);
            sleep(LATENCY).await;
            Ok(())
        };
        let runtime = || runtime(Builder::new_current_thread().enable_time().start_paused(true));
        Self { each: time(&runtime(), &one_by_one(send)), bulk: time(&runtime(), &in_bulks(send)) }
    }

    /// Over HTTP/1.1 on loopback, from a connection pool of this thread to a server on another.
    ///
    /// The bulks' time is the fastest of five: it is short enough for another program to double it.
    pub fn over_http() -> Self {
        let address = serve();
        let runtime = runtime(Builder::new_current_thread().enable_all());
        let client: Client<HttpConnector, Full<Bytes>> =
            runtime.block_on(async { Client::builder(TokioExecutor::new()).build_http() });
        let send = move |lines| post(client.clone(), address, lines);
        let (each, bulks) = (one_by_one(send.clone()), in_bulks(send));
        let bulk = (0..5).map(|_| time(&runtime, &bulks)).min().expect("five times");
        Self { each: time(&runtime, &each), bulk }
    }

    /// How many times as fast bulks are.
    pub fn speedup(self) -> f64 {
        self.each.as_secs_f64() / self.bulk.as_secs_f64()
    }
}

fn one_by_one<S, F>(send: S) -> StreamProcessor
where
    S: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let each = move |change: Modify<Item>| send(line(&change));
    StreamProcessor::builder().on_modify(each).build().expect("a processor")
}

fn in_bulks<S, F>(send: S) -> StreamProcessor
where
    S: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let all = move |changes: Vec<Modify<Item>>| send(changes.iter().map(line).collect());
    StreamProcessor::builder().on_modify(bulk(all).max_records(BULK)).build().expect("a processor")
}

fn line(change: &Modify<Item>) -> String {
    serde_json::to_string(&change.new).expect("an item is JSON") + "\n"
}

fn runtime(builder: &mut Builder) -> Runtime {
    builder.build().expect("a runtime")
}

fn time(runtime: &Runtime, processor: &StreamProcessor) -> Duration {
    let body = payload(Shape::of(RECORDS));
    runtime.block_on(async {
        let begun = Instant::now();
        let report = processor.process_payload(body, Deadline::none()).await.expect("a stream event");
        let time = begun.elapsed();
        assert_eq!(report.counts().succeeded, RECORDS);
        time
    })
}

async fn post(client: Client<HttpConnector, Full<Bytes>>, sink: SocketAddr, lines: String) -> Result<(), HandlerError> {
    let request = Request::post(format!("http://{sink}/")).body(Full::new(Bytes::from(lines)))?;
    let response = client.request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status.is_success() { Ok(()) } else { Err(HandlerError::retryable(status.to_string())) }
}

/// Starts the sink on a free port of loopback. It ends with the process.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.set_nonblocking(true).expect("it can be");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        runtime(Builder::new_current_thread().enable_all()).block_on(async {
            let listener = TcpListener::from_std(listener).expect("it does not block");
            while let Ok((stream, _)) = listener.accept().await {
                // Without Nagle's algorithm, as the client does.
                let _ = stream.set_nodelay(true);
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
            }
        });
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let lines = request.into_body().collect().await;
    sleep(LATENCY).await;
    let status = if lines.is_ok() { 200 } else { 400 };
    Ok(Response::builder().status(status).body(Full::default()).expect("a valid status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulks_take_a_hundredth_of_the_time_at_the_default_concurrency() {
        let times = SinkTimes::in_virtual_time();
        let requests = |count: usize| LATENCY * (count / 10) as u32;
        assert_eq!(times, SinkTimes { each: requests(RECORDS), bulk: requests(RECORDS / BULK) });
        assert!(times.speedup() >= 50.0);
    }
}
