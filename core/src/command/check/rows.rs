//! Rows that the first copy of a table will find in a target.

use tahr_plugin_api::Relation;

use super::Group;
use crate::{
    Error,
    config::{Config, Existing},
    lane::View,
    plugin::Plugin,
};

/// Says what becomes of the rows in `object`, which `relation` is to be copied into.
pub(super) fn say(
    config: &Config,
    plugin: &Plugin,
    view: &View,
    (relation, object): (&Relation, &str),
    found: &mut Group,
) {
    let (sync, source) = (&view.sync, &relation.source);
    let holds = format!("{object}: holds rows that sync \"{sync}\" has not copied");
    // A cache is emptied whatever the sync says.
    let is_cache = plugin.description.capabilities.refills;
    let replaces = is_cache || config.syncs[sync].existing == Existing::Replace;
    if replaces {
        let message = format!("{holds}: its first copy removes them, and puts the source's there");
        let hint = format!(
            "to keep them, give the copy another name: [syncs.{sync}.table.\"{source}\"] rename = \
             \"another_name\""
        );
        found.warnings.push(Error::target(message).hint(hint));
    } else {
        let message = format!("{holds}: its lane parks at the copy, and leaves them alone");
        let hint = format!(
            "empty it, or have the source's rows take their place: [syncs.{sync}] existing = \
             \"replace\""
        );
        found.errors.push(Error::target(message).hint(hint));
    }
}
