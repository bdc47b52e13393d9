//! Whether a source is still the one that was opened.
//!
//! Between two connections a person may have dropped the slot or made it anew, promoted a standby, or
//! started another database at the address. A slot that was made anew begins wherever it was made:
//! streaming from it would skip what lies before without a word. The reader asks after each connect,
//! and the engine opens a source anew that has [changed](super::SourceErrorKind::Changed).

use tahr_plugin_api::Lsn;
use tokio_postgres::Client;

use super::{Identity, Slot, SourceError};

/// The slot `name`, if the server behind `client` is the source `opened`, and the slot still has what
/// follows `read`.
///
/// # Errors
///
/// It is another, or lost it; or it can't be asked now.
pub(super) async fn still_there(
    client: &Client,
    opened: &Identity,
    name: &str,
    read: Lsn,
) -> Result<Slot, SourceError> {
    // A standby, or a server that is about to be one, may be the primary again in a moment.
    let found = Identity::read(client).await;
    let found = found.map_err(|error| SourceError::transient(error.message))?;
    if (&found.system_id, found.database_oid) != (&opened.system_id, opened.database_oid) {
        return Err(SourceError::changed(format!(
            "another database answers at the source's address: system identifier {}, database OID \
             {}, not {} and {}",
            found.system_id, found.database_oid, opened.system_id, opened.database_oid
        )));
    }
    if found.timeline != opened.timeline {
        return Err(SourceError::changed(format!(
            "the source is on timeline {} now, not {}: a standby was promoted, or a backup restored",
            found.timeline, opened.timeline
        )));
    }
    let Some(slot) = Slot::find(client, name).await? else {
        return Err(SourceError::changed(format!(
            "slot \"{name}\" is gone: somebody has dropped it"
        )));
    };
    if let Some(reason) = &slot.invalidated {
        return Err(SourceError::changed(format!(
            "slot \"{name}\" is invalidated ({reason})"
        )));
    }
    match slot.confirmed_flush {
        Some(begins) if begins > read => Err(SourceError::changed(format!(
            "slot \"{name}\" begins at {begins}, behind {read}, to where the source was read: \
             somebody has made it anew, or moved it"
        ))),
        _ => Ok(slot),
    }
}
