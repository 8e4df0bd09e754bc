//! Writes an event with a given number of records to standard output.

use std::io::Write;

fn main() {
    let records = std::env::args().nth(1).and_then(|records| records.parse().ok()).expect("a number of records");
    let payload = lambda_streams_benches::payload(lambda_streams_benches::Shape::of(records));
    std::io::stdout().write_all(&payload).expect("standard output takes it");
}
