//! Temporary.
use std::{collections::VecDeque, time::{Duration, Instant}};
use tahr_plugin_api::{Lsn, Position};
#[derive(Debug)]
pub struct Frontier { redo: Duration, seen: VecDeque<(Instant, Lsn)>, told: Option<Lsn> }
impl Frontier {
    pub fn new(redo: Duration) -> Self { Self { redo, seen: VecDeque::new(), told: None } }
    pub fn observe(&mut self, now: Instant, position: Option<Position>) -> Option<Lsn> {
        if let Some(p) = position { if self.seen.back().is_none_or(|l| l.1 < p.lsn) { self.seen.push_back((now, p.lsn)); } }
        while let Some(&(at, lsn)) = self.seen.front() { if now.duration_since(at) >= self.redo { self.told = Some(lsn); self.seen.pop_front(); } else { break } }
        self.told
    }
}
