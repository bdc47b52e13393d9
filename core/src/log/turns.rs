//! Whose turn it is to have the log begin anew.
//!
//! # How rewinding is fair
//!
//! Where neither memory nor disk has room for what lanes lack that lag (`room`), each of them reads on
//! from the source, which is read again for its sake; and that sends every other lane back to where it
//! has stored. Two that are inside transactions larger than memory would send each other back for ever,
//! each before the other has come to the end of its own. So lanes take turns:
//!
//! - A lane for which the log has begun anew *has its turn* until it has stored something behind where
//!   that was, be it only how far it has read where nothing was for it. From then on it reads along with
//!   whoever comes next, wherever the log begins: so each turn brings one lane out of the reach of the
//!   others.
//! - Who comes to what the log has let go of while another has its turn waits, in the order of coming,
//!   is cut off, and so holds up nobody. What the slot keeps for it stays.
//! - A turn ends, too, with a lane that is parked, leaves, or doesn't come for a few seconds: a target
//!   that hangs makes the others wait no longer than that.
//! - What is damaged is no lane's wish: the log begins anew in front of it at once. The turn goes on.

use std::collections::VecDeque;

use tahr_plugin_api::Position;

use super::store::LaneId;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The lane that has its turn, and those that wait for theirs.
    lanes: VecDeque<LaneId>,
    /// Where the log began anew for the first of them, once it has.
    begun_at: Option<Position>,
}

impl Turns {
    /// Lets `lane` wait for its turn; whether that has come. `is_over` says whether a lane needs none
    /// any more, for which the log has begun anew there.
    pub(super) fn ask(
        &mut self,
        lane: LaneId,
        is_over: impl Fn(LaneId, Option<&Position>) -> bool,
    ) -> bool {
        while let Some(&first) = self.lanes.front()
            && is_over(first, self.begun_at.as_ref())
        {
            self.lanes.pop_front();
            self.begun_at = None;
        }
        if !self.lanes.contains(&lane) {
            self.lanes.push_back(lane);
        }
        self.lanes.front() == Some(&lane)
    }

    /// Notes that the log begins anew at `position` for `lane`.
    pub(super) fn begun(&mut self, lane: LaneId, position: Position) {
        if self.lanes.front() == Some(&lane) {
            self.begun_at = Some(position);
        }
    }

    /// Whether others wait until `lane`, which has stored up to `stored`, has stored more.
    pub(super) fn wait_for(&self, lane: LaneId, stored: &Position) -> bool {
        let has_begun = self.begun_at.as_ref().is_some_and(|begun| stored <= begun);
        has_begun && self.lanes.len() > 1 && self.lanes.front() == Some(&lane)
    }

    /// Notes that `lane` waits for nothing: it reads on, or will never.
    pub(super) fn settled(&mut self, lane: LaneId) {
        let Some(place) = self.lanes.iter().position(|&waiting| waiting == lane) else {
            return;
        };
        if place > 0 || self.begun_at.is_none() {
            self.lanes.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use tahr_plugin_api::Lsn;

    use super::*;

    const A: LaneId = LaneId(0);
    const B: LaneId = LaneId(1);
    const C: LaneId = LaneId(2);

    fn none(_: LaneId, _: Option<&Position>) -> bool {
        false
    }

    #[test]
    fn lanes_come_in_the_order_they_asked() {
        let mut turns = Turns::default();
        assert!(turns.ask(A, none));
        turns.begun(A, Position::default());
        assert!(!turns.ask(C, none) && !turns.ask(B, none) && turns.ask(A, none));
        let is_a = |lane, begun: Option<&Position>| lane == A && begun.is_some();
        assert!(!turns.ask(B, is_a), "C has asked before");
        assert!(turns.ask(C, none));
        turns.begun(C, Position::default());
        assert!(!turns.ask(A, none), "again behind B");
        assert!(turns.ask(B, |lane, _| lane == C));
    }

    #[test]
    fn who_reads_on_waits_no_more_but_keeps_its_turn() {
        let mut turns = Turns::default();
        let at = Position::at(Lsn(7));
        assert!(turns.ask(A, none));
        turns.begun(A, at.clone());
        assert!(!turns.wait_for(A, &at), "nobody waits");
        assert!(!turns.ask(B, none) && !turns.ask(C, none));
        assert!(turns.wait_for(A, &at) && !turns.wait_for(A, &Position::at(Lsn(8))));
        assert!(!turns.wait_for(B, &at));
        turns.settled(A);
        turns.settled(B);
        assert!(!turns.ask(B, none), "A is not through");
        let over = |lane, begun: Option<&Position>| lane == A && begun == Some(&at);
        assert!(turns.ask(C, over), "B had left, and came again");
        turns.settled(C);
        assert!(turns.ask(B, none), "nothing had begun for C");
    }
}
