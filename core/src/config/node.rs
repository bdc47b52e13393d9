//! A single value of the file, and what it can be read as.
//!
//! As everywhere in the check, a value that is not what it should be records a fault and answers
//! `None`.

use std::{ops::Range, time::Duration};

use tahr_plugin_api::did_you_mean;
use toml::{Spanned, de::DeValue};

use super::{
    document::{Document, Section},
    duration, expand, size,
};

/// A value of the file, with its place and the path of its key.
pub(super) struct Node<'d> {
    pub(super) document: &'d Document<'d>,
    /// Such as `syncs.shop.tables`.
    pub(super) path: String,
    /// Where its key stands.
    pub(super) at: usize,
    pub(super) value: &'d DeValue<'d>,
}

impl<'d> Node<'d> {
    /// Records a fault of this value.
    pub(super) fn fault(&self, message: impl std::fmt::Display) {
        self.document
            .fault(self.at, format!("{}: {message}", self.path), None);
    }

    /// Like [`fault`](Self::fault), with what to do about it.
    pub(super) fn fault_hint(&self, message: impl std::fmt::Display, hint: impl Into<String>) {
        self.document.fault(
            self.at,
            format!("{}: {message}", self.path),
            Some(hint.into()),
        );
    }

    /// A table.
    pub(super) fn section(&self) -> Option<Section<'d>> {
        match self.value.as_table() {
            Some(table) => Some(Section {
                document: self.document,
                path: self.path.clone(),
                at: self.at,
                table,
            }),
            None => self.wrong_type(&format!("a table, [{}]", self.path)),
        }
    }

    /// A string that isn't empty, its variables expanded.
    pub(super) fn text(&self) -> Option<String> {
        let Some(raw) = self.value.as_str() else {
            return self.wrong_type("a string");
        };
        let text = self.expand(raw)?;
        if text.is_empty() {
            self.fault("is empty");
            return None;
        }
        Some(text)
    }

    /// Variables of `raw` expanded.
    pub(super) fn expand(&self, raw: &str) -> Option<String> {
        expand::expand(raw, self.document.variables, self.document.folder())
            .map_err(|error| self.fault_hint(error.message, error.hint))
            .ok()
    }

    /// A list.
    pub(super) fn items(&self, of: &str) -> Option<Vec<Self>> {
        let Some(array) = self.value.as_array() else {
            return self.wrong_type(&format!("a list of {of}, [\"…\"]"));
        };
        let item = |(index, value): (usize, &'d Spanned<DeValue<'d>>)| Self {
            document: self.document,
            path: format!("{}[{index}]", self.path),
            at: value.span().start,
            value: value.get_ref(),
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    /// A list of strings, each with its node; the faulty ones are left out.
    pub(super) fn texts(&self, of: &str) -> Option<Vec<(String, Self)>> {
        Some(
            self.items(of)?
                .into_iter()
                .filter_map(|item| Some((item.text()?, item)))
                .collect(),
        )
    }

    /// A whole number within `range`.
    pub(super) fn number(&self, range: Range<u32>) -> Option<u32> {
        let expected = format!("a whole number from {} to {}", range.start, range.end - 1);
        let Some(integer) = self.value.as_integer() else {
            return self.wrong_type(&expected);
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.wrong_type(&expected),
        }
    }

    /// A size of at least `least` bytes.
    pub(super) fn size(&self, least: u64) -> Option<u64> {
        let size = self.quantity("a size such as \"64MiB\"", size::parse)?;
        if size < least {
            self.fault(format!("is {size} bytes, but must be at least {least}"));
            return None;
        }
        Some(size)
    }

    /// A duration.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.quantity("a duration such as \"10s\" or \"1h\"", duration::parse)
    }

    /// One of the words of `choices`.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<_> = choices
                .iter()
                .map(|(word, _)| format!("{word:?}"))
                .collect();
            let message = format!("expected {}, found {}", words.join(" or "), self.found());
            let hint = did_you_mean(&text, choices.iter().map(|(word, _)| *word));
            self.document
                .fault(self.at, format!("{}: {message}", self.path), hint);
        }
        found
    }

    fn quantity<T>(&self, expected: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let parsed = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => parse(integer.as_str()),
            DeValue::String(_) => parse(&self.text()?),
            _ => None,
        };
        match parsed {
            Some(parsed) => Some(parsed),
            None => self.wrong_type(expected),
        }
    }

    /// Records that it is no `expected`.
    pub(super) fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        self.fault(format!("expected {expected}, found {}", self.found()));
        None
    }

    /// What the value is, as written in the file: what a variable holds may be secret.
    pub(super) fn found(&self) -> String {
        match self.value {
            DeValue::String(text) if text.len() <= 40 && !text.contains("://") => {
                format!("the string {text:?}")
            }
            DeValue::String(_) => "a string".to_owned(),
            DeValue::Integer(integer) => format!("the number {integer}"),
            DeValue::Float(float) => format!("the number {float}"),
            DeValue::Boolean(boolean) => format!("{boolean}"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }
}
