//! Reconciling, with its simulation beside it as in the library's own tests.

pub(crate) use tahr::reconcile::*;

#[path = "../../src/reconcile/simulation/mod.rs"]
pub(crate) mod simulation;
