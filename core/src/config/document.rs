//! The file while it is being checked: values that know where they stand, and the faults so far.
//!
//! Nothing here stops at a fault. A getter that finds one records it and answers `None`, so that
//! the check goes on and a person sees all faults at once; `None` without a fault means that the
//! key is absent.

use std::{cell::RefCell, path::Path};

use tahr_plugin_api::did_you_mean;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{expand::Lookup, node::Node};
use crate::error::Error;

/// A parsed config file.
pub(super) struct Document<'d> {
    path: &'d Path,
    text: &'d str,
    pub(super) variables: Lookup<'d>,
    /// With the place of each, to show them in the order of the file.
    faults: RefCell<Vec<(usize, Error)>>,
}

impl<'d> Document<'d> {
    pub(super) fn new(path: &'d Path, text: &'d str, variables: Lookup<'d>) -> Self {
        Self {
            path,
            text,
            variables,
            faults: RefCell::default(),
        }
    }

    /// The file's path as it was given.
    pub(super) fn path(&self) -> &'d Path {
        self.path
    }

    /// The file's folder, which the paths in it are relative to; empty means the current one.
    pub(super) fn folder(&self) -> &'d Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Line and column of a place, both from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        // A place is the start of a token, so it never splits a character.
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// Records a fault at a place in the file.
    pub(super) fn fault(&self, at: usize, message: impl std::fmt::Display, hint: Option<String>) {
        let line = self.position(at).0;
        self.push(
            at,
            Error::usage(format!("{}:{line}: {message}", self.path.display())),
            hint,
        );
    }

    /// Records a fault of the file as a whole.
    pub(super) fn fault_of_file(&self, message: impl std::fmt::Display, hint: Option<String>) {
        let error = Error::usage(format!("{}: {message}", self.path.display()));
        self.push(usize::MAX, error, hint);
    }

    fn push(&self, at: usize, error: Error, hint: Option<String>) {
        let error = match hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
        self.faults.borrow_mut().push((at, error));
    }

    /// The faults in the order of the file.
    pub(super) fn into_faults(self) -> Vec<Error> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|(at, _)| *at);
        faults.into_iter().map(|(_, error)| error).collect()
    }
}

/// A table of the file: `[syncs.shop]`.
#[derive(Clone)]
pub(super) struct Section<'d> {
    pub(super) document: &'d Document<'d>,
    /// Its name as in the header, `syncs.shop`; empty for the whole file.
    pub(super) path: String,
    /// Where its name stands.
    pub(super) at: usize,
    pub(super) table: &'d DeTable<'d>,
}

impl<'d> Section<'d> {
    pub(super) fn root(document: &'d Document<'d>, table: &'d DeTable<'d>) -> Self {
        Self {
            document,
            path: String::new(),
            at: 0,
            table,
        }
    }

    /// Records each key that is neither in `known` nor in `later`, and each of `later`: keys that
    /// are planned, with what to do until they are built.
    pub(super) fn allow(&self, known: &[&str], later: &[(&str, &str)]) {
        let place = match self.path.as_str() {
            "" => String::new(),
            path => format!(" in [{path}]"),
        };
        for key in self.table.keys() {
            let (name, at) = (key.get_ref().as_ref(), key.span().start);
            if known.contains(&name) {
                continue;
            }
            if let Some((_, instead)) = later.iter().find(|(planned, _)| *planned == name) {
                let message = format!("key \"{name}\"{place} is not built yet");
                self.document
                    .fault(at, message, Some((*instead).to_owned()));
            } else {
                let hint = did_you_mean(name, known.iter().copied())
                    .unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
                self.document
                    .fault(at, format!("unknown key \"{name}\"{place}"), Some(hint));
            }
        }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<Node<'d>> {
        self.table
            .get_key_value(key)
            .map(|(name, value)| self.node(name, value))
    }

    /// Like [`get`](Self::get), but an absent key is a fault.
    pub(super) fn require(&self, key: &str, hint: &str) -> Option<Node<'d>> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("[{}] lacks the key \"{key}\"", self.path);
            self.document.fault(self.at, message, Some(hint.to_owned()));
        }
        found
    }

    /// The names below `key`, whatever they stand for.
    pub(super) fn names(&self, key: &str) -> Vec<String> {
        let table = self
            .table
            .get(key)
            .and_then(|value| value.get_ref().as_table());
        let names = |table: &DeTable<'_>| {
            table
                .keys()
                .map(|name| name.get_ref().to_string())
                .collect()
        };
        table.map(names).unwrap_or_default()
    }

    /// The tables below `key`, such as `[sources.NAME]`, with their names.
    pub(super) fn named(&self, key: &str) -> Vec<(String, Self)> {
        let Some(section) = self.get(key).and_then(|node| node.section()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, node) in section.nodes() {
            if node.value.is_table() {
                found.extend(node.section().map(|section| (name, section)));
            } else {
                let message = format!("expected a section, found {}", node.found());
                node.fault_hint(message, format!("name it: [{}.NAME]", section.path));
            }
        }
        found
    }

    /// Its values with their keys.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (String, Node<'d>)> {
        self.table
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), self.node(name, value)))
    }

    fn node(
        &self,
        name: &Spanned<std::borrow::Cow<'d, str>>,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Node<'d> {
        let key = name.get_ref();
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let key = if !key.is_empty() && key.chars().all(bare) {
            key.to_string()
        } else {
            format!("{key:?}")
        };
        let path = if self.path.is_empty() {
            key
        } else {
            format!("{}.{key}", self.path)
        };
        Node {
            document: self.document,
            path,
            at: name.span().start,
            value: value.get_ref(),
        }
    }
}
