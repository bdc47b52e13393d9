//! Verification compares targets with their sources while changes flow: it names what differs, takes
//! nothing under way for a difference, and repairs through the lane.

mod altered;
mod busy;
mod kinds;
mod million;
mod planted;
mod refused;
mod rejected;
mod scene;
mod unseen;

pub(crate) use scene::{Load, Scene};
