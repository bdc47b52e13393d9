//! Moments of this machine's clock in JSON: text of RFC 3339, as logs write it.
//!
//! For `#[serde(with = "rfc3339")]`, and `rfc3339::option` where there may be none.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::masters::chronicle::Moment;

pub(crate) fn serialize<S: Serializer>(
    moment: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Moment::from(*moment).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SystemTime, D::Error> {
    Moment::deserialize(deserializer).map(SystemTime::from)
}

pub(crate) mod option {
    use super::{Deserialize, Deserializer, Moment, Serialize, Serializer, SystemTime};

    #[expect(clippy::ref_option, reason = "serde asks for it so")]
    pub(crate) fn serialize<S: Serializer>(
        moment: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        moment.map(Moment::from).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let moment = Option::<Moment>::deserialize(deserializer)?;
        Ok(moment.map(SystemTime::from))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "crate::rfc3339")]
        at: SystemTime,
        #[serde(default, with = "crate::rfc3339::option")]
        ended: Option<SystemTime>,
    }

    #[test]
    fn moments_are_text_and_come_back() {
        let at = UNIX_EPOCH + Duration::from_micros(1_709_035_199_000_500);
        let open = Both { at, ended: None };
        let json = serde_json::to_string(&open).unwrap();
        assert_eq!(json, r#"{"at":"2024-02-27T11:59:59.000500Z","ended":null}"#);
        assert_eq!(serde_json::from_str::<Both>(&json).unwrap(), open);
        let without = r#"{"at":"2024-02-27T11:59:59.000500Z"}"#;
        assert_eq!(serde_json::from_str::<Both>(without).unwrap(), open);
        let ended = Some(UNIX_EPOCH);
        let both = Both { at, ended };
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(serde_json::from_str::<Both>(&json).unwrap(), both);
    }
}
