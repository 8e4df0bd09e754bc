//! Runs one column so many times: for profilers, and for `instructions.sh`.
//!
//! `columns` lists them; `columns NAME RECORDS ROUNDS` runs one.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, records, rounds] = &arguments[..] else {
        let stage = lambda_streams_benches::Stage::new(1);
        stage.columns().iter().for_each(|column| println!("{}", column.name));
        return;
    };
    let stage = lambda_streams_benches::Stage::new(records.parse().expect("a number of records"));
    let columns = stage.columns();
    let column = columns.iter().find(|column| column.name == name).expect("a column that the list has");
    (0..rounds.parse().expect("a number of rounds")).for_each(|_: u32| (column.run)(column.body.to_vec()));
}
