//! What ALTER SESSION sets, and what is known of the server.

use super::Address;
use crate::error::{OraError, Result};
use crate::value::Formats;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) formats: Formats,
    /// In upper case.
    pub(crate) user: String,
    pub(crate) service: String,
    pub(crate) module: String,
    /// As `19.3.0.0.0`.
    pub(crate) version: String,
}

impl Settings {
    pub(super) fn new(address: &Address) -> Self {
        Self {
            formats: Formats::default(),
            user: crate::database::SCHEMA.to_owned(),
            service: address.service.clone(),
            module: String::new(),
            version: address.version(),
        }
    }

    /// Bytes of a name at most.
    pub(crate) fn name_bytes(&self) -> usize {
        let mut parts = self
            .version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if version < (12, 2) { 30 } else { 128 }
    }

    /// One setting of ALTER SESSION; what changes nothing here is taken, what isn't known is not.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "NLS_DATE_FORMAT" => value.clone_into(&mut self.formats.date),
            "NLS_TIMESTAMP_FORMAT" => value.clone_into(&mut self.formats.timestamp),
            "NLS_TIMESTAMP_TZ_FORMAT" => value.clone_into(&mut self.formats.timestamp_tz),
            "TIME_ZONE" => self.formats.offset = offset(value)?,
            "NLS_NUMERIC_CHARACTERS" if value == ".," => {}
            "NLS_COMP" | "NLS_SORT" if value.eq_ignore_ascii_case("BINARY") => {}
            "NLS_LENGTH_SEMANTICS" if value.eq_ignore_ascii_case("BYTE") => {}
            "NLS_LANGUAGE" | "NLS_TERRITORY" | "NLS_DATE_LANGUAGE" | "DDL_LOCK_TIMEOUT"
            | "ISOLATION_LEVEL" => {}
            "CURRENT_SCHEMA" if value.eq_ignore_ascii_case(&self.user) => {}
            "CURRENT_SCHEMA" => return Err(OraError::new(1435, "user does not exist")),
            _ => {
                return Err(OraError::new(
                    2248,
                    format!("invalid option for ALTER SESSION (not known to the stand-in: {name})"),
                ));
            }
        }
        Ok(())
    }
}

fn offset(text: &str) -> Result<i16> {
    let invalid = || OraError::new(1882, "timezone region not found");
    if text.eq_ignore_ascii_case("UTC") || text.eq_ignore_ascii_case("GMT") {
        return Ok(0);
    }
    let (hours, minutes) = text
        .trim_start_matches(['+', '-'])
        .split_once(':')
        .ok_or_else(invalid)?;
    let hours: i16 = hours.parse().map_err(|_| invalid())?;
    let minutes: i16 = minutes.parse().map_err(|_| invalid())?;
    let all = hours * 60 + minutes;
    Ok(if text.starts_with('-') { -all } else { all })
}
