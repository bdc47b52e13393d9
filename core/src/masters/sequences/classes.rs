//! The arithmetic of strides and classes.
//!
//! Descending sequences are mirrored: their values are taken times -1, so that every sequence here
//! ascends.

/// How one group of sequences is interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stride {
    /// 1, or -1 for descending sequences.
    sign: i128,
    /// The increment that one source alone had.
    unit: i128,
    /// How many classes there are.
    count: i128,
    /// What all values of class 0 leave when they are divided by `unit`.
    base: i128,
}

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) increment: i64,
    pub(super) last: i64,
    /// Whether `last` was drawn; else it is drawn next.
    pub(super) is_called: bool,
}

impl Place {
    fn next(self) -> i128 {
        let step = if self.is_called { self.increment } else { 0 };
        i128::from(self.last) + i128::from(step)
    }
}

impl Stride {
    /// Classes for `members` sources. `unit` is the increment that one source alone had, negative
    /// for descending sequences, `start` a value that it may have drawn.
    pub(super) fn new(members: usize, unit: i64, start: i64) -> Self {
        let sign = i128::from(unit.signum());
        let unit = i128::from(unit).abs();
        Self {
            sign,
            unit,
            count: members.next_power_of_two().max(2) as i128,
            base: (sign * i128::from(start)).rem_euclid(unit),
        }
    }

    /// The increment of each sequence; none where no increment is so large.
    pub(super) fn increment(self) -> Option<i64> {
        i64::try_from(self.sign * self.unit * self.count).ok()
    }

    /// The first value of the member's class beyond all of `seen`; none where no value is so large.
    pub(super) fn first_beyond(
        self,
        seen: impl Iterator<Item = i64>,
        member: usize,
    ) -> Option<i64> {
        let step = self.unit * self.count;
        let class = self.base + self.unit * member as i128;
        let highest = seen.map(|value| self.sign * i128::from(value)).max()?;
        let next = highest + 1;
        let value = next + (class - next).rem_euclid(step);
        i64::try_from(self.sign * value).ok()
    }
}

/// Whether sequences of different members can never draw the same value from here on: they have the
/// same stride and each member its own classes.
pub(super) fn are_apart(places: &[(usize, Place)]) -> bool {
    let Some((_, first)) = places.first() else {
        return true;
    };
    let stride = i128::from(first.increment);
    let class = |place: &Place| place.next().rem_euclid(stride.abs());
    places.iter().enumerate().all(|(at, (member, place))| {
        place.increment == first.increment
            && places[..at]
                .iter()
                .all(|(other, earlier)| other == member || class(earlier) != class(place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(increment: i64, last: i64) -> Place {
        Place {
            increment,
            last,
            is_called: true,
        }
    }

    #[test]
    fn classes_begin_beyond_all_that_was_seen_and_never_meet() {
        for (members, unit, start) in [(2, 1, 1), (3, 1, 1), (5, 50, 1), (2, -1, -1), (3, -10, 100)]
        {
            let stride = Stride::new(members, unit, start);
            let increment = stride.increment().unwrap();
            let seen = [start, start + 17 * unit, start + 3 * unit];
            let mut places = Vec::new();
            for member in 0..members {
                let first = stride.first_beyond(seen.into_iter(), member).unwrap();
                assert!(
                    (first - seen[1]).signum() == unit.signum(),
                    "{first} beyond {seen:?}"
                );
                assert!(
                    (first - start) % unit == 0,
                    "{first} is in no block of {unit}"
                );
                let place = Place {
                    increment,
                    last: first,
                    is_called: false,
                };
                places.push((member, place));
            }
            assert!(are_apart(&places));
        }
        assert_eq!(Stride::new(3, 1, 1).increment(), Some(4));
        assert_eq!(Stride::new(2, -5, 1).increment(), Some(-10));
    }

    #[test]
    fn sequences_that_could_meet_are_found() {
        assert!(!are_apart(&[(0, place(1, 5)), (1, place(1, 900))]));
        assert!(!are_apart(&[(0, place(2, 4)), (1, place(2, 8))]));
        assert!(!are_apart(&[(0, place(2, 4)), (1, place(4, 7))]));
        assert!(are_apart(&[(0, place(2, 4)), (1, place(2, 7))]));
        assert!(are_apart(&[
            (0, place(4, 4)),
            (0, place(4, 8)),
            (1, place(4, 5))
        ]));
        assert!(!are_apart(&[
            (0, place(2, 4)),
            (1, place(2, 7)),
            (2, place(1, 1))
        ]));
    }

    #[test]
    fn nothing_overflows() {
        let stride = Stride::new(64, 1, 1);
        assert_eq!(stride.first_beyond([i64::MAX].into_iter(), 0), None);
        assert_eq!(Stride::new(2, i64::MAX, 1).increment(), None);
        let down = Stride::new(2, -1, -1);
        assert_eq!(down.first_beyond([i64::MIN].into_iter(), 1), None);
        assert!(are_apart(&[(0, place(i64::MIN, i64::MIN))]));
    }
}
