//! The arguments of `throughput`.

use std::fmt;

/// The largest batch that a mapping of a DynamoDB stream can be set to.
const LARGEST_BATCH: usize = 10_000;

pub const HELP: &str = "\
Measures the throughput of one batch, and compares it with the same function written by hand.

Usage: cargo bench [-- [OPTIONS] [RECORDS]...]

Arguments:
  [RECORDS]...  Records in a batch, from 1 to 10,000 [default: 1 100 1000 3700 10000]

Options:
      --fastest  Shows the fastest round of each measurement instead of the median
  -h, --help     Prints this help
";

/// What `throughput` is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Measure { counts: Vec<usize>, statistic: Statistic },
}

/// Which of a measurement's rounds is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    Median,
    Fastest,
}

impl Command {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// One line that names the wrong argument and says what is right.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, WrongArgument> {
        let (mut counts, mut statistic) = (Vec::new(), Statistic::Median);
        for argument in arguments {
            match argument.as_str() {
                // Cargo passes it to every benchmark.
                "--bench" => {}
                "-h" | "--help" => return Ok(Self::Help),
                "--fastest" => statistic = Statistic::Fastest,
                count => match count.parse() {
                    Ok(count @ 1..=LARGEST_BATCH) => counts.push(count),
                    _ => return Err(WrongArgument(argument)),
                },
            }
        }
        if counts.is_empty() {
            counts = vec![1, 100, 1_000, 3_700, 10_000];
        }
        counts.sort_unstable();
        counts.dedup();
        Ok(Self::Measure { counts, statistic })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct WrongArgument(String);

impl fmt::Display for WrongArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(argument) = self;
        write!(f, "unexpected argument '{argument}': expected numbers of records from 1 to 10000, --fastest, or --help")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(String::from)).map_err(|error| error.to_string())
    }

    fn measure(counts: &[usize], statistic: Statistic) -> Result<Command, String> {
        Ok(Command::Measure { counts: counts.to_vec(), statistic })
    }

    #[test]
    fn default_counts_reach_the_largest_batch() {
        assert_eq!(parse("--bench"), measure(&[1, 100, 1_000, 3_700, LARGEST_BATCH], Statistic::Median));
        assert_eq!(parse("--fastest"), measure(&[1, 100, 1_000, 3_700, LARGEST_BATCH], Statistic::Fastest));
    }

    #[test]
    fn given_counts_replace_the_default() {
        assert_eq!(parse("1000 --bench"), measure(&[1_000], Statistic::Median));
        assert_eq!(parse("--fastest 7 10000 --bench"), measure(&[7, 10_000], Statistic::Fastest));
    }

    #[test]
    fn counts_are_sorted_without_duplicates() {
        assert_eq!(parse("1000 1 1000"), measure(&[1, 1_000], Statistic::Median));
    }

    #[test]
    fn help_wins() {
        assert_eq!(parse("1000 --help --bench"), Ok(Command::Help));
        assert_eq!(parse("-h"), Ok(Command::Help));
    }

    #[test]
    fn wrong_arguments_are_refused_in_one_line() {
        for wrong in ["0", "10001", "99999999999999999999", "-1", "1.5", "1,000", "many", "--fast", "--bench=1"] {
            let expected = "expected numbers of records from 1 to 10000, --fastest, or --help";
            assert_eq!(parse(wrong), Err(format!("unexpected argument '{wrong}': {expected}")));
        }
    }
}
