//! How long 1,000 handlers wait for each other: every tenth takes 10 ms and the others 1 ms, on a paused clock.
//!
//! `cargo bench --bench slow_handlers`: it tells scheduling alone, and the same on every machine.

use std::time::Duration;

use futures::{StreamExt, stream};
use lambda_streams::{Deadline, Record, StreamEvent, StreamProcessor};
use lambda_streams_benches::{Shape, payload};

fn main() {
    println!("1,000 handlers of 1 ms, every tenth of 10 ms; milliseconds of virtual time until all are done");
    let duration = |number: usize| Duration::from_millis(if number.is_multiple_of(10) { 10 } else { 1 });
    let sleep = move |number| tokio::time::sleep(duration(number));
    let handler = move |record: Record| async move {
        let number: usize = record.sequence_number().expect("it has one").as_str().parse().expect("a number that fits");
        sleep(number % 1_000).await;
        Ok(())
    };
    let processor = StreamProcessor::builder().on_record(handler).build().expect("a processor");
    let body = payload(Shape { images: false, ..Shape::of(1_000) });
    took("ours, ten at once", async {
        let event = StreamEvent::from_slice(&body).expect("a stream event");
        processor.process(event, Deadline::none()).await
    });
    took("waves of ten", async {
        for wave in 0..100 {
            stream::iter(wave * 10..wave * 10 + 10).for_each_concurrent(None, sleep).await;
        }
    });
    took("unbounded", stream::iter(0..1_000).for_each_concurrent(None, sleep));
}

fn took(name: &str, run: impl Future) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let time = runtime.expect("a runtime").block_on(async {
        let begun = tokio::time::Instant::now();
        run.await;
        begun.elapsed()
    });
    println!("  {name:34} {:>8}", time.as_millis());
}
