//! Which stream a lane's checkpoint belongs to.

use tahr_plugin_api::StreamId;

use crate::source::Identity;

/// The version of what a checkpoint holds.
const FORMAT: u32 = 1;

/// The stream of the sync `sync` from the source `source`, which is `identity` and is read through
/// `slot`.
#[must_use]
pub fn stream_id(sync: &str, source: &str, identity: &Identity, slot: &str) -> StreamId {
    StreamId {
        sync: sync.to_owned(),
        source: source.to_owned(),
        system_id: identity.system_id.clone(),
        timeline: identity.timeline,
        database: identity.database_oid,
        slot: slot.to_owned(),
        format: FORMAT,
    }
}
