//! The config that the demo uses, and leaves behind.

use super::{COPY, SOURCE, folder::MARK};

/// The variable that holds the servers' password.
pub(super) const PASSWORD: &str = "TAHR_DEMO_PASSWORD";

/// Its text.
pub(super) fn text(postgres: u16, redis: u16) -> String {
    format!(
        r#"{MARK} Its servers have ended; put your own in their place, and then:
#
#   tahr check     says what is missing, and writes nothing
#   tahr run       copies, then keeps the copies current
#
# A password stays out of this file: ${{{PASSWORD}}} is read from the environment.

# The database that is read. Its role needs the replication right, and wal_level = logical.
[sources.shop]
url = "postgres://postgres:${{{PASSWORD}}}@127.0.0.1:{postgres}/{SOURCE}"

# The databases that are written. `tahr plugins describe redis` explains the options of a plugin.
[targets.redis]
plugin = "redis"
# A row of table t with primary key 7 becomes the hash t:7. With ttl = "1h" rows live an hour.
options = {{ url = "redis://:${{{PASSWORD}}}@127.0.0.1:{redis}", key = "{{table}}:{{pk}}" }}

[targets.sqlite]
plugin = "sqlite"
options = {{ path = "shop.db" }}

[targets.postgres]
plugin = "postgres"
options = {{ url = "postgres://postgres:${{{PASSWORD}}}@127.0.0.1:{postgres}/{COPY}" }}

# Which tables go where. Tables that a target doesn't have yet are created.
[syncs.copies]
sources = ["shop"]
targets = ["sqlite", "postgres"]
tables = ["public.*"]

# Redis has no place for rows without a key, so these tables stay out of it.
[syncs.cache]
sources = ["shop"]
targets = ["redis"]
tables = ["public.*", "!public.pgbench_history", "!public.no_key"]
"#
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tahr_plugin_api::TableName;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_config_that_is_left_behind_is_a_valid_one() {
        let text = text(5432, 6379);
        let secret = |name: &str| (name == PASSWORD).then(|| "secret".to_owned());
        let config = Config::parse(Path::new("tahr.toml"), &text, &secret).unwrap();
        assert_eq!(
            config.sources["shop"].url,
            "postgres://postgres:secret@127.0.0.1:5432/shop"
        );
        let cache = &config.syncs["cache"];
        assert!(cache.selects(&TableName::new("public", "pgbench_accounts")));
        assert!(!cache.selects(&TableName::new("public", "no_key")));
    }
}
