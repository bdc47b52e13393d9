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
    masters::{
        Tables, Wishes,
        apply::{Event, Order},
        intake::Seen,
    },
    reconcile::{Parked, Reconciler, Round, State, Transaction},
};

/// Keys that a window takes before a round is due, however much more there is to read.
const WINDOW: usize = 50_000;
/// A member's cut that has nothing to judge is stored after this much of its log, or this long, so
/// that the source needs to keep less.
const ADVANCE_BYTES: u64 = 16 << 20;
const ADVANCE_AFTER: Duration = Duration::from_secs(60);
/// How often it looks around when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long what was made during a pause is waited for, where a source doesn't show it.
const CATCHING_UP: Duration = Duration::from_secs(3);
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
    orders: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    pub(super) gathering: Option<Gathering>,
    books: Books,
    drawing: Option<Drawing>,
    asked: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
    /// After a pause: what is to be read before anything is judged, so that changes which were made
    /// side by side meet.
    catching_up: Option<CatchingUp>,
    begun: Instant,
    /// Whether something came in since the last round.
    pub(super) has_news: bool,
    wishes: Wishes,
    /// Whether cuts are to be stored however little they move, since somebody waits for that.
    is_asked: bool,
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
            self.show();
            if self.has_news && self.may_judge() {
                tokio::task::yield_now().await;
                continue;
            }
            let (is_judging, has_room) = (self.is_judging(), self.has_room());
            let (setup, events, answers) = (self.setup, &mut self.events, &mut self.answers);
            let (members, gathering) = (&mut self.members, &mut self.gathering);
            let (reconciler, wishes) = (&self.reconciler, self.wishes);
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
                () = Gathering::ready(gathering), if is_judging && has_room => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    /// Ends intakes and appliers, and waits for them.
    pub(super) async fn end(mut self) {
        self.show();
        self.members.iter_mut().for_each(Member::dismiss);
        for member in self.members {
            member.leave().await;
        }
    }

    /// Whether anything is taken in at all: not while a person, or a conflict, has paused it.
    fn is_judging(&self) -> bool {
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
                until: Instant::now() + CATCHING_UP,
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

    /// Takes in everything that waits, up to what one round may hold.
    fn take_in(&mut self) -> Result<(), Trouble> {
        while let Ok(event) = self.events.try_recv() {
            self.hear(event)?;
        }
        if !self.is_judging() {
            return Ok(());
        }
        for member in 0..self.members.len() {
            while is_listened(&self.reconciler, member) {
                let Some(Ok(seen)) = self.members[member].seen().map(mpsc::Receiver::try_recv)
                else {
                    break;
                };
                self.see(member, Some(seen))?;
            }
        }
        Ok(())
    }

    /// Whether a round may be held: something is taken in, and what was made during a pause is here.
    fn may_judge(&mut self) -> bool {
        if let Some(catching_up) = &self.catching_up {
            let marks = catching_up.marks.as_ref();
            let is_there = marks.is_some_and(|marks| {
                // More than a round takes is not waited for: it could not be taken in.
                marks.iter().all(|&(member, mark)| {
                    self.members[member].reached >= mark || !is_listened(&self.reconciler, member)
                })
            });
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

    fn hear(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Ready {
                member,
                fires_triggers,
            } => {
                let member = &mut self.members[member];
                member.is_ready = true;
                member.fault = None;
                if fires_triggers {
                    tracing::warn!(
                        source = member.source,
                        "applied rows fire this source's triggers: its role may not set \
                         session_replication_role"
                    );
                }
                self.has_news = true;
                if self.drawing.is_none() {
                    self.drawing = Drawing::begin(self.setup, &self.members, &self.tables);
                }
            }
            Event::Away { member, fault } => {
                let member = &mut self.members[member];
                if member.is_ready || member.fault.is_none() {
                    tracing::warn!(
                        source = member.source,
                        hint = fault.hint,
                        "source can't be written to: {}",
                        fault.message
                    );
                }
                member.is_ready = false;
                member.fault = Some(fault);
            }
            Event::Applied {
                member, rows, left, ..
            } => {
                let member = &mut self.members[member];
                member.rows_out += rows;
                if left > 0 {
                    tracing::debug!(source = member.source, left, "rows were left out");
                }
            }
        }
        Ok(())
    }

    fn see(&mut self, member: usize, seen: Option<Seen>) -> Result<(), Trouble> {
        let source = &self.members[member].source;
        match seen {
            Some(Seen::Transactions(transactions)) => {
                for transaction in transactions {
                    self.observe(member, transaction)?;
                }
            }
            Some(Seen::Reached(lsn)) => {
                let seat = &mut self.members[member];
                seat.reached = seat.reached.max(lsn);
                self.reconciler.read_to(member, seat.reached);
                self.has_news |= self.reconciler.waiting() > 0;
            }
            Some(Seen::Reshaped { table, message }) => {
                return Err(Trouble::new(
                    format!("table {table} has changed on source \"{source}\": {message}"),
                    "change it alike on all sources of the sync, then: tahr reload, or tahr resume",
                ));
            }
            Some(Seen::Gap(message)) => {
                return Err(Trouble::new(
                    format!("source \"{source}\": {message}"),
                    "the sources have to meet again: `tahr drop SYNC`, then `tahr run` with \
                     initial = \"merge\" or \"first_source\"",
                ));
            }
            // Its intake ended: by itself only when the source's log did.
            None => {
                return Err(
                    Trouble::new(format!("source \"{source}\" is read no more"), "").passing(),
                );
            }
        }
        Ok(())
    }

    fn observe(&mut self, member: usize, transaction: Transaction) -> Result<(), Trouble> {
        let end = transaction.end;
        let is_own = transaction.marker.is_some();
        let rows = transaction.changes.len() as u64;
        let seat = &mut self.members[member];
        seat.reached = seat.reached.max(end);
        if !is_own {
            seat.rows_in += rows;
            self.books.seen(&seat.source, rows);
        }
        if self.reconciler.observe(member, transaction).is_err() {
            tracing::error!(sync = %self.setup.name, source = seat.source,
                "source is parked: it shows an apply that this engine did not send");
            let record = self.reconciler.park(member);
            self.keep(&record)?;
        }
        self.has_news = true;
        Ok(())
    }

    /// Judges what came in.
    fn round(&mut self) -> Result<(), Trouble> {
        let begun = Instant::now();
        self.has_news = false;
        let reachable: Vec<bool> = self.members.iter().map(|member| member.is_ready).collect();
        let round = self.reconciler.round(&reachable);
        self.carry_out(round, begun)
    }

    /// Stores a round, and then acts on it.
    pub(super) fn carry_out(&mut self, round: Round, begun: Instant) -> Result<(), Trouble> {
        if round.record.is_empty() {
            return Ok(());
        }
        self.keep(&round.record)?;
        for &(member, cut) in &round.record.cuts {
            self.members[member].stored(cut);
        }
        let begun_applies: Vec<usize> = (round.record.begun.iter())
            .map(|(member, ..)| *member)
            .collect();
        for member in begun_applies {
            self.send(member);
        }
        let flights = round.record.begun.iter();
        let flights =
            flights.filter_map(|&(member, ..)| Some((member, self.reconciler.flight(member)?)));
        self.books.write(&round, flights, begun);
        for (member, parked) in &round.record.parked {
            if let Some(Parked::Effects(effects)) = parked {
                let seat = (*member, &self.members[*member]);
                asking::triggers(self.setup, seat, &self.tables, effects, &self.asked);
            }
        }
        Ok(())
    }

    /// Stores what a step changed.
    pub(super) fn keep(&mut self, record: &crate::reconcile::Record) -> Result<(), Trouble> {
        if record.is_empty() {
            return Ok(());
        }
        self.memory.append(record, self.reconciler.state())
    }

    /// Gives the applier of a member what is in flight there.
    fn send(&mut self, member: usize) {
        let (Some(flight), Some(applier)) = (
            self.reconciler.flight(member),
            &self.members[member].applier,
        ) else {
            return;
        };
        let rows: Vec<_> = (flight.rows.iter())
            .map(|(key, version)| (key.clone(), version.clone()))
            .collect();
        let origins = match self.setup.further[member] {
            true => rows
                .iter()
                .map(|(key, version)| {
                    (
                        key.clone(),
                        self.reconciler.rules().outgoing(version, member),
                    )
                })
                .collect(),
            false => Vec::new(),
        };
        applier.send(Order {
            sequence: flight.sequence,
            rows,
            origins,
        });
    }

    /// Moves cuts of members that have nothing to judge, so that their sources keep less.
    fn advance(&mut self) -> Result<(), Trouble> {
        let is_asked = std::mem::take(&mut self.is_asked);
        for member in 0..self.members.len() {
            let (seat, state) = (&mut self.members[member], self.reconciler.state());
            let behind = seat.reached.bytes_since(state.cuts[member]);
            if state.parked[member] == Some(Parked::Resync) {
                // It is copied anew some day, from a later moment.
                seat.stored(seat.reached);
                continue;
            }
            let is_due =
                is_asked || behind >= ADVANCE_BYTES || seat.advanced.elapsed() >= ADVANCE_AFTER;
            let is_idle = self.reconciler.window_len(member) == 0;
            if behind == 0 || !is_due || !is_idle || self.setup.handle.is_paused() {
                continue;
            }
            seat.advanced = Instant::now();
            let end = seat.reached;
            let nothing = Transaction {
                end,
                time: 0,
                marker: None,
                changes: Vec::new(),
            };
            if self.reconciler.observe(member, nothing).is_ok() {
                self.has_news = true;
            }
        }
        Ok(())
    }
}

/// Whether more of this member is taken in before the next round: always while its marker is
/// awaited, since without it there is none for it.
fn is_listened(reconciler: &Reconciler, member: usize) -> bool {
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
