//! Runs one column a given number of times: for profilers, and for `instructions.sh`.
//!
//! `columns` lists them; `columns NAME RECORDS ROUNDS` runs one.

use lambda_streams_benches::{Column, Stage};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, records, rounds] = &arguments[..] else {
        return Column::ALL.iter().for_each(|column| println!("{}", column.name()));
    };
    let column = Column::named(name).expect("a column that the list has");
    let stage = Stage::new(records.parse().expect("a number of records"));
    let rounds: u32 = rounds.parse().expect("a number of rounds");
    (0..rounds).for_each(|_| stage.run(column, stage.body(column).to_vec()));
}
