//! What of the server's settings a person should know before rows go there.

use tahr_plugin_api::{Finding, WriteError};

use crate::connection::{Connection, field};

/// Looks at the server.
pub(crate) fn findings(connection: &mut Connection) -> Result<Vec<Finding>, WriteError> {
    let info: String = connection.query(&redis::cmd("INFO"))?;
    let mut findings = Vec::new();
    let mut add = |is_error, object: &str, message: String, hint: &str| {
        findings.push(Finding {
            is_error,
            object: object.to_owned(),
            message,
            hint: hint.to_owned(),
        });
    };
    if field(&info, "cluster_enabled") == Some("1") {
        add(
            true,
            "redis",
            "this is a Redis Cluster, which can't change a batch and its checkpoint in one step"
                .to_owned(),
            "let `url` name a single server",
        );
    }
    if field(&info, "role") == Some("slave") && replica_is_read_only(connection) {
        let primary = field(&info, "master_host").unwrap_or("its primary");
        add(
            true,
            "redis",
            format!("this is a read-only replica of {primary}"),
            "let `url` name the primary",
        );
    }
    if let Some(policy) = field(&info, "maxmemory_policy").filter(|&policy| policy != "noeviction")
    {
        let checkpoint = if policy.starts_with("allkeys") {
            ", and tahr's checkpoint, after which everything is copied anew"
        } else {
            ""
        };
        add(
            false,
            "maxmemory-policy",
            format!(
                "{policy}: redis may evict rows; updates that leave out unchanged TOAST values \
                 skip those, counted as partial_update_misses{checkpoint}"
            ),
            "CONFIG SET maxmemory-policy noeviction",
        );
    }
    let is_saved = field(&info, "aof_enabled") == Some("1");
    if !is_saved {
        let saves: Result<Vec<String>, _> =
            connection.query(redis::cmd("CONFIG").arg("GET").arg("save"));
        // Where CONFIG is forbidden nothing is known.
        if let Ok(saves) = saves {
            let is_dumped = saves.get(1).is_some_and(|save| !save.is_empty());
            let (message, hint) = if is_dumped {
                (
                    "redis saves now and then: after a crash the last moments are replayed from \
                     the source, as long as it keeps that WAL",
                    "CONFIG SET appendonly yes",
                )
            } else {
                (
                    "redis saves nothing: after a restart everything is copied anew",
                    "CONFIG SET save \"3600 1 300 100 60 10000\"",
                )
            };
            add(false, "save", message.to_owned(), hint);
        }
    }
    Ok(findings)
}

fn replica_is_read_only(connection: &mut Connection) -> bool {
    let setting: Result<Vec<String>, _> =
        connection.query(redis::cmd("CONFIG").arg("GET").arg("replica-read-only"));
    setting.map_or(true, |setting| {
        setting.get(1).is_none_or(|value| value != "no")
    })
}
