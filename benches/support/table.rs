//! The table that `throughput` prints.

use std::time::Duration;

use crate::layout::{Group, lay_out};
use crate::numbers::{bytes, grouped, significant, times};
use crate::{Column, SinkTimes, Statistic};

/// What was measured with batches of one size.
#[derive(Debug)]
pub struct Batch {
    pub records: usize,
    pub payload_bytes: usize,
    pub measured: Vec<Measured>,
}

/// What one column took for one batch.
#[derive(Debug)]
pub struct Measured {
    pub column: Column,
    pub time: Duration,
    pub allocations: u64,
    /// The payload included.
    pub peak_bytes: u64,
}

/// The rows of the second part.
const OTHER_WAYS: [(Column, &str); 4] = [
    (Column::TowerService, "ours as a tower service (lambda_runtime::run)"),
    (Column::ImagesChecked, "ours, raw records: images checked, not decoded"),
    (Column::NoHandler, "ours, no handler for the kind of change"),
    (Column::ByHandUntracked, "by hand, deserialized without path tracking"),
];

/// The columns that `render` shows, which `throughput` must measure.
pub const SHOWN: [Column; 6] = [
    Column::ByHand,
    Column::FromBytes,
    Column::TowerService,
    Column::ImagesChecked,
    Column::NoHandler,
    Column::ByHandUntracked,
];

/// The lines before the table: what is measured, and how to read it.
pub fn introduction(cores: usize, statistic: Statistic) -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let rounds = match statistic {
        Statistic::Median => "median",
        Statistic::Fastest => "fastest",
    };
    format!(
        "\
One batch of DynamoDB stream records, from the payload's bytes to the response:
  ours      lambda_streams::run; its handler gets both images of an item with 13 attributes, decoded
  by hand   aws_lambda_events, serde_dynamo and buffer_unordered(10), deserialized as lambda_runtime does it
Times are CPU time on one of {cores} cores ({os}, {arch}), the {rounds} of rounds in which all take turns.
Rates depend on the machine and its load. Speedups do much less: compare those, within one run.
"
    )
}

/// The table by record count, and below it the other ways to use the crate.
///
/// # Panics
///
/// If there is no batch, or if a batch lacks one of the columns [`SHOWN`].
pub fn render(batches: &[Batch]) -> String {
    [lay_out(&by_count(batches)), lay_out(&other_ways(batches))].join("\n")
}

/// The table of what bulks are for, and how to read it.
pub fn render_sinks(virtual_time: SinkTimes, http: SinkTimes) -> String {
    let rows = [("in virtual time", virtual_time), ("over HTTP on loopback", http)];
    let column = |heading: &str, cell: &dyn Fn(SinkTimes) -> String| -> Vec<String> {
        std::iter::once(heading.to_owned()).chain(rows.iter().map(|(_, times)| cell(*times))).collect()
    };
    let millis = |time: Duration| format!("{} ms", significant(time.as_secs_f64() * 1e3, 3));
    let names = std::iter::once("requests of").chain(rows.iter().map(|(name, _)| *name));
    let names = names.map(|name| format!("{name:47}")).collect();
    let columns = vec![
        column("1 record", &|times| millis(times.each)),
        column("100", &|times| millis(times.bulk)),
        column("speedup", &|sink| times(sink.speedup())),
    ];
    let table = lay_out(&[Group::new("", vec![names]), Group::new("10,000 records", columns)]);
    format!(
        "A sink that takes 5 ms for a request, ten requests at once, until all is answered (time, not CPU time):\n\n{table}"
    )
}

