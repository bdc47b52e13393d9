//! The judge: takes in, decides, stores, and gives orders.

use std::{
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tahr_plugin_api::Lsn;
use tokio::sync::mpsc;

use super::{
    Present, Setup,
    asking::{self, Answer},
    books::Books,
    drawing::Drawing,
    first::OWED,
    gathering::Gathering,
    member::Member,
    memory::{Changed, Memory, Recalled},
    show::show,
    strategy::rules,
    trouble::Trouble,
};
use crate::{
    masters::{Tables, Wishes, apply::Event, intake::Seen},
    reconcile::{Parked, Reconciler, State},
};

/// Keys that a window takes before a round is due, however much more there is to read.
const WINDOW: usize = 50_000;
/// A member's cut that has nothing to judge is stored after this much of its log, or this long, so
/// that the source needs to keep less.
pub(super) const ADVANCE_BYTES: u64 = 16 << 20;
pub(super) const ADVANCE_AFTER: Duration = Duration::from_secs(60);
/// How often it looks around when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long what was made during a pause is waited for, where a source doesn't show it, and how often
/// it is looked for.
const CATCHING_UP: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(10));
/// How long members may take to be ready before a circle runs without them.
const BEGINNING: Duration = Duration::from_secs(3);

/// See [`Judge::may_judge`].
#[derive(Debug)]
struct CatchingUp {
    /// None until the sources have answered.
    marks: Option<Vec<(usize, Lsn)>>,
    until: Instant,
}

/// How an attempt ended without trouble.
#[derive(Debug)]
pub(super) enum Ended {
    /// The circle is to end.
    Stopped,
    /// A member is open now: to begin again with it.
    Arrived,
}

/// One attempt's judge.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) setup: &'a Setup,
    pub(super) tables: Arc<Tables>,
    pub(super) members: Vec<Member>,
    pub(super) reconciler: Reconciler,
    pub(super) memory: Memory,
    /// Members that are not what they were.
    pub(super) changed: Vec<Changed>,
    pub(super) orders: mpsc::UnboundedSender<Event>,
    pub(super) events: mpsc::UnboundedReceiver<Event>,
    pub(super) gathering: Option<Gathering>,
    pub(super) books: Books,
    pub(super) drawing: Option<Drawing>,
    pub(super) asked: mpsc::UnboundedSender<Answer>,
    pub(super) answers: mpsc::UnboundedReceiver<Answer>,
    /// After a pause: what is to be read before anything is judged, so that changes which were made
    /// side by side meet.
    catching_up: Option<CatchingUp>,
    pub(super) begun: Instant,
    /// When the members' clocks were asked for last.
    pub(super) clocks_asked: Option<Instant>,
    /// Since when rounds are noted that are not stored.
    pub(super) noted: Option<Instant>,
    /// Cuts that the sources' logs shall be told of once they are stored.
    pub(super) unstored: Vec<(usize, Lsn)>,
    /// Whether something came in since the last round.
    pub(super) has_news: bool,
    pub(super) wishes: Wishes,
    /// Whether cuts are to be stored however little they move, since somebody waits for that.
    pub(super) is_asked: bool,
}

impl<'a> Judge<'a> {
    /// One that goes on from what is stored.
    pub(super) fn new(
        setup: &'a Setup,
        tables: &Arc<Tables>,
        present: &[Option<Present>],
    ) -> Result<Self, Trouble> {
        let rules = rules(&setup.sync, tables, &setup.names)?;
        let (memory, recalled) = Memory::open(setup, present)?;
        let (state, changed) = match recalled {
            Recalled::State(state, changed) => (*state, changed),
            Recalled::Nothing => (State::new(vec![Lsn::ZERO; present.len()]), Vec::new()),
        };
        let (orders, events) = mpsc::unbounded_channel();
        let (asked, answers) = mpsc::unbounded_channel();
        let members = setup.sync.sources.iter().zip(present);
        let members =
            members.map(|(name, present)| Member::new(name, present.clone(), &setup.stop));
        Ok(Self {
            setup,
            tables: Arc::clone(tables),
            members: members.collect(),
            reconciler: Reconciler::new(rules, state),
            memory,
            changed,
            orders,
            events,
            gathering: None,
            books: Books::open(setup, tables)?,
            drawing: None,
            asked,
            answers,
            catching_up: None,
            begun: Instant::now(),
            clocks_asked: None,
            noted: None,
            unstored: Vec::new(),
            has_news: true,
            wishes: setup.handle.wishes(),
            is_asked: false,
        })
    }

