//! tahr between masters of the server.

use std::time::Duration;

use tahr_tests::{Masters, Postgres};

use crate::load::{Measured, Replication, TABLE};

impl Replication for Masters {
    async fn hold(&self) {
        self.pause().await;
    }

    async fn release(&self) {
        self.resume();
    }
}

pub(crate) async fn measure(server: &Postgres) -> Measured {
    let mut measured = Measured::default();
    {
        let mut two = Masters::on(&[(server, TABLE), (server, TABLE)]).await;
        two.start("").await;
        measured.backlogs(&two, &two[0], &two[1]).await;
        measured.live(&two[0], &two[1]).await;
        two.settle_within(Duration::from_secs(60)).await;
        two.stop();
    }
    let rows = format!(
        "{TABLE}; INSERT INTO items SELECT i, 'name', i, true, '2024-01-01', repeat('x', 64)
         FROM generate_series(1, 10000) i"
    );
    let mut three = Masters::on(&[(server, &rows), (server, &rows), (server, &rows)]).await;
    three.start("").await;
    measured
        .latency_between(&three[0], &[&three[1], &three[2]])
        .await;
    three.stop();
    measured
}