fn by_count(batches: &[Batch]) -> Vec<Group> {
    let column = |heading: &str, cell: &dyn Fn(&Batch) -> String| -> Vec<String> {
        std::iter::once(heading.to_owned()).chain(batches.iter().map(cell)).collect()
    };
    let both = |cell: &dyn Fn(&Batch, Column) -> String| {
        let ours = column("ours", &|batch| cell(batch, Column::FromBytes));
        let by_hand = column("by hand", &|batch| cell(batch, Column::ByHand));
        vec![ours, by_hand]
    };
    let records = column("records", &|batch| grouped(batch.records as f64, 0));
    let payload = column("payload", &|batch| bytes(batch.payload_bytes));
    let mut records_per_second = both(&|batch, column| significant(batch.records_per_second(column), 3));
    records_per_second.push(column("speedup", &|batch| times(batch.speedup(Column::FromBytes))));
    vec![
        Group::new("batch", vec![records, payload]),
        Group::new("records per second", records_per_second),
        Group::new("MB per second", both(&|batch, column| significant(batch.megabytes_per_second(column), 3))),
        Group::new("allocations/record", both(&|batch, column| significant(batch.allocations_per_record(column), 3))),
        Group::new("peak memory/payload", both(&|batch, column| times(batch.peak(column)))),
    ]
}

/// Their allocations and peaks are those of the largest batch.
fn other_ways(batches: &[Batch]) -> Vec<Group> {
    let column = |heading: String, cell: &dyn Fn(Column) -> String| -> Vec<String> {
        std::iter::once(heading).chain(OTHER_WAYS.into_iter().map(|(way, _)| cell(way))).collect()
    };
    let speedup = |batch: &Batch| column(grouped(batch.records as f64, 0), &|way| times(batch.speedup(way)));
    let largest = batches.last().expect("a batch was measured");
    let allocations = column("allocations/record".into(), &|way| significant(largest.allocations_per_record(way), 3));
    let peak = column("peak".into(), &|way| times(largest.peak(way)));
    let names = std::iter::once("other ways").chain(OTHER_WAYS.map(|(_, name)| name));
    vec![
        Group::new("", vec![names.map(|name| format!("{name:47}")).collect()]),
        Group::new("speedup, by records", batches.iter().map(speedup).collect()),
        Group::new("in the largest batch", vec![allocations, peak]),
    ]
}

impl Batch {
    fn of(&self, column: Column) -> &Measured {
        self.measured.iter().find(|measured| measured.column == column).expect("every shown column was measured")
    }

    fn seconds(&self, column: Column) -> f64 {
        self.of(column).time.as_secs_f64()
    }

    fn speedup(&self, column: Column) -> f64 {
        self.seconds(Column::ByHand) / self.seconds(column)
    }

    fn records_per_second(&self, column: Column) -> f64 {
        self.records as f64 / self.seconds(column)
    }

    fn megabytes_per_second(&self, column: Column) -> f64 {
        self.payload_bytes as f64 / 1e6 / self.seconds(column)
    }

    fn allocations_per_record(&self, column: Column) -> f64 {
        self.of(column).allocations as f64 / self.records as f64
    }

