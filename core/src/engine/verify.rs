//! A verification of the running engine's lanes.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    Control, lock,
    plan::{LaneName, lanes_of},
    tables::choose,
};
use crate::{
    Error,
    lane::stream_id,
    verify::{LaneReport, Subject, Verification, Verified, Wanted},
};

impl Control {
    /// One that can be begun by [`verify`](Self::verify), and stopped.
    #[must_use]
    pub fn verification(&self) -> Arc<Verification> {
        Arc::new(Verification::new(&self.shared.stop))
    }

    /// Compares targets with their sources, as `wanted`; one at a time.
    ///
    /// # Errors
    ///
    /// The config doesn't have what is wanted, a table's name is that of several, or one is under way
    /// already.
    pub async fn verify(
        &self,
        verification: &Arc<Verification>,
        mut wanted: Wanted,
    ) -> Result<Verified, Error> {
        let config = self.shared.config();
        if let Some(part) = &wanted.part {
            part.check(&config)?;
        }
        let _one = self.shared.verifying.try_lock().map_err(|_| {
            Error::failed("another verification is under way").hint("wait for its end")
        })?;
        let mut unable = Vec::new();
        let mut subjects = Vec::new();
        for name in lanes_of(&config, wanted.part.as_ref()) {
            match self.subject(&name) {
                Some(subject) => subjects.push(subject),
                None => unable.push(LaneReport {
                    lane: name.to_string(),
                    unable: Some(self.why_not(&name)),
                    ..LaneReport::default()
                }),
            }
        }
        // Where no lane can be looked at, that is what is said.
        if !subjects.is_empty() && !wanted.tables.is_empty() {
            let tables = subjects.iter().flat_map(|subject| &subject.tables);
            let tables = tables.map(|table| table.relation.source.clone());
            let owner = match &wanted.part {
                Some(part) => part.to_string(),
                None => "the config".to_owned(),
            };
            let chosen = choose(&owner, &tables.collect(), &wanted.tables)?;
            wanted.tables = chosen.into_iter().collect();
        }
        let verification = Arc::clone(verification);
        let thread = tokio::task::spawn_blocking(move || verification.run(&subjects, &wanted));
        let verified = thread.await;
        let mut verified =
            verified.map_err(|error| Error::failed("the verification died").caused_by(error))?;
        verified.lanes.extend(unable);
        Ok(verified)
    }

    /// The lane as a verification needs it; none while its source or its plugin is not there.
    fn subject(&self, name: &LaneName) -> Option<Subject> {
        let state_dir = self.shared.config().engine.state_dir.clone();
        let subject = self.shared.with_source(&name.source, |streaming| {
            let seat = streaming.seats.get(name)?;
            let wanted = seat.wanted()?;
            let (opened, relations) = (&streaming.opened, streaming.relations());
            Some(Subject {
                lane: name.to_string(),
                sync: Arc::clone(&wanted.spec.sync),
                plugin: wanted.plugin.as_ref().ok()?.clone(),
                options: serde_json::Value::Object(wanted.spec.target.options.clone()),
                stream: stream_id(&name.sync, &name.source, &opened.identity, &opened.slot),
                tables: wanted.tables.clone(),
                url: opened.url.clone(),
                application: opened.application.clone(),
                relations: Arc::clone(relations),
                log: Arc::clone(&streaming.log),
                id: seat.id,
                status: Arc::clone(&seat.status),
                state_dir: state_dir.clone(),
                target: name.target.clone(),
                attendant: Arc::clone(&seat.attendant),
                rejected: Arc::clone(&seat.rejected),
                runtime: Handle::current(),
            })
        });
        subject.flatten()
    }

    fn why_not(&self, name: &LaneName) -> String {
        let sources = lock(&self.shared.sources);
        let is_open = sources
            .get(&name.source)
            .is_some_and(|running| running.streaming.is_some());
        match is_open {
            true => "its plugin is not there".to_owned(),
            false => format!("source \"{}\" is not open", name.source),
        }
    }
}
