//! Writers outside of a lane.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tahr_plugin_api::{
    CheckReport, Relation, Role, StreamId, WriteError,
    abi::{Canceller, HostCalls, RemoteWriter},
};
use tokio::sync::oneshot;

use super::View;
use crate::{config::Target, plugin::Plugin};

/// What a writer that no lane owns may ask.
struct Host {
    target: String,
}

impl HostCalls for Host {
    fn log(&self, level: u32, message: &str) {
        match level {
            1 => tracing::error!(target_name = %self.target, "{message}"),
            2 => tracing::warn!(target_name = %self.target, "{message}"),
            _ => tracing::debug!(target_name = %self.target, "{message}"),
        }
    }

    fn count(&self, _name: &str, _by: u64) {}

    fn is_stopping(&self) -> bool {
        false
    }
}

/// Opens a writer to the target `name`, for a command. Its calls block.
///
/// # Errors
///
/// As the plugin's `open`.
pub fn open_writer(
    (name, target): (&str, &Target),
    plugin: &Plugin,
    role: Role,
) -> Result<(RemoteWriter, Canceller), WriteError> {
    let options = serde_json::Value::Object(target.options.clone());
    plugin.module.open_writer(
        &options,
        role,
        Host {
            target: name.to_owned(),
        },
    )
}

/// What the writer of the target `name` says to `relations`; nothing is written. It is given
/// `patience`, on a thread of its own.
///
/// # Errors
///
/// The target is out of reach, its options are wrong, or it didn't answer.
pub async fn probe(
    target: (&str, &Target),
    plugin: &Plugin,
    relations: Vec<Relation>,
    patience: Duration,
) -> Result<CheckReport, WriteError> {
    let check = move |writer: &mut RemoteWriter| writer.check(&relations);
    ask(target, plugin, check, patience).await
}

/// What a target says to several lanes.
#[derive(Debug)]
pub struct Probed {
    /// To the relations of all of them, in order.
    pub report: CheckReport,
    /// The places in [`CheckReport::objects`] of those whose first copy is still to come and finds rows.
    pub in_the_way: Vec<usize>,
}

/// Like [`probe`], for the relations of `views` one after the other; and which of them would find rows
/// that their lane has not copied.
///
/// # Errors
///
/// As [`probe`].
pub async fn probe_views(
    target: (&str, &Target),
    plugin: &Plugin,
    views: &[&View],
    patience: Duration,
) -> Result<Probed, WriteError> {
    let views: Vec<View> = views.iter().map(|view| (*view).clone()).collect();
    let look = move |writer: &mut RemoteWriter| {
        let relations = views.iter().flat_map(|view| view.relations.clone());
        let report = writer.check(&relations.collect::<Vec<_>>())?;
        let in_the_way = match find_rows(writer, &views, &report) {
            Ok(found) => found,
            // What is wrong has been found already, and may be why rows can't be looked for.
            Err(_) if report.findings.iter().any(|finding| finding.is_error) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Probed { report, in_the_way })
    };
    ask(target, plugin, look, patience).await
}

/// See [`Probed::in_the_way`].
fn find_rows(
    writer: &mut RemoteWriter,
    views: &[View],
    report: &CheckReport,
) -> Result<Vec<usize>, WriteError> {
    let mut found = Vec::new();
    let mut place = 0;
    for view in views {
        // A target looks a stream up by these two.
        let stream = StreamId {
            sync: view.sync.clone(),
            source: view.source.clone(),
            ..StreamId::default()
        };
        let checkpoint = writer.checkpoint(&stream)?.unwrap_or_default();
        for relation in &view.relations {
            let name = relation.source.to_string();
            let is_copied = checkpoint.copied_to.contains_key(&name);
            if !is_copied && !is_faulty(report, place) {
                match writer.holds_rows(relation) {
                    Ok(true) => found.push(place),
                    Ok(false) => {}
                    Err(error) if error.code == "unsupported" => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                }
            }
            place += 1;
        }
    }
    Ok(found)
}

/// Whether the object at `place` has a fault.
fn is_faulty(report: &CheckReport, place: usize) -> bool {
    let mut findings = report.findings.iter();
    let object = report.objects.get(place);
    findings.any(|finding| finding.is_error && Some(&finding.object) == object)
}

async fn ask<T: Send + 'static>(
    (name, target): (&str, &Target),
    plugin: &Plugin,
    question: impl FnOnce(&mut RemoteWriter) -> Result<T, WriteError> + Send + 'static,
    patience: Duration,
) -> Result<T, WriteError> {
    let (send, receive) = oneshot::channel();
    let canceller = Arc::new(Mutex::new(None));
    let thread = std::thread::Builder::new().name(format!("check {name}"));
    let (name, target, plugin) = (name.to_owned(), target.clone(), plugin.clone());
    let lent = Arc::clone(&canceller);
    let ask = move || {
        let report = open_writer((&name, &target), &plugin, Role::Check).and_then(|opened| {
            let (mut writer, canceller) = opened;
            *lent.lock().unwrap_or_else(PoisonError::into_inner) = Some(canceller);
            question(&mut writer)
        });
        // Nobody listens any more where it took too long.
        let _ = send.send(report);
    };
    thread
        .spawn(ask)
        .map_err(|error| WriteError::transient(format!("start a thread: {error}")))?;
    match tokio::time::timeout(patience, receive).await {
        Ok(Ok(report)) => report,
        Ok(Err(_)) => Err(WriteError::fatal(
            "the writer's check ended without an answer",
        )),
        Err(_) => {
            if let Some(canceller) = &*canceller.lock().unwrap_or_else(PoisonError::into_inner) {
                canceller.cancel();
            }
            Err(WriteError::transient(format!(
                "no answer within {patience:?}"
            )))
        }
    }
}
