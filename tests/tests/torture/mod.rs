//! The engine is killed at any moment, under load, with a target of every kind: nothing is lost, and
//! nothing is there twice.
//!
//! [`kills`] chooses the moments by chance, [`points`] by name: those between write, commit,
//! checkpoint, log and frontier where a promise could break. [`left_over`] has what the dead engine
//! gave a slow target still to come. In [`gathered`] nothing is killed, but much comes at once. The
//! load ([`load`]) writes tables that would show it: one without a key, counters, keys that move, and
//! rows of which the source sends only a part.

mod gathered;
mod kills;
mod left_over;
mod load;
mod points;
mod points_of_copies;
mod points_of_the_log;
mod targets;
