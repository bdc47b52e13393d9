//! The config of three masters, which the demo leaves behind.

use super::{
    super::{config::PASSWORD, folder::MARK},
    SYNC,
    shakes::NAMES,
};

/// Its text.
pub(super) fn text(postgres: u16) -> String {
    let sources: Vec<_> = NAMES
        .iter()
        .map(|name| {
            let url = format!("postgres://postgres:${{{PASSWORD}}}@127.0.0.1:{postgres}/{name}");
            format!("[sources.{name}]\nurl = \"{url}\"\n")
        })
        .collect();
    format!(
        r#"{MARK} Its server has ended; put your own in its place, and then:
#
#   tahr check     says what is missing, and writes nothing
#   tahr run       has the databases replicate to each other
#
# A password stays out of this file: ${{{PASSWORD}}} is read from the environment.

# Three databases, all of which are written. Each role needs the replication right, and each server
# wal_level = logical.
{}
# Several sources of one sync replicate to each other.
[syncs.{SYNC}]
sources = ["{}"]
targets = []
tables = ["public.*"]
# Of changes to one row that were made without knowledge of each other, the latest wins.
conflict = "latest"
# The databases have to be equal before they replicate. "first_source" makes them so.
initial = "require_equal"
"#,
        sources.join("\n"),
        NAMES.join("\", \"")
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Conflict};

    #[test]
    fn the_config_that_is_left_behind_is_a_valid_one() {
        let text = text(5432);
        let secret = |name: &str| (name == PASSWORD).then(|| "secret".to_owned());
        let config = Config::parse(Path::new("tahr.toml"), &text, &secret).unwrap();
        assert_eq!(config.syncs[SYNC].sources, NAMES);
        assert_eq!(config.syncs[SYNC].masters.conflict, Conflict::Latest);
    }
}
