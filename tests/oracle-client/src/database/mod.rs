//! The database: Oracle's catalog and statements on a file of SQLite's.

mod alter;
mod calls;
mod catalog;
mod change;
mod conditions;
mod define;
mod from;
mod functions;
mod keys;
mod merge;
mod plan;
mod rows;
mod scope;
mod select;
mod translate;
mod views;

pub(crate) use catalog::{Catalog, SCHEMA, create};
pub(crate) use change::Change;
pub(crate) use define::Definitions;
pub(crate) use functions::register;
pub(crate) use plan::{BindShape, Given, Reading};
pub(crate) use rows::Rows;
pub(crate) use select::ResultColumn;
pub(crate) use translate::Translator;
