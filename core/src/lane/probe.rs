//! Writers outside of a lane.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tahr_plugin_api::{
    CheckReport, Relation, Role, WriteError,
    abi::{Canceller, HostCalls, RemoteWriter},
};
use tokio::sync::oneshot;

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
    (name, target): (&str, &Target),
    plugin: &Plugin,
    relations: Vec<Relation>,
    patience: Duration,
) -> Result<CheckReport, WriteError> {
    let (send, receive) = oneshot::channel();
    let canceller = Arc::new(Mutex::new(None));
    let thread = std::thread::Builder::new().name(format!("check {name}"));
    let (name, target, plugin) = (name.to_owned(), target.clone(), plugin.clone());
    let lent = Arc::clone(&canceller);
    let ask = move || {
        let report = open_writer((&name, &target), &plugin, Role::Check).and_then(|opened| {
            let (mut writer, canceller) = opened;
            *lent.lock().unwrap_or_else(PoisonError::into_inner) = Some(canceller);
            writer.check(&relations)
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