    /// Hires appliers, lets the sources meet where they have not, and begins to read.
    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        for (index, member) in self.members.iter_mut().enumerate() {
            member.hire(index, self.setup, &self.tables, &self.orders);
        }
        let sequence = self.sequence_seen().await?;
        if !self.memory.has_met() {
            let state = self.first_state(sequence).await?;
            self.go_on_from(state)?;
        } else if sequence > self.reconciler.state().sequence {
            return Err(Trouble::new(
                format!(
                    "the state in {} is older than what the sources have been given since",
                    self.setup.folder.display()
                ),
                "another engine works with them, or the folder was restored from a copy; put the \
                 newest one back, or let the sources meet anew: stop the engine, remove the folder, \
                 and start with initial = \"merge\" or \"first_source\"",
            ));
        }
        self.greet()?;
        let state = self.reconciler.state();
        for (index, member) in self.members.iter_mut().enumerate() {
            // One that is copied anew is read from wherever that is possible.
            let cut = match &state.parked[index] {
                Some(Parked::Resync) => member.begins(),
                _ => state.cuts[index],
            };
            member.listen(index, self.setup, &self.tables, cut)?;
        }
        // What was on its way when all this ended before.
        let on_its_way: Vec<usize> = (0..self.members.len())
            .filter(|&member| self.reconciler.flight(member).is_some())
            .collect();
        for member in on_its_way {
            self.send(member);
        }
        Ok(())
    }

    /// Takes in and judges until the circle is to end, or a member arrives.
    pub(super) async fn judge(
        &mut self,
        arrived: &mut mpsc::UnboundedReceiver<(usize, Present)>,
        present: &mut [Option<Present>],
    ) -> Result<Ended, Trouble> {
        loop {
            if self.setup.stop.is_stopping() {
                return Ok(Ended::Stopped);
            }
            if let Ok((member, news)) = arrived.try_recv() {
                present[member] = Some(news);
                return Ok(Ended::Arrived);
            }
            self.obey()?;
            self.take_in()?;
            if self.is_judging() {
                self.meet()?;
            }
            if self.has_news && self.may_judge() {
                self.round()?;
            }
            self.advance()?;
            self.store()?;
            self.ask_for_clocks();
            self.show();
            if self.has_news && self.may_judge() {
                tokio::task::yield_now().await;
                continue;
            }
            let (is_judging, has_room) = (self.is_judging(), self.has_room());
            let (setup, events, answers) = (self.setup, &mut self.events, &mut self.answers);
            let (members, gathering) = (&mut self.members, &mut self.gathering);
            let (reconciler, wishes) = (&self.reconciler, self.wishes);
            let waits = reconciler.waiting() > 0;
            let heartbeat = match self.catching_up {
                Some(_) => CATCHING_UP.1,
                None => HEARTBEAT,
            };
            tokio::select! {
                biased;
                () = setup.stop.asked() => {}
                _ = setup.handle.changed(wishes) => {}
                arrival = arrived.recv() => {
                    if let Some((member, news)) = arrival {
                        present[member] = Some(news);
                        return Ok(Ended::Arrived);
                    }
                }
                Some(event) = events.recv() => self.hear(event)?,
                Some(answer) = answers.recv() => self.learn(answer),
                (member, seen) = next(members, reconciler), if is_judging => self.see(member, seen)?,
                () = Gathering::ready(gathering, waits), if is_judging && has_room => {}
                () = tokio::time::sleep(heartbeat) => {}
            }
        }
    }

    /// Ends intakes and appliers, and waits for them.
    pub(super) async fn end(mut self) {
        self.show();
        // What is not stored happens again.
        if self.memory.sync().is_ok() {
            self.release();
        }
        self.members.iter_mut().for_each(Member::dismiss);
        for member in self.members {
            member.leave().await;
        }
    }

    /// Whether anything is taken in at all: not while a person, or a conflict, has paused it.
    pub(super) fn is_judging(&self) -> bool {
        !self.setup.handle.is_paused() && self.reconciler.state().paused.is_none()
    }

    /// Whether more differences may be taken in.
    pub(super) fn has_room(&self) -> bool {
        let owed = (0..self.members.len()).map(|member| self.reconciler.state().owed(member));
        owed.sum::<usize>() <= OWED && self.reconciler.waiting() <= OWED
    }

    /// Does what people ask for.
    fn obey(&mut self) -> Result<(), Trouble> {
        let (before, now) = (self.wishes, self.setup.handle.wishes());
        self.wishes = now;
        if now.kicks != before.kicks {
            self.is_asked = true;
            for applier in self
                .members
                .iter()
                .filter_map(|member| member.applier.as_ref())
            {
                applier.retry_now();
            }
        }
        if now.resumes != before.resumes {
            // What made it pause may be mended.
            let rules = rules(&self.setup.sync, &self.tables, &self.setup.names)?;
            self.reconciler.set_rules(rules);
            asking::marks(self.setup, &self.members, &self.asked);
            self.catching_up = Some(CatchingUp {
                marks: None,
                until: Instant::now() + CATCHING_UP.0,
            });
            let record = self.reconciler.resume();
            self.keep(&record)?;
            for member in 0..self.members.len() {
                let record = self.reconciler.unpark(member);
                self.keep(&record)?;
                self.rejoin(member)?;
            }
            self.has_news = true;
        }
        Ok(())
    }

    /// Whether a round may be held: something is taken in, and what was made during a pause is here.
    fn may_judge(&mut self) -> bool {
        if let Some(catching_up) = &self.catching_up {
            let marks = catching_up.marks.iter().flatten();
            // More than a round takes is not waited for: it could not be taken in.
            let missing = marks.filter(|&&(member, mark)| {
                self.members[member].reached < mark && is_listened(&self.reconciler, member)
            });
            let mut is_there = catching_up.marks.is_some();
            for &(member, _) in missing {
                is_there = false;
                // An intake that finds nothing new says so only now and then.
                self.members[member].wake();
            }
            if is_there || Instant::now() >= catching_up.until {
                self.catching_up = None;
            }
        }
        self.catching_up.is_none() && self.is_judging()
    }

    fn learn(&mut self, answer: Answer) {
        match answer {
            Answer::Marks(marks) => {
                if let Some(catching_up) = &mut self.catching_up {
                    catching_up.marks = Some(marks);
                }
            }
            Answer::Triggers(member, names) => self.members[member].triggers = names,
            Answer::Clocks(clocks) => self.compare_clocks(&clocks),
        }
    }

    fn show(&mut self) {
        let is_meeting = self.reconciler.is_meeting();
        let is_beginning = match &self.drawing {
            Some(drawing) => !drawing.is_done(),
            None => self.begun.elapsed() < BEGINNING,
        };
        show(
            &self.setup.handle,
            &self.reconciler,
            &mut self.members,
            &self.books,
            (is_meeting, is_beginning),
        );
    }
}

/// Whether more of this member is taken in before the next round: always while its marker is
/// awaited, since without it there is none for it.
pub(super) fn is_listened(reconciler: &Reconciler, member: usize) -> bool {
    reconciler.flight(member).is_some() || reconciler.window_len(member) < WINDOW
}

/// What some intake has read; completes never where there is none.
async fn next(members: &mut [Member], reconciler: &Reconciler) -> (usize, Option<Seen>) {
    std::future::poll_fn(|context| {
        for (index, member) in members.iter_mut().enumerate() {
            if !is_listened(reconciler, index) {
                continue;
            }
            if let Some(receiver) = member.seen()
                && let Poll::Ready(seen) = receiver.poll_recv(context)
            {
                return Poll::Ready((index, seen));
            }
        }
        Poll::Pending
    })
    .await
}
