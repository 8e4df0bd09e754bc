//! Which records may still start: all of them, those before the earliest reported one, or none. A gate only ever closes.

/// Lets records start by their position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Every record may start.
    Open,
    /// Only records before this position may start: it is reported, and Lambda delivers everything from it on again.
    Before(usize),
    /// No further record starts.
    Shut,
}

impl Gate {
    pub(super) fn admits(self, position: usize) -> bool {
        match self {
            Self::Open => true,
            Self::Before(reported) => position < reported,
            Self::Shut => false,
        }
    }

    /// A record was reported: it and the records after it no longer start.
    pub(super) fn close_at(&mut self, position: usize) {
        *self = match *self {
            Self::Open => Self::Before(position),
            Self::Before(earlier) => Self::Before(earlier.min(position)),
            Self::Shut => Self::Shut,
        }
    }

    pub(super) fn shut(&mut self) {
        *self = Self::Shut;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(gate: Gate) -> Vec<usize> {
        (0..5).filter(|position| gate.admits(*position)).collect()
    }

    #[test]
    fn a_gate_only_closes() {
        let mut gate = Gate::Open;
        assert_eq!(admitted(gate), [0, 1, 2, 3, 4]);
        gate.close_at(3);
        assert_eq!(admitted(gate), [0, 1, 2]);
        gate.close_at(1);
        assert_eq!(admitted(gate), [0]);
        gate.close_at(4);
        assert_eq!(admitted(gate), [0], "an earlier record is reported already");
        gate.shut();
        gate.close_at(4);
        assert_eq!(admitted(gate), [0; 0]);
    }
}
