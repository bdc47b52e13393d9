//! PostgreSQL's own logical replication between two databases of the server, in one direction: what
//! can be had here without asking who else has changed a row.

use std::time::Duration;

use tahr_tests::{Database, Postgres, eventually};

use crate::load::{Measured, Replication, TABLE};

/// A subscription, and where it lives.
struct Subscription(Database);

impl Subscription {
    /// A database can't make a slot on its own server while it waits for it, so the slot comes first.
    async fn between(from: &Database, to: Database) -> Self {
        from.execute("CREATE PUBLICATION native FOR TABLE items")
            .await;
        from.execute("SELECT pg_create_logical_replication_slot('native', 'pgoutput')")
            .await;
        to.execute(&format!(
            "CREATE SUBSCRIPTION native CONNECTION '{}' PUBLICATION native
             WITH (create_slot = false, slot_name = 'native', copy_data = false)",
            from.url()
        ))
        .await;
        Self(to)
    }
}

impl Replication for Subscription {
    async fn hold(&self) {
        self.0.execute("ALTER SUBSCRIPTION native DISABLE").await;
        // One that is begun while the last still ends is tried again much later.
        eventually(Duration::from_secs(30), "the slot is free", async || {
            let active = "SELECT count(*) FROM pg_replication_slots WHERE active";
            match self.0.value(active).await.as_str() {
                "0" => Ok(()),
                count => Err(count.to_owned()),
            }
        })
        .await;
    }

    async fn release(&self) {
        self.0.execute("ALTER SUBSCRIPTION native ENABLE").await;
    }
}

/// What a server needs so that a subscription that is enabled begins at once.
pub(crate) const AT_ONCE: (&str, &str) = ("wal_retrieve_retry_interval", "10ms");

pub(crate) async fn measure(server: &Postgres) -> Measured {
    let mut measured = Measured::default();
    let (from, to) = (server.database().await, server.database().await);
    for database in [&from, &to] {
        database.execute(TABLE).await;
    }
    let to = Subscription::between(&from, to).await;
    measured.backlogs(&to, &from, &to.0).await;
    measured.live(&from, &to.0).await;
    measured.latency_between(&from, &[&to.0]).await;
    to.0.execute("DROP SUBSCRIPTION native").await;
    measured
}
