//! Splits a bulk that failed as a whole, so the record that it failed for is found.

use super::Member;

/// Adds the parts of a bulk to those that are still to run, the last of which runs next. The lower positions come first.
///
/// After a timeout the lowest record goes alone before the two halves of the rest, so the checkpoint moves even where every
/// larger bulk runs out of time.
pub(super) fn split(mut members: Vec<Member>, has_timed_out: bool, rest: &mut Vec<Vec<Member>>) {
    let lowest = (has_timed_out && members.len() > 2).then(|| members.remove(0));
    let upper = members.split_off(members.len().div_ceil(2));
    let lowest = lowest.map(|member| vec![member]);
    let parts = [Some(upper), Some(members), lowest];
    rest.extend(parts.into_iter().flatten().filter(|part| !part.is_empty()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(positions: std::ops::Range<usize>) -> Vec<Member> {
        positions.map(|position| Member { position, superseded: Vec::new() }).collect()
    }

    /// The parts in the order in which they run.
    fn parts(count: usize, has_timed_out: bool) -> Vec<Vec<usize>> {
        let mut rest = vec![members(100..102)];
        split(members(0..count), has_timed_out, &mut rest);
        let part = |part: Vec<Member>| part.into_iter().map(|member| member.position).collect();
        let mut parts: Vec<Vec<usize>> = rest.into_iter().rev().map(part).collect();
        assert_eq!(parts.pop(), Some(vec![100, 101]), "the parts that were there come after");
        parts
    }

    #[test]
    fn the_lower_half_comes_first() {
        assert_eq!(parts(5, false), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(parts(2, false), [vec![0], vec![1]]);
        assert_eq!(parts(1, false), [vec![0]], "what is left of a bulk goes alone");
    }

    #[test]
    fn after_a_timeout_the_lowest_record_goes_alone() {
        assert_eq!(parts(6, true), [vec![0], vec![1, 2, 3], vec![4, 5]]);
        assert_eq!(parts(3, true), [vec![0], vec![1], vec![2]]);
        assert_eq!(parts(2, true), [vec![0], vec![1]]);
        assert_eq!(parts(1, true), [vec![0]]);
    }

    #[test]
    fn a_record_is_in_at_most_log2_n_plus_1_bulks() {
        for has_timed_out in [false, true] {
            for count in 1..300 {
                let mut calls = vec![0_u32; count];
                let mut rest = vec![members(0..count)];
                while let Some(bulk) = rest.pop() {
                    bulk.iter().for_each(|member| calls[member.position] += 1);
                    if bulk.len() > 1 {
                        split(bulk, has_timed_out, &mut rest);
                    }
                }
                let most = calls.into_iter().max().unwrap_or_default();
                assert!(most <= count.next_power_of_two().ilog2() + 1, "{most} calls of {count}");
            }
        }
    }
}