    /// The peak as a multiple of the payload.
    fn peak(&self, column: Column) -> f64 {
        self.of(column).peak_bytes as f64 / self.payload_bytes as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nanoseconds, allocations and peak of each column.
    type Figures = [(Column, u64, u64, u64); SHOWN.len()];

    fn batch(records: usize, payload_bytes: usize, figures: Figures) -> Batch {
        let measured = figures.map(|(column, nanoseconds, allocations, peak_bytes)| Measured {
            column,
            time: Duration::from_nanos(nanoseconds),
            allocations,
            peak_bytes,
        });
        Batch { records, payload_bytes, measured: measured.into() }
    }

    fn one_record() -> Batch {
        let figures = [
            (Column::ByHand, 18_500, 369, 12_932),
            (Column::FromBytes, 5_000, 55, 6_927),
            (Column::TowerService, 7_100, 59, 5_679),
            (Column::ImagesChecked, 3_700, 25, 5_000),
            (Column::NoHandler, 2_760, 20, 4_990),
            (Column::ByHandUntracked, 13_900, 164, 12_500),
        ];
        batch(1, 1_556, figures)
    }

    fn ten_thousand() -> Batch {
        let figures = [
            (Column::ByHand, 384_000_000, 3_630_018, 86_220_663),
            (Column::FromBytes, 52_600_000, 310_661, 20_822_227),
            (Column::TowerService, 89_300_000, 310_197, 33_933_138),
            (Column::ImagesChecked, 38_400_000, 10_700, 20_800_000),
            (Column::NoHandler, 27_400_000, 643, 20_700_000),
            (Column::ByHandUntracked, 291_000_000, 1_580_018, 86_000_000),
        ];
        batch(10_000, 15_528_473, figures)
    }

    #[test]
    fn table_has_a_row_for_each_count() {
        let expected = "
     batch            records per second       MB per second   allocations/record   peak memory/payload
────────────────   ─────────────────────────   ─────────────   ──────────────────   ───────────────────
records  payload      ours  by hand  speedup   ours  by hand        ours  by hand         ours  by hand
      1  1.56 KB   200,000   54,100     3.7×    311     84.1        55.0      369         4.5×     8.3×
 10,000  15.5 MB   190,000   26,000     7.3×    295     40.4        31.1      363         1.3×     5.6×

                                                  speedup, by records     in the largest batch
                                                  ───────────────────   ────────────────────────
other ways                                                  1  10,000   allocations/record  peak
ours as a tower service (lambda_runtime::run)            2.6×    4.3×                 31.0  2.2×
ours, raw records: images checked, not decoded           5.0×     10×                 1.07  1.3×
ours, no handler for the kind of change                  6.7×     14×                 0.06  1.3×
by hand, deserialized without path tracking              1.3×    1.3×                  158  5.5×
";
        assert_eq!(format!("\n{}", render(&[one_record(), ten_thousand()])), expected);
    }

    #[test]
    fn table_of_one_count_has_one_speedup_for_each_way() {
        let expected = "
     batch            records per second       MB per second   allocations/record   peak memory/payload
────────────────   ─────────────────────────   ─────────────   ──────────────────   ───────────────────
records  payload      ours  by hand  speedup   ours  by hand        ours  by hand         ours  by hand
 10,000  15.5 MB   190,000   26,000     7.3×    295     40.4        31.1      363         1.3×     5.6×

                                                  speedup, by records     in the largest batch
                                                  ───────────────────   ────────────────────────
other ways                                                     10,000   allocations/record  peak
ours as a tower service (lambda_runtime::run)                    4.3×                 31.0  2.2×
ours, raw records: images checked, not decoded                    10×                 1.07  1.3×
ours, no handler for the kind of change                           14×                 0.06  1.3×
by hand, deserialized without path tracking                      1.3×                  158  5.5×
";
        assert_eq!(format!("\n{}", render(&[ten_thousand()])), expected);
    }

    #[test]
    fn sinks_have_a_row_for_each_clock() {
        let times = |each, bulk| SinkTimes { each: Duration::from_millis(each), bulk: Duration::from_millis(bulk) };
        let expected = "
A sink that takes 5 ms for a request, ten requests at once, until all is answered (time, not CPU time):

                                                        10,000 records
                                                  ──────────────────────────
requests of                                       1 record      100  speedup
in virtual time                                   5,000 ms  50.0 ms     100×
over HTTP on loopback                             6,510 ms  90.0 ms      72×
";
        let rendered = render_sinks(times(5_000, 50), times(6_512, 90));
        assert_eq!(format!("\n{rendered}"), expected);
    }

    #[test]
    fn introduction_names_the_statistic_and_the_cores() {
        assert!(introduction(2, Statistic::Median).contains("one of 2 cores"));
        assert!(introduction(2, Statistic::Median).contains("the median of rounds"));
        assert!(introduction(2, Statistic::Fastest).contains("the fastest of rounds"));
    }

    #[test]
    fn lines_are_at_most_110_wide() {
        let batches = [one_record(), one_record(), one_record(), one_record(), ten_thousand()];
        let text = introduction(128, Statistic::Fastest) + &render(&batches);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(110), "{widest:?}");
    }
}
