//! The trait of targets that can commit.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{Batch, Capabilities, CheckReport, Host, Relation, RuleTable, WriteError};

/// A target that takes changes, and commits them together with a line of text: the *state*.
///
/// [`Simple`](crate::Simple) makes a [`Writer`](crate::Writer) of it, which
/// [`export_writer!`](crate::export_writer) exports:
///
/// ```ignore
/// export_writer!(Simple<MyWriter>);
/// ```
///
/// # What the author keeps
///
/// - **All or nothing.** [`commit`](Self::commit) makes what was put, and the state, durable in one step,
///   and readers see none of it before. After a crash at any instant [`stored`](Self::stored) says
///   what the data holds.
/// - **Compare and set.** [`commit`](Self::commit) changes nothing where the state isn't the expected one.
/// - **What isn't committed goes** when the value is dropped, and with its process, at the latest before
///   the next [`put`](Self::put) of the same lane. A connection's transaction does that by itself.
///
/// # What the author may rely on
///
/// - A *lane* is one sync and one of its sources. A value is used for one lane only, by one thread at a
///   time, one call after another. Values of other lanes live beside it, in this process or another, and
///   their commits must not touch each other's changes and states. The same lane may be open twice by a
///   mistake of a person; compare-and-set is what keeps that harmless.
/// - A lane's name is `SYNC.SOURCE`: up to 200 of the characters `a-z A-Z 0-9 _ . %`, the first no dot. So
///   it can be (part of) a file name or a key as it is.
/// - A state is one line of JSON, some hundred bytes and about 40 more per table.
/// - [`put`](Self::put) is called only where a state is committed. Should somebody remove it meanwhile,
///   the [`commit`](Self::commit) that follows expects a state that is gone, and must refuse.
/// - After an error the value is dropped, and [`open`](Self::open)ed again later: no call has to clean up
///   behind itself, and no call is tried twice on one value.
/// - A copy of a table is a truncate of it, inserts, and one commit.
pub trait SimpleWriter: Sized + Send + 'static {
    /// As [`Writer::Options`](crate::Writer::Options).
    type Options: DeserializeOwned + JsonSchema + Send + 'static;

    /// The name that a config's `plugin =` uses.
    const NAME: &'static str;

    /// One line for `tahr plugins`.
    const SUMMARY: &'static str = "";

    /// What the target can do. The default is right for one whose tables need not be made; of
    /// `loaders` it is never asked.
    #[must_use]
    fn capabilities() -> Capabilities {
        Capabilities {
            transactional_ddl: true,
            columns: false,
            ..Capabilities::default()
        }
    }

    /// As [`Writer::rules`](crate::Writer::rules).
    #[must_use]
    fn rules() -> Vec<RuleTable> {
        Vec::new()
    }

    /// Connects. Changes nothing in the target and locks nothing: it is done to look at it, too.
    ///
    /// # Errors
    ///
    /// Transient where the target is out of reach, rejected where the options are wrong.
    fn open(options: &Self::Options, host: &Host) -> Result<Self, WriteError>;

    /// The state that was committed last for `lane`; none where there is none. Waits for nobody.
    ///
    /// # Errors
    ///
    /// What kept it from finding out.
    fn stored(&mut self, lane: &str) -> Result<Option<String>, WriteError>;

    /// Takes changes, in order and at least one, without committing them. A transaction may come
    /// in many calls and be larger than memory, so they are best handed on at once.
    ///
    /// # Errors
    ///
    /// Any; a rejected one names the [change](WriteError::change) where one is to blame.
    fn put(&mut self, lane: &str, batch: &Batch) -> Result<(), WriteError>;

    /// Makes everything that was put durable, and `to` the state of `lane`, in one step. False, and
    /// nothing changed, where the state is not `from`. Without `to` it removes the state; the data
    /// stays. Nothing at all may have been put.
    ///
    /// # Errors
    ///
    /// Any; where nobody knows whether it was done it is transient, and [`stored`](Self::stored) will tell.
    fn commit(
        &mut self,
        lane: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<bool, WriteError>;

    /// As [`Writer::check`](crate::Writer::check). By default every table fits, under its own name.
    ///
    /// # Errors
    ///
    /// What kept it from finding out.
    fn check(&mut self, relations: &[Relation]) -> Result<CheckReport, WriteError> {
        let name = |relation: &Relation| relation.target.to_string();
        Ok(CheckReport {
            objects: relations.iter().map(name).collect(),
            ..CheckReport::default()
        })
    }

    /// As [`Writer::prepare`](crate::Writer::prepare): before a relation's first change. By default
    /// there is nothing to do.
    ///
    /// # Errors
    ///
    /// Rejected where the target can't hold the relation.
    fn prepare(&mut self, relation: &Arc<Relation>) -> Result<(), WriteError> {
        let _ = relation;
        Ok(())
    }
}
