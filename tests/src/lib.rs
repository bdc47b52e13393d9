//! The harness of tahr's tests on real servers.
//!
//! A test asks for what it needs and gets something of its own: a [`Database`] on the run's shared
//! [`Postgres`] (or a whole server, to stop and kill), a [`RedisDatabase`], a [`MariaDatabase`], a
//! [`MongoDatabase`], an [`OracleStandIn`], an [`Engine`] that runs the real `tahr` program in a folder
//! of its own. All of it is gone when the test ends, and when the run ends, however it ends: see
//! [`Run`].
//!
//! [`Masters`] are several databases that replicate to each other, with the engine between them.
//! A [`Scripted`] target misbehaves as it is told and shows all that it was given.
//!
//! Waiting is done by [`eventually`], which says what was waited for, where, and what was last
//! seen. Tables are compared by [`Rows`]. Random numbers come from [`Random`], which prints the seed
//! to repeat a run with. Faults between two programs are made by a [`Proxy`].
//!
//! | variable | effect |
//! |---|---|
//! | `TAHR_TEST_POSTGRES_URL` | the shared PostgreSQL is this one (a superuser, `wal_level = logical`) |
//! | `TAHR_TEST_REDIS_URL` | the shared Redis is this one (its databases from 1 on are emptied) |
//! | `TAHR_TEST_MONGODB_URL` | the shared MongoDB is this one, a replica set (each test gets a database) |
//! | `TAHR_TEST_MYSQL_URL` | the shared MySQL or MariaDB is this one (a user that may create databases) |
//! | `TAHR_TEST_SEED` | the seed of every [`Random`] |
//!
//! Tests that use the harness run on tokio's multi-thread runtime: starting a server blocks.

mod bson;
mod database;
mod engine;
mod maria_database;
mod mariadb;
mod masters;
mod mongodb;
mod oracle;
mod postgres;
mod process;
mod proxy;
mod redis;
mod run;
mod scripted;
mod seed;
mod server;
mod service;
mod starting;
mod table;
mod wait;

pub use crate::bson::bson_text;
pub use crate::database::{Database, Row};
pub use crate::engine::{Engine, EngineBuilder, Finished, Running};
pub use crate::maria_database::MariaDatabase;
pub use crate::mariadb::MariaDb;
pub use crate::masters::Masters;
pub use crate::mongodb::{MongoDatabase, Mongod};
pub use crate::oracle::OracleStandIn;
pub use crate::postgres::{Postgres, SavedData};
pub use crate::process::{ProcessId, Signal};
pub use crate::proxy::Proxy;
pub use crate::redis::{Redis, RedisDatabase};
pub use crate::run::{Entry, Keep, Run, build_folder, note, unique};
pub use crate::scripted::{Backup, Batch, Scripted, sync};
pub use crate::seed::Random;
pub use crate::table::Rows;
pub use crate::wait::eventually;
