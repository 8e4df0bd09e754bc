//! Runs one column so many times: for profilers, and for `instructions.sh`.
//!
//! `columns` lists them; `columns NAME RECORDS ROUNDS` runs one.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, records, rounds] = &arguments[..] else {
        let stage = lambda_streams_benches::Stage::new(1);
        stage.columns().iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let stage = lambda_streams_benches::Stage::new(records.parse().expect("a number of records"));
    let columns = stage.columns();
    let (_, run) = columns.iter().find(|(column, _)| column == name).expect("a column that the list has");
    (0..rounds.parse().expect("a number of rounds")).for_each(|_: u32| run());
}
