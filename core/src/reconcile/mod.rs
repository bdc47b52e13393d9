//! stub
mod blob;
mod judge;
mod key;
mod mutation;
mod pairs;
mod reconciler;
mod record;
mod resolver;
mod round;
mod rules;
mod settle;
mod sight;
#[cfg(test)]
mod simulation;
mod state;
mod transaction;
mod verdicts;
mod version;
mod window;

pub use blob::Blob;
pub use key::{Key, TableId};
pub(crate) use mutation::Mutation;
pub use reconciler::{NotAtRest, Reconciler};
pub use record::Record;
pub use resolver::{Answer, Candidate, Quarrel, Resolver};
pub use round::{Conflict, Effect, EffectKind, Round, Winner};
pub use rules::{Limits, Rules, Strategy, TriggerEffects};
pub use state::{Entry, Flight, Parked, Pause, State};
pub use transaction::{Change, Holder, Left, Marker, Op, Transaction};
pub use version::{Origin, Row, SourceId, Version};
pub use window::UnknownMarker;
