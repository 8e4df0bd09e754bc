//! Counts what one column allocates: `counts NAME RECORDS` prints the allocations and the peak in bytes, for `throughput`.
//!
//! A program of its own, because an allocator that counts would slow down what `throughput` times.

use std::alloc::System;

use lambda_streams_benches::{Column, Stage};
use peakmem_alloc::{PeakMemAlloc, PeakMemAllocTrait};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: PeakMemAlloc<&StatsAlloc<System>> = PeakMemAlloc::new(&INSTRUMENTED_SYSTEM);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, records] = &arguments[..] else { panic!("usage: counts NAME RECORDS") };
    let column = Column::named(name).expect("a name that `columns` lists");
    let stage = Stage::new(records.parse().expect("a number of records"));
    // The first batch also allocates what later ones find in place.
    stage.run(column, stage.body(column).to_vec());

    ALLOCATOR.reset_peak_memory();
    // The runtime allocates the payload: it is part of the peak, but not an allocation of the function.
    let body = stage.body(column).to_vec();
    let before = allocations();
    stage.run(column, body);
    println!("{} {}", allocations() - before, ALLOCATOR.get_peak_memory());
}

/// All allocations so far. A text or list that grows allocates again.
fn allocations() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.allocations + stats.reallocations
}
